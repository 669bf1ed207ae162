//! The conversation with init, from the host's side.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use orlop_program::message::{MAX, Message, Point};
use orlop_sys::spawn::Child;
use orlop_sys::{Fd, process, socket, wait};

use super::affinity::Borrowed;
use super::blame::{self, Words};
use crate::error::{Doing, Error, Result};
use crate::reactor::await_any;

/// What init has come to.
#[derive(Debug)]
pub(crate) enum Event {
    /// It runs, and waits; [`Session::proceed`] lets it go on.
    Begin,
    /// It waits for hooks to run; [`Session::proceed`] lets it go on.
    Hooks,
    /// It has done everything but exec, and waits; [`Session::proceed`] lets it go on.
    Ready,
    /// It has made the terminal; this is the master.
    Console(OwnedFd),
    /// It has a mount whose ids are to be mapped in the way with this number, and waits; [`Session::proceed`] lets it go on.
    MapIds(u8, OwnedFd),
    /// Its system call filter is in force, whose notification descriptor has this number; it waits, [`Session::proceed`] lets
    /// it go on.
    SeccompListener(i32),
    /// It has made the container's root a mount, and goes on.
    Root,
    /// It has become the container's process.
    Running,
}

/// A launched process that is not yet what it is to become.
///
/// Dropped before [`Session::release`], it kills the process and waits for its end: what is half made is taken back.
pub(crate) struct Session<'a> {
    child: Option<Child>,
    host: OwnedFd,
    words: Words<'a>,
    /// The child makes another in its place, which has not been heard of.
    unborn: bool,
    /// We run on other CPUs than it began on.
    apart: Option<Borrowed>,
}

impl<'a> Session<'a> {
    /// `unborn`: `child` makes init in the PID namespace that it joins, and says nothing itself unless it fails. `host` tells who
    /// speaks. `apart`: we run on other CPUs than it began on.
    pub(super) fn new(
        child: Child,
        host: OwnedFd,
        words: Words<'a>,
        unborn: bool,
        apart: Option<Borrowed>,
    ) -> Self {
        Self { child: Some(child), host, words, unborn, apart }
    }

    /// Runs on the same CPUs as before the launch again: what we had to do while it is at work is done, and what we start may run
    /// on any.
    pub(crate) fn rejoin(&mut self) {
        self.apart = None;
    }

    /// Waits until init has been born, if it is yet to be: another process, which is our child as well, and goes on meanwhile.
    ///
    /// # Errors
    ///
    /// It failed, or init ended without a word.
    pub(super) fn birth(&mut self) -> Result<()> {
        if !self.unborn {
            return Ok(());
        }
        let mut buffer = [0; MAX];
        let mut receive = || socket::receive_with_sender(Fd::of(&self.host), &mut buffer);
        let doing = || "take hold of the container's init".to_owned();
        let (n, sender) = again_after_reset(&mut receive).doing(doing)?;
        // Not before it was heard: who gives up asks once more, to end it.
        self.unborn = false;
        let born = match (Message::read(&buffer[..n]), sender) {
            (Ok(Message::Born), Some(pid)) => pid,
            (said, _) => {
                let how = self.child.take().map(|child| child.end_with_issue());
                return Err(match said {
                    Ok(Message::Failed(failed)) => blame::failed(&failed, &self.words),
                    _ => died(how),
                });
            }
        };
        let before = self.child.replace(Child::adopt(born).doing(doing)?);
        before.map_or(Ok(()), |before| wait::wait(before.pidfd.fd()).map(drop).doing(doing))?;
        socket::tell_senders(Fd::of(&self.host), false).doing(doing)
    }

    /// Its process id, as we see it.
    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.pid)
    }

    /// The process itself, for as long as we have it.
    pub(crate) fn pidfd(&self) -> Fd {
        self.child.as_ref().map_or(Fd::from_raw(-1), |child| child.pidfd.fd())
    }

    /// Waits for the next thing that init says.
    ///
    /// # Errors
    ///
    /// A step failed, or init ended without a word.
    pub(crate) fn next(&mut self) -> Result<Event> {
        self.birth()?;
        let mut buffer = [0; MAX];
        let (n, fd) = hear(&self.host, &mut buffer)?;
        match (Message::read(&buffer[..n]), fd) {
            (Ok(Message::Reached(Point::Hooks)), _) => Ok(Event::Hooks),
            (Ok(Message::Reached(Point::Ready)), _) => Ok(Event::Ready),
            (Ok(Message::Reached(Point::Begin)), _) => Ok(Event::Begin),
            (Ok(Message::Reached(Point::Root)), _) => Ok(Event::Root),
            (Ok(Message::Console), Some(master)) => Ok(Event::Console(master)),
            (Ok(Message::MapIds(number)), Some(tree)) => Ok(Event::MapIds(number, tree)),
            (Ok(Message::SeccompListener(number)), _) => Ok(Event::SeccompListener(number)),
            (Ok(Message::Executing), _) => self.executed(),
            (Ok(Message::Failed(failed)), _) => Err(blame::failed(&failed, &self.words)),
            _ => Err(self.died()),
        }
    }

    /// Waits until init has exec'ed or ended, where it wants no answer any more: one wait instead of one for each message.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn fall_silent(&self) -> Result<()> {
        // No events but the one that is always reported.
        listen(&mut [PollFd::new(self.host.as_fd(), PollFlags::empty())])
    }

    /// The same until it has ended as what it becomes, unless there is something to read here before. For who has nothing to do at
    /// its exec: a process that another one is woken by at that moment often waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn end_unless(&self, signals: BorrowedFd<'_>) -> Result<()> {
        if let Some(child) = &self.child {
            listen(&mut [child.pidfd.as_fd(), signals].map(|fd| PollFd::new(fd, PollFlags::POLLIN)))?;
        }
        self.fall_silent()
    }

    /// Lets init go on.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`]. That init is gone is none: [`Session::next`] tells why.
    pub(crate) fn proceed(&self) -> Result<()> {
        say_the_word(&self.host)
    }

    /// Waits until init has made the container's root a mount.
    ///
    /// # Errors
    ///
    /// As [`Session::next`].
    pub(crate) fn await_root(&mut self) -> Result<()> {
        match self.next()? {
            Event::Root => Ok(()),
            other => Err(Error::Died { what: "the container's init".to_owned(), how: format!("{other:?}") }),
        }
    }

    /// Sends init a file system that it waits for, or will. That it is gone is no error: [`Session::next`] tells why.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn give(&self, made: Fd) -> Result<()> {
        give(&self.host, Some(made))
    }

    /// After "executing" comes the end of file, as exec closes init's end; or the reason why exec failed.
    fn executed(&self) -> Result<Event> {
        let mut buffer = [0; MAX];
        let (n, _) = hear(&self.host, &mut buffer)?;
        match Message::read(&buffer[..n]) {
            Ok(Message::Failed(failed)) => Err(blame::failed(&failed, &self.words)),
            _ => Ok(Event::Running),
        }
    }

    /// The process, which lives on when this value is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Died`]: it was found dead before.
    pub(crate) fn release(mut self) -> Result<Child> {
        let none = || Error::Died { what: "the container's init".to_owned(), how: "it is gone".to_owned() };
        self.child.take().ok_or_else(none)
    }

    /// Init ended without a word: it was killed.
    fn died(&mut self) -> Error {
        died(self.child.take().map(|child| end(&child)))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Who is not known cannot be ended.
        self.birth().ok();
        if let Some(child) = self.child.take() {
            // It cannot be in our way any more, whatever comes of this.
            end(&child).ok();
        }
    }
}

fn died(how: Option<orlop_sys::Result<wait::How>>) -> Error {
    let how = match how {
        Some(Ok(wait::How::Killed(libc::SIGKILL))) => {
            "killed by SIGKILL; if the kernel did it for lack of memory, its log says so".to_owned()
        }
        Some(Ok(how)) => how.to_string(),
        _ => "nothing is known of its end".to_owned(),
    };
    Error::Died { what: "the container's init".to_owned(), how }
}

/// Lets init go on. One that is gone has left its reasons in the socket.
pub(crate) fn say_the_word(init: &OwnedFd) -> Result<()> {
    give(init, None)
}

/// The same, perhaps with a descriptor.
fn give(init: &OwnedFd, fd: Option<Fd>) -> Result<()> {
    match socket::send(Fd::of(init), &[1], fd) {
        Err(e) if e.is(libc::EPIPE) || e.is(libc::ECONNRESET) => Ok(()),
        sent => sent.doing(|| "let the container's init go on".to_owned()),
    }
}

/// The next message of init, and the descriptor it carries; of no length if init has closed its end.
///
/// An init that ends without having read our word resets the connection, and that comes first; what it had said before is
/// still there ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
pub(crate) fn hear(init: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let received = again_after_reset(&mut || socket::receive_with_fd(Fd::of(init), buffer));
    let (n, fd) = received.doing(|| "listen to the container's init".to_owned())?;
    Ok((n, fd.map(OwnedFd::from)))
}

/// What is received, after the news that the connection is reset as well.
fn again_after_reset<T>(receive: &mut dyn FnMut() -> orlop_sys::Result<T>) -> orlop_sys::Result<T> {
    match receive() {
        Err(e) if e.is(libc::ECONNRESET) => receive(),
        other => other,
    }
}

fn listen(fds: &mut [PollFd<'_>]) -> Result<()> {
    await_any(fds).doing(|| "listen to the container's init".to_owned())
}

/// Kills a child, waits for its end, and reaps it. One that has ended already is only reaped.
fn end(child: &Child) -> orlop_sys::Result<wait::How> {
    process::pidfd_send_signal(child.pidfd.fd(), libc::SIGKILL).ok();
    wait::wait(child.pidfd.fd())
}
