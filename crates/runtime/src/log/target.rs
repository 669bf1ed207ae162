//! Where lines of the log go: standard error, a file, or a service of the host.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::Level;

use crate::error::{Doing, Result};

/// Where syslog listens ([syslog(3)](https://man7.org/linux/man-pages/man3/syslog.3.html)).
const SYSLOG: &str = "/dev/log";
/// Where the journal listens (systemd's "Native Journal Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";
/// `LOG_USER`: messages of ordinary programs.
const FACILITY: u8 = 1 << 3;

/// What `--log` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file.
    File(PathBuf),
    /// `syslog:NAME`.
    Syslog(String),
    /// `journald:NAME`.
    Journal(String),
}

impl Destination {
    /// Reads crun's way to write it: a path, or `file:PATH`, `syslog:NAME`, `journald:NAME`. A path with another colon in
    /// it is a path.
    pub fn parse(text: &Path) -> Self {
        let split = text.to_str().and_then(|text| text.split_once(':'));
        let name = |name: &str| if name.is_empty() { "orlop".to_owned() } else { name.to_owned() };
        match split {
            Some(("file", path)) => Self::File(path.into()),
            Some(("syslog", id)) => Self::Syslog(name(id)),
            Some(("journald", id)) => Self::Journal(name(id)),
            _ => Self::File(text.to_owned()),
        }
    }
}

/// An open destination.
#[derive(Debug)]
pub(super) enum Target {
    Stderr,
    File(File),
    Syslog(UnixDatagram, String),
    Journal(UnixDatagram, String),
}

impl Target {
    pub(super) fn open(destination: Option<&Destination>) -> Result<Self> {
        match destination {
            None => Ok(Self::Stderr),
            Some(Destination::File(path)) => {
                let mut options = OpenOptions::new();
                options.append(true).create(true).mode(0o644);
                options.open(path).doing(|| format!("open the log {}", path.display())).map(Self::File)
            }
            Some(Destination::Syslog(name)) => Ok(Self::Syslog(connect(SYSLOG)?, name.clone())),
            Some(Destination::Journal(name)) => Ok(Self::Journal(connect(JOURNAL)?, name.clone())),
        }
    }

    /// Writes one line, with one system call, so that lines of several processes do not mix. A log that cannot be written
    /// to is no reason to fail.
    pub(super) fn write(&self, level: Level, line: &str) {
        match self {
            Self::Stderr => std::io::stderr().write_all(line.as_bytes()).ok(),
            Self::File(file) => (&mut &*file).write_all(line.as_bytes()).ok(),
            Self::Syslog(socket, name) => socket.send(&syslog(level, name, line)).ok().map(drop),
            Self::Journal(socket, name) => socket.send(&journal(level, name, line)).ok().map(drop),
        };
    }
}

fn connect(path: &str) -> Result<UnixDatagram> {
    let doing = || format!("connect to {path}");
    let socket = UnixDatagram::unbound().doing(doing)?;
    socket.connect(path).doing(doing).map_err(|e| e.with_hint("log to a file instead: --log FILE"))?;
    Ok(socket)
}

/// As numbered in syslog(3).
const fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// RFC 3164, without time and host, which the receiver knows better.
fn syslog(level: Level, name: &str, line: &str) -> Vec<u8> {
    let priority = FACILITY | severity(level);
    format!("<{priority}>{name}[{}]: {}", std::process::id(), line.trim_end()).into_bytes()
}

/// Fields, one a line; one with a length before its value may hold newlines.
fn journal(level: Level, name: &str, line: &str) -> Vec<u8> {
    let message = line.trim_end();
    let mut fields = format!("PRIORITY={}\nSYSLOG_IDENTIFIER=orlop\n", severity(level)).into_bytes();
    for (field, value) in [("ID", name), ("MESSAGE", message)] {
        fields.extend_from_slice(field.as_bytes());
        fields.push(b'\n');
        fields.extend_from_slice(&(value.len() as u64).to_le_bytes());
        fields.extend_from_slice(value.as_bytes());
        fields.push(b'\n');
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_as_crun_writes_them() {
        for (text, destination) in [
            ("/var/log/x", Destination::File("/var/log/x".into())),
            ("file:/var/log/x", Destination::File("/var/log/x".into())),
            ("a:b", Destination::File("a:b".into())),
            ("syslog:web", Destination::Syslog("web".into())),
            ("journald:", Destination::Journal("orlop".into())),
        ] {
            assert_eq!(Destination::parse(Path::new(text)), destination, "{text}");
        }
    }

    #[test]
    fn messages_are_as_the_services_read_them() {
        let pid = std::process::id();
        assert_eq!(syslog(Level::ERROR, "web", "gone\n"), format!("<11>web[{pid}]: gone").into_bytes());
        let message = journal(Level::WARN, "web", "a\nb\n");
        let fields = b"PRIORITY=4\nSYSLOG_IDENTIFIER=orlop\nID\n\x03\0\0\0\0\0\0\0web\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n";
        assert_eq!(message, fields);
    }
}
