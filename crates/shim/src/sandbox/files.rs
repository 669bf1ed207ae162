//! Files that the containers of a Kubernetes pod share: its names and name servers, and its shared memory. containerd leaves
//! them to whoever makes the pod, so they are added to the mounts of its containers, unless those have their own.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::wanted::{Names, Users, Wanted};
use crate::messages::Mount;
use crate::rootfs;
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// The directory in the sandbox's bundle.
const DIRECTORY: &str = "pod";
/// Shared memory, a tmpfs.
const SHM: &str = "shm";
/// As containerd's own pods have it.
const SHM_OPTIONS: [&str; 5] = ["mode=1777", "size=65536k", "nosuid", "nodev", "noexec"];

/// The files, and where containers see them.
const FILES: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// What is added to a container of the pod.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
    shm: bool,
}

impl Files {
    /// Makes them; none for a pod that nobody has described.
    ///
    /// # Errors
    ///
    /// They cannot be written, or a name has lines.
    pub(super) fn make(bundle: &Path, wanted: &Wanted) -> Result<Option<Self>> {
        let Some(names) = &wanted.names else { return Ok(None) };
        let directory = bundle.join(DIRECTORY);
        let doing = || format!("make the pod's files in {}", directory.display());
        fs::create_dir_all(&directory).map_err(failed(doing()))?;
        let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let hostname = if wanted.hostname.is_empty() {
            host("/proc/sys/kernel/hostname")
        } else {
            format!("{}\n", wanted.hostname)
        };
        let servers = names.text()?.unwrap_or_else(|| host("/etc/resolv.conf"));
        let root = wanted.users.as_ref().and_then(Users::root);
        for ((name, _), text) in FILES.iter().zip([hostname, host("/etc/hosts"), servers]) {
            let path = directory.join(name);
            fs::write(&path, text).map_err(failed(doing()))?;
            // Of the pod's root, as they would be without a user namespace.
            root.map_or(Ok(()), |(user, group)| chown(&path, Some(user), Some(group)))
                .map_err(failed(doing()))?;
        }
        if wanted.own_ipc {
            let options = SHM_OPTIONS.map(str::to_owned).to_vec();
            let shm = Mount { kind: "tmpfs".into(), source: SHM.into(), options, ..Mount::default() };
            rootfs::mount_all(&[shm], &directory.join(SHM))?;
        }
        Ok(Some(Self { directory, shm: wanted.own_ipc }))
    }

    /// Adds them to the config in a container's bundle.
    ///
    /// # Errors
    ///
    /// It cannot be read or written.
    pub(crate) fn add_to(&self, bundle: &Path) -> Result<()> {
        let path = bundle.join("config.json");
        let doing = || format!("add the pod's files to {}", path.display());
        let text = fs::read(&path).map_err(failed(doing()))?;
        let mut config: Value = serde_json::from_slice(&text).map_err(failed(doing()))?;
        self.add(&mut config);
        fs::write(&path, config.to_string()).map_err(failed(doing()))
    }

    fn add(&self, config: &mut Value) {
        let read_only = config["root"]["readonly"] == true;
        let Some(config) = config.as_object_mut() else { return };
        let mounts = config.entry("mounts").or_insert_with(|| json!([]));
        let Some(mounts) = mounts.as_array_mut() else { return };
        let bind = |name: &str, place: &str, access: &str| {
            json!({
                "destination": place, "type": "bind", "source": self.directory.join(name),
                "options": ["rbind", "rprivate", "nosuid", "nodev", "noexec", access],
            })
        };
        let is_at = |mount: &Value, place: &str| {
            mount["destination"].as_str().is_some_and(|path| Path::new(path) == Path::new(place))
        };
        for (name, place) in FILES {
            if !mounts.iter().any(|mount| is_at(mount, place)) {
                mounts.push(bind(name, place, if read_only { "ro" } else { "rw" }));
            }
        }
        if self.shm {
            // What every container has if nothing is said is its own.
            match mounts.iter_mut().find(|mount| is_at(mount, "/dev/shm")) {
                None => mounts.push(bind(SHM, "/dev/shm", "rw")),
                Some(usual) if usual["type"] == "tmpfs" => *usual = bind(SHM, "/dev/shm", "rw"),
                Some(_) => {}
            }
        }
    }
}

/// Takes away what is mounted; the rest goes with the bundle.
pub(crate) fn remove(bundle: &Path) {
    let shm = bundle.join(DIRECTORY).join(SHM);
    if let Err(e) = rootfs::unmount_all(&shm) {
        tracing::warn!("unmount {}: {e}", shm.display());
    }
}

impl Names {
    /// As in resolv.conf(5), or nothing if there is nothing to say.
    fn text(&self) -> Result<Option<String>> {
        let Some(names) = &self.0 else { return Ok(None) };
        let words = [&names.servers, &names.searches, &names.options];
        if let Some(word) = words.into_iter().flatten().find(|word| word.contains(char::is_control)) {
            return Err(Failure::new(Code::InvalidArgument, format!("sandbox: {word:?} is no name of DNS")));
        }
        let mut lines = Vec::new();
        if !names.searches.is_empty() {
            lines.push(format!("search {}\n", names.searches.join(" ")));
        }
        lines.extend(names.servers.iter().map(|server| format!("nameserver {server}\n")));
        if !names.options.is_empty() {
            lines.push(format!("options {}\n", names.options.join(" ")));
        }
        Ok(Some(lines.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::sandbox::DnsConfig;

    #[test]
    fn name_servers_are_written_as_resolv_conf_has_them() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let config =
            DnsConfig { servers: words("10.0.0.1 ::1"), searches: words("a.b c"), options: words("ndots:5") };
        let text = Names(Some(config)).text().unwrap().unwrap();
        assert_eq!(text, "search a.b c\nnameserver 10.0.0.1\nnameserver ::1\noptions ndots:5\n");
        assert_eq!(Names(Some(DnsConfig::default())).text(), Ok(Some(String::new())));
        assert_eq!(Names(None).text(), Ok(None));
        let lines = DnsConfig { servers: vec!["1\noptions x".into()], ..DnsConfig::default() };
        assert!(Names(Some(lines)).text().is_err());
    }

    #[test]
    fn a_containers_own_mounts_stay() {
        let files = Files { directory: "/pod".into(), shm: true };
        let mut config = json!({
            "root": { "readonly": true },
            "mounts": [
                { "destination": "/dev/shm", "type": "tmpfs" },
                { "destination": "/etc/hosts/", "type": "bind", "source": "/mine" },
            ],
        });
        files.add(&mut config);
        let mounts = config["mounts"].as_array().unwrap();
        let seen: Vec<_> = mounts.iter().map(|mount| (&mount["destination"], &mount["source"])).collect();
        let expected = [
            ("/dev/shm", "/pod/shm"),
            ("/etc/hosts/", "/mine"),
            ("/etc/hostname", "/pod/hostname"),
            ("/etc/resolv.conf", "/pod/resolv.conf"),
        ];
        assert_eq!(seen, expected.map(|(a, b)| (json!(a), json!(b))).each_ref().map(|(a, b)| (a, b)));
        assert_eq!(mounts[2]["options"][5], "ro");
        let once = config.clone();
        files.add(&mut config);
        assert_eq!(config, once);
    }
}
