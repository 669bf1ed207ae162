//! The network, and the files about names that a container finds in `/etc`.

use std::fmt::Write as _;
use std::net::IpAddr;

use orlop_runtime::{ContainerId, Result, Runtime};
use orlop_spec::{Namespace, NamespaceKind};

/// Which network the container is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Network {
    /// One of its own, with nothing but a loopback interface.
    #[default]
    None,
    /// The host's.
    Host,
    /// That of another container.
    Container(String),
    /// The network namespace with this file.
    Path(String),
    /// One that CNI plugins connect it to.
    Cni(String),
}

/// `--network`.
pub(crate) fn network(text: &str) -> std::result::Result<Network, String> {
    Ok(match text.split_once(':').unwrap_or((text, "")) {
        ("none", "") => Network::None,
        ("host", "") => Network::Host,
        ("container", id) if !id.is_empty() => Network::Container(id.to_owned()),
        ("cni", name) if !name.is_empty() => Network::Cni(name.to_owned()),
        ("ns", path) if path.starts_with('/') => Network::Path(path.to_owned()),
        _ => return Err("there are none, host, container:ID, ns:PATH and cni:NAME".to_owned()),
    })
}

impl Network {
    /// Gives the config this network.
    ///
    /// # Errors
    ///
    /// The other container is not there, or does not run.
    pub(crate) fn apply(&self, namespaces: &mut Vec<Namespace>, runtime: &Runtime) -> Result<()> {
        let path = match self {
            Self::None | Self::Cni(_) => String::new(),
            Self::Host => {
                namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
                return Ok(());
            }
            Self::Container(id) => {
                let state = runtime.state(&ContainerId::new(id)?)?;
                if state.pid <= 0 {
                    let message = format!("--network container:{id}: it does not run");
                    return Err(orlop_runtime::Error::usage(message));
                }
                format!("/proc/{}/ns/net", state.pid)
            }
            Self::Path(path) => path.clone(),
        };
        // Without root there may be none yet.
        namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
        namespaces.push(Namespace { kind: NamespaceKind::Network, path });
        Ok(())
    }
}

/// What `/etc/hosts` and `/etc/resolv.conf` are to say besides the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Name and address, as `--add-host` has them.
    pub(crate) hosts: Vec<(String, IpAddr)>,
    pub(crate) servers: Vec<IpAddr>,
    pub(crate) search: Vec<String>,
    pub(crate) options: Vec<String>,
}

/// `--add-host`: `NAME:ADDRESS`, or with `=` between them.
pub(crate) fn host(text: &str) -> std::result::Result<(String, IpAddr), String> {
    let (name, address) = text.split_once(['=', ':']).ok_or("there is NAME:ADDRESS")?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || !name.chars().all(good) {
        return Err(format!("{name:?} is no name of a host"));
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Ok((name.to_owned(), address.parse().map_err(|_| format!("{address:?} is no address"))?))
}

impl Names {
    /// `/etc/hosts`.
    pub(crate) fn hosts_file(&self) -> String {
        let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
        for (name, address) in &self.hosts {
            // Writing to a string cannot fail.
            _ = writeln!(text, "{address}\t{name}");
        }
        text
    }

    /// `/etc/resolv.conf`, from the host's. In another network its servers on the loopback interface are not there.
    pub(crate) fn resolv_conf(&self, of_host: &str, same_network: bool) -> String {
        let is_server = |line: &str| line.split_whitespace().next() == Some("nameserver");
        let reachable = |line: &str| {
            let address = line.split_whitespace().nth(1).unwrap_or_default();
            same_network || !address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        let replaced = |line: &str| match line.split_whitespace().next() {
            Some("nameserver") => !self.servers.is_empty(),
            Some("search" | "domain") => !self.search.is_empty(),
            Some("options") => !self.options.is_empty(),
            // Comments are about the host's file.
            Some(word) => word.starts_with(['#', ';']),
            None => true,
        };
        let mut text = String::new();
        for line in of_host.lines().filter(|line| !replaced(line) && (!is_server(line) || reachable(line))) {
            text.push_str(line);
            text.push('\n');
        }
        for server in &self.servers {
            _ = writeln!(text, "nameserver {server}");
        }
        for (word, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                _ = writeln!(text, "{word} {}", values.join(" "));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_known_or_refused() {
        assert_eq!(network("container:web"), Ok(Network::Container("web".to_owned())));
        assert_eq!(network("ns:/run/netns/a"), Ok(Network::Path("/run/netns/a".to_owned())));
        for wrong in ["", "bridge", "container:", "ns:a", "none:x", "host:1"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        assert_eq!(host("db:10.0.0.1").unwrap().1.to_string(), "10.0.0.1");
        assert_eq!(host("db=[::2]").unwrap().1.to_string(), "::2");
        for wrong in ["db", "db:", ":1.2.3.4", "d b:1.2.3.4", "db:host"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        let names = Names { hosts: vec![host("db:10.0.0.1").unwrap()], ..Names::default() };
        assert!(names.hosts_file().ends_with("10.0.0.1\tdb\n"));
    }

    #[test]
    fn name_servers_are_the_hosts_as_far_as_they_can_be_reached() {
        const HOST: &str =
            "# by hand\nnameserver 127.0.0.53\nnameserver 10.1.1.1\nsearch a b\noptions edns0\n";
        let names = Names::default();
        assert_eq!(names.resolv_conf(HOST, false), "nameserver 10.1.1.1\nsearch a b\noptions edns0\n");
        assert!(names.resolv_conf(HOST, true).starts_with("nameserver 127.0.0.53\n"));
        let names = Names {
            servers: vec!["9.9.9.9".parse().unwrap()],
            search: vec!["c".to_owned()],
            ..Names::default()
        };
        assert_eq!(names.resolv_conf(HOST, false), "options edns0\nnameserver 9.9.9.9\nsearch c\n");
    }
}
