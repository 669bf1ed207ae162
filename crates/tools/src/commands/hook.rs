//! `orlop hook`: what containers made of images have to be done when they start and when they are deleted. It is called by
//! the hooks of their configs.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Arg, value_parser};
use orlop_command::entry::{Entry, PLAIN};
use orlop_command::flags::get;
use orlop_runtime::error::Doing as _;
use orlop_runtime::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cni::{self, Attachment, PortMapping};
use crate::run::home;

pub(super) const ENTRY: Entry = Entry {
    name: "hook",
    about: "Called by containers made of images, when they start and when they are deleted",
    hidden: true,
    arguments: |command| {
        let directory = |name| Arg::new(name).required(true).value_parser(value_parser!(PathBuf));
        command.args([
            Arg::new("what").required(true).value_parser(["connect", "disconnect", "remove"]),
            directory("home"),
            directory("state"),
        ])
    },
    run: |_, arguments| {
        let path = |name: &str| get::<PathBuf>(arguments, name).cloned().unwrap_or_default();
        let (home, state) = (path("home"), path("state"));
        let mut told = Vec::new();
        std::io::stdin().read_to_end(&mut told).doing(|| "read the container's state".to_owned())?;
        match get::<String>(arguments, "what").map_or("", String::as_str) {
            "connect" => connect(&home, &told)?,
            "disconnect" => disconnect(&home)?,
            // One that is supervised is made again in the same place.
            _ if state.exists() => {}
            _ => home::remove(&home)?,
        }
        Ok(0)
    },
    ..PLAIN
};

/// The network of a container, as it was wanted and as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Connection {
    network: String,
    ports: Vec<PortMapping>,
    /// What the plugins said they had made; null if it is not connected.
    made: Value,
}

impl Connection {
    /// One that is not made yet.
    pub(crate) fn wanted(network: &str, ports: &[PortMapping]) -> Self {
        Self { network: network.to_owned(), ports: ports.to_vec(), made: Value::Null }
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).doing(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| Error::State { path: path.to_owned(), why: e.to_string() })
    }

    fn write(&self, path: &Path) -> Result<()> {
        let doing = || format!("write {}", path.display());
        let new = path.with_extension("new");
        std::fs::write(&new, self.to_text()).doing(doing)?;
        std::fs::rename(&new, path).doing(doing)
    }
}

/// The part of a container's state that is needed.
#[derive(Deserialize)]
struct State {
    pid: i32,
}

fn id(home: &Path) -> String {
    home.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn connect(home: &Path, told: &[u8]) -> Result<()> {
    let state: State = serde_json::from_slice(told)
        .map_err(|e| Error::State { path: "standard input".into(), why: e.to_string() })?;
    let path = home.join(home::NETWORK);
    let mut connection = Connection::read(&path)?;
    let namespace = PathBuf::from(format!("/proc/{}/ns/net", state.pid));
    let id = id(home);
    let to = Attachment { container: &id, namespace: Some(&namespace), ports: &connection.ports };
    connection.made = cni::find(&connection.network)?.add(&to)?;
    name_servers(home, &connection.made)?;
    connection.write(&path)
}

/// The network may say which name servers there are in it.
fn name_servers(home: &Path, made: &Value) -> Result<()> {
    let servers = made.pointer("/dns/nameservers").and_then(Value::as_array);
    let servers: Vec<&str> = servers.into_iter().flatten().filter_map(Value::as_str).collect();
    let path = home.join("resolv.conf");
    if servers.is_empty() || !path.exists() {
        return Ok(());
    }
    let text: String =
        servers.iter().fold(String::new(), |text, server| text + "nameserver " + server + "\n");
    // In its place: the file is mounted.
    std::fs::write(&path, text).doing(|| format!("write {}", path.display()))
}

fn disconnect(home: &Path) -> Result<()> {
    let path = home.join(home::NETWORK);
    let mut connection = Connection::read(&path)?;
    let id = id(home);
    // The namespace went with the last process in it.
    let from = Attachment { container: &id, namespace: None, ports: &connection.ports };
    cni::find(&connection.network)?.remove(&from, &connection.made)?;
    connection.made = Value::Null;
    connection.write(&path)
}
