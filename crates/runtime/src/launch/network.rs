//! The new network namespace, and the IPC namespace, made beside all else.
//!
//! The kernel takes longer for a network namespace than for any other part of a container: half a millisecond on a fast machine.
//! A thread makes it while the bundle is compiled, the cgroup is made, and init is born without one. It sends it to init, which
//! enters it when it is about to do what depends on it (`Step::Network`): nobody waits for it who has something else to do. Then
//! it does the same with the IPC namespace, and last it brings the loopback interface up, which init finds done or does.

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::geteuid;
use orlop_spec::{NamespaceKind, Spec};
use orlop_sys::sched;
use orlop_sys::spawn::NamespacesAside;

/// Namespaces that are being made.
pub(crate) struct NewNetwork {
    /// The thread.
    aside: NamespacesAside,
    /// Where they come out.
    socket: OwnedFd,
    /// Which.
    wanted: Wanted,
}

/// Which namespaces are to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A network namespace.
    Network,
    /// And an IPC namespace.
    WithIpc,
}

impl Wanted {
    fn new(network: bool, ipc: bool) -> Option<Self> {
        network.then_some(if ipc { Self::WithIpc } else { Self::Network })
    }
}

impl NewNetwork {
    /// Begins to make those that a config asks for; `None` if it asks for no network namespace, if that has to belong to the
    /// container's user namespace, if devices are to move there before init runs, or if there is no other CPU that could do it
    /// meanwhile. They may be `begun` already.
    pub(crate) fn begin(spec: &Spec, begun: Option<Self>) -> Option<Self> {
        let linux = spec.linux.as_ref()?;
        let is_new = |kind| linux.namespaces.iter().any(|n| n.kind == kind && n.path.is_empty());
        let is_users = linux.namespaces.iter().any(|n| n.kind == NamespaceKind::User);
        let wanted = Wanted::new(is_new(NamespaceKind::Network), is_new(NamespaceKind::Ipc))?;
        if is_users || !linux.net_devices.is_empty() {
            return None;
        }
        begun.filter(|begun| begun.wanted == wanted).or_else(|| Self::start(wanted))
    }

    /// Begins if the text of a config looks as if that will be wanted: understanding it takes a tenth of the time that is to be
    /// won. If it was not, the namespaces are made for nothing, and go again.
    pub(crate) fn begin_if(config: &[u8]) -> Option<Self> {
        seem_wanted(config).and_then(Self::start)
    }

    fn start(wanted: Wanted) -> Option<Self> {
        if !geteuid().is_root() || !sched::has_other_cpus() {
            return None;
        }
        let (ours, socket) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).ok()?;
        let aside = NamespacesAside::begin(ours.into(), wanted == Wanted::WithIpc)?;
        Some(Self { aside, socket, wanted })
    }

    /// Where init is to receive them ([`Slot::NETWORK`](orlop_program::Slot::NETWORK)), and which (`CLONE_NEW…`). `None` if the
    /// thread has not even begun, as all CPUs are busy: then the container's process is born in them as in all others.
    pub(crate) fn take(self) -> Option<(OwnedFd, i32)> {
        let kinds = match self.wanted {
            Wanted::Network => libc::CLONE_NEWNET,
            Wanted::WithIpc => libc::CLONE_NEWNET | libc::CLONE_NEWIPC,
        };
        self.aside.take().then_some((self.socket, kinds))
    }
}

/// What the list of namespaces asks for: an object with a member of the value `"network"`, or `"ipc"`, and none named `"path"`,
/// and nowhere the value `"user"`. It is not `"type"` that is looked for, as nothing else has these values.
fn seem_wanted(config: &[u8]) -> Option<Wanted> {
    // What is before the list may be long. Of another list of that name, anything may be said.
    let (_, list) = std::str::from_utf8(config).ok()?.split_once("\"namespaces\"")?;
    let (mut network, mut ipc) = (false, false);
    let (mut is_value, mut is_network, mut is_ipc, mut has_path) = (false, false, false, false);
    // Between every other pair of quotation marks is a string, as long as none has some in it.
    for (i, piece) in list.split('"').enumerate() {
        match piece {
            "user" if is_value => return None,
            "network" if is_value => is_network = true,
            "ipc" if is_value => is_ipc = true,
            "path" if !is_value => has_path = true,
            between if i % 2 == 0 => {
                is_value = between.trim() == ":";
                if between.contains(['{', '}']) {
                    network |= is_network && !has_path;
                    ipc |= is_ipc && !has_path;
                    (is_network, is_ipc, has_path) = (false, false, false);
                }
                if between.contains(']') {
                    break;
                }
            }
            _ => {}
        }
    }
    Wanted::new(network, ipc)
}

#[cfg(test)]
mod tests {
    use super::{NewNetwork, Wanted, seem_wanted};
    use orlop_spec::Spec;
    use orlop_sys::Fd;
    use orlop_sys::socket::receive_with_fd;

    fn skipped() {
        println!(
            "skipped: no namespaces can be made beside here, or another test has the thread that does it"
        );
    }

    fn config(namespaces: &str) -> Spec {
        serde_json::from_str(&format!(r#"{{"ociVersion":"1.0.2","linux":{{"namespaces":[{namespaces}]}}}}"#))
            .unwrap()
    }

    #[test]
    fn only_what_belongs_to_nobody_else_is_made_ahead() {
        for other in [
            "",
            r#"{"type":"ipc"}"#,
            r#"{"type":"network","path":"/proc/1/ns/net"}"#,
            r#"{"type":"network"},{"type":"user"}"#,
            r#"{"type":"network"},{"type":"user","path":"/x"}"#,
        ] {
            assert!(NewNetwork::begin(&config(other), None).is_none(), "{other}");
        }
    }

    #[test]
    fn a_text_tells_what_will_be_wanted() {
        let text = |namespaces: &str| {
            let rest = r#""process":{"user":{"uid":0}},"mounts":[{"type":"proc"}],"resources":{"network":{"classID":1}}"#;
            let after = r#""annotations":{"a":"user","b":"network","c":"ipc"}"#;
            format!(r#"{{ {rest}, "linux": {{ "namespaces" : [{namespaces}] }}, {after}}}"#)
        };
        for (namespaces, wanted) in [
            (r#"{"type":"network"}"#, Wanted::Network),
            (r#"{"type":"ipc"},{"type":"network"}"#, Wanted::WithIpc),
            (r#"{"type":"network"},{"type":"ipc","path":"/x"}"#, Wanted::Network),
            (r#"{"type":"pid","path":"/x"},{ "type" : "network" }, {"type":"ipc"}"#, Wanted::WithIpc),
        ] {
            assert_eq!(seem_wanted(text(namespaces).as_bytes()), Some(wanted), "{namespaces}");
        }
        for other in [
            "",
            r#"{"type":"pid"},{"type":"ipc"}"#,
            r#"{"type":"network","path":"/proc/1/ns/net"}"#,
            r#"{"path":"/proc/1/ns/net","type":"network"}"#,
            r#"{"type":"network"},{"type":"user"}"#,
        ] {
            assert_eq!(seem_wanted(text(other).as_bytes()), None, "{other}");
        }
        // Of what is not JSON, anything may be said.
        for odd in [
            &b""[..],
            b"\"namespaces\"",
            b"\"namespaces\":\"",
            b"\"namespaces\"\\\"network\"",
            &[0xFF, b'"', 0],
        ] {
            seem_wanted(odd);
        }
    }

    #[test]
    fn what_was_begun_for_another_config_is_not_used() {
        let Some(begun) = NewNetwork::start(Wanted::Network) else { return skipped() };
        let config = config(r#"{"type":"network"},{"type":"ipc"}"#);
        // None, if the thread is still busy with the other.
        assert!(NewNetwork::begin(&config, Some(begun)).is_none_or(|it| it.wanted == Wanted::WithIpc));
    }

    #[test]
    fn its_loopback_interface_is_up_without_anybody_having_waited_for_that() {
        let spec = config(r#"{"type":"network"}"#);
        let Some((socket, kinds)) = NewNetwork::begin(&spec, None).and_then(NewNetwork::take) else {
            return skipped();
        };
        assert_eq!(kinds, libc::CLONE_NEWNET);
        let (_, Some(made)) = receive_with_fd(Fd::of(&socket), &mut [0]).unwrap() else { return skipped() };
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
