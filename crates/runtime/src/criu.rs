//! CRIU, the program that saves processes to files and makes processes from them (<https://criu.org>).
//!
//! It is started as `criu swrk`, and spoken to over a socket pair in messages of Protocol Buffers
//! (<https://criu.org/RPC>), as runc does it and crun by way of a library.
//!
//! | file | what |
//! |---|---|
//! | `criu/wire.rs` | Protocol Buffers, as far as needed |
//! | `criu/rpc.rs` | requests and responses |
//! | `criu/swrk.rs` | the process, and the conversation with it |
//! | `criu/options.rs` | what `checkpoint` and `restore` ask for alike |
//! | `criu/mounts.rs` | mounts that lead out of the container, and their mount points |
//! | `criu/namespaces.rs` | namespaces that are not the container's own |
//! | `criu/cgroups.rs` | what CRIU has to know of cgroups |
//! | `criu/streams.rs` | standard input, output and error |
//! | `criu/record.rs` | which one is at work, for `delete --force` |
//! | `criu/error.rs` | what goes wrong, with an excerpt of CRIU's log |

mod cgroups;
mod error;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod options;
pub(crate) mod record;
mod rpc;
pub(crate) mod streams;
mod swrk;
mod wire;

use std::path::PathBuf;

use crate::error::Result;

pub(crate) use cgroups::{manage, roots};
pub use error::CriuError;
pub(crate) use options::{Directories, check_overlay, check_parent, check_root, common};
use rpc::Features;
pub(crate) use rpc::{Kind, Notify, Version, numbered, opt, pair};
pub(crate) use swrk::{Setup, Swrk};
pub(crate) use wire::Message;

/// The oldest that knows all options but one; older ones would ignore what they do not know.
const LEAST: Version = Version(3, 16, 0);

/// CRIU, as it is installed here.
#[derive(Debug)]
pub(crate) struct Criu {
    path: PathBuf,
    version: Version,
}

impl Criu {
    /// Finds it in `PATH`, or where a system's programs are: engines may have a `PATH` without those.
    ///
    /// # Errors
    ///
    /// [`CriuError::Missing`], [`CriuError::TooOld`].
    pub(crate) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
        let found = std::env::split_paths(&path).chain(system).map(|dir| dir.join("criu"));
        let path = found.into_iter().find(|file| file.is_file()).ok_or(CriuError::Missing)?;
        let mut criu = Self { path, version: Version::default() };
        criu.version = criu.start(Setup::default())?.ask(Kind::Version)?.version;
        criu.needs(LEAST, "this runtime")?;
        Ok(criu)
    }

    /// Refuses what only newer ones can do.
    ///
    /// # Errors
    ///
    /// [`CriuError::TooOld`].
    pub(crate) fn needs(&self, least: Version, what: &str) -> Result<()> {
        if self.version >= least {
            return Ok(());
        }
        let (least, version) = (least.to_string(), self.version.to_string());
        Err(CriuError::TooOld { what: what.to_owned(), least, version }.into())
    }

    /// Refuses dumps that build on earlier ones where nobody knows which pages have changed.
    ///
    /// # Errors
    ///
    /// [`CriuError::Unable`].
    pub(crate) fn needs_memory_tracking(&self) -> Result<()> {
        if self.features()?.track_memory {
            return Ok(());
        }
        let what = "--pre-dump and --parent-path: this kernel does not track which memory pages change (CONFIG_MEM_SOFT_DIRTY)";
        Err(CriuError::Unable { what: what.to_owned() }.into())
    }

    /// What it can do on this kernel.
    ///
    /// # Errors
    ///
    /// [`CriuError::Failed`].
    fn features(&self) -> Result<Features> {
        Ok(self.start(Setup::default())?.ask(Kind::FeatureCheck)?.features)
    }

    /// Starts it; it waits for a request.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub(crate) fn start(&self, setup: Setup<'_>) -> Result<Swrk> {
        Swrk::start(&self.path, setup)
    }
}
