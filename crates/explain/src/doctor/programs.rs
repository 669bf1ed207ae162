//! Security modules, tools that orlop and engines use, and engines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Check, read};

const MODULES: &str = "Security modules";
const TOOLS: &str = "Tools";
const ENGINES: &str = "Engines";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![modules()];
    checks.extend([criu(), cni()]);
    checks.extend(ENGINE_LIST.iter().filter_map(engine));
    if !checks.iter().any(|check| check.group == ENGINES) {
        checks.push(Check::ok(ENGINES, "engines", "none is installed"));
    }
    checks
}

fn modules() -> Check {
    let name = "modules";
    let listed = read("/sys/kernel/security/lsm");
    let (apparmor, selinux) = (orlop_runtime::has_apparmor(), orlop_runtime::has_selinux());
    let confines = match (apparmor, selinux) {
        (true, _) => "AppArmor profiles can be used",
        (_, true) => "SELinux labels can be used",
        _ => "neither AppArmor nor SELinux; configs that name a profile or a label are refused",
    };
    let listed = listed.unwrap_or_else(|| "unknown, as securityfs is not mounted".to_owned());
    Check::ok(MODULES, name, format!("{confines} (active: {listed})"))
}

/// Where programs of the system are, besides what `PATH` says.
const PLACES: [&str; 5] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/usr/libexec"];

/// A program, by its name.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(PLACES.iter().map(PathBuf::from));
    let executable = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    directories.map(|directory| directory.join(name)).find(executable)
}

fn criu() -> Check {
    let name = "criu";
    match find(name) {
        Some(path) => Check::ok(TOOLS, name, format!("{}, for checkpoint and restore", path.display())),
        None => Check::ok(TOOLS, name, "not there; checkpoint and restore need it"),
    }
}

fn cni() -> Check {
    let name = "CNI plugins";
    let place = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"]
        .into_iter()
        .find(|place| Path::new(place).join("bridge").exists());
    Check::ok(
        TOOLS,
        name,
        place.map_or_else(|| "not there; containerd and CRI-O use them".to_owned(), str::to_owned),
    )
}

/// An engine: its name, its program, files of its configuration, and how it is told of orlop.
struct Engine {
    name: &'static str,
    program: &'static str,
    /// Files, and directories whose files count.
    configuration: &'static [&'static str],
    remedy: &'static str,
}

const ENGINE_LIST: [Engine; 4] = [
    Engine {
        name: "containerd",
        program: "containerd",
        configuration: &["/etc/containerd/config.toml", "/etc/containerd/conf.d"],
        remedy: "add the runtime io.containerd.orlop.v2 to /etc/containerd/config.toml (docs/engines.md)",
    },
    Engine {
        name: "Docker",
        program: "dockerd",
        configuration: &["/etc/docker/daemon.json"],
        remedy: "add \"runtimes\": {\"orlop\": {\"path\": \"/usr/local/bin/orlop\"}} to /etc/docker/daemon.json",
    },
    Engine {
        name: "Podman",
        program: "podman",
        configuration: &["/etc/containers/containers.conf", "/etc/containers/containers.conf.d"],
        remedy: "add orlop to [engine.runtimes] in /etc/containers/containers.conf, or podman --runtime /usr/local/bin/orlop",
    },
    Engine {
        name: "CRI-O",
        program: "crio",
        configuration: &["/etc/crio/crio.conf", "/etc/crio/crio.conf.d"],
        remedy: "add [crio.runtime.runtimes.orlop] in /etc/crio/crio.conf.d",
    },
];

fn engine(engine: &Engine) -> Option<Check> {
    let program = find(engine.program)?;
    let program = program.display();
    Some(match named_in(engine.configuration) {
        Some(file) => Check::ok(ENGINES, engine.name, format!("{program}; {} names orlop", file.display())),
        None => Check::warn(
            ENGINES,
            engine.name,
            format!("{program}; its configuration does not name orlop"),
            engine.remedy,
        ),
    })
}

/// The first file of a configuration in which the word is.
fn named_in(configuration: &[&str]) -> Option<PathBuf> {
    let files = configuration.iter().flat_map(|path| {
        let inside = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(PathBuf::from(path)).chain(inside)
    });
    files.into_iter().find(|file| {
        std::fs::read_to_string(file).is_ok_and(|text| {
            text.lines().any(|line| line.contains("orlop") && !line.trim_start().starts_with('#'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_orlop_unless_in_a_comment() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("daemon.conf");
        let place = directory.path().to_string_lossy().into_owned();
        std::fs::write(&file, "# orlop\nruntime = \"runc\"\n").unwrap();
        assert_eq!(named_in(&[&place]), None);
        std::fs::write(&file, "runtime = \"/usr/bin/orlop\"\n").unwrap();
        assert_eq!(named_in(&["/nonexistent", &place]), Some(file));
    }
}
