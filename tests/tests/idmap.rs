//! Id-mapped mounts: files have other owners in the container than in their file system.
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Output, need, runtime};
use serde_json::{Value, json};

/// Who owns the file, and the one in the directory below.
const OWNERS: &str = "stat -c %u:%g /mnt/file /mnt/below/file";

/// A container with `/mnt` bound from a directory whose file belongs to 100:200, mounted with these options.
///
/// A file system is mounted on the directory's `below`: its file belongs to 101:201.
struct Mapped {
    container: Container,
    source: PathBuf,
}

fn maps(maps: &[(u32, u32, u32)]) -> Value {
    let one = |&(inside, outside, size): &(u32, u32, u32)| json!({"containerID": inside, "hostID": outside, "size": size});
    maps.iter().map(one).collect()
}

impl Mapped {
    fn new(script: &str, options: &[&str]) -> Self {
        let mut container = Container::sh(script);
        let source = container.home().join("source");
        fs::create_dir_all(source.join("below")).expect("a new directory");
        fs::write(source.join("file"), "").expect("a new file");
        chown(source.join("file"), Some(100), Some(200)).expect("root may");
        let text = source.to_string_lossy().into_owned();
        container.push("/mounts", json!({"destination": "/mnt", "source": text, "options": options}));
        Self { container, source }
    }

    /// With mappings of the mount's own.
    fn with(mut self, uids: &[(u32, u32, u32)], gids: &[(u32, u32, u32)]) -> Self {
        let index = self.container.bundle.config["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
        self.container.set(&format!("/mounts/{index}/uidMappings"), maps(uids));
        self.container.set(&format!("/mounts/{index}/gidMappings"), maps(gids));
        self
    }

    /// In a user namespace whose ids begin with [`HOST_ID`] on the host.
    fn in_user_namespace(mut self) -> Self {
        add_user_namespace(&mut self.container.bundle.config, &[(0, HOST_ID, 65536)]);
        self
    }

    fn run(&self) -> Output {
        let script = format!(
            "mount -t tmpfs tmpfs {0}/below && touch {0}/below/file && chown 101:201 {0}/below/file && exec \"$@\"",
            self.source.display()
        );
        let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
        self.container.with_bundle::<&str>("run", &[]).within(&wrapper).output()
    }

    #[track_caller]
    fn prints(&self, expected: &str) {
        let out = self.run().ok();
        assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{out}");
    }
}

/// Whether this kernel, and so this machine's temporary file system, can do it at all.
macro_rules! needs_mapping {
    () => {
        need!(can_map(), "the file system of temporary files, or tmpfs, cannot be id-mapped by this kernel");
    };
}

fn can_map() -> bool {
    let trial = Mapped::new(OWNERS, &["rbind", "ridmap"]).with(&[(100, 1, 9)], &[(200, 1, 9)]);
    !trial.run().stderr.contains("mount_setattr: invalid argument")
}

#[test]
fn mappings_of_a_mount_shift_its_owners() {
    needs_mapping!();
    let (uids, gids) = ([(100, 3000, 1), (101, 3500, 9)], [(200, 4000, 10)]);
    for (options, expected) in [
        (&["rbind", "ridmap"][..], "3000:4000 3500:4001"),
        // The mounts below stay as they are.
        (&["rbind", "idmap"], "3000:4000 101:201"),
        (&["rbind"], "3000:4000 101:201"),
    ] {
        Mapped::new(OWNERS, options).with(&uids, &gids).prints(expected);
    }
    // On the host's side of a user namespace: 3000 there are 65534 for it.
    let shifted = |ids: &[(u32, u32, u32)]| ids.iter().map(|m| (m.0, m.1 + HOST_ID, m.2)).collect::<Vec<_>>();
    Mapped::new(OWNERS, &["rbind", "ridmap"])
        .with(&shifted(&uids), &shifted(&gids))
        .in_user_namespace()
        .prints("3000:4000 3500:4001");
}

#[test]
fn without_mappings_those_of_the_container_are_meant() {
    needs_mapping!();
    Mapped::new(OWNERS, &["rbind", "ridmap"]).in_user_namespace().prints("100:200 101:201");
    Mapped::new(OWNERS, &["rbind", "idmap"]).in_user_namespace().prints("100:200 65534:65534");
    let out = Mapped::new(OWNERS, &["rbind", "idmap"]).run();
    assert!(out.code == 1 && out.stderr.contains("there are no mappings"), "{out}");
}

#[test]
fn without_mappings_those_of_a_joined_namespace_are_meant() {
    needs_mapping!();
    let mut first = Container::lasting();
    add_user_namespace(&mut first.bundle.config, &[(0, HOST_ID, 65536)]);
    first.up();
    let mut second = Mapped::new(OWNERS, &["rbind", "ridmap"]);
    let path = format!("/proc/{}/ns/user", first.pid());
    second.container.push("/linux/namespaces", json!({"type": "user", "path": path}));
    second.prints("100:200 101:201");
}

#[test]
fn what_is_written_through_the_mount_has_the_owner_of_the_file_system() {
    needs_mapping!();
    let script = "touch /mnt/new && stat -c %u:%g /mnt/new";
    let mapped = Mapped::new(script, &["bind"]).with(&[(0, 0, 1)], &[(0, 0, 1)]);
    mapped.prints("0:0");
    let mapped =
        Mapped::new(script, &["bind"]).with(&[(7, HOST_ID, 100)], &[(8, HOST_ID, 100)]).in_user_namespace();
    // Only where its owner is mapped too may anybody write.
    chown(&mapped.source, Some(7), Some(8)).expect("root may");
    mapped.prints("0:0");
    let new = fs::metadata(mapped.source.join("new")).expect("it was made");
    assert_eq!((new.uid(), new.gid()), (7, 8));
    // Who is not mapped can own nothing there.
    let out = Mapped::new(script, &["bind"]).with(&[(0, HOST_ID, 100)], &[(0, HOST_ID, 100)]).run();
    assert!(out.code != 0 && out.stderr.contains("Value too large for defined data type"), "{out}");
}

#[test]
fn mappings_of_cruns_form() {
    need!(runtime::is_orlop(), "only crun and orlop know it");
    needs_mapping!();
    Mapped::new(OWNERS, &["rbind", "ridmap=uids=100-3000-1#101-3500-1;gids=200-4000-9"])
        .prints("3000:4000 3500:4001");
    Mapped::new(OWNERS, &["rbind", "idmap=uids=@100-5-1;gids=@200-6-1"])
        .in_user_namespace()
        .prints("5:6 65534:65534");
}

#[test]
fn the_mount_has_its_other_options_too() {
    needs_mapping!();
    let script = format!(
        "{OWNERS}; grep -c ' /mnt .*ro,nosuid.*idmapped' /proc/mounts; \
        grep ' /mnt ' /proc/self/mountinfo | grep -c shared:; touch /mnt/new"
    );
    let out = Mapped::new(&script, &["rbind", "ridmap", "ro", "nosuid", "shared"])
        .with(&[(100, 1, 9)], &[(200, 1, 9)])
        .run();
    assert_eq!(out.stdout.split_whitespace().collect::<Vec<_>>(), ["1:1", "2:2", "1", "1"], "{out}");
    assert!(out.code != 0 && out.stderr.contains("Read-only file system"), "{out}");
}

#[test]
fn a_new_file_system_can_be_mapped() {
    need!(runtime::is_orlop(), "others map bind mounts only");
    needs_mapping!();
    let mut container = Container::sh("stat -c %u:%g /fresh; touch /fresh/x && stat -c %u:%g /fresh/x");
    container.push(
        "/mounts",
        json!({"destination": "/fresh", "type": "tmpfs", "source": "tmpfs", "options": ["idmap", "uid=5", "mode=777"],
            "uidMappings": maps(&[(5, 50, 1), (9, 0, 1)]), "gidMappings": maps(&[(0, 60, 1), (9, 0, 1)])}),
    );
    assert_eq!(container.run().ok().stdout, "50:60\n0:0\n");
}

#[test]
fn a_file_system_that_cannot_be_mapped_is_refused_by_name() {
    let mut container = Container::sh("true");
    container.push(
        "/mounts",
        json!({"destination": "/mnt", "source": "/proc", "options": ["bind", "idmap"],
            "uidMappings": maps(&[(0, 1, 1)]), "gidMappings": maps(&[(0, 1, 1)])}),
    );
    let out = container.run();
    assert!(out.code == 1 && out.stderr.contains("mount_setattr"), "{out}");
    if runtime::is_orlop() {
        assert!(out.stderr.contains("map the ids of the mount of /proc"), "{out}");
    }
    container.assert_no_leaks();
}

#[test]
fn what_the_container_mounted_before_can_be_mapped() {
    needs_mapping!();
    let mut mapped = Mapped::new("stat -c %u:%g /shifted/file", &["bind"]);
    let place = mapped.container.bundle.rootfs().join("mnt");
    let (place, ids) = (place.to_string_lossy().into_owned(), maps(&[(0, 1000, 1000)]));
    let mount = json!({"destination": "/shifted", "source": place, "options": ["bind"],
        "uidMappings": ids, "gidMappings": ids});
    mapped.container.push("/mounts", mount);
    assert_eq!(mapped.run().ok().stdout, "1100:1200\n");
}

#[test]
fn in_a_user_namespace_it_can_be_mapped_too() {
    needs_mapping!();
    let mut mapped = Mapped::new("stat -c %u:%g /first/file /second/file", &["bind"]).in_user_namespace();
    let place = mapped.container.bundle.rootfs().join("mnt").to_string_lossy().into_owned();
    for (destination, start) in [("/first", 1000), ("/second", 2000)] {
        let ids = maps(&[(0, HOST_ID + start, 1000)]);
        let mount_point = mapped.container.bundle.rootfs().join(&destination[1..]);
        fs::create_dir(mount_point).expect("a new directory");
        let mount = json!({"destination": destination, "source": place, "options": ["bind"],
            "uidMappings": ids, "gidMappings": ids});
        mapped.container.push("/mounts", mount);
    }
    mapped.prints("1100:1200 2100:2200");
    // Whoever waits for hooks or for the start has been waited for before.
    mapped.container.set("/hooks", json!({"createRuntime": [{"path": "/bin/true"}]}));
    mapped.prints("1100:1200 2100:2200");
    // A mapping that overflows the ids is only found out by the kernel, and blamed on the mount.
    let index = mapped.container.bundle.config["mounts"].as_array().map_or(0, |mounts| mounts.len() - 1);
    mapped.container.set(&format!("/mounts/{index}/source"), "/proc");
    mapped.container.push("/linux/readonlyPaths", "/proc/sys");
    let out = mapped.run();
    assert!(out.code == 1 && out.stderr.contains(&format!("/mounts/{index}")), "{out}");
    mapped.container.assert_no_leaks();
}

#[test]
fn many_mounts_leave_no_descriptors_and_no_processes() {
    needs_mapping!();
    let mut mapped =
        Mapped::new("stat -c %u:%g /m19/file; ls /proc/self/fd | wc -l", &["bind"]).in_user_namespace();
    let source = mapped.source.to_string_lossy().into_owned();
    for index in 0..20 {
        fs::create_dir(mapped.container.bundle.rootfs().join(format!("m{index}"))).expect("a new directory");
        mapped.container.push(
            "/mounts",
            json!({"destination": format!("/m{index}"), "source": source, "options": ["bind", "idmap"],
                "uidMappings": maps(&[(100, HOST_ID + index, 1)]), "gidMappings": maps(&[(200, HOST_ID, 1)])}),
        );
    }
    mapped.container.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 20}]));
    // Standard input, output, error, and the directory that is being listed.
    mapped.prints("19:0 4");
}
