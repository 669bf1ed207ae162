//! What a container's options say, and where that is kept for when the server is dead.

use std::path::{Path, PathBuf};

use orlop_protobuf::Message as _;
use orlop_runtime::{CgroupManager, Settings};
use serde::{Deserialize, Serialize};

use crate::messages::Any;
use crate::messages::options::{RuncOptions, RuntimeOptions};
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// Where state directories are if the options do not say, below which each namespace has its own.
const ROOT: &str = "/run/containerd/orlop";
/// The file in the bundle.
const FILE: &str = "orlop-shim.json";

/// What is asked for besides the config.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskOptions {
    /// Where the namespaces' state directories are.
    root: Option<PathBuf>,
    /// systemd makes the cgroups.
    systemd_cgroup: bool,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    /// Who owns the pipes.
    pub(crate) io_owner: (u32, u32),
    /// The cgroup of the shim itself.
    pub(crate) shim_cgroup: String,
}

impl TaskOptions {
    /// Reads options.
    ///
    /// # Errors
    ///
    /// Options of an unknown type, or that ask for what is not there.
    pub(crate) fn read(options: Option<&Any>) -> Result<Self> {
        let Some(any) = options.filter(|any| !any.type_url.is_empty() || !any.value.is_empty()) else {
            return Ok(Self::default());
        };
        let malformed = |e| Failure::new(Code::InvalidArgument, format!("options: {e}"));
        match any.name() {
            "containerd.runc.v1.Options" => Self::of(RuncOptions::decode(&any.value).map_err(malformed)?),
            "runtimeoptions.v1.Options" => {
                let inner = RuntimeOptions::decode(&any.value).map_err(malformed)?;
                if inner.config_path.is_empty() && inner.config_body.is_empty() {
                    return Ok(Self::default());
                }
                let why = "a configuration file for the runtime (ConfigPath) is not supported";
                Err(Failure::new(Code::InvalidArgument, why))
            }
            name => Err(Failure::new(Code::InvalidArgument, format!("options of an unknown type, {name:?}"))),
        }
    }

    fn of(options: RuncOptions) -> Result<Self> {
        if !options.binary_name.is_empty() {
            let why = format!(
                "BinaryName {:?}: this shim is the runtime itself and starts no other; leave the option out",
                options.binary_name
            );
            return Err(Failure::new(Code::InvalidArgument, why));
        }
        Ok(Self {
            root: (!options.root.is_empty()).then(|| options.root.into()),
            systemd_cgroup: options.systemd_cgroup,
            no_pivot: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            io_owner: (options.io_uid, options.io_gid),
            shim_cgroup: options.shim_cgroup,
        })
    }

    /// The runtime's settings for containers of a namespace.
    pub(crate) fn settings(&self, namespace: &str) -> Settings {
        let root = self.root.as_deref().unwrap_or(Path::new(ROOT)).join(namespace);
        let cgroup_manager =
            if self.systemd_cgroup { CgroupManager::Systemd } else { CgroupManager::Cgroupfs };
        Settings { root: Some(root), cgroup_manager, ..Settings::default() }
    }

    /// Keeps them in the bundle.
    pub(crate) fn save(&self, bundle: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(failed("write options"))?;
        std::fs::write(bundle.join(FILE), text)
            .map_err(failed(format!("write {FILE} in {}", bundle.display())))
    }

    /// Those that were kept in a bundle, or the usual ones: who cleans up has to try.
    pub(crate) fn saved(bundle: &Path) -> Self {
        let text = std::fs::read(bundle.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: Vec<u8>) -> Result<TaskOptions> {
        TaskOptions::read(Some(&Any { type_url: name.to_owned(), value }))
    }

    #[test]
    fn options_of_runc_are_ours() {
        let runc =
            RuncOptions { root: "/r".into(), no_pivot_root: true, io_uid: 7, ..RuncOptions::default() };
        let read = read("type.googleapis.com/containerd.runc.v1.Options", runc.encode()).unwrap();
        assert_eq!(read.settings("moby").root.as_deref(), Some(Path::new("/r/moby")));
        assert!(read.no_pivot);
        assert_eq!(read.io_owner, (7, 0));
        let dir = tempfile::tempdir().unwrap();
        read.save(dir.path()).unwrap();
        assert_eq!(TaskOptions::saved(dir.path()), read);
    }

    #[test]
    fn none_are_fine_and_what_kubernetes_sends_for_strangers_too() {
        assert_eq!(TaskOptions::read(None), Ok(TaskOptions::default()));
        assert_eq!(TaskOptions::read(Some(&Any::default())), Ok(TaskOptions::default()));
        let strange = RuntimeOptions { type_url: "x".into(), ..RuntimeOptions::default() };
        assert_eq!(read("runtimeoptions.v1.Options", strange.encode()), Ok(TaskOptions::default()));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_name() {
        let other = RuncOptions { binary_name: "/bin/runc".into(), ..RuncOptions::default() };
        let refused = read("containerd.runc.v1.Options", other.encode()).unwrap_err();
        assert!(refused.message.contains("BinaryName \"/bin/runc\""), "{refused:?}");
        let file = RuntimeOptions { config_path: "/etc/x".into(), ..RuntimeOptions::default() };
        assert!(read("runtimeoptions.v1.Options", file.encode()).unwrap_err().message.contains("ConfigPath"));
        assert!(read("other.Options", Vec::new()).unwrap_err().message.contains("other.Options"));
        assert!(read("containerd.runc.v1.Options", vec![0xff]).is_err());
    }
}
