//! Where systemd listens ("Server Addresses" in the specification of D-Bus).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Which systemd is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Process 1 of the host.
    System,
    /// The caller's own (`user@UID.service`).
    User,
}

impl Which {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::System => "systemd",
            Self::User => "the user's systemd",
        }
    }
}

/// A place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: Socket,
    /// systemd itself is at the other end, not a bus that passes messages on.
    pub(crate) direct: bool,
}

/// A Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.socket {
            Socket::Path(path) => path.display().fmt(f),
            Socket::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
        }
    }
}

impl Address {
    /// A socket at a path; systemd's own has a name that tells.
    pub(crate) fn at(path: PathBuf) -> Self {
        let direct = path.ends_with("systemd/private");
        Self { socket: Socket::Path(path), direct }
    }
}

/// Where to look, in order. What the environment names comes first. systemd's own socket comes before the bus: it needs no
/// other process to answer; systemctl(1) uses it likewise.
pub(crate) fn candidates(which: Which, env: impl Fn(&str) -> Option<OsString>) -> Vec<Address> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    let (named, sockets) = match which {
        Which::System => {
            let run = Path::new("/run");
            let sockets = ["systemd/private", "dbus/system_bus_socket"].map(|name| run.join(name));
            (set("DBUS_SYSTEM_BUS_ADDRESS"), sockets.to_vec())
        }
        Which::User => {
            let run = set("XDG_RUNTIME_DIR").map(PathBuf::from);
            let sockets = run.map(|run| ["systemd/private", "bus"].map(|name| run.join(name)).to_vec());
            (set("DBUS_SESSION_BUS_ADDRESS"), sockets.unwrap_or_default())
        }
    };
    let mut all = named.map(|list| parse(&list)).unwrap_or_default();
    all.extend(sockets.into_iter().map(Address::at));
    all
}

/// The Unix sockets in a list of addresses; other transports are skipped.
fn parse(list: &OsStr) -> Vec<Address> {
    let socket = |address: &[u8]| {
        let keys = address.strip_prefix(b"unix:")?;
        keys.split(|b| *b == b',').find_map(|pair| {
            if let Some(path) = pair.strip_prefix(b"path=") {
                return Some(Address::at(OsString::from_vec(unescape(path)?).into()));
            }
            let name = unescape(pair.strip_prefix(b"abstract=")?)?;
            Some(Address { socket: Socket::Abstract(name), direct: false })
        })
    };
    list.as_bytes().split(|b| *b == b';').filter_map(socket).collect()
}

/// Undoes `%2f`.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            // Digits only: Rust takes a sign, too.
            let digits = tail.get(..2).filter(|two| two.iter().all(u8::is_ascii_hexdigit))?;
            let digits = str::from_utf8(digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(which: Which, env: &[(&str, &str)]) -> Vec<String> {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        candidates(which, get).iter().map(|a| format!("{a}{}", if a.direct { "!" } else { "" })).collect()
    }

    #[test]
    fn places_are_tried_in_order() {
        assert_eq!(shown(Which::System, &[]), ["/run/systemd/private!", "/run/dbus/system_bus_socket"]);
        assert_eq!(shown(Which::User, &[]), [""; 0]);
        assert_eq!(
            shown(
                Which::User,
                &[
                    ("XDG_RUNTIME_DIR", "/run/user/7"),
                    ("DBUS_SESSION_BUS_ADDRESS", "tcp:host=x;unix:path=/a%20b,guid=1;unix:abstract=c"),
                ]
            ),
            ["/a b", "@c", "/run/user/7/systemd/private!", "/run/user/7/bus"]
        );
    }

    #[test]
    fn bad_addresses_are_skipped() {
        for bad in ["", "unix:", "unix:path", "unix:path=%4", "unix:path=%zz", "nonsense", ";;"] {
            assert_eq!(parse(OsStr::new(bad)), [], "{bad:?}");
        }
    }
}
