//! The terminal that `orlop` itself runs on, while it is handed through to a container.

use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use orlop_sys::Fd;
use orlop_sys::terminal::{set_size, size};

use crate::error::{Doing, Result};

/// The size of our terminal, rows and columns, if we have one: what a container's terminal should start with, since its
/// program may ask before a [`Proxy`](super::Proxy) is there to copy it.
pub fn our_size() -> Option<(u16, u16)> {
    find().and_then(|(terminal, _)| size(Fd::of(&terminal)).ok()).filter(|size| *size != (0, 0))
}

/// Our terminal in raw mode; dropping it restores the mode that it had.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Finds our terminal, as runc does: standard error, output or input, else the controlling terminal; `None` if there
    /// is none. Puts it into raw mode: every key reaches the container, and every byte of the container us as it is. If
    /// the container's output goes elsewhere, others write to it as they are used to.
    pub(super) fn enter(output: bool) -> Result<Option<Self>> {
        let Some((terminal, before)) = find() else { return Ok(None) };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        if !output {
            raw.output_flags = before.output_flags;
        }
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).doing(|| "put the terminal into raw mode".to_owned())?;
        Ok(Some(Self { terminal, before }))
    }

    /// Gives another terminal the size of ours.
    pub(super) fn copy_size_to(&self, other: &impl AsFd) -> orlop_sys::Result<()> {
        let (rows, columns) = size(Fd::of(&self.terminal))?;
        set_size(Fd::of(other), rows, columns)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone away has no mode to restore.
        tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before).ok();
    }
}

fn find() -> Option<(OwnedFd, Termios)> {
    let standard = [
        std::io::stderr().as_fd().try_clone_to_owned(),
        std::io::stdout().as_fd().try_clone_to_owned(),
        std::io::stdin().as_fd().try_clone_to_owned(),
    ];
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let controlling = || openat(AT_FDCWD, "/dev/tty", flags, Mode::empty()).ok();
    let with_mode = |fd: OwnedFd| tcgetattr(&fd).ok().map(|mode| (fd, mode));
    standard.into_iter().flatten().find_map(with_mode).or_else(|| controlling().and_then(with_mode))
}
