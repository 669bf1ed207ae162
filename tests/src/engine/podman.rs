//! Podman with the runtime under test.
use std::fs;

use super::{EngineRoom, Suite};
use crate::{Invocation, cgroup, runtime};

/// Podman with an image, its own storage, and the runtime under test.
#[derive(Debug)]
pub struct Podman(pub EngineRoom, Storage);

/// How Podman keeps images.
#[derive(Debug, Clone, Copy)]
pub enum Storage {
    /// A copy for each layer, which any file system can have.
    Copies,
    /// Overlays.
    Overlays,
}

/// Settings that need nothing of the host: no network, no limits that it may not have.
const CONTAINERS_CONF: &str = "[containers]\ndefault_ulimits = []\npids_limit = 0\nnetns = \"none\"\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime_supports_json = [\"orlop\"]\n";

impl Podman {
    /// In a place of its own, with the image `busybox:test`.
    pub fn new(suite: Suite) -> Self {
        let podman = Self::empty(suite, Storage::Copies);
        let layer = podman.0.home().join("layer.tar");
        podman.0.command("tar").arg("-C").arg(podman.0.rootfs()).arg("-cf").arg(&layer).arg(".").ok();
        let layer = layer.to_string_lossy();
        podman.command(&["import", "--quiet", "--change", "ENV PATH=/bin", &layer, "busybox:test"]).ok();
        podman
    }

    /// In a place of its own, without an image.
    pub fn empty(suite: Suite, storage: Storage) -> Self {
        let room = EngineRoom::of(suite);
        room.file("containers.conf", CONTAINERS_CONF);
        Self(room, storage)
    }

    /// `podman ARGS…`
    pub fn command(&self, args: &[&str]) -> Invocation {
        let tmp = self.0.home().join("tmp");
        self.tool("podman").arg("--tmpdir").arg(tmp).arg("--runtime").arg(runtime::binary()).args(args)
    }

    /// `buildah COMMAND ARGS…`, of the same images; a command that runs something is told the runtime.
    pub fn buildah(&self, args: &[&str]) -> Invocation {
        self.tool("buildah").args(args)
    }

    fn tool(&self, program: &str) -> Invocation {
        let home = self.0.home();
        let directory = |name: &str| home.join(name).to_string_lossy().into_owned();
        let driver = match self.1 {
            Storage::Copies => "vfs",
            Storage::Overlays => "overlay",
        };
        self.0
            .command(program)
            .env("CONTAINERS_CONF", directory("containers.conf"))
            .env("HOME", home)
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .args(["--root", &directory("storage"), "--runroot", &directory("runroot")])
            .args(["--storage-driver", driver])
    }

    /// `podman run FLAGS… busybox:test ARGS…`
    pub fn run(&self, flags: &[&str], args: &[&str]) -> Invocation {
        let parent = format!("/{}", self.0.id);
        self.command(&["run", "--cgroup-parent", &parent]).args(flags).arg("busybox:test").args(args)
    }

    /// `podman run --rm IMAGE ARGS…`
    pub fn run_image(&self, image: &str, args: &[&str]) -> Invocation {
        let parent = format!("/{}", self.0.id);
        self.command(&["run", "--rm", "--cgroup-parent", &parent, image]).args(args)
    }
}

impl Drop for Podman {
    /// Pods of `kube play` are below a cgroup that all Podmans share; whoever still uses a part of it, keeps that part.
    fn drop(&mut self) {
        for parent in cgroup::named("libpod_parent") {
            for child in fs::read_dir(&parent).into_iter().flatten().flatten() {
                fs::remove_dir(child.path()).ok();
            }
            fs::remove_dir(parent).ok();
        }
    }
}
