//! The client against a made-up systemd on a socket: one that answers, one that is silent, one that lies.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::address::{Address, Which};
use crate::error::{Error, Result};
use crate::manager::Manager;
use crate::message::{HEAD, Incoming, length};
use crate::value::Property;
use crate::wire::Writer;

/// Long enough to be met on a slow machine.
const PATIENT: Duration = Duration::from_secs(30);
/// For those that are silent on purpose.
const SHORT: Duration = Duration::from_millis(60);

const JOB: &str = "/org/freedesktop/systemd1/job/1";

/// The other end of a connection.
struct Peer {
    stream: UnixStream,
    serial: u32,
}

/// One connection to a made-up systemd. `direct`: as on its own socket, without a bus in between.
fn with_peer(
    direct: bool,
    wait: Duration,
    play: impl FnOnce(&mut Peer) + Send + 'static,
    ask: impl FnOnce(&mut Manager) -> Result<()>,
) -> Result<()> {
    let (place, path) = place(direct);
    let listener = UnixListener::bind(&path).unwrap();
    let peer: JoinHandle<()> = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        play(&mut Peer { stream, serial: 0 });
    });
    let done = Manager::reach_at(&[Address::at(path)], Which::System, wait).and_then(|mut m| ask(&mut m));
    peer.join().unwrap();
    drop(place);
    done
}

fn place(direct: bool) -> (TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("systemd");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join(if direct { "private" } else { "bus" });
    (place, path)
}

impl Peer {
    fn welcome(&mut self) {
        let mut said = [0; 29];
        self.stream.read_exact(&mut said).unwrap();
        assert_eq!(&said[..], b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
        self.say(b"DATA\r\nOK 0123456789abcdef\r\n");
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Keeps the connection until the client has gone.
    fn stay(&mut self) {
        self.stream.read_to_end(&mut Vec::new()).ok();
    }

    /// The next call: the whole message, and its member.
    fn hear(&mut self) -> (Vec<u8>, String) {
        let mut message = vec![0; HEAD];
        self.stream.read_exact(&mut message).unwrap();
        let all = length(message.first_chunk().unwrap()).unwrap();
        message.resize(all, 0);
        self.stream.read_exact(&mut message[HEAD..]).unwrap();
        let member = Incoming::read(&message).unwrap().member.to_owned();
        (message, member)
    }

    /// Waits for a call of a method and replies to it.
    fn reply(&mut self, member: &str, signature: &str, body: impl FnOnce(&mut Writer)) {
        assert_eq!(self.hear().1, member);
        self.serial += 1;
        let message = message(2, self.serial, &[], signature, body);
        self.say(&message);
    }

    fn refuse(&mut self, member: &str, name: &str) {
        assert_eq!(self.hear().1, member);
        self.serial += 1;
        let message = message(3, self.serial, &[(4, name)], "s", |w| w.string("because"));
        self.say(&message);
    }

    fn job_removed(&mut self, job: &str, result: &str) {
        let fields = [(2, "org.freedesktop.systemd1.Manager"), (3, "JobRemoved")];
        let message = message(4, 0, &fields, "uoss", |w| {
            w.u32(1);
            for text in [job, "x.scope", result] {
                w.string(text);
            }
        });
        self.say(&message);
    }

    /// What every conversation on systemd's own socket begins with.
    fn begin(&mut self) {
        self.welcome();
        self.reply("Get", "v", version);
    }
}

fn version(w: &mut Writer) {
    w.signature("s");
    w.string("252.1-x");
}

/// A message of the other side: kind, the call it answers, further fields, body.
fn message(
    kind: u8,
    reply_to: u32,
    fields: &[(u8, &str)],
    signature: &str,
    body: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut content = Writer::default();
    body(&mut content);
    let content = content.into_bytes();
    let mut out = Writer::default();
    out.raw(&[b'l', kind, 0, 1]);
    out.u32(content.len() as u32);
    out.u32(99);
    out.array(8, |w| {
        w.align(8);
        w.raw(&[5]);
        w.signature("u");
        w.u32(reply_to);
        for (code, text) in fields {
            w.align(8);
            w.raw(&[*code]);
            w.signature("s");
            w.string(text);
        }
        w.align(8);
        w.raw(&[8]);
        w.signature("g");
        w.signature(signature);
    });
    out.align(8);
    out.raw(&content);
    out.into_bytes()
}

fn start(manager: &mut Manager) -> Result<()> {
    assert_eq!(manager.version(), 252);
    manager.start("x.scope", &[Property::new("Delegate", true)])
}

fn text(done: Result<()>) -> String {
    done.unwrap_err().to_string()
}

#[test]
fn a_unit_is_started_whether_its_job_ends_early_or_late() {
    let late = |peer: &mut Peer| {
        peer.begin();
        peer.job_removed("/another", "failed");
        peer.reply("StartTransientUnit", "o", |w| w.string(JOB));
        peer.job_removed(JOB, "done");
    };
    with_peer(true, PATIENT, late, start).unwrap();
    let early = |peer: &mut Peer| {
        peer.begin();
        assert_eq!(peer.hear().1, "StartTransientUnit");
        peer.job_removed(JOB, "done");
        peer.serial += 1;
        let reply = message(2, peer.serial, &[], "o", |w| w.string(JOB));
        peer.say(&reply);
    };
    with_peer(true, PATIENT, early, start).unwrap();
}

#[test]
fn a_bus_is_told_who_we_are_and_what_to_pass_on() {
    let play = |peer: &mut Peer| {
        peer.welcome();
        peer.reply("Hello", "s", |w| w.string(":1.7"));
        peer.reply("AddMatch", "", |_| {});
        peer.reply("Get", "v", version);
    };
    with_peer(false, PATIENT, play, |_| Ok(())).unwrap();
}

#[test]
fn silence_ends_at_the_deadline_wherever_it_begins() {
    type Play = fn(&mut Peer);
    let stages: [(Play, &str); 5] = [
        (|_| {}, "connect to"),
        (Peer::welcome, "ask systemd for its version"),
        (
            |peer| {
                peer.welcome();
                // Half a message.
                peer.say(b"l\x02\0\x01\x09\0\0\0");
            },
            "ask systemd for its version",
        ),
        (Peer::begin, "start unit \"x.scope\""),
        (
            |peer| {
                peer.begin();
                peer.reply("StartTransientUnit", "o", |w| w.string(JOB));
                peer.job_removed("/another", "done");
            },
            "start unit \"x.scope\"",
        ),
    ];
    for (play, asked) in stages {
        let begin = Instant::now();
        let play = move |peer: &mut Peer| {
            play(peer);
            peer.stay();
        };
        let error = with_peer(true, SHORT, play, start).unwrap_err();
        assert!(matches!(error, Error::Silent { waited: SHORT, .. }) && error.is_absence(), "{error}");
        let text = error.to_string();
        assert!(text.contains(asked) && text.contains("no answer from systemd within 0.06 s"), "{text}");
        assert!(begin.elapsed() >= SHORT);
    }
}

#[test]
fn a_trickle_of_other_news_does_not_move_the_deadline() {
    let play = |peer: &mut Peer| {
        peer.begin();
        let news = message(4, 0, &[(3, "UnitNew")], "s", |w| w.string("y"));
        while peer.stream.write_all(&news).is_ok() {}
    };
    let error = with_peer(true, SHORT, play, start).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[test]
fn nobody_takes_calls() {
    let (_place, path) = place(true);
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _queued = UnixStream::connect(&path).unwrap();
    let error = Manager::reach_at(&[Address::at(path)], Which::System, SHORT).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[test]
fn nobody_listens() {
    let (_place, path) = place(true);
    let error = Manager::reach_at(&[Address::at(path)], Which::User, SHORT).unwrap_err();
    assert!(error.is_absence() && error.to_string().contains("systemd/private: No such file"), "{error}");
    let error = Manager::reach_at(&[], Which::User, SHORT).unwrap_err();
    assert!(error.to_string().contains("DBUS_SESSION_BUS_ADDRESS"), "{error}");
}

#[test]
fn a_refusal_is_told() {
    let play = |peer: &mut Peer| {
        peer.begin();
        peer.refuse("StartTransientUnit", "org.freedesktop.DBus.Error.PropertyReadOnly");
    };
    let told = text(with_peer(true, PATIENT, play, start));
    assert_eq!(
        told,
        "unable to start unit \"x.scope\": because (org.freedesktop.DBus.Error.PropertyReadOnly)"
    );
    let play = |peer: &mut Peer| {
        let mut said = [0; 29];
        peer.stream.read_exact(&mut said).unwrap();
        peer.say(b"REJECTED EXTERNAL\r\n");
    };
    let told = text(with_peer(true, PATIENT, play, start));
    assert!(told.contains("REJECTED EXTERNAL"), "{told}");
}

#[test]
fn a_failed_unit_in_the_way_is_cleared_once() {
    let exists = "org.freedesktop.systemd1.UnitExists";
    let play = move |peer: &mut Peer| {
        peer.begin();
        peer.refuse("StartTransientUnit", exists);
        peer.reply("ResetFailedUnit", "", |_| {});
        peer.reply("StartTransientUnit", "o", |w| w.string(JOB));
        peer.job_removed(JOB, "done");
    };
    with_peer(true, PATIENT, play, start).unwrap();
    let play = move |peer: &mut Peer| {
        peer.begin();
        peer.refuse("StartTransientUnit", exists);
        peer.reply("ResetFailedUnit", "", |_| {});
        peer.refuse("StartTransientUnit", exists);
    };
    let error = with_peer(true, PATIENT, play, start).unwrap_err();
    assert!(error.is_refusal("UnitExists") && !error.is_absence(), "{error}");
}

#[test]
fn a_failed_job_is_told_and_reset() {
    for result in ["failed", "timeout"] {
        let play = move |peer: &mut Peer| {
            peer.begin();
            peer.reply("StartTransientUnit", "o", |w| w.string(JOB));
            peer.job_removed(JOB, result);
            peer.reply("ResetFailedUnit", "", |_| {});
        };
        let told = text(with_peer(true, PATIENT, play, start));
        assert_eq!(told, format!("unable to start unit \"x.scope\": the job ended with `{result}`"));
    }
}

#[test]
fn a_unit_is_stopped_if_it_is_there() {
    let play = |peer: &mut Peer| {
        peer.begin();
        peer.reply("StopUnit", "o", |w| w.string(JOB));
        peer.job_removed(JOB, "canceled");
        peer.refuse("ResetFailedUnit", "org.freedesktop.systemd1.NoSuchUnit");
    };
    with_peer(true, PATIENT, play, |m| m.stop("x.scope")).unwrap();
    let play = |peer: &mut Peer| {
        peer.begin();
        peer.refuse("StopUnit", "org.freedesktop.systemd1.NoSuchUnit");
    };
    with_peer(true, PATIENT, play, |m| m.stop("x.scope")).unwrap();
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    let replies: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no message of D-Bus"),
        (b"l\x02\0\x01\xff\xff\xff\xff\x01\0\0\0\0\0\0\0", "longer than a mebibyte"),
        (b"l\x02\0\x01\0\0\0\0\x01\0\0\0\xff\xff\xff\x7f", "longer than a mebibyte"),
        (b"l\x02\0\x02\0\0\0\0\x01\0\0\0\0\0\0\0", "unknown version"),
        (b"l\x02\0\x01\0\0\0\0\x01\0\0\0\x05\0\0\0\x05\x01u\0\x02\0\0\0", "in the middle of a value"),
        (b"l\x02\0\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01t\0\x01\0\0\0", "unknown type"),
    ];
    for (reply, why) in replies {
        let play = move |peer: &mut Peer| {
            peer.welcome();
            peer.say(reply);
            peer.stay();
        };
        let told = text(with_peer(true, PATIENT, play, start));
        assert!(told.contains("cannot be understood") && told.contains(why), "{told}");
    }
    let play = |peer: &mut Peer| {
        peer.begin();
        // A job without a name.
        peer.reply("StartTransientUnit", "", |_| {});
    };
    let told = text(with_peer(true, PATIENT, play, start));
    assert!(told.contains("cannot be understood"), "{told}");
    let play = |peer: &mut Peer| {
        let mut said = [0; 29];
        peer.stream.read_exact(&mut said).unwrap();
        peer.stream.write_all(&[b'x'; 2000]).unwrap();
    };
    let told = text(with_peer(true, PATIENT, play, start));
    assert!(told.contains("has no end"), "{told}");
}

#[test]
fn a_connection_that_breaks_is_told() {
    let error = with_peer(true, PATIENT, Peer::begin, start).unwrap_err();
    assert!(error.is_absence() && error.to_string().contains("the connection to systemd broke"), "{error}");
}
