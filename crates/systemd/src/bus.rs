//! One connection, on which every exchange has a deadline.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::sockopt::SendTimeout;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::address::{Address, Socket, Which};
use crate::error::{Error, Result};
use crate::message::{HEAD, Incoming, Kind, Method, length};
use crate::wire::{Writer, Wrong};

/// A line of the authentication is no longer than this.
const LINE: usize = 512;
/// How many ended jobs of others are remembered while our own has no name yet.
const JOBS: usize = 1024;

const BUS: Method = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
};

/// Which signals the bus shall pass on.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',\
                           interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// A connection to systemd or to the bus that it is on.
#[derive(Debug)]
pub(crate) struct Bus {
    stream: UnixStream,
    /// What was received and not yet looked at.
    buffer: Vec<u8>,
    serial: u32,
    wait: Duration,
    /// systemd's own address on the bus, from its first reply; empty without a bus.
    peer: String,
}

/// What went wrong, before it is known what was asked.
enum Trouble {
    Silent,
    Lost(std::io::Error),
    Garbled(Wrong),
    Refused { name: String, text: String },
}

impl Trouble {
    fn while_asking(self, asked: &str, waited: Duration) -> Error {
        let asked = asked.to_owned();
        match self {
            Self::Silent => Error::Silent { asked, waited },
            Self::Lost(source) => Error::Lost { asked, source },
            Self::Garbled(why) => Error::Garbled { asked, why },
            Self::Refused { name, text } => Error::Refused { asked, name, text },
        }
    }
}

impl From<Wrong> for Trouble {
    fn from(why: Wrong) -> Self {
        Self::Garbled(why)
    }
}

type Tried<T> = std::result::Result<T, Trouble>;

impl Bus {
    /// Connects to the first that listens, authenticates, and makes itself known to a bus; all of it within `wait`.
    pub(crate) fn open(addresses: &[Address], which: Which, wait: Duration) -> Result<Self> {
        let deadline = Deadline::after(wait);
        let mut tried = Vec::new();
        for address in addresses {
            match dial(address, deadline) {
                Ok(stream) => {
                    let bus = Self { stream, buffer: Vec::new(), serial: 0, wait, peer: String::new() };
                    let opened = bus.begin(address, deadline);
                    return opened.map_err(|e| e.while_asking(&format!("connect to {address}"), wait));
                }
                // Somebody listens, and does not take calls.
                Err(Errno::EAGAIN) => {
                    return Err(Error::Silent { asked: format!("connect to {address}"), waited: wait });
                }
                Err(errno) => tried.push(format!("{address}: {}", errno.desc())),
            }
        }
        if tried.is_empty() {
            let unset = "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR says where it listens";
            tried.push(unset.to_owned());
        }
        Err(Error::Unreachable { who: which.words(), tried: tried.join("; ") })
    }

    fn begin(mut self, address: &Address, deadline: Deadline) -> Tried<Self> {
        // No user id is claimed: the other side takes that of the socket's credentials, which is right in a user namespace,
        // where ours is another number. The lines need not wait for each other.
        self.write(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", deadline)?;
        loop {
            let line = self.line(deadline)?;
            match line.split(|b| *b == b' ').next() {
                Some(b"DATA") => {}
                Some(b"OK") => break,
                _ => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    return Err(Trouble::Refused { name: "authentication".to_owned(), text });
                }
            }
        }
        if !address.direct {
            self.ask(BUS, |_| {}, deadline, |_| Ok(()))?;
            let add_match = Method { member: "AddMatch", signature: "s", ..BUS };
            self.ask(add_match, |w| w.string(JOB_REMOVED), deadline, |_| Ok(()))?;
        }
        Ok(self)
    }

    /// Calls a method and reads its reply.
    pub(crate) fn call<T>(
        &mut self,
        asked: &str,
        method: Method,
        arguments: impl FnOnce(&mut Writer),
        read: impl FnOnce(&mut Incoming<'_>) -> std::result::Result<T, Wrong>,
    ) -> Result<T> {
        let wait = self.wait;
        let reply = self.ask(method, arguments, Deadline::after(wait), |reply| {
            let sender = reply.sender.to_owned();
            Ok((sender, read(reply)?))
        });
        let (sender, value) = reply.map_err(|e| e.while_asking(asked, wait))?;
        if self.peer.is_empty() {
            self.peer = sender;
        }
        Ok(value)
    }

    /// Calls a method that begins a job, and waits until the job has ended; the result is systemd's word for how.
    pub(crate) fn call_job(
        &mut self,
        asked: &str,
        method: Method,
        arguments: impl FnOnce(&mut Writer),
    ) -> Result<String> {
        let wait = self.wait;
        self.job(method, arguments, Deadline::after(wait)).map_err(|e| e.while_asking(asked, wait))
    }

    fn job(
        &mut self,
        method: Method,
        arguments: impl FnOnce(&mut Writer),
        deadline: Deadline,
    ) -> Tried<String> {
        let serial = self.send(method, arguments, deadline)?;
        let mut job = None;
        // A job may have ended before we are told its name.
        let mut ended = Vec::new();
        loop {
            let message = self.message(deadline)?;
            let mut incoming = Incoming::read(&message)?;
            if answers(&incoming, serial)? {
                job = Some(incoming.body.string()?.to_owned());
            } else if let Some(end) = self.job_removed(&mut incoming)? {
                if ended.len() == JOBS {
                    ended.remove(0);
                }
                ended.push(end);
            }
            let ours = |(name, _): &(String, String)| Some(name) == job.as_ref();
            if let Some(found) = ended.iter().position(ours) {
                return Ok(ended.swap_remove(found).1);
            }
        }
    }

    /// Name and result of a job, if this is systemd's word that it has ended.
    fn job_removed(&self, signal: &mut Incoming<'_>) -> Tried<Option<(String, String)>> {
        if signal.kind != Kind::Signal
            || signal.member != "JobRemoved"
            || signal.interface != "org.freedesktop.systemd1.Manager"
            || signal.sender != self.peer
        {
            return Ok(None);
        }
        if signal.signature != "uoss" {
            return Err("a JobRemoved signal has other arguments than a job's".into());
        }
        let body = &mut signal.body;
        let (_id, name, _unit, result) = (body.u32()?, body.string()?, body.string()?, body.string()?);
        Ok(Some((name.to_owned(), result.to_owned())))
    }

    fn ask<T>(
        &mut self,
        method: Method,
        arguments: impl FnOnce(&mut Writer),
        deadline: Deadline,
        read: impl FnOnce(&mut Incoming<'_>) -> std::result::Result<T, Wrong>,
    ) -> Tried<T> {
        let serial = self.send(method, arguments, deadline)?;
        loop {
            let message = self.message(deadline)?;
            let mut incoming = Incoming::read(&message)?;
            if answers(&incoming, serial)? {
                return Ok(read(&mut incoming)?);
            }
        }
    }

    fn send(
        &mut self,
        method: Method,
        arguments: impl FnOnce(&mut Writer),
        deadline: Deadline,
    ) -> Tried<u32> {
        self.serial += 1;
        self.write(&method.call(self.serial, arguments), deadline)?;
        Ok(self.serial)
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Deadline) -> Tried<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(deadline.left()?)).map_err(Trouble::Lost)?;
            match self.stream.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) => tolerable(e)?,
            }
        }
        Ok(())
    }

    /// The next message, whole.
    fn message(&mut self, deadline: Deadline) -> Tried<Vec<u8>> {
        while self.buffer.len() < HEAD {
            self.fill(deadline)?;
        }
        let head = self.buffer.first_chunk().ok_or("it is too short")?;
        let length = length(head)?;
        while self.buffer.len() < length {
            self.fill(deadline)?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// The next line, without its end.
    fn line(&mut self, deadline: Deadline) -> Tried<Vec<u8>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let rest = self.buffer.split_off(end + 2);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(end);
                return Ok(line);
            }
            if self.buffer.len() > LINE {
                return Err("a line of the authentication has no end".into());
            }
            self.fill(deadline)?;
        }
    }

    fn fill(&mut self, deadline: Deadline) -> Tried<()> {
        let mut chunk = [0; 4096];
        self.stream.set_read_timeout(Some(deadline.left()?)).map_err(Trouble::Lost)?;
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Trouble::Lost(ErrorKind::UnexpectedEof.into())),
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(e) => tolerable(e),
        }
    }
}

/// Whether this is the reply to the call with that number; an error reply is an error.
fn answers(incoming: &Incoming<'_>, serial: u32) -> Tried<bool> {
    match incoming.kind {
        Kind::Reply if incoming.reply_to == serial => Ok(true),
        Kind::Error if incoming.reply_to == serial => {
            Err(Trouble::Refused { name: incoming.error.to_owned(), text: incoming.text().to_owned() })
        }
        _ => Ok(false),
    }
}

/// An interrupted call is made again, and whether the time is over is found out before.
fn tolerable(e: std::io::Error) -> Tried<()> {
    match e.kind() {
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        _ => Err(Trouble::Lost(e)),
    }
}

/// When an exchange must be done.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn after(wait: Duration) -> Self {
        let now = Instant::now();
        // So long that it does not fit is as good as a day.
        Self(now.checked_add(wait).unwrap_or(now + Duration::from_secs(86_400)))
    }

    /// What is left, never zero: for a socket that would mean for ever.
    fn left(self) -> Tried<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Trouble::Silent) } else { Ok(left.max(Duration::from_micros(1))) }
    }
}

/// Connects. `EAGAIN`: the queue of who listens was full until the deadline
/// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)).
fn dial(address: &Address, deadline: Deadline) -> nix::Result<UnixStream> {
    let target = match &address.socket {
        Socket::Path(path) => UnixAddr::new(path.as_path())?,
        Socket::Abstract(name) => UnixAddr::new_abstract(name)?,
    };
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let left = deadline.left().map_err(|_| Errno::EAGAIN)?;
    let left = TimeVal::microseconds(i64::try_from(left.as_micros()).unwrap_or(i64::MAX));
    setsockopt(&fd, SendTimeout, &left)?;
    connect(fd.as_raw_fd(), &target)?;
    Ok(fd.into())
}
