//! One connection: frames in and out of a socket that is never waited for.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use orlop_protobuf::Message as _;

use super::frame::{Decoder, Found, Frame, Kind};
use super::{Request, Response};

/// A peer that does not read its answers is not listened to while more than this waits for it, in bytes.
const CONGESTED: usize = 1 << 20;

/// A connection to a peer.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
}

impl Connection {
    pub(crate) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, decoder: Decoder::default(), out: Vec::new(), written: 0 })
    }

    /// Reads what is there, up to the size of `scratch`; `false` at the end.
    pub(crate) fn fill(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        match self.socket.read(scratch) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.decoder.feed(&scratch[..n]);
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// The next frame that was read.
    pub(crate) fn next(&mut self) -> Option<Found> {
        self.decoder.next()
    }

    pub(crate) fn request(&mut self, stream: u32, request: &Request) -> io::Result<()> {
        self.send(&Frame { stream, kind: Kind::Request, payload: request.encode() })
    }

    pub(crate) fn respond(&mut self, stream: u32, response: &Response) -> io::Result<()> {
        self.send(&Frame { stream, kind: Kind::Response, payload: response.encode() })
    }

    fn send(&mut self, frame: &Frame) -> io::Result<()> {
        frame.put(&mut self.out);
        self.flush()
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.socket.write(&self.out[self.written..]) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        self.out.shrink_to(64 << 10);
        self.written = 0;
        Ok(())
    }

    /// Whether something waits to be written.
    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether so much waits to be written that nothing more should be read.
    pub(crate) fn is_congested(&self) -> bool {
        self.out.len() - self.written > CONGESTED
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
