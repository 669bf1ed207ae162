//! Containers without a mount namespace of their own: what they mount is among the host's mounts, below a mount of their root
//! file system, and has to be taken away again.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use orlop_sys::mount;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Result};

/// What was mounted at the root file system's place before the container was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMounts {
    /// The place.
    root: PathBuf,
    /// The id of that mount. It lies below the container's, so no other mount can have its id in the meantime.
    below: u64,
}

impl HostMounts {
    /// Notes what is mounted there, while the container has mounted nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel): the root file system cannot be opened.
    pub(crate) fn before(root: &Path) -> Result<Self> {
        let directory = open(root).doing(|| format!("open {}", root.display()))?;
        let below = mount_id(&directory).doing(|| format!("ask for the mount of {}", root.display()))?;
        Ok(Self { root: root.to_owned(), below })
    }

    /// Unmounts what the container has mounted, if that was not done yet. Who still uses it keeps it until then.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`](crate::Error::Kernel).
    pub(crate) fn remove(&self) -> Result<()> {
        let doing = || format!("unmount {}", self.root.display());
        // The bundle is gone, and with it every mount.
        let Ok(directory) = open(&self.root) else { return Ok(()) };
        if mount_id(&directory).doing(doing)? == self.below {
            return Ok(());
        }
        let place = CString::new(format!("/proc/self/fd/{}", directory.as_raw_fd())).unwrap_or_default();
        mount::umount2(&place, libc::MNT_DETACH).doing(doing)
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)
}

/// The id of the mount that a file was opened on (proc_pid_fdinfo(5)).
fn mount_id(file: &File) -> std::io::Result<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    parse_mount_id(&info).ok_or_else(|| std::io::Error::other("no mnt_id in it"))
}

/// The id of the mount in the text of such a file.
pub(crate) fn parse_mount_id(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}
