//! Where the streams of a process go: pipes or a terminal on its side, what containerd names on the other.
//!
//! | file | what |
//! |---|---|
//! | `stdio/place.rs` | what containerd names: FIFOs and files |
//! | `stdio/copy.rs` | bytes from one to the other, never waiting and with bounded memory |

mod copy;
mod place;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{Gid, Uid, fchown, pipe2};
use orlop_runtime::Stdio;

pub(crate) use copy::{Copy, State};
use place::{Input, Place};

use crate::ttrpc::{Code, Failure, Result};

/// What a request says of the streams of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) terminal: bool,
}

/// Streams that are open, and not copied yet.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Into the process.
    pub(crate) input: Option<Copy>,
    /// Out of it.
    pub(crate) outputs: Vec<Copy>,
    /// The other writer of the FIFO that is its input: while it is open, the input does not end.
    pub(crate) holder: Option<OwnedFd>,
    /// For a terminal, which comes later: what is read into it, and where it is written.
    waiting: (Option<OwnedFd>, Option<OwnedFd>),
}

impl Addresses {
    /// Opens everything. `owner` gets the pipes.
    ///
    /// # Errors
    ///
    /// A place that is not there, or of a kind that is refused.
    pub(crate) fn open(&self, owner: (u32, u32)) -> Result<(Stdio, Streams)> {
        let mut streams = Streams::default();
        let stdin = Input::open(&self.stdin)?;
        let stdout = Place::parse(&self.stdout)?.open()?;
        if self.terminal {
            let (reader, holder) = stdin.map(|input| (input.reader, input.holder)).unzip();
            streams.holder = holder;
            streams.waiting = (reader, stdout);
            return Ok((Stdio { stdin: null(false)?, stdout: null(true)?, stderr: null(true)? }, streams));
        }
        let stderr = Place::parse(&self.stderr)?.open()?;
        let stdin = match stdin {
            None => null(false)?,
            Some(input) => {
                let (theirs, ours) = pipe(owner)?;
                not_blocking(&ours)?;
                streams.input = Some(Copy::new(input.reader, ours));
                streams.holder = Some(input.holder);
                theirs
            }
        };
        let mut output = |place: Option<OwnedFd>| {
            let Some(place) = place else { return null(true) };
            let (ours, theirs) = pipe(owner)?;
            not_blocking(&ours)?;
            streams.outputs.push(Copy::new(ours, place));
            Ok(theirs)
        };
        let (stdout, stderr) = (output(stdout)?, output(stderr)?);
        Ok((Stdio { stdin, stdout, stderr }, streams))
    }
}

impl Streams {
    /// The terminal is there.
    pub(crate) fn connect(&mut self, master: &OwnedFd) -> Result<()> {
        not_blocking(master)?;
        // A descriptor of its own for each direction: each is waited for by itself.
        let copy = || master.try_clone().map_err(failed("copy the terminal's descriptor"));
        let (reader, place) = std::mem::take(&mut self.waiting);
        self.input = reader.map(|reader| copy().map(|master| Copy::new(reader, master))).transpose()?;
        // Without anybody to read it, it is read all the same: else its program would stop one day.
        let place = place.map_or_else(|| null(true), Ok)?;
        self.outputs.push(Copy::new(copy()?, place));
        Ok(())
    }
}

fn pipe((uid, gid): (u32, u32)) -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(failed("make a pipe"))?;
    if (uid, gid) != (0, 0) {
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        fchown(&reader, owner.0, owner.1).map_err(failed("give a pipe to its owner"))?;
    }
    Ok((reader, writer))
}

fn null(write: bool) -> Result<OwnedFd> {
    let mut options = File::options();
    let options = if write { options.write(true) } else { options.read(true) };
    options.open("/dev/null").map(OwnedFd::from).map_err(failed("open /dev/null"))
}

fn not_blocking(fd: &impl AsFd) -> Result<()> {
    let doing = "read a descriptor's flags";
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).map_err(failed(doing))?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(failed("change a descriptor's flags"))
}

/// What was being done when something failed.
pub(crate) fn failed<E: std::fmt::Display>(doing: impl std::fmt::Display) -> impl FnOnce(E) -> Failure {
    move |e| Failure::new(Code::Unknown, format!("{doing}: {e}"))
}
