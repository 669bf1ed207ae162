//! Events on their way to containerd: one at a time, so that they arrive in order, and again if it was away.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use orlop_protobuf::Message as _;

use crate::messages::events::{Envelope, Event, ForwardRequest};
use crate::messages::{Any, Timestamp};
use crate::ttrpc::{Connection, Found, Kind, Request, Response};

/// More than these are not kept while containerd is away: the oldest go first, as the state that they tell of can be asked
/// for.
const QUEUE: usize = 2048;
/// How long containerd may take for an event.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before the next attempt: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The way to containerd.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Where containerd listens for events; absent is nowhere.
    address: Option<PathBuf>,
    namespace: String,
    queue: VecDeque<Envelope>,
    connection: Option<Connection>,
    /// When the first of the queue was sent, if it is under way.
    sent: Option<Instant>,
    stream: u32,
    /// How long to wait after the next failure, and since the last one until when.
    retry: Duration,
    not_before: Option<Instant>,
}

/// What is to be done about the connection, by who waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing is under way, or the answer is being waited for.
    Wait,
    /// A new connection is there to wait for.
    Connected,
    /// The connection is gone; call again then.
    Retry(Duration),
}

impl Publisher {
    pub(crate) fn new(address: Option<PathBuf>, namespace: String) -> Self {
        let queue = VecDeque::new();
        Self {
            address,
            namespace,
            queue,
            connection: None,
            sent: None,
            stream: 1,
            retry: RETRY.0,
            not_before: None,
        }
    }

    /// Adds an event.
    pub(crate) fn add<E: Event>(&mut self, event: &E) {
        if self.address.is_none() {
            return;
        }
        if self.queue.len() >= QUEUE {
            tracing::warn!("containerd has been away for long: the oldest event is dropped");
            // The first may be under way; it is the second that is the oldest then.
            self.queue.remove(usize::from(self.sent.is_some()));
        }
        self.queue.push_back(Envelope {
            timestamp: Some(Timestamp::from(SystemTime::now())),
            namespace: self.namespace.clone(),
            topic: E::TOPIC.to_owned(),
            event: Some(Any::of(E::NAME, event)),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() || self.address.is_none()
    }

    pub(crate) const fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Sends the next event, if none is under way.
    pub(crate) fn send(&mut self) -> Next {
        let (Some(address), Some(envelope), None) = (&self.address, self.queue.front(), self.sent) else {
            return Next::Wait;
        };
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return Next::Wait;
        }
        let mut next = Next::Wait;
        if self.connection.is_none() {
            match UnixStream::connect(address).and_then(Connection::new) {
                Ok(connection) => self.connection = Some(connection),
                Err(e) => return self.failed(&e),
            }
            next = Next::Connected;
        }
        let Some(connection) = &mut self.connection else { return next };
        let request = Request {
            service: "containerd.services.events.ttrpc.v1.Events".to_owned(),
            method: "Forward".to_owned(),
            payload: ForwardRequest { envelope: Some(envelope.clone()) }.encode(),
            timeout_nano: PATIENCE.as_nanos() as i64,
            metadata: Vec::new(),
        };
        self.sent = Some(Instant::now());
        if let Err(e) = connection.request(self.stream, &request) {
            return self.failed(&e);
        }
        next
    }

    /// The connection has something to say, or to take. `Ok` if the next event may be sent.
    pub(crate) fn serve(&mut self, scratch: &mut [u8]) -> Result<bool, Next> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        let open = connection.flush().and_then(|()| connection.fill(scratch));
        let mut answered = false;
        while let Some(found) = connection.next() {
            let Found::Frame(frame) = found else { continue };
            if frame.kind == Kind::Response && frame.stream == self.stream && self.sent.is_some() {
                refused(&frame.payload);
                self.queue.pop_front();
                self.sent = None;
                self.stream = self.stream.wrapping_add(2);
                self.retry = RETRY.0;
                answered = true;
            }
        }
        match open {
            Ok(true) => Ok(answered),
            Ok(false) => Err(self.failed(&io::ErrorKind::UnexpectedEof.into())),
            Err(e) => Err(self.failed(&e)),
        }
    }

    /// When the answer to the event under way is no longer waited for.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sent.map(|sent| sent + PATIENCE)
    }

    /// Gives the connection up. The event under way is sent again with the next one.
    pub(crate) fn failed(&mut self, why: &io::Error) -> Next {
        tracing::debug!("events wait for containerd: {why}");
        self.connection = None;
        self.sent = None;
        self.stream = 1;
        let retry = self.retry;
        self.not_before = Some(Instant::now() + retry);
        self.retry = (retry * 2).min(RETRY.1);
        Next::Retry(retry)
    }
}

/// What waits for containerd, for a report.
impl fmt::Display for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (&self.address, &self.connection, self.sent) {
            (None, ..) => "nobody wants them",
            (_, None, _) if self.not_before.is_some() => "containerd is away",
            (_, None, _) => "no connection yet",
            (_, _, Some(_)) => "containerd has not answered the first",
            (_, Some(_), None) => "connected",
        };
        write!(f, "{} to be sent, {state}", self.queue.len())
    }
}

/// containerd took the event, or did not want it: then it would not want it again either.
fn refused(payload: &[u8]) {
    let status = Response::decode(payload).ok().and_then(|response| response.status);
    if let Some(status) = status.filter(|status| status.code != 0) {
        tracing::warn!("containerd refused an event: {}", status.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::events::{TaskOOM, TaskPaused};

    #[test]
    fn while_containerd_is_away_the_newest_events_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut publisher = Publisher::new(Some(dir.path().join("nobody")), "ns".to_owned());
        publisher.add(&TaskOOM { container_id: "first".into() });
        assert_eq!(publisher.send(), Next::Retry(RETRY.0));
        for number in 0..QUEUE + 10 {
            publisher.add(&TaskPaused { container_id: number.to_string() });
        }
        assert_eq!(publisher.queue.len(), QUEUE);
        let last = TaskPaused { container_id: (QUEUE + 9).to_string() }.encode();
        let event = publisher.queue.back().and_then(|envelope| envelope.event.clone());
        assert_eq!(event.map(|event| event.value), Some(last));
        assert!(publisher.to_string().ends_with("containerd is away"));
        assert_eq!(publisher.failed(&io::ErrorKind::NotFound.into()), Next::Retry(RETRY.0 * 2));
    }

    #[test]
    fn who_wants_no_events_gets_none() {
        let mut publisher = Publisher::new(None, "ns".to_owned());
        publisher.add(&TaskOOM { container_id: "x".into() });
        assert!(publisher.is_empty());
        assert_eq!(publisher.send(), Next::Wait);
    }
}
