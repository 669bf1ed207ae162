//! systemd as seen from a test: what it knows of a unit; the test user's own; one that never answers.
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use crate::unprivileged::USER;
use crate::{Container, cgroup, need};

/// Why systemd cannot make cgroups for containers here, if it cannot.
pub fn lacking() -> Option<&'static str> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Some("systemd does not run here (hack/vm/vm -S boots it)");
    }
    without_unified()
}

/// Why the driver refuses this host whatever systemd says, if it does.
pub fn without_unified() -> Option<&'static str> {
    let v1 = cgroup::hierarchies().iter().any(|hierarchy| !hierarchy.unified);
    v1.then_some("version 1 of cgroups has controllers here")
}

/// A property of a unit, as `systemctl show` prints it.
#[track_caller]
pub fn show(unit: &str, property: &str) -> String {
    systemctl(&["show", "--value", "--property", property, unit])
}

/// A property of a unit of the user.
#[track_caller]
pub fn show_of_user(unit: &str, property: &str) -> String {
    let command = ["systemctl", "--user", "show", "--value", "--property", property, unit];
    run(Command::new("setpriv").args(as_user()).args(command))
}

/// Fails the test if there is such a unit, though it has been stopped.
#[track_caller]
pub fn assert_gone(unit: &str) {
    // One that is empty goes by itself, sooner or later; stopping it waits for that. It may be gone already.
    Command::new("systemctl").args(["--quiet", "stop", unit]).output().expect("systemctl is installed");
    assert_eq!(show(unit, "LoadState"), "not-found");
}

/// Runs systemctl, which must succeed.
#[track_caller]
pub fn systemctl(arguments: &[&str]) -> String {
    run(Command::new("systemctl").args(arguments))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let out = command.output().expect("the program is installed");
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Arguments of `setpriv`: run as the user, with its runtime directory.
fn as_user() -> Vec<String> {
    let words = format!("--reuid={USER} --regid={USER} --clear-groups env XDG_RUNTIME_DIR=/run/user/{USER}");
    words.split(' ').map(str::to_owned).collect()
}

/// Starts the test user's own systemd, once. In the test machine only, whose `/etc` is thrown away.
///
/// # Errors
///
/// Why there is none here.
pub fn user_manager() -> Result<PathBuf, &'static str> {
    static STARTED: OnceLock<()> = OnceLock::new();
    lacking().map_or(Ok(()), Err)?;
    if !need::in_vm() {
        return Err("a user's own systemd is only started in the test machine");
    }
    STARTED.get_or_init(|| {
        for file in ["passwd", "group"] {
            let line = if file == "passwd" { format!(":{USER}::/:/bin/sh") } else { ":".to_owned() };
            let mut file = OpenOptions::new().append(true).open(Path::new("/etc").join(file)).expect("root");
            writeln!(file, "orlop-test:x:{USER}{line}").expect("root may write to it");
        }
        systemctl(&["start", &format!("user@{USER}.service")]);
    });
    Ok(format!("/run/user/{USER}").into())
}

/// Ends a test that needs a systemd to ask.
#[macro_export]
macro_rules! need_systemd {
    () => {
        if let Some(why) = $crate::systemd::lacking() {
            return $crate::need::skip(why);
        }
    };
}

/// A container whose cgroup systemd makes, under a name of its own.
pub fn scoped(container: Container) -> (Container, String) {
    let mut container = container;
    let unit = put_in_scope(&mut container);
    (container, unit)
}

/// Has systemd make a container's cgroup, as that of the unit whose name is returned.
pub fn put_in_scope(container: &mut Container) -> String {
    container.global("--systemd-cgroup").push("/linux/namespaces", json!({"type": "cgroup"}));
    format!("orlop-{}.scope", container.id)
}

/// A socket at which somebody listens and never says a word.
#[derive(Debug)]
pub struct Silent {
    _listener: UnixListener,
    path: PathBuf,
}

impl Silent {
    /// In a directory of the container.
    pub fn new(container: &Container) -> Self {
        let path = container.home().join("bus");
        Self { _listener: UnixListener::bind(&path).expect("a new socket"), path }
    }

    /// For `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.path.display())
    }
}
