//! Podman with the runtime under test.
use std::fs;

use super::{EngineRoom, Suite};
use crate::{Invocation, cgroup, runtime};

/// Podman with an image, its own storage, and the runtime under test.
#[derive(Debug)]
pub struct Podman(pub EngineRoom);

/// Settings that need nothing of the host: no network, no limits that it may not have.
const CONTAINERS_CONF: &str = "[containers]\ndefault_ulimits = []\npids_limit = 0\nnetns = \"none\"\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime_supports_json = [\"orlop\"]\n";

impl Podman {
    /// In a place of its own, with the image `busybox:test`.
    pub fn new(suite: Suite) -> Self {
        let room = EngineRoom::of(suite);
        room.file("containers.conf", CONTAINERS_CONF);
        let podman = Self(room);
        let layer = podman.0.home().join("layer.tar");
        podman.0.command("tar").arg("-C").arg(podman.0.rootfs()).arg("-cf").arg(&layer).arg(".").ok();
        let layer = layer.to_string_lossy();
        podman.command(&["import", "--quiet", "--change", "ENV PATH=/bin", &layer, "busybox:test"]).ok();
        podman
    }

    /// `podman ARGS…`
    pub fn command(&self, args: &[&str]) -> Invocation {
        let home = self.0.home();
        let directory = |name: &str| home.join(name).to_string_lossy().into_owned();
        self.0
            .command("podman")
            .env("CONTAINERS_CONF", directory("containers.conf"))
            .env("HOME", home)
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .args(["--root", &directory("storage"), "--runroot", &directory("runroot")])
            .args(["--tmpdir", &directory("tmp"), "--storage-driver", "vfs"])
            .arg("--runtime")
            .arg(runtime::binary())
            .args(args)
    }

    /// `podman run FLAGS… busybox:test ARGS…`
    pub fn run(&self, flags: &[&str], args: &[&str]) -> Invocation {
        let parent = format!("/{}", self.0.id);
        self.command(&["run", "--cgroup-parent", &parent]).args(flags).arg("busybox:test").args(args)
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
