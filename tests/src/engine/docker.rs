//! Docker Engine with the runtime under test.
use std::ffi::OsString;
use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::containerd::{SHIM, path_with_shim};
use super::{EngineRoom, Suite};
use crate::{Invocation, Running, events, runtime};

/// How Docker is told to use the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Its command, by path.
    Command,
    /// Its shim, by the runtime's type; Docker 23 or newer.
    Shim,
}

/// A Docker Engine with the image `busybox:test`.
#[derive(Debug)]
pub struct Docker {
    /// The place.
    pub room: EngineRoom,
    path: OsString,
    daemon: Option<Running>,
}

impl Docker {
    /// Starts one whose containers run on the runtime if nothing else is said.
    pub fn new(suite: Suite, choice: Choice) -> Self {
        Self::with(suite, choice, &json!({}))
    }

    /// Starts one with more in its `daemon.json`.
    pub fn with(suite: Suite, choice: Choice, more: &Value) -> Self {
        let room = EngineRoom::of(suite);
        let runtime = match choice {
            Choice::Command => json!({"path": runtime::binary()}),
            Choice::Shim => json!({"runtimeType": SHIM}),
        };
        let place = |name: &str| room.home().join(name);
        let mut config = json!({
            "runtimes": {"orlop": runtime}, "default-runtime": "orlop",
            "hosts": [format!("unix://{}", place("socket").display())], "pidfile": place("pid"),
            "data-root": place("data"), "exec-root": place("exec"), "cgroup-parent": format!("/{}", room.id),
            "storage-driver": "overlay2",
        });
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        room.file("daemon.json", &config.to_string());
        // A program called runc is what BuildKit starts, whatever the default runtime is.
        let programs = place("programs");
        fs::create_dir(&programs).expect("a new directory");
        std::os::unix::fs::symlink(runtime::binary(), programs.join("runc")).expect("a new link");
        let mut path = programs.into_os_string();
        path.push(":");
        path.push(path_with_shim());
        let mut docker = Self { room, path, daemon: None };
        docker.boot();
        docker.import();
        docker
    }

    /// Starts the daemon, and waits until it answers.
    pub fn boot(&mut self) {
        let config = self.room.home().join("daemon.json");
        let daemon = self.room.command("dockerd").env("PATH", &self.path).arg("--config-file").arg(config);
        let daemon = daemon.spawn();
        events::when_file(daemon.stderr_file(), |text| text.contains("API listen on"));
        self.daemon = Some(daemon);
    }

    /// Ends the daemon by a signal.
    pub fn crash(&mut self, signal: Signal) {
        let kill = format!("kill -{} $(pidof dockerd)", signal.as_raw());
        self.room.command("sh").args(["-c", &kill]).ok();
        self.daemon.take().map(Running::wait);
    }

    fn import(&self) {
        let layer = self.room.home().join("layer.tar");
        self.room.command("tar").arg("-C").arg(self.room.rootfs()).arg("-cf").arg(&layer).arg(".").ok();
        self.docker(&["import", "--change", "ENV PATH=/bin"]).arg(layer).arg("busybox:test").ok();
    }

    /// A program that talks to this daemon.
    pub fn tool(&self, program: &str) -> Invocation {
        let host = format!("unix://{}/socket", self.room.home().display());
        self.room.command(program).env("DOCKER_HOST", host).env("HOME", self.room.home())
    }

    /// `docker ARGS…`
    pub fn docker(&self, args: &[&str]) -> Invocation {
        self.tool("docker").args(args)
    }

    /// `sh -c SCRIPT`, in which `docker` talks to this daemon.
    pub fn sh(&self, script: &str) -> Invocation {
        self.tool("sh").args(["-c", script])
    }

    /// `docker run FLAGS… busybox:test ARGS…`
    pub fn run(&self, flags: &[&str], args: &[&str]) -> Invocation {
        self.docker(&["run"]).args(flags).arg("busybox:test").args(args)
    }
}
