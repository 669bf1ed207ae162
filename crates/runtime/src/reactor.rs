//! What a process with one thread waits for: descriptors, each with what it is, and moments. A shim has one, and so has
//! the supervisor of a container.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Waits until one of these descriptors has something to tell: for who waits just once.
///
/// # Errors
///
/// As the kernel says ([poll(2)](https://man7.org/linux/man-pages/man2/poll.2.html)); not `EINTR`.
pub(crate) fn await_any(fds: &mut [PollFd<'_>]) -> nix::Result<()> {
    loop {
        match poll(fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            polled => return polled.map(drop),
        }
    }
}

/// A descriptor that is waited for. Numbers are never used twice, so that a late event cannot be taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(u64);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the end.
    Readable,
    /// Room to write.
    Writable,
    /// Either.
    Both,
    /// `POLLPRI`: a file of a cgroup has changed.
    Changed,
    /// Nothing for now.
    Nothing,
}

impl Interest {
    const fn flags(self) -> EpollFlags {
        match self {
            Self::Readable => EpollFlags::EPOLLIN,
            Self::Writable => EpollFlags::EPOLLOUT,
            Self::Both => EpollFlags::EPOLLIN.union(EpollFlags::EPOLLOUT),
            Self::Changed => EpollFlags::EPOLLPRI,
            Self::Nothing => EpollFlags::empty(),
        }
    }
}

/// Descriptors and moments, with what they are (`S`).
#[derive(Debug)]
pub struct Reactor<S> {
    epoll: Epoll,
    sources: BTreeMap<Token, S>,
    moments: BTreeMap<(Instant, Token), S>,
    last: u64,
}

impl<S: Clone> Reactor<S> {
    /// One that waits for nothing yet.
    ///
    /// # Errors
    ///
    /// No descriptor can be had ([epoll_create(2)](https://man7.org/linux/man-pages/man2/epoll_create.2.html)).
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, sources: BTreeMap::new(), moments: BTreeMap::new(), last: 0 })
    }

    fn token(&mut self) -> Token {
        self.last += 1;
        Token(self.last)
    }

    /// Waits for a descriptor from now on. A regular file cannot be waited for, and need not be (`EPERM`).
    ///
    /// # Errors
    ///
    /// It cannot be waited for.
    pub fn add(&mut self, fd: impl AsFd, interest: Interest, source: S) -> io::Result<Token> {
        let token = self.token();
        self.epoll.add(fd, EpollEvent::new(interest.flags(), token.0))?;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Waits for something else of a descriptor. With nothing to wait for it is taken out, as it would report its hang-up
    /// for ever.
    ///
    /// # Errors
    ///
    /// As [`Reactor::add`].
    pub fn change(&mut self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut event = EpollEvent::new(interest.flags(), token.0);
        if interest == Interest::Nothing {
            return match self.epoll.delete(fd) {
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(e) => Err(e.into()),
            };
        }
        match self.epoll.modify(fd.as_fd(), &mut event) {
            Err(Errno::ENOENT) => Ok(self.epoll.add(fd, event)?),
            changed => Ok(changed?),
        }
    }

    /// Forgets a descriptor, which may be closed then.
    pub fn remove(&mut self, fd: impl AsFd, token: Token) {
        // One that is not waited for just now is not there.
        self.epoll.delete(fd).ok();
        self.sources.remove(&token);
    }

    /// Forgets a descriptor that is closed already.
    pub fn forget(&mut self, token: Token) {
        self.sources.remove(&token);
    }

    /// Reports `source` at a moment, once.
    pub fn at(&mut self, moment: Instant, source: S) {
        let token = self.token();
        self.moments.insert((moment, token), source);
    }

    /// Waits until something happens; what, several at a time.
    ///
    /// # Errors
    ///
    /// As the kernel says ([epoll_wait(2)](https://man7.org/linux/man-pages/man2/epoll_wait.2.html)); not `EINTR`.
    pub fn wait(&mut self) -> io::Result<Vec<S>> {
        let timeout = match self.moments.keys().next() {
            None => EpollTimeout::NONE,
            Some((moment, _)) => {
                // Rounded up, so as not to spin through the last millisecond.
                let left = moment.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
            }
        };
        let mut events = [EpollEvent::empty(); 32];
        let ready = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            waited => waited?,
        };
        let mut happened: Vec<S> =
            events[..ready].iter().filter_map(|e| self.sources.get(&Token(e.data())).cloned()).collect();
        let later = self.moments.split_off(&(Instant::now(), Token(u64::MAX)));
        happened.extend(std::mem::replace(&mut self.moments, later).into_values());
        Ok(happened)
    }
}
