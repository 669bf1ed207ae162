//! `start`: the answer is where the server for a container listens, which runs already or is started.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use orlop_protobuf::Message as _;
use serde::Deserialize;

use crate::address::{self, Listening};
use crate::arguments::Arguments;
use crate::messages::options::BootstrapParams;
use crate::placement;
use crate::settings::{self, TaskOptions};
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// Annotations of containers that share a server: the first that is there names the group.
const GROUPS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// How the answer is written. Every containerd since 1.7 reads JSON, newer ones besides what they prefer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Until 1.6: the address.
    Bare,
    /// With the version of the Task service.
    Json(u32),
}

/// What containerd says on standard input and in the environment.
#[derive(Debug)]
struct Said {
    namespace: String,
    /// Where it takes events.
    events: String,
    /// Where it listens (gRPC).
    containerd: String,
    socket_dir: Option<String>,
    debug: bool,
    /// Nobody else is to run on the cores of the containers.
    own_cores: bool,
    options: TaskOptions,
    dialect: Dialect,
}

/// What is read of `config.json` here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotated {
    annotations: BTreeMap<String, String>,
}

/// Finds or starts the server; the answer.
///
/// # Errors
///
/// No socket, no process, or options that make no sense.
pub(crate) fn start(arguments: &Arguments) -> Result<Vec<u8>> {
    if arguments.id.is_empty() {
        return Err(Failure::new(Code::InvalidArgument, "option -id is missing"));
    }
    let said = Said::read(arguments, &settings::standard_input()?, &|name| std::env::var(name).ok())?;
    let bundle = arguments.bundle.clone().unwrap_or_else(|| PathBuf::from("."));
    // For a sandbox, which is told no more, and for `delete`.
    said.options.save(&bundle)?;
    let group = group(&bundle).unwrap_or_else(|| arguments.id.clone());
    let socket = address::socket(said.socket_dir.as_deref(), &said.containerd, &said.namespace, &group);
    let listening = address::listen(&socket).map_err(failed(format!("listen at {}", socket.display())))?;
    if let Listening::Us(listener) = listening {
        said.spawn(&group, &socket, listener, arguments).inspect_err(|_| {
            fs::remove_file(&socket).ok();
        })?;
    }
    let address = format!("unix://{}", socket.display());
    // What containerd 1.6 reads when it comes back, and `delete` in any case.
    fs::write(bundle.join("address"), &address).map_err(failed("write the file address"))?;
    address::link_directory(said.socket_dir.as_deref(), &bundle).map_err(failed("link the file s"))?;
    Ok(said.dialect.answer(&address))
}

/// The group that a container belongs to, if it says so.
fn group(bundle: &Path) -> Option<String> {
    let config = fs::read(bundle.join("config.json")).ok()?;
    let mut annotated: Annotated = serde_json::from_slice(&config).ok()?;
    GROUPS.iter().find_map(|name| annotated.annotations.remove(*name)).filter(|group| !group.is_empty())
}

impl Said {
    /// Reads it in either dialect. An old `Any` can look like new parameters; but only those name this container.
    fn read(arguments: &Arguments, input: &[u8], env: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let own_cores = env("SCHED_CORE").is_some_and(|value| !value.is_empty());
        let new = BootstrapParams::decode(input).ok().filter(|params| params.instance_id == arguments.id);
        if let Some(params) = new {
            let options = params.extensions.iter().filter_map(|extension| extension.value.as_ref());
            let ours = options.into_iter().find(|any| any.name().ends_with(".Options"));
            return Ok(Self {
                namespace: params.namespace,
                events: params.containerd_ttrpc_address,
                containerd: params.containerd_grpc_address,
                socket_dir: params.socket_dir,
                debug: params.log_level < 0,
                own_cores,
                options: TaskOptions::read(ours)?,
                dialect: Dialect::Json(3),
            });
        }
        let options = settings::any(input)?;
        Ok(Self {
            namespace: arguments.namespace.clone(),
            events: env("TTRPC_ADDRESS").unwrap_or_default(),
            containerd: arguments.address.clone(),
            socket_dir: None,
            debug: arguments.debug,
            own_cores,
            options: TaskOptions::read(Some(&options))?,
            // Those that tell do not understand a 3 before they understand parameters; all of them a 2.
            dialect: if env("MAX_SHIM_VERSION").is_some() { Dialect::Json(2) } else { Dialect::Bare },
        })
    }

    /// Starts the server, which finds its listening socket as standard input.
    fn spawn(&self, group: &str, socket: &Path, listener: UnixListener, arguments: &Arguments) -> Result<()> {
        if self.own_cores {
            placement::own_cores()?;
        }
        let name = orlop_sys::entry::arguments().next().unwrap_or_else(|| crate::NAME.into());
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).args(["-namespace", &self.namespace, "-id", group, "-address", &self.containerd]);
        command.arg("-socket").arg(socket);
        command.args((self.debug || arguments.debug).then_some("-debug"));
        command.env("TTRPC_ADDRESS", &self.events);
        // What systemd told containerd is not for containers.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::from(OwnedFd::from(listener))).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        let mut server = command.spawn().map_err(failed("start the server"))?;
        if !self.options.shim_cgroup.is_empty() {
            placement::join_cgroup(&self.options.shim_cgroup, server.id()).inspect_err(|_| {
                server.kill().and_then(|()| server.wait()).ok();
            })?;
        }
        if let Err(e) = placement::adjust_score(server.id()) {
            tracing::debug!("the server's OOM score: {e}");
        }
        Ok(())
    }
}

impl Dialect {
    fn answer(self, address: &str) -> Vec<u8> {
        match self {
            Self::Bare => address.as_bytes().to_vec(),
            Self::Json(version) => {
                let answer =
                    serde_json::json!({ "version": version, "address": address, "protocol": "ttrpc" });
                answer.to_string().into_bytes()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Any;
    use crate::messages::options::{Extension, RuncOptions};

    fn arguments() -> Arguments {
        let (id, namespace, address) = ("web".into(), "default".into(), "/run/c.sock".into());
        Arguments { namespace, id, address, ..Arguments::default() }
    }

    fn options() -> Any {
        let runc = RuncOptions { io_uid: 7, ..RuncOptions::default() };
        Any::of("containerd.runc.v1.Options", &runc)
    }

    fn env(known: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| known.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_dialect_since_2_3() {
        let params = BootstrapParams {
            instance_id: "web".into(),
            namespace: "k8s.io".into(),
            log_level: -4,
            containerd_ttrpc_address: "/run/c.sock.ttrpc".into(),
            containerd_grpc_address: "/run/c.sock".into(),
            extensions: vec![Extension { value: Some(options()) }],
            socket_dir: Some("/run/s".into()),
            ..BootstrapParams::default()
        };
        let said = Said::read(&arguments(), &params.encode(), &env(&[("MAX_SHIM_VERSION", "2")])).unwrap();
        assert_eq!((said.namespace.as_str(), said.debug), ("k8s.io", true));
        assert_eq!(said.options.io_owner, (7, 0));
        assert_eq!(said.socket_dir.as_deref(), Some("/run/s"));
        let answer = said.dialect.answer("unix:///run/s/x");
        let json = r#"{"address":"unix:///run/s/x","protocol":"ttrpc","version":3}"#;
        assert_eq!(String::from_utf8(answer).unwrap(), json);
    }

    #[test]
    fn the_dialects_before() {
        let known = env(&[("MAX_SHIM_VERSION", "2"), ("TTRPC_ADDRESS", "/run/c.sock.ttrpc")]);
        let said = Said::read(&arguments(), &options().encode(), &known).unwrap();
        assert_eq!((said.events.as_str(), said.dialect), ("/run/c.sock.ttrpc", Dialect::Json(2)));
        assert_eq!(said.options.io_owner, (7, 0));
        let said = Said::read(&arguments(), &[], &env(&[])).unwrap();
        assert_eq!(said.dialect.answer("unix:///x"), b"unix:///x");
    }

    #[test]
    fn options_that_look_like_parameters_are_options() {
        // An `Any` whose name stands where parameters have an id, as both are fields 1.
        let input = Any { type_url: "web2".into(), value: Vec::new() }.encode();
        assert!(Said::read(&arguments(), &input, &env(&[])).unwrap_err().message.contains("web2"));
        assert!(Said::read(&arguments(), &[0xff], &env(&[])).is_err());
    }

    #[test]
    fn containers_of_a_pod_are_a_group() {
        let dir = tempfile::tempdir().unwrap();
        let config = |text: &str| fs::write(dir.path().join("config.json"), text).unwrap();
        config(r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}"#);
        assert_eq!(group(dir.path()).as_deref(), Some("pod"));
        config(
            r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod","io.containerd.runc.v2.group":"all"}}"#,
        );
        assert_eq!(group(dir.path()).as_deref(), Some("all"));
        config("{}");
        assert_eq!(group(dir.path()), None);
    }
}
