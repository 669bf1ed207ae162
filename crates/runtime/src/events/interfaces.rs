//! What went through the network interfaces of a container.

use orlop_spec::NamespaceKind;
use serde::Serialize;

use crate::error::Result;
use crate::runtime::Container;

/// One interface. The names are those of runc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Interface {
    /// Its name in the container.
    pub(super) name: String,
    /// Bytes received.
    pub(super) rx_bytes: u64,
    /// Packets received.
    pub(super) rx_packets: u64,
    /// Packets that arrived broken.
    pub(super) rx_errors: u64,
    /// Packets that arrived and were thrown away.
    pub(super) rx_dropped: u64,
    /// Bytes sent.
    pub(super) tx_bytes: u64,
    /// Packets sent.
    pub(super) tx_packets: u64,
    /// Packets that could not be sent.
    pub(super) tx_errors: u64,
    /// Packets that were thrown away instead of being sent.
    pub(super) tx_dropped: u64,
}

/// Those of a container, if it has a network namespace of its own: the host's traffic is not the container's.
pub(super) fn of(container: &Container) -> Result<Option<Vec<Interface>>> {
    let config = container.config()?;
    let namespaces = config.spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
    let own = namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Network);
    let Some(process) = container.saved.process.filter(|_| own) else { return Ok(None) };
    // A process that has just ended has no such file.
    Ok(std::fs::read_to_string(format!("/proc/{}/net/dev", process.pid)).ok().map(|text| parse(&text)))
}

/// Bytes received and sent by all of them together, but for those that it sends to itself.
pub(crate) fn traffic(container: &Container) -> Result<Option<(u64, u64)>> {
    let others = |all: Vec<Interface>| {
        let others = all.into_iter().filter(|interface| interface.name != "lo");
        others.fold((0, 0), |(received, sent), one| (received + one.rx_bytes, sent + one.tx_bytes))
    };
    Ok(of(container)?.map(others))
}

/// Two lines of titles, then one for each interface
/// ([proc_pid_net(5)](https://man7.org/linux/man-pages/man5/proc_pid_net.5.html)).
fn parse(text: &str) -> Vec<Interface> {
    text.lines().skip(2).filter_map(interface).collect()
}

fn interface(line: &str) -> Option<Interface> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let [
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        _,
        _,
        _,
        _,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
        ..,
    ] = numbers[..]
    else {
        return None;
    };
    Some(Interface {
        name: name.trim().to_owned(),
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_of_proc_net_dev() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:    1    2    3    4    5     6          7         8    9   10    11    12    13     14       15          16\n";
        let all = super::parse(text);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].name.as_str(), all[0].rx_bytes, all[0].rx_dropped), ("lo", 1, 4));
        assert_eq!((all[0].tx_bytes, all[0].tx_dropped), (9, 12));
        assert!(super::parse("").is_empty());
    }
}
