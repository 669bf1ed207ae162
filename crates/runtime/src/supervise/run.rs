//! One run of a supervised container: its process, and its streams.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::health::Check;
use super::output::Output;
use crate::error::{Doing, Result};
use crate::held::{Held, Stdio};
use crate::reactor::Token;

/// A run under way.
#[derive(Debug)]
pub(super) struct Run {
    /// Its process.
    pub(super) pidfd: OwnedFd,
    pub(super) token: Option<Token>,
    /// Its streams, with what they are waited for; none once they have ended.
    pub(super) outputs: Vec<Option<(Output, Token)>>,
    pub(super) began: Instant,
    /// The check of its health that is under way: with what is waited for, its end and its output.
    pub(super) check: Option<(Check, Token, Option<Token>)>,
    /// How many checks there were.
    pub(super) checks: u32,
}

/// What the container gets, and our ends of it.
pub(super) struct Streams {
    pub(super) stdio: Stdio,
    pub(super) outputs: Vec<Output>,
}

impl Streams {
    /// Pipes for what is logged; otherwise nothing comes in and everything is thrown away.
    pub(super) fn new(logged: bool) -> Result<Self> {
        let mut outputs = Vec::new();
        let mut output = |stream| {
            if !logged {
                return null();
            }
            let (ours, theirs) = pipe()?;
            outputs.push(Output::new(ours, stream));
            Ok(theirs)
        };
        let (stdout, stderr) = (output("stdout")?, output("stderr")?);
        Ok(Self { stdio: Stdio { stdin: null()?, stdout, stderr }, outputs })
    }

    /// Our ends. A terminal takes the place of both streams; what comes from it is read in any case, or the program would stop.
    pub(super) fn of(self, held: &mut Held) -> Result<Vec<Output>> {
        match held.terminal.take() {
            None => Ok(self.outputs),
            Some(master) => {
                not_blocking(&master)?;
                Ok(vec![Output::new(master, "stdout")])
            }
        }
    }
}

/// `/dev/null`, for either direction.
pub(super) fn null() -> Result<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null");
    null.map(OwnedFd::from).doing(|| "open /dev/null".to_owned())
}

/// A pipe whose end for reading, the first one, does not block.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).doing(|| "make a pipe".to_owned())?;
    not_blocking(&ours)?;
    Ok((ours, theirs))
}

fn not_blocking(fd: &OwnedFd) -> Result<()> {
    let doing = || "change a descriptor's flags".to_owned();
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).doing(doing)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).doing(doing).map(drop)
}
