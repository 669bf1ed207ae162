//! One run of a supervised container: its process, and its streams.

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::health::Check;
use super::output::Output;
use crate::error::Result;
use crate::held::{Held, Stdio};
use crate::reactor::Token;
use crate::streams::{not_blocking, null, pipe};

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
            not_blocking(&ours)?;
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
