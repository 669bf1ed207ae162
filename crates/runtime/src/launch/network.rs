//! The new network namespace, made beside all else.
//!
//! The kernel takes longer for it than for any other part of a container: half a millisecond on a fast machine. A thread makes
//! it while the bundle is compiled, the cgroup is made, and init is born without one. It sends it to init, which enters it when
//! it is about to do what depends on it (`Step::Network`): nobody waits for it who has something else to do. Then the thread
//! brings its loopback interface up, which init finds done or does.

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::geteuid;
use orlop_spec::{NamespaceKind, Spec};
use orlop_sys::sched;
use orlop_sys::spawn::NetworkAside;

/// A network namespace that is being made.
pub(crate) struct NewNetwork {
    /// The thread.
    aside: NetworkAside,
    /// Where it comes out.
    socket: OwnedFd,
}

impl NewNetwork {
    /// Begins to make the one that a config asks for; `None` if it asks for none, if it has to belong to the container's user
    /// namespace, if devices are to move there before init runs, or if there is no other CPU that could do it meanwhile. It
    /// may be `begun` already.
    pub(crate) fn begin(spec: &Spec, begun: Option<Self>) -> Option<Self> {
        let linux = spec.linux.as_ref()?;
        let is_new = linux.namespaces.iter().any(|n| n.kind == NamespaceKind::Network && n.path.is_empty());
        let is_users = linux.namespaces.iter().any(|n| n.kind == NamespaceKind::User);
        if is_new && !is_users && linux.net_devices.is_empty() { begun.or_else(Self::start) } else { None }
    }

    /// Begins if the text of a config looks as if that will be wanted: understanding it takes a tenth of the time that is to be
    /// won. If it was not, the namespace is made for nothing, and goes again.
    pub(crate) fn begin_if(config: &[u8]) -> Option<Self> {
        if seems_wanted(config) { Self::start() } else { None }
    }

    fn start() -> Option<Self> {
        if !geteuid().is_root() || !sched::has_other_cpus() {
            return None;
        }
        let (ours, socket) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).ok()?;
        Some(Self { aside: NetworkAside::begin(ours.into())?, socket })
    }

    /// Where init is to receive it ([`Slot::NETWORK`](orlop_program::Slot::NETWORK)). `None` if the thread has not even begun,
    /// as all CPUs are busy: then the container's process is born in a new one as in all its other namespaces.
    pub(crate) fn take(self) -> Option<OwnedFd> {
        self.aside.take().then_some(self.socket)
    }
}

/// Whether the list of namespaces has an object with a member of the value `"network"` and none named `"path"`, and nowhere the
/// value `"user"`: it is not `"type"` that is looked for, as nothing else has these values.
fn seems_wanted(config: &[u8]) -> bool {
    // What is before the list may be long. Of another list of that name, anything may be said.
    let list = std::str::from_utf8(config).ok().and_then(|text| text.split_once("\"namespaces\""));
    let Some((_, list)) = list else { return false };
    let (mut is_value, mut is_network, mut has_path, mut found) = (false, false, false, false);
    // Between every other pair of quotation marks is a string, as long as none has some in it.
    for (i, piece) in list.split('"').enumerate() {
        match piece {
            "user" if is_value => return false,
            "network" if is_value => is_network = true,
            "path" if !is_value => has_path = true,
            between if i % 2 == 0 => {
                is_value = between.trim() == ":";
                if between.contains(['{', '}']) {
                    found |= is_network && !has_path;
                    (is_network, has_path) = (false, false);
                }
                if between.contains(']') {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{NewNetwork, seems_wanted};
    use orlop_spec::Spec;
    use orlop_sys::Fd;
    use orlop_sys::socket::receive_with_fd;

    fn config(namespaces: &str) -> Spec {
        serde_json::from_str(&format!(r#"{{"ociVersion":"1.0.2","linux":{{"namespaces":[{namespaces}]}}}}"#))
            .unwrap()
    }

    #[test]
    fn only_what_belongs_to_nobody_else_is_made_ahead() {
        for other in [
            "",
            r#"{"type":"network","path":"/proc/1/ns/net"}"#,
            r#"{"type":"network"},{"type":"user"}"#,
            r#"{"type":"network"},{"type":"user","path":"/x"}"#,
        ] {
            assert!(NewNetwork::begin(&config(other), None).is_none(), "{other}");
        }
    }

    #[test]
    fn a_text_tells_whether_it_will_be_wanted() {
        let text = |namespaces: &str| {
            let rest = r#""process":{"user":{"uid":0}},"mounts":[{"type":"proc"}],"resources":{"network":{"classID":1}}"#;
            let after = r#""annotations":{"a":"user","b":"network"}"#;
            format!(r#"{{ {rest}, "linux": {{ "namespaces" : [{namespaces}] }}, {after}}}"#)
        };
        for wanted in
            [r#"{"type":"network"}"#, r#"{"type":"pid","path":"/x"},{ "type" : "network" }, {"type":"ipc"}"#]
        {
            assert!(seems_wanted(text(wanted).as_bytes()), "{wanted}");
        }
        for other in [
            "",
            r#"{"type":"pid"}"#,
            r#"{"type":"network","path":"/proc/1/ns/net"}"#,
            r#"{"path":"/proc/1/ns/net","type":"network"}"#,
            r#"{"type":"network"},{"type":"user"}"#,
        ] {
            assert!(!seems_wanted(text(other).as_bytes()), "{other}");
        }
        // Of what is not JSON, anything may be said.
        for odd in [
            &b""[..],
            b"\"namespaces\"",
            b"\"namespaces\":\"",
            b"\"namespaces\"\\\"network\"",
            &[0xFF, b'"', 0],
        ] {
            seems_wanted(odd);
        }
    }

    #[test]
    fn its_loopback_interface_is_up_without_anybody_having_waited_for_that() {
        let spec = config(r#"{"type":"network"}"#);
        let Some(socket) = NewNetwork::begin(&spec, None).and_then(NewNetwork::take) else { return };
        let (_, Some(made)) = receive_with_fd(Fd::of(&socket), &mut [0]).unwrap() else { return };
        let is_up = std::thread::spawn(move || {
            nix::sched::setns(std::os::fd::OwnedFd::from(made), nix::sched::CloneFlags::CLONE_NEWNET)
                .unwrap();
            let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while std::time::Instant::now() < until {
                // No route leads to an interface that is down.
                let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
                if socket.send_to(b"x", "127.0.0.1:9").is_ok() {
                    return true;
                }
                std::thread::yield_now();
            }
            false
        });
        assert!(is_up.join().unwrap());
    }
}
