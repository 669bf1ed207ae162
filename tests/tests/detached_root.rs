//! What the host's mounts and the container's have to do with each other, however the mount namespace is made: as a copy of the
//! host's, or, on Linux 7.0 and newer, of the container's root alone.
use std::fs;
use std::path::PathBuf;

use orlop_tests::{Container, Output, need, runtime};
use serde_json::json;

/// A container with a directory of its home at `/mnt`, among mounts of its own.
struct Among {
    container: Container,
    source: PathBuf,
}

impl Among {
    fn new(script: &str, options: &[&str]) -> Self {
        let mut container = Container::sh(script);
        let source = container.home().join("source");
        fs::create_dir_all(source.join("below")).expect("new directories");
        fs::create_dir(source.join("inner")).expect("a new directory");
        let text = source.to_string_lossy().into_owned();
        container.push("/mounts", json!({"destination": "/mnt", "source": text, "options": options}));
        Self { container, source }
    }

    /// Runs it in a mount namespace that a script has prepared. In the script, `$source` is the directory, `"$@"` runs the
    /// container.
    fn run(&self, script: &str) -> Output {
        let script = format!("source={} && {script}", self.source.display());
        let wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
        self.container.with_bundle::<&str>("run", &[]).within(&wrapper).output()
    }
}

/// Tells the host side when it is up, waits until that has mounted something, and mounts something itself.
const CONVERSATION: &str = "echo up >/mnt/up; read word </mnt/down; \
    grep -c ' /mnt/below ' /proc/self/mountinfo; mount -t tmpfs inner /mnt/inner && echo mounted";
const HOST_SIDE: &str = "mount --bind --make-shared $source $source && mkfifo $source/up $source/down && \
    { { read word <$source/up && mount -t tmpfs below $source/below; echo down >$source/down; } & } && \
    \"$@\" && { grep -q ' tmpfs inner' /proc/self/mountinfo && echo 'it travelled'; true; }";

#[test]
fn what_the_host_mounts_reaches_a_slave_and_what_the_container_mounts_stays() {
    for (option, arrived) in [("rslave", "1"), ("rprivate", "0")] {
        let mut among = Among::new(CONVERSATION, &["rbind", option]);
        for set in ["bounding", "effective", "permitted"] {
            among.container.push(&format!("/process/capabilities/{set}"), "CAP_SYS_ADMIN");
        }
        assert_eq!(among.run(HOST_SIDE).ok().stdout, format!("{arrived}\nmounted\n"), "{option}");
    }
}

#[test]
fn without_an_option_it_is_a_slave_as_well() {
    let mut among = Among::new(CONVERSATION, &["rbind"]);
    for set in ["bounding", "effective", "permitted"] {
        among.container.push(&format!("/process/capabilities/{set}"), "CAP_SYS_ADMIN");
    }
    assert_eq!(among.run(HOST_SIDE).ok().stdout, "1\nmounted\n");
}

const UNBINDABLE: &str =
    "mount -t tmpfs --make-unbindable tmpfs $source && echo here >$source/file && \"$@\"";

/// Since Linux 7.2, and perhaps before, a slave is as unbindable as it was.
#[test]
fn an_unbindable_mount_can_be_bound_in_a_private_copy() {
    let mut among = Among::new("cat /mnt/file", &["bind", "ro"]);
    among.container.set("/linux/rootfsPropagation", "rprivate");
    assert_eq!(among.run(UNBINDABLE).ok().stdout, "here\n");
}

#[test]
fn the_root_may_lie_on_an_unbindable_mount() {
    let mut among = Among::new("cat /mnt/file", &["bind"]);
    among.container.set("/linux/rootfsPropagation", "rprivate");
    fs::write(among.source.join("file"), "here\n").expect("a new file");
    let root = among.container.bundle.rootfs();
    let script = format!("mount --bind --make-unbindable {0} {0} && exec \"$@\"", root.display());
    assert_eq!(among.run(&script).ok().stdout, "here\n");
}

/// As snapd does it. A mount namespace may not hold a file of one that is newer, so such are left out.
///
/// Which is newer is told by numbers, of which each CPU has some in store since Linux 6.18: of two namespaces that were made on
/// different CPUs, the newer one may have the smaller number, and cannot be kept by a file. Then another one is made.
#[test]
fn a_source_with_a_file_of_a_mount_namespace_below_can_be_bound() {
    let among = Among::new("cat /mnt/file; cat /proc/self/mountinfo", &["rbind", "rprivate"]);
    let script = "mount --bind $source $source && mount --make-private $source && touch $source/pin && \
        echo here >$source/file && n=0 && \
        until unshare --mount=$source/pin true; do n=$((n + 1)); [ $n -lt 100 ] || exit 1; done && \
        grep -q ' nsfs ' /proc/self/mountinfo && exec \"$@\"";
    let out = among.run(script).ok();
    assert_eq!(out.lines()[0], "here", "{out}");
    assert!(!out.stdout.contains("nsfs"), "{out}");
}

#[test]
fn only_the_root_is_copied_where_the_kernel_can() {
    need!(runtime::is_orlop(), "it is about orlop's system calls");
    need!(need::kernel() >= (7, 0), "OPEN_TREE_NAMESPACE is of Linux 7.0");
    let calls = |among: &Among, script: &str| {
        let log = among.container.home().join("calls");
        let trace =
            format!("exec strace -f -o {} -e trace=clone3,unshare,setns,pivot_root \"$@\"", log.display());
        among.run(&script.replace("\"$@\"", &trace)).ok();
        fs::read_to_string(log).expect("strace has written it")
    };
    let usual = calls(&Among::new("true", &["rbind", "rprivate"]), "\"$@\"");
    assert!(usual.contains("CLONE_NEWPID") && !usual.contains("|CLONE_NEWNS"), "{usual}");
    assert!(usual.contains(", CLONE_NEWNS)") && !usual.contains("pivot_root"), "{usual}");
    // What cannot be had without a copy of the host's mounts takes one.
    let mut unbindable = Among::new("true", &["bind"]);
    unbindable.container.set("/linux/rootfsPropagation", "rprivate");
    let copied = calls(&unbindable, UNBINDABLE);
    assert!(copied.contains("unshare(CLONE_NEWNS)") && !copied.contains("pivot_root"), "{copied}");
}
