//! containerd with the runtime under test.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{EngineRoom, Suite};
use crate::{Invocation, Running, criu, events, runtime, shim};

/// The options of `ctr` that choose the shim.
pub const SHIM: &str = "io.containerd.orlop.v2";

/// The image that [`Containerd::import_image`] makes.
pub const IMAGE: &str = "docker.io/library/busybox:test";

/// What makes images, and speaks gRPC.
pub(super) fn script() -> PathBuf {
    runtime::workspace().join("tests/data/cri.py")
}

/// A containerd that runs in a place of its own.
#[derive(Debug)]
pub struct Containerd {
    /// The place.
    pub room: EngineRoom,
    /// The options of `ctr run` that choose the runtime.
    runtime: Vec<OsString>,
    /// Where it finds programs.
    path: OsString,
    daemon: Option<Running>,
}

/// `PATH` with the shim's directory in front, and that of CRIU.
pub fn path_with_shim() -> OsString {
    let mut path = shim::binary().parent().expect("a directory").as_os_str().to_owned();
    path.push(":");
    path.push(criu::path());
    path
}

/// Where containerd keeps and offers what it has, as its settings say it.
fn places(home: &Path) -> String {
    let home = home.display();
    format!(
        "root = \"{home}/root\"\nstate = \"{home}/state\"\n\
         [grpc]\naddress = \"{home}/socket\"\n[ttrpc]\naddress = \"{home}/socket.ttrpc\"\n"
    )
}

impl Containerd {
    /// With its own shim, which starts the runtime's command.
    pub fn with_command(suite: Suite) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::new(suite, vec!["--runc-binary".into(), runtime::binary().into()], path)
    }

    /// With the runtime's shim.
    pub fn with_shim(suite: Suite) -> Self {
        Self::new(suite, vec!["--runtime".into(), SHIM.into()], path_with_shim())
    }

    /// With the runtime's shim, and what the function adds to the settings, given the place's directory.
    pub fn configured(suite: Suite, more: impl FnOnce(&Path) -> String) -> Self {
        let version = if suite == Suite::Sid { 3 } else { 2 };
        let runtime = vec!["--runtime".into(), SHIM.into()];
        Self::start(suite, runtime, path_with_shim(), |home| {
            format!("version = {version}\n{}{}", places(home), more(home))
        })
    }

    /// Without the plugin for Kubernetes, under its names of all versions.
    fn new(suite: Suite, runtime: Vec<OsString>, path: OsString) -> Self {
        let without = "[\"io.containerd.grpc.v1.cri\", \"io.containerd.cri.v1.runtime\", \
                       \"io.containerd.cri.v1.images\"]";
        Self::start(suite, runtime, path, |home| {
            format!("version = 2\ndisabled_plugins = {without}\n{}", places(home))
        })
    }

    fn start(
        suite: Suite,
        runtime: Vec<OsString>,
        path: OsString,
        config: impl FnOnce(&Path) -> String,
    ) -> Self {
        let mut containerd = Self { room: EngineRoom::of(suite), runtime, path, daemon: None };
        let config = config(containerd.room.home());
        containerd.room.file("containerd.toml", &config);
        containerd.boot();
        containerd
    }

    /// Starts the daemon, again after [`Containerd::crash`].
    pub fn boot(&mut self) {
        let config = self.room.home().join("containerd.toml");
        let daemon =
            self.room.command("containerd").env("PATH", &self.path).arg("--config").arg(config).spawn();
        let errors = daemon.stderr_file();
        events::when_file(errors, |text| text.contains("containerd successfully booted"));
        self.daemon = Some(daemon);
    }

    /// Ends the daemon by a signal, such as that of the kernel for want of memory.
    pub fn crash(&mut self, signal: Signal) {
        let kill = format!("kill -{} $(pidof containerd)", signal.as_raw());
        self.room.command("sh").args(["-c", &kill]).ok();
        self.daemon.take().map(Running::wait);
    }

    /// What the daemon wrote to its log since it was started.
    pub fn log(&self) -> &Path {
        self.daemon.as_ref().expect("it runs").stderr_file()
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.room.home().join("socket")
    }

    /// `ctr ARGS…`
    pub fn ctr(&self, args: &[&str]) -> Invocation {
        let namespace = ["--namespace", &self.room.id];
        self.room.command("ctr").arg("--address").arg(self.socket()).args(namespace).args(args)
    }

    /// `ctr run FLAGS… ROOTFS ID ARGS…`
    pub fn run(&self, flags: &[&str], id: &str, args: &[&str]) -> Invocation {
        let fifos = self.room.home().join("fifos");
        let run = self.ctr(&["run"]).args(&self.runtime).arg("--fifo-dir").arg(fifos).args(flags);
        run.arg("--rootfs").arg(self.room.rootfs()).arg(id).args(args)
    }

    /// `ctr run FLAGS… --config CONFIG ID`
    pub fn run_config(&self, flags: &[&str], id: &str, config: &Path) -> Invocation {
        let fifos = self.room.home().join("fifos");
        let run = self.ctr(&["run"]).args(&self.runtime).arg("--fifo-dir").arg(fifos).args(flags);
        run.arg("--config").arg(config).arg(id)
    }

    /// `ctr task exec --exec-id EXEC ID ARGS…`
    pub fn exec(&self, id: &str, exec: &str, args: &[&str]) -> Invocation {
        self.ctr(&["task", "exec", "--exec-id", exec, id]).args(args)
    }

    /// Makes [`IMAGE`] of the place's root file system, in one of containerd's namespaces.
    pub fn import_image(&self, namespace: &str) {
        let archive = self.room.home().join("image.tar");
        self.room.command("python3").arg(script()).arg("image").arg(self.room.rootfs()).arg(&archive).ok();
        let import = self.room.command("ctr").arg("--address").arg(self.socket());
        import.args(["--namespace", namespace, "images", "import"]).arg(archive).ok();
    }

    /// `ctr run FLAGS… IMAGE ID ARGS…`
    pub fn run_image(&self, flags: &[&str], id: &str, args: &[&str]) -> Invocation {
        let run = self.ctr(&["run"]).args(&self.runtime).args(flags);
        run.arg(IMAGE).arg(id).args(args)
    }

    /// The sockets of the shims that run.
    pub fn shim_sockets(&self) -> Vec<String> {
        let out = self.room.command("sh").args(["-c", "ls /run/containerd/s 2>/dev/null; true"]).ok();
        out.lines().into_iter().map(str::to_owned).collect()
    }

    /// Ends a container of any state and removes it.
    pub fn remove(&self, id: &str) {
        self.ctr(&["task", "delete", "--force", id]).ok();
        self.ctr(&["containers", "delete", id]).ok();
    }

    /// Fails the test if anything of a container is left, be it a shim.
    #[track_caller]
    pub fn assert_nothing_left_of(&self, id: &str) {
        assert_eq!(self.shim_sockets(), Vec::<String>::new(), "no shim is left");
        self.room.assert_nothing_left_of(&format!("{}/{id}", self.room.id));
    }
}
