//! Terminals: console sockets as engines use them, and pseudo-terminals as people sit at.
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::command::patience;
use crate::events::readable;

/// The master's side of a pseudo-terminal.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    said: String,
}

impl Terminal {
    /// A new pseudo-terminal: its master's side, and the other side for a command to run on.
    pub fn open() -> (Self, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a new pseudo-terminal");
        rustix::pty::unlockpt(&master).expect("a new pseudo-terminal is unlocked");
        let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("its other side");
        (Self { master, said: String::new() }, peer)
    }

    /// Types text.
    pub fn type_in(&self, text: &str) {
        rustix::io::write(&self.master, text.as_bytes()).expect("the terminal takes input");
    }

    /// Waits until the terminal has shown `text`; returns all it has shown up to then.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + patience();
        while !self.said.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = readable(&self.master, left) && self.read();
            assert!(more, "no {text:?} on the terminal, which shows {:?}", self.said);
        }
        self.said.clone()
    }

    /// Reads until the last process on the other side has gone.
    pub fn rest(mut self) -> String {
        let deadline = Instant::now() + patience();
        while readable(&self.master, deadline.saturating_duration_since(Instant::now())) && self.read() {}
        self.said
    }

    /// Changes the window's size, as a terminal emulator does.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).expect("a terminal has a size");
    }

    /// Takes what has arrived; false at the end, which a master sees as `EIO`.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let n = rustix::io::read(&self.master, &mut chunk[..]).unwrap_or(0);
        self.said.push_str(&String::from_utf8_lossy(&chunk[..n]));
        n > 0
    }
}

/// The socket on which an engine receives the terminal of a container.
#[derive(Debug)]
pub struct ConsoleSocket {
    path: PathBuf,
    listener: UnixListener,
}

impl ConsoleSocket {
    /// Listens in a directory.
    pub fn listen(directory: &Path) -> Self {
        let path = directory.join("console.sock");
        let listener = UnixListener::bind(&path).expect("a new socket");
        Self { path, listener }
    }

    /// The argument for `--console-socket`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Receives the master's side of the container's terminal.
    #[track_caller]
    pub fn receive(&self) -> Terminal {
        Terminal { master: self.receive_descriptor(), said: String::new() }
    }

    /// Receives a descriptor, whatever it is: others are sent over such sockets too.
    #[track_caller]
    pub fn receive_descriptor(&self) -> OwnedFd {
        assert!(readable(&self.listener, patience()), "nobody connects to the socket");
        let (stream, _) = self.listener.accept().expect("a connection");
        assert!(readable(&stream, patience()), "nothing comes through the socket");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 4096];
        let mut data = [IoSliceMut::new(&mut name)];
        rustix::net::recvmsg(&stream, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC).expect("a message");
        let mut fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let received: Vec<OwnedFd> = fds.by_ref().flatten().collect();
        let [only]: [OwnedFd; 1] = received.try_into().expect("exactly one descriptor");
        only
    }
}
