//! Networks by CNI plugins: programs that connect a network namespace, and disconnect it
//! ([CNI 1.1](https://www.cni.dev/docs/spec/)).
//!
//! What a network is stands in files of the host's (`/etc/cni/net.d`), and who makes it are programs of the host's
//! (`/usr/lib/cni`). Here is only the protocol between them.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where the plugins are, if `CNI_PATH` does not say.
const PLUGINS: &str = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni";
/// Where networks are described, if `NETCONFPATH` does not say.
const NETWORKS: &str = "/etc/cni/net.d";
/// What the interface is called in the container.
const INTERFACE: &str = "eth0";
/// Versions of the protocol that this follows.
const VERSIONS: [&str; 5] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0", "0.3.0"];

/// A port of the host's that leads to one of the container's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortMapping {
    pub(crate) host_port: u16,
    pub(crate) container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub(crate) protocol: String,
    /// Of the host; empty is all.
    #[serde(default, rename = "hostIP", skip_serializing_if = "String::is_empty")]
    pub(crate) host_ip: String,
}

/// `-p`: `[ADDRESS:]HOST:CONTAINER[/PROTOCOL]`.
pub(crate) fn port(text: &str) -> std::result::Result<PortMapping, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !["tcp", "udp", "sctp"].contains(&protocol) {
        return Err(format!("{protocol:?}: there are tcp, udp and sctp"));
    }
    let usage = || "there is [ADDRESS:]HOST:CONTAINER[/PROTOCOL], such as 8080:80".to_owned();
    let (rest, inside) = ports.rsplit_once(':').ok_or_else(usage)?;
    let (address, outside) = rest.rsplit_once(':').unwrap_or(("", rest));
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("{address:?} is no address"));
    }
    let number = |text: &str| match text.parse() {
        Ok(number) if number > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(number),
        _ => Err(format!("{text:?} is no port")),
    };
    Ok(PortMapping {
        host_port: number(outside)?,
        container_port: number(inside)?,
        protocol: protocol.to_owned(),
        host_ip: address.to_owned(),
    })
}

/// A network, as its file describes it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    name: String,
    version: String,
    plugins: Vec<Map<String, Value>>,
}

/// What is connected.
#[derive(Clone, Debug)]
pub(crate) struct Attachment<'a> {
    pub(crate) container: &'a str,
    /// The network namespace; none if it is gone already.
    pub(crate) namespace: Option<&'a Path>,
    pub(crate) ports: &'a [PortMapping],
}

/// The network with this name.
///
/// # Errors
///
/// There is none, or its file is not what the specification says.
pub(crate) fn find(name: &str) -> Result<Network> {
    find_in(name, Path::new(&std::env::var_os("NETCONFPATH").unwrap_or_else(|| NETWORKS.into())))
}

fn find_in(name: &str, directory: &Path) -> Result<Network> {
    let doing = || format!("look for the network {name} in {}", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).doing(doing)? {
        let path = entry.doing(doing)?.path();
        if ["conf", "conflist", "json"].iter().any(|kind| path.extension() == Some(OsStr::new(kind))) {
            files.push(path);
        }
    }
    files.sort();
    for file in &files {
        let wrong = |why: String| Error::State { path: file.clone(), why };
        let text = std::fs::read(file).doing(|| format!("read {}", file.display()))?;
        let document: Map<String, Value> = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
        if document.get("name").and_then(Value::as_str) == Some(name) {
            return Network::of(name, document).map_err(wrong);
        }
    }
    Err(Error::usage(format!("no network {name:?} in {}", directory.display())))
}

impl Network {
    fn of(name: &str, mut document: Map<String, Value>) -> std::result::Result<Self, String> {
        let version = document.get("cniVersion").and_then(Value::as_str).unwrap_or("0.1.0").to_owned();
        if !VERSIONS.contains(&version.as_str()) {
            return Err(format!("cniVersion {version:?} is not one of {}", VERSIONS.join(", ")));
        }
        let plugins = match document.remove("plugins") {
            // A file for one plugin.
            None => vec![Value::Object(document)],
            Some(Value::Array(plugins)) if !plugins.is_empty() => plugins,
            Some(_) => return Err("plugins is not a list with something in it".to_owned()),
        };
        let plugins = plugins.into_iter().map(|plugin| match plugin {
            Value::Object(plugin) => Ok(plugin),
            other => Err(format!("a plugin is not an object: {other}")),
        });
        let plugins = plugins.collect::<std::result::Result<Vec<_>, _>>()?;
        for plugin in &plugins {
            let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind.is_empty() || kind.contains('/') {
                return Err(format!("type {kind:?} is no name of a plugin"));
            }
        }
        Ok(Self { name: name.to_owned(), version, plugins })
    }

    /// Connects; what the last plugin says it has made. If one fails, what the others have made is taken back.
    ///
    /// # Errors
    ///
    /// The first plugin that fails, in its words.
    pub(crate) fn add(&self, to: &Attachment<'_>) -> Result<Value> {
        let mut result = Value::Null;
        for plugin in &self.plugins {
            match self.call("ADD", plugin, to, &result) {
                Ok(Some(made)) => result = made,
                Ok(None) => {}
                Err(e) => {
                    // The first failure is what the caller hears.
                    self.remove(to, &result).ok();
                    return Err(e);
                }
            }
        }
        Ok(result)
    }

    /// Disconnects. All plugins are asked, in the opposite order.
    ///
    /// # Errors
    ///
    /// The first that fails, after the others were asked too.
    pub(crate) fn remove(&self, from: &Attachment<'_>, made: &Value) -> Result<()> {
        let mut failure = None;
        for plugin in self.plugins.iter().rev() {
            if let Err(e) = self.call("DEL", plugin, from, made) {
                failure.get_or_insert(e);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The plugin's configuration with what it gets to know besides.
    fn request(&self, plugin: &Map<String, Value>, of: &Attachment<'_>, before: &Value) -> Value {
        let mut request = plugin.clone();
        request.insert("cniVersion".to_owned(), json!(self.version));
        request.insert("name".to_owned(), json!(self.name));
        let capabilities = request.remove("capabilities");
        let wants_ports = capabilities.is_some_and(|all| all.get("portMappings") == Some(&json!(true)));
        if wants_ports && !of.ports.is_empty() {
            request.insert("runtimeConfig".to_owned(), json!({"portMappings": of.ports}));
        }
        if !before.is_null() {
            request.insert("prevResult".to_owned(), before.clone());
        }
        Value::Object(request)
    }

    fn call(
        &self,
        command: &str,
        plugin: &Map<String, Value>,
        of: &Attachment<'_>,
        before: &Value,
    ) -> Result<Option<Value>> {
        let kind = plugin.get("type").and_then(Value::as_str).unwrap_or_default();
        let path = std::env::var("CNI_PATH").unwrap_or_else(|_| PLUGINS.to_owned());
        let program = path.split(':').map(|directory| Path::new(directory).join(kind));
        let program: PathBuf = program.into_iter().find(|program| program.exists()).ok_or_else(|| {
            Error::usage(format!(
                "network {}: no plugin {kind} in {path}; Debian has them in containernetworking-plugins",
                self.name
            ))
        })?;
        let doing = || format!("network {}: {command} by {}", self.name, program.display());
        let mut child = Command::new(&program)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", of.container)
            .env("CNI_NETNS", of.namespace.unwrap_or(Path::new("")))
            .env("CNI_IFNAME", INTERFACE)
            .env("CNI_PATH", &path)
            .env("CNI_ARGS", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(doing)?;
        if let Some(mut stdin) = child.stdin.take() {
            let request = self.request(plugin, of, before).to_string();
            // One that does not read it has something to say about it.
            stdin.write_all(request.as_bytes()).or_else(broken_pipe).doing(doing)?;
        }
        let out = child.wait_with_output().doing(doing)?;
        let answer = serde_json::from_slice::<Value>(&out.stdout).ok();
        if out.status.success() {
            return Ok(answer);
        }
        let word =
            |key: &str| answer.as_ref().and_then(|a| a.get(key)).and_then(Value::as_str).unwrap_or_default();
        let why = match (word("msg"), word("details")) {
            ("", _) => out.status.to_string(),
            (message, "") => message.to_owned(),
            (message, details) => format!("{message}: {details}"),
        };
        Err(Error::usage(format!("{}: {why}", doing())))
    }

    /// Whether any plugin of it leads ports of the host to the container.
    pub(crate) fn maps_ports(&self) -> bool {
        self.plugins.iter().any(|plugin| {
            plugin.get("capabilities").is_some_and(|all| all.get("portMappings") == Some(&json!(true)))
        })
    }
}

fn broken_pipe(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(e) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(document: Value) -> std::result::Result<Network, String> {
        let Value::Object(document) = document else { panic!("an object") };
        Network::of("net", document)
    }

    #[test]
    fn ports_are_written_as_with_docker() {
        let all = port("127.0.0.1:8080:80/udp").unwrap();
        assert_eq!((all.host_port, all.container_port), (8080, 80));
        assert_eq!((all.protocol.as_str(), all.host_ip.as_str()), ("udp", "127.0.0.1"));
        assert_eq!(port("[::1]:1:2").unwrap().host_ip, "::1");
        assert_eq!(
            serde_json::to_value(port("1:2").unwrap()).unwrap(),
            json!({"hostPort": 1, "containerPort": 2, "protocol": "tcp"})
        );
        for wrong in ["", "80", "80:", "0:80", "x:80:80", "80:65536", "80:80/x", "+80:80"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_plugin_is_told() {
        let plugin = json!({"type": "portmap", "capabilities": {"portMappings": true}});
        let list =
            network(json!({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}, plugin]}));
        let list = list.unwrap();
        let of = Attachment { container: "c", namespace: None, ports: &[port("8080:80").unwrap()] };
        assert!(list.maps_ports());
        assert_eq!(
            list.request(&list.plugins[0], &of, &Value::Null),
            json!({"type": "bridge", "cniVersion": "1.0.0", "name": "net"})
        );
        let made = json!({"ips": []});
        let told = list.request(&list.plugins[1], &of, &made);
        assert_eq!(told["prevResult"], made);
        assert_eq!(told["runtimeConfig"]["portMappings"][0]["hostPort"], 8080);
    }

    #[test]
    fn descriptions_are_checked() {
        assert!(network(json!({"cniVersion": "0.4.0", "type": "bridge"})).is_ok());
        for wrong in [
            json!({"type": "bridge"}),
            json!({"cniVersion": "9.0.0", "type": "bridge"}),
            json!({"cniVersion": "1.0.0", "plugins": []}),
            json!({"cniVersion": "1.0.0", "plugins": [1]}),
            json!({"cniVersion": "1.0.0", "plugins": [{"type": "../bridge"}]}),
            json!({"cniVersion": "1.0.0", "plugins": [{}]}),
        ] {
            assert!(network(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
