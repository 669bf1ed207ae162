//! Where the streams of a process go: pipes or a terminal on its side, what containerd names on the other.
//!
//! | file | what |
//! |---|---|
//! | `stdio/place.rs` | what containerd names: FIFOs and files |
//! | `stdio/logger.rs` | programs that take output |
//! | `stdio/copy.rs` | bytes from one to the other, never waiting and with bounded memory |

mod copy;
mod logger;
mod place;

use std::os::fd::OwnedFd;

use nix::unistd::{Gid, Uid, fchown};
use orlop_runtime::Stdio;
use orlop_runtime::streams::{self, not_blocking, null};

pub(crate) use copy::{Copy, State};
pub(crate) use logger::Logger;
use logger::Pipes;
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

/// Whose streams they are.
#[derive(Clone, Debug)]
pub(crate) struct Whose {
    pub(crate) container: String,
    pub(crate) namespace: String,
    /// User and group that get the pipes.
    pub(crate) owner: (u32, u32),
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
    /// The program that takes the output.
    pub(crate) logger: Option<Logger>,
    /// For a terminal, which comes later: what is read into it, and where it is written.
    waiting: (Option<OwnedFd>, Option<OwnedFd>),
}

impl Addresses {
    /// Whether they are of kinds that can be opened.
    ///
    /// # Errors
    ///
    /// One is not.
    pub(crate) fn check(&self) -> Result<()> {
        [&self.stdin, &self.stdout, &self.stderr].into_iter().try_for_each(|one| Place::parse(one).map(drop))
    }

    /// Opens everything.
    ///
    /// # Errors
    ///
    /// A place that is not there, or of a kind that is refused.
    pub(crate) fn open(&self, whose: &Whose) -> Result<(Stdio, Streams)> {
        let mut streams = Streams::default();
        let stdin = Input::open(&self.stdin)?;
        let stdout = Place::parse(&self.stdout)?;
        if let Place::Logger(program) = stdout {
            if !self.stderr.is_empty() && self.stderr != self.stdout {
                let why = "a program takes both streams: name it for standard error too, or nothing";
                return Err(Failure::new(Code::InvalidArgument, why));
            }
            let (pipes, logger) = program.start(&whose.container, &whose.namespace)?;
            streams.logger = Some(logger);
            return self.connect(stdin, Ends::Pipes(pipes), streams, whose);
        }
        let stderr = if self.terminal { None } else { Place::parse(&self.stderr)?.open()? };
        self.connect(stdin, Ends::Places(stdout.open()?, stderr), streams, whose)
    }

    fn connect(
        &self,
        stdin: Option<Input>,
        ends: Ends,
        mut streams: Streams,
        whose: &Whose,
    ) -> Result<(Stdio, Streams)> {
        if self.terminal {
            let (reader, holder) = stdin.map(|input| (input.reader, input.holder)).unzip();
            streams.holder = holder;
            let place = match ends {
                Ends::Places(place, _) => place,
                Ends::Pipes(pipes) => Some(pipes.stdout),
            };
            place.as_ref().map_or(Ok(()), not_blocking)?;
            streams.waiting = (reader, place);
            return Ok((Stdio { stdin: null()?, stdout: null()?, stderr: null()? }, streams));
        }
        let stdin = match stdin {
            None => null()?,
            Some(input) => {
                let (theirs, ours) = pipe(whose.owner)?;
                not_blocking(&ours)?;
                streams.input = Some(Copy::new(input.reader, ours));
                streams.holder = Some(input.holder);
                theirs
            }
        };
        let (stdout, stderr) = match ends {
            // Nothing is left to do for us.
            Ends::Pipes(pipes) => (pipes.stdout, pipes.stderr),
            Ends::Places(stdout, stderr) => {
                (streams.output(stdout, whose.owner)?, streams.output(stderr, whose.owner)?)
            }
        };
        Ok((Stdio { stdin, stdout, stderr }, streams))
    }
}

/// Where output goes.
enum Ends {
    /// Copied to places, or nowhere.
    Places(Option<OwnedFd>, Option<OwnedFd>),
    /// Into pipes that a program reads.
    Pipes(Pipes),
}

impl Streams {
    /// The process's end of a pipe that is copied to a place.
    fn output(&mut self, place: Option<OwnedFd>, owner: (u32, u32)) -> Result<OwnedFd> {
        let Some(place) = place else { return Ok(null()?) };
        let (ours, theirs) = pipe(owner)?;
        not_blocking(&ours)?;
        self.outputs.push(Copy::new(ours, place));
        Ok(theirs)
    }

    /// There is no process to have them.
    pub(crate) fn give_up(self, stdio: Stdio) {
        drop(stdio);
        if let Some(logger) = self.logger {
            logger.finish();
        }
    }

    /// The terminal is there.
    pub(crate) fn connect(&mut self, master: &OwnedFd) -> Result<()> {
        not_blocking(master)?;
        // A descriptor of its own for each direction: each is waited for by itself.
        let copy = || master.try_clone().map_err(failed("copy the terminal's descriptor"));
        let (reader, place) = std::mem::take(&mut self.waiting);
        self.input = reader.map(|reader| copy().map(|master| Copy::new(reader, master))).transpose()?;
        // Without anybody to read it, it is read all the same: else its program would stop one day.
        let place = place.map_or_else(null, Ok)?;
        self.outputs.push(Copy::new(copy()?, place));
        Ok(())
    }
}

fn pipe((uid, gid): (u32, u32)) -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = streams::pipe()?;
    if (uid, gid) != (0, 0) {
        let owner = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        fchown(&reader, owner.0, owner.1).map_err(failed("give a pipe to its owner"))?;
    }
    Ok((reader, writer))
}

/// What was being done when something failed.
pub(crate) fn failed<E: std::fmt::Display>(doing: impl std::fmt::Display) -> impl FnOnce(E) -> Failure {
    move |e| Failure::new(Code::Unknown, format!("{doing}: {e}"))
}
