//! Images of several layers of Debian, built by Buildah and by Docker: run by orlop, by Podman and by Docker they are the same
//! tree. And the other way round: what orlop has made of one, the others load and run.
//!
//! What is in them is in `tests/data/image`: deletions, replaced files, opaque directories, hard links, capabilities, devices,
//! odd names. With the engines of `hack/engines`, in `make e2e`; with what is installed here in every run of the tests.
use std::fs;
use std::path::{Path, PathBuf};

use orlop_tests::engine::Suite;
use orlop_tests::engine::docker::{Choice, Docker};
use orlop_tests::engine::podman::{Podman, Storage};
use orlop_tests::layout::Layout;
use orlop_tests::{EngineRoom, Invocation, need, need_engine, on_each_suite, on_suite, rootfs, runtime};
use serde_json::json;

on_each_suite!(built_by_buildah, built_by_docker, read_by_skopeo);
on_suite!(installed, read_by_skopeo);

/// What `tree` prints, in a container of an image.
const TREE: [&str; 2] = ["sh", "/steps/tree"];

/// Programs that the image is made with.
const PACKAGES: [&str; 2] = ["attr", "libcap2-bin"];

/// Where images are made and run: a place with engines, and a store of orlop's.
struct Place<'a> {
    room: &'a EngineRoom,
}

impl Place<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.room.home().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// `orlop ARGS…`, on the machine itself.
    fn orlop(&self, args: &[&str]) -> Invocation {
        Invocation::new(runtime::binary(), &self.path("io"))
            .arg("--root")
            .arg(self.path("state"))
            .args(args)
            .env("ORLOP_STORE", self.path("store"))
    }

    /// The tree of an image, as orlop runs it.
    fn tree(&self, image: &str) -> String {
        self.orlop(&["run", "--rm", "--quiet", image]).args(TREE).ok().stdout
    }

    /// A directory to build in, and the archive of the system that is built upon.
    fn context(&self, debian: &Path) -> (String, String) {
        let (context, base, etc) = (self.path("context"), self.path("base.tar"), self.path("extra/etc"));
        let data = runtime::workspace().join("tests/data/image");
        self.room.command("cp").arg("-r").arg(data).arg(&context).ok();
        // What engines would make, and what would change the times of the directories that it is in.
        fs::create_dir_all(&etc).expect("a new directory");
        for name in ["hosts", "hostname", "resolv.conf"] {
            fs::write(etc.join(name), "").expect("a new file");
        }
        std::os::unix::fs::symlink("/proc/mounts", etc.join("mtab")).expect("a new link");
        // Builders do not let anybody make these.
        let devices =
            ["b 7 0", "c 1 3", "c 1 5"].into_iter().zip(["devices/disk", "devices/null", "devices/zero"]);
        fs::create_dir(self.path("extra/devices")).expect("a new directory");
        for (kind, name) in devices.clone() {
            let mknod = Invocation::new("mknod", &self.path("io")).arg(self.path("extra").join(name));
            mknod.args(kind.split(' ')).ok();
        }
        let leave = ["--exclude=./dev/*", "--exclude=./etc/hostname", "--exclude=./etc/resolv.conf"];
        let tar = Invocation::new("tar", &self.path("io")).arg("-cf").arg(&base).args(leave);
        let extra = ["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "devices"];
        tar.arg("-C").arg(debian).arg(".").arg("-C").arg(self.path("extra")).args(extra).ok();
        (context.to_string_lossy().into_owned(), base.to_string_lossy().into_owned())
    }

    /// Changes a container of an image, and makes an archive of what it is then: `changed.tar`, and its tree.
    fn change(&self, image: &str) -> String {
        let (script, id) = (["sh", "-eu", "/steps/4-in-a-container"], format!("{}-changed", self.room.id));
        self.orlop(&["run", "--quiet", "--name", &id, image]).args(script).ok();
        self.orlop(&["commit", "--quiet", &id, "changed:1"]).ok();
        self.orlop(&["delete", &id]).ok();
        self.orlop(&["image", "save", "changed:1", "-o", &self.text("changed.tar")]).ok();
        self.tree("changed:1")
    }
}

/// Fails with the lines that differ.
#[track_caller]
fn same(expected: &str, found: &str, whose: &str) {
    assert!(expected.lines().count() > 5000 && expected.contains("./t/noted"), "no tree: {expected}");
    let missing = |these: &str, those: &str| {
        let those: std::collections::HashSet<&str> = those.lines().collect();
        let only: Vec<&str> = these.lines().filter(|line| !those.contains(line)).take(40).collect();
        only.join("\n")
    };
    let (gone, new) = (missing(expected, found), missing(found, expected));
    assert!(expected == found, "{whose}: missing:\n{gone}\ninstead:\n{new}");
}

/// The tree of an image, as Podman runs it. The root directory itself is 0555 with it, whatever the image says.
fn in_podman(podman: &Podman, image: &str) -> String {
    podman.run_image(image, &TREE).ok().stdout.replacen(". 555 ", ". 755 ", 1)
}

/// Some of what the image is to be, whoever has built it.
#[track_caller]
fn is_as_built(tree: &str) {
    for line in [
        "./t/modes/0755 f 4711 0:0",
        "./t/gone/a d 755 0:0",
        "./t/owners/0:0 f 644 7:8",
        "./devices/disk 7:0",
        "./t/owners/3000000:4000000 f 644 3000000:4000000",
        "./t/capable cap_net_bind_service=ep",
        "./t/dir-then-file d 755 0:0",
        "./t/emptied/dir/third f",
        "./usr/share/zoneinfo/mine f",
    ] {
        assert!(tree.contains(line), "there is no {line}");
    }
    for gone in [
        "./t/emptied/one",
        "./t/gone/a/b",
        "./t/replaced/new",
        "./t/moved",
        "./usr/share/perl5",
        "/zoneinfo/UTC",
    ] {
        assert!(!tree.contains(&format!("{gone} ")), "{gone} is there");
    }
}

fn built_by_buildah(suite: Suite) {
    need_engine!(suite, "buildah", "podman", "conmon");
    need!(runtime::is_orlop(), "other runtimes have no images");
    let Some(debian) = debian() else { return };
    let podman = Podman::empty(suite, Storage::Overlays);
    let place = Place { room: &podman.0 };
    let (context, base) = place.context(&debian);
    podman.command(&["import", "--quiet", &base, "base:test"]).ok();
    let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
    let flags = [
        "--network",
        "none",
        "--isolation",
        "oci",
        "--layers",
        "--cgroup-parent",
        &format!("/{}", podman.0.id),
    ];
    let build = podman
        .buildah(&["build", "--tag", "built", "--runtime"])
        .arg(runtime::binary())
        .args(limits)
        .args(flags);
    build.args(["--file", &format!("{context}/Containerfile"), &context]).ok();
    let (archive, image) = (place.text("built.tar"), format!("oci-archive:{}", place.text("built.tar")));
    podman.buildah(&["push", "--quiet", "built", &format!("{image}:built")]).ok();
    let tree = place.tree(&image);
    is_as_built(&tree);
    // Podman runs what is in the archive, too, and not what it still has of the build.
    podman.command(&["rmi", "--all", "--force"]).ok();
    podman.command(&["load", "--quiet", "--input", &archive]).ok();
    let id = podman.command(&["images", "--quiet"]).ok().stdout;
    same(&in_podman(&podman, id.trim()), &tree, "orlop, of an image of Buildah");
    let changed = place.change(&image);
    podman.command(&["rmi", "--all", "--force"]).ok();
    podman.command(&["load", "--quiet", "--input", &place.text("changed.tar")]).ok();
    same(&changed, &in_podman(&podman, "changed:1"), "Podman, of an image of orlop");
}

fn built_by_docker(suite: Suite) {
    need_engine!(suite, "dockerd", "docker", "podman", "conmon");
    need!(runtime::is_orlop(), "other runtimes have no images");
    let Some(debian) = debian() else { return };
    let docker = Docker::new(suite, Choice::Command);
    let place = Place { room: &docker.room };
    let (context, base) = place.context(&debian);
    docker.docker(&["import", &base, "base:test"]).ok();
    let build =
        ["build", "--network", "none", "--tag", "built", "--file", &format!("{context}/Containerfile")];
    docker.docker(&build).arg(&context).env("DOCKER_BUILDKIT", "1").ok();
    let saved = format!("docker-archive:{}", place.text("built.tar"));
    docker.docker(&["save", "--output", &place.text("built.tar"), "built"]).ok();
    let tree = place.tree(&saved);
    is_as_built(&tree);
    // Docker runs what is in the archive, too: some attributes are lost on the way there.
    docker.docker(&["rmi", "--force", "built"]).ok();
    docker.docker(&["builder", "prune", "--all", "--force"]).ok();
    docker.docker(&["load", "--quiet", "--input", &place.text("built.tar")]).ok();
    same(
        &docker.docker(&["run", "--rm", "built"]).args(TREE).ok().stdout,
        &tree,
        "orlop, of an image of Docker",
    );
    let changed = place.change(&saved);
    docker.docker(&["load", "--quiet", "--input", &place.text("changed.tar")]).ok();
    same(
        &changed,
        &docker.docker(&["run", "--rm", "changed:1"]).args(TREE).ok().stdout,
        "Docker, of an image of orlop",
    );
    let podman = Podman::empty(suite, Storage::Overlays);
    podman.command(&["load", "--quiet", "--input", &place.text("built.tar")]).ok();
    same(&in_podman(&podman, "built"), &tree, "orlop and Podman, of an image of Docker");
}

/// The system that images are made of, or SKIP.
fn debian() -> Option<PathBuf> {
    match rootfs::debian_with(&PACKAGES) {
        Ok(path) => Some(path),
        Err(why) => {
            need::skip(&why);
            None
        }
    }
}

/// What skopeo reads and writes again is the image that it was.
fn read_by_skopeo(suite: Suite) {
    need_engine!(suite, "skopeo");
    need!(runtime::is_orlop(), "other runtimes have no images");
    let room = EngineRoom::of(suite);
    let place = Place { room: &room };
    let image = Layout::busybox(&place.path("image"), &json!({"Env": ["PATH=/bin"]}));
    let (id, saved) = (format!("{}-changed", room.id), place.text("saved.tar"));
    let script = "rm /etc/group && ln /etc/passwd /etc/same && chmod 4711 /bin/busybox && mkdir -m 1777 /new";
    place.orlop(&["run", "--name", &id, &image, "sh", "-c", script]).ok();
    place.orlop(&["commit", &id, "changed:1"]).ok();
    place.orlop(&["delete", &id]).ok();
    place.orlop(&["image", "save", "changed:1", "-o", &saved]).ok();
    let list = "find / -xdev \\( -path /proc -o -path /dev -o -path /sys -o -path '/etc/hos*' -o -path /etc/resolv.conf \\) \
                -prune -o -print | sort | xargs stat -c '%n %f %u:%g %h %s %Y'; cat /etc/same";
    let tree = |image: &str| place.orlop(&["run", "--rm", "--quiet", image, "sh", "-c", list]).ok().stdout;
    let expected = tree("changed:1");
    assert!(expected.contains("/new 43ff 0:0") && !expected.contains("/etc/group"), "{expected}");
    for kind in ["oci-archive", "docker-archive"] {
        let (from, to) = (format!("{kind}:{saved}"), format!("oci:{}:t", place.text(kind)));
        room.command("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]).ok();
        assert_eq!(tree(&to), expected, "{kind}");
    }
}
