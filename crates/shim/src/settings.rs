//! What a container's options say, and where that is kept for when the server is dead.

mod toml;

use std::io::Read as _;
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
/// The options that are ours too, by their full name.
const RUNC: &str = "containerd.runc.v1.Options";
/// The most that is read from standard input, in bytes.
const INPUT: u64 = 10 << 20;
/// A file of options has at most this many bytes.
const LONGEST: u64 = 1 << 20;

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
    /// Where a checkpoint goes that is not said to go elsewhere.
    pub(crate) criu_images: Option<PathBuf>,
    /// Where CRIU works; absent is a directory in the bundle.
    pub(crate) criu_work: Option<PathBuf>,
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
            RUNC => Self::of(RuncOptions::decode(&any.value).map_err(malformed)?),
            "runtimeoptions.v1.Options" => {
                Self::of(generic(&RuntimeOptions::decode(&any.value).map_err(malformed)?)?)
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
        let path = |text: String| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty());
        Ok(Self {
            root: path(options.root),
            systemd_cgroup: options.systemd_cgroup,
            no_pivot: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            io_owner: (options.io_uid, options.io_gid),
            shim_cgroup: options.shim_cgroup,
            criu_images: path(options.criu_image_path),
            criu_work: path(options.criu_work_path),
        })
    }

    /// The runtime's settings for containers of a namespace.
    pub(crate) fn settings(&self, namespace: &str) -> Settings {
        let root = self.root.as_deref().unwrap_or(Path::new(ROOT)).join(namespace);
        let cgroup_manager =
            if self.systemd_cgroup { CgroupManager::Systemd } else { CgroupManager::Cgroupfs };
        Settings { root: Some(root), cgroup_manager, ..Settings::default() }
    }

    /// The cgroup (`cgroupsPath`) of something in the cgroup of a pod; absent without one.
    pub(crate) fn cgroup_below(&self, parent: &str, id: &str) -> Option<String> {
        match parent.rsplit('/').next() {
            None | Some("") => None,
            // As containerd's own shims are called, and so what others look for.
            Some(slice) if self.systemd_cgroup => Some(format!("{slice}:cri-containerd:{id}")),
            Some(_) => Some(format!("{parent}/{id}")),
        }
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

/// What containerd hands over when it calls a shim.
///
/// # Errors
///
/// read(2) fails.
pub(crate) fn standard_input() -> Result<Vec<u8>> {
    let mut input = Vec::new();
    std::io::stdin().take(INPUT).read_to_end(&mut input).map_err(failed("read standard input"))?;
    Ok(input)
}

/// Options that were handed over; nothing is none.
///
/// # Errors
///
/// It is something else.
pub(crate) fn any(input: &[u8]) -> Result<Any> {
    Any::decode(input).map_err(|e| Failure::new(Code::InvalidArgument, format!("standard input is {e}")))
}

/// Options of the kind that every runtime gets whose own kind containerd does not know: a text, or a file with one.
fn generic(options: &RuntimeOptions) -> Result<RuncOptions> {
    of_our_kind(&options.type_url)?;
    if options.config_path.is_empty() {
        let body = std::str::from_utf8(&options.config_body).map_err(wrong("ConfigBody"))?;
        return described(body).map_err(wrong("ConfigBody"));
    }
    let path = Path::new(&options.config_path);
    let what = format!("ConfigPath {}", path.display());
    let found = path.metadata().map_err(wrong(&what))?;
    if !path.is_absolute() || !found.is_file() || found.len() > LONGEST {
        return Err(wrong(&what)("it has to be the absolute path of a file of at most 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(wrong(&what))?;
    described(&text).map_err(wrong(&what))
}

fn wrong<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Failure {
    move |why| Failure::new(Code::InvalidArgument, format!("options: {what}: {why}"))
}

fn of_our_kind(type_url: &str) -> Result<()> {
    if type_url.is_empty() || type_url.rsplit('/').next() == Some(RUNC) {
        return Ok(());
    }
    Err(wrong("TypeUrl")(format!("{type_url:?} is not the kind that is known here, {RUNC}")))
}

/// runc's options by the names that they have in containerd's configuration, in letters of either size as there.
fn described(text: &str) -> std::result::Result<RuncOptions, String> {
    let mut options = RuncOptions::default();
    for (name, value) in toml::parse(text)? {
        match (name.to_ascii_lowercase().as_str(), value) {
            ("nopivotroot", toml::Value::Flag(flag)) => options.no_pivot_root = flag,
            ("nonewkeyring", toml::Value::Flag(flag)) => options.no_new_keyring = flag,
            ("systemdcgroup", toml::Value::Flag(flag)) => options.systemd_cgroup = flag,
            ("iouid", toml::Value::Number(number)) => options.io_uid = number,
            ("iogid", toml::Value::Number(number)) => options.io_gid = number,
            ("shimcgroup", toml::Value::Text(text)) => options.shim_cgroup = text,
            ("binaryname", toml::Value::Text(text)) => options.binary_name = text,
            ("root", toml::Value::Text(text)) => options.root = text,
            ("criuimagepath", toml::Value::Text(text)) => options.criu_image_path = text,
            ("criuworkpath", toml::Value::Text(text)) => options.criu_work_path = text,
            ("typeurl", toml::Value::Text(text)) => of_our_kind(&text).map_err(|e| e.message)?,
            // containerd's own description of these options, where it is the text itself.
            ("configpath", toml::Value::Text(text)) if text.is_empty() => {}
            _ => return Err(format!("{name}: no option of runc's, or not with such a value")),
        }
    }
    Ok(options)
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
        let strange = RuntimeOptions::default();
        assert_eq!(read("runtimeoptions.v1.Options", strange.encode()), Ok(TaskOptions::default()));
    }

    #[test]
    fn options_are_read_from_a_text_or_a_file() {
        let text = "SystemdCgroup = true\nioUid = 5\nTypeUrl = \"containerd.runc.v1.Options\"\nCriuWorkPath = '/w'\n";
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("options.toml");
        std::fs::write(&file, text).unwrap();
        let body = RuntimeOptions { config_body: text.into(), ..RuntimeOptions::default() };
        let config_path = file.to_str().unwrap().to_owned();
        let path = RuntimeOptions { config_path, ..RuntimeOptions::default() };
        let options = TaskOptions {
            systemd_cgroup: true,
            io_owner: (5, 0),
            criu_work: Some("/w".into()),
            ..TaskOptions::default()
        };
        for generic in [body, path] {
            assert_eq!(read("runtimeoptions.v1.Options", generic.encode()).as_ref(), Ok(&options));
        }
    }

    #[test]
    fn a_text_that_asks_for_what_is_not_there_is_refused() {
        for (text, why) in [
            ("Wrong = 1", "Wrong"),
            ("IoUid = true", "IoUid"),
            ("BinaryName = '/bin/runc'", "BinaryName"),
            ("TypeUrl = 'x'", "TypeUrl"),
            ("[options]", "line 1"),
            ("Root = 1", "Root"),
        ] {
            let generic = RuntimeOptions { config_body: text.into(), ..RuntimeOptions::default() };
            let refused = read("runtimeoptions.v1.Options", generic.encode()).unwrap_err();
            assert_eq!(refused.code, Code::InvalidArgument, "{text}");
            assert!(refused.message.contains(why), "{text}: {refused:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_name() {
        let other = RuncOptions { binary_name: "/bin/runc".into(), ..RuncOptions::default() };
        let refused = read("containerd.runc.v1.Options", other.encode()).unwrap_err();
        assert!(refused.message.contains("BinaryName \"/bin/runc\""), "{refused:?}");
        for path in ["/nowhere", "relative", "/"] {
            let file = RuntimeOptions { config_path: path.into(), ..RuntimeOptions::default() };
            let refused = read("runtimeoptions.v1.Options", file.encode()).unwrap_err();
            assert!(refused.message.contains("ConfigPath"), "{refused:?}");
        }
        let kind = RuntimeOptions { type_url: "x".into(), ..RuntimeOptions::default() };
        assert!(read("runtimeoptions.v1.Options", kind.encode()).unwrap_err().message.contains("TypeUrl"));
        assert!(read("other.Options", Vec::new()).unwrap_err().message.contains("other.Options"));
        assert!(read("containerd.runc.v1.Options", vec![0xff]).is_err());
    }
}
