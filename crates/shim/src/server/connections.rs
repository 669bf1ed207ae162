//! Connections of containerd: several at once where a pod's containers share the shim.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use orlop_protobuf::Message as _;

use super::{Answer, Call, Server, Source};
use crate::reactor::{Interest, Token};
use crate::ttrpc::{Code, Connection, Failure, Found, Frame, Kind, MAX, Request, Response, Result};

/// More calls of one peer are not kept waiting: nobody has so many processes.
const MOST_CALLS: usize = 100_000;

/// A connection, with its place in the reactor.
#[derive(Debug)]
pub(super) struct Peer {
    connection: Connection,
    token: Token,
    interest: Interest,
    /// How many calls are not answered yet.
    calls: usize,
}

impl Peer {
    /// How many calls are not answered yet.
    pub(super) const fn calls(&self) -> usize {
        self.calls
    }
}

impl Server {
    /// Takes a connection, if its other end is of our own user: nobody else has anything to say here (CVE-2020-15257).
    pub(super) fn accept(&mut self) {
        let taken = self.listener.accept().and_then(|(socket, _)| {
            let peer = getsockopt(&socket, PeerCredentials)?;
            if peer.uid() != nix::unistd::geteuid().as_raw() {
                return Err(io::Error::other(format!("user {} may not connect", peer.uid())));
            }
            self.take(socket)
        });
        match taken {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => {
                tracing::warn!("a connection was not taken: {e}");
            }
            _ => {}
        }
    }

    fn take(&mut self, socket: UnixStream) -> io::Result<()> {
        let connection = Connection::new(socket)?;
        self.last_peer += 1;
        let interest = Interest::Readable;
        let token = self.reactor.add(&connection, interest, Source::Peer(self.last_peer))?;
        self.peers.insert(self.last_peer, Peer { connection, token, interest, calls: 0 });
        Ok(())
    }

    /// Reads what a peer says, and writes what waits for it.
    pub(super) fn serve(&mut self, number: u64) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        let open = peer.connection.flush().and_then(|()| peer.connection.fill(&mut self.scratch));
        while let Some(found) = self.peers.get_mut(&number).and_then(|peer| peer.connection.next()) {
            self.found(number, found);
        }
        match open {
            Ok(true) => self.update_interest(number),
            Ok(false) => self.drop_peer(number),
            Err(e) => {
                tracing::debug!("a connection broke: {e}");
                self.drop_peer(number);
            }
        }
    }

    fn found(&mut self, peer: u64, found: Found) {
        let (stream, request) = match found {
            Found::Frame(Frame { stream, kind: Kind::Request, payload }) => {
                (stream, request(stream, &payload))
            }
            // Nobody answers us here, and calls that stream are not ours.
            Found::Frame(_) => return,
            Found::TooLong { stream } => {
                let why = format!("a message has at most {MAX} bytes");
                (stream, Err(Failure::new(Code::ResourceExhausted, why)))
            }
        };
        let call = Call { peer, stream };
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.calls += 1;
        let too_many = state.calls > MOST_CALLS;
        let mut patience = Duration::MAX;
        let answer = request.and_then(|request| {
            if too_many {
                return Err(Failure::new(Code::ResourceExhausted, "too many calls are under way"));
            }
            if let Ok(nanos @ 1..) = u64::try_from(request.timeout_nano) {
                patience = Duration::from_nanos(nanos);
            }
            self.take_up(call, request)
        });
        match answer {
            Ok(None) => {
                if let Some(moment) = Instant::now().checked_add(patience) {
                    self.reactor.at(moment, Source::Overdue(call));
                }
            }
            Ok(Some(payload)) => self.answer(call, Ok(payload)),
            Err(failure) => self.answer(call, Err(failure)),
        }
    }

    /// Does what a call asks for, now or when its turn comes.
    fn take_up(&mut self, call: Call, request: Request) -> Answer {
        self.now_or_later(call, request).map_or(Ok(None), |request| self.dispatch(call, &request))
    }

    /// The turn of a call that waited has come.
    pub(crate) fn again(&mut self, call: Call, request: Request) {
        if let Some(answer) = self.take_up(call, request).transpose() {
            self.answer(call, answer);
        }
    }

    /// A caller's time is over. It may wait for an end, which can take for ever, or for its turn; anything else is answered in any case.
    pub(super) fn overdue(&mut self, call: Call) {
        if self.forget_waiting(|waiting| *waiting == call) {
            self.answer(call, Err(Failure::new(Code::DeadlineExceeded, "the time is over")));
        }
    }

    /// Answers a call. Who has gone away gets no answer.
    pub(crate) fn answer(&mut self, call: Call, result: Result<Vec<u8>>) {
        let Some(peer) = self.peers.get_mut(&call.peer) else { return };
        peer.calls = peer.calls.saturating_sub(1);
        if let Err(failure) = &result {
            tracing::debug!("a call failed: {}", failure.message);
        }
        if let Err(e) = peer.connection.respond(call.stream, &Response::of(result)) {
            tracing::debug!("a connection broke: {e}");
        }
        // What has not left is tried once more when the connection is ready, which a broken one is; and it is dropped then.
        self.update_interest(call.peer);
    }

    /// Waits for what the peer's connection needs. One that does not take its answers is not asked for more calls.
    fn update_interest(&mut self, number: u64) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        let interest = match (peer.connection.is_congested(), peer.connection.has_output()) {
            (true, _) => Interest::Writable,
            (false, true) => Interest::Both,
            (false, false) => Interest::Readable,
        };
        if interest != peer.interest {
            peer.interest = interest;
            if let Err(e) = self.reactor.change(&peer.connection, peer.token, interest) {
                tracing::error!("wait for a connection: {e}");
            }
        }
    }

    fn drop_peer(&mut self, number: u64) {
        if let Some(peer) = self.peers.remove(&number) {
            self.reactor.remove(&peer.connection, peer.token);
        }
        self.forget_waiting(|waiting| waiting.peer == number);
        if self.peers.is_empty() {
            self.look_again();
        }
    }

    /// Whether an answer has not left yet.
    pub(super) fn has_output(&self) -> bool {
        self.peers.values().any(|peer| peer.connection.has_output())
    }
}

fn request(stream: u32, payload: &[u8]) -> Result<Request> {
    if stream.is_multiple_of(2) {
        return Err(Failure::new(Code::InvalidArgument, "a caller counts its calls in odd numbers"));
    }
    Request::decode(payload).map_err(|e| Failure::new(Code::InvalidArgument, e.to_string()))
}
