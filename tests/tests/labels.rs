//! Labels of security modules: `AppArmor` profiles and `SELinux` labels. Both need a kernel that has the module: the test
//! machine's has `AppArmor`.
use std::fs;
use std::path::Path;

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Invocation, need, runtime};
use rustix::process::Signal;
use serde_json::{Value, json};

fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
        && Path::new("/sys/kernel/security/apparmor").exists()
}

/// A loaded profile that allows everything but reading `/secret`; gone when dropped.
struct Profile<'a> {
    name: String,
    container: &'a Container,
}

impl<'a> Profile<'a> {
    fn load(container: &'a Container, name: &str) -> Self {
        let name = format!("{}-{name}", container.id);
        let this = Self { name, container };
        this.parser("--replace").ok();
        this
    }

    fn parser(&self, action: &str) -> orlop_tests::Output {
        let rules =
            "file, capability, network, mount, umount, pivot_root, signal, ptrace, unix, deny /secret r,";
        let text = format!("profile {} flags=(attach_disconnected) {{ {rules} }}\n", self.name);
        let parser = Invocation::new("apparmor_parser", &self.container.io());
        parser.args(["--skip-cache", action]).input(text.as_bytes()).output()
    }

    /// What the kernel says of a process with it.
    fn shown(&self) -> String {
        format!("{} (enforce)\n", self.name)
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

const SHOW: &str = "cat /proc/self/attr/current; cat /secret";

fn with_secret(script: &str, changes: &[(&str, Value)]) -> Container {
    let mut container = Container::sh(script);
    fs::write(container.bundle.rootfs().join("secret"), "told\n").expect("a new file");
    for (pointer, value) in changes {
        container.set(pointer, value.clone());
    }
    container
}

#[test]
fn a_profile_confines_the_program() {
    need!(has_apparmor(), "this kernel has no AppArmor");
    for changes in [
        &[][..],
        &[("/process/noNewPrivileges", json!(false))],
        &[("/process/user", json!({"uid": 1000, "gid": 1000}))],
    ] {
        let mut container = with_secret(SHOW, changes);
        assert_eq!(container.run().ok().stdout, "unconfined\ntold\n");
        container.set("/process/apparmorProfile", format!("{}-p", container.id));
        let profile = Profile::load(&container, "p");
        let out = container.run();
        assert_eq!(out.stdout, profile.shown(), "{changes:?}");
        assert!(out.stderr.contains("Permission denied"), "{out}");
    }
}

#[test]
fn a_profile_confines_the_program_of_a_user_namespace_and_what_is_added_to_it() {
    need!(has_apparmor(), "this kernel has no AppArmor");
    let mut container = Container::lasting();
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    container.set("/process/apparmorProfile", format!("{}-p", container.id));
    let (profile, other) = (Profile::load(&container, "p"), Profile::load(&container, "q"));
    container.up();
    let shown = fs::read_to_string(format!("/proc/{}/attr/current", container.pid()));
    assert_eq!(shown.expect("the process runs"), profile.shown());
    let show = ["cat", "/proc/self/attr/current"];
    // Parts of the container's /proc are masked, so no new procfs can be made there.
    assert_eq!(container.exec(&show).ok().stdout, profile.shown());
    let flags = ["--apparmor", &other.name];
    assert_eq!(container.exec_command(&flags, &show).ok().stdout, other.shown());
    container.command("delete", &["--force"]).ok();
}

#[test]
fn a_procfs_of_the_images_own_making_fools_nobody() {
    need!(has_apparmor(), "this kernel has no AppArmor");
    // CVE-2019-16884: whoever chooses what is at /proc could have the label written elsewhere.
    let mut container = Container::lasting();
    container.bundle.config["mounts"].as_array_mut().expect("mounts").remove(0);
    container.set("/linux/maskedPaths", json!([])).set("/linux/readonlyPaths", json!([]));
    let fake = container.bundle.rootfs().join("proc/thread-self/attr/apparmor");
    fs::create_dir_all(&fake).expect("new directories");
    fs::write(fake.join("exec"), "").expect("a new file");
    container.set("/process/apparmorProfile", format!("{}-p", container.id));
    let profile = Profile::load(&container, "p");
    container.up();
    let shown = fs::read_to_string(format!("/proc/{}/attr/current", container.pid()));
    assert_eq!(shown.expect("the process runs"), profile.shown());
    let exec = container.exec_detached(&[], &["sleep", "1000"]);
    let shown = fs::read_to_string(format!("/proc/{}/attr/current", exec.pid()));
    assert_eq!(shown.expect("the process runs"), profile.shown());
    assert_eq!(fs::read_to_string(fake.join("exec")).expect("our file"), "", "nothing was written there");
    exec.signal(Signal::KILL).expect("it runs");
    exec.reap();
    container.command("delete", &["--force"]).ok();
}

#[test]
fn a_profile_that_is_not_loaded_is_an_error_of_create() {
    need!(has_apparmor(), "this kernel has no AppArmor");
    let mut container = with_secret(SHOW, &[("/process/apparmorProfile", json!("nobody-loaded-this"))]);
    container.with_bundle::<&str>("create", &[]).output().fails_with("nobody-loaded-this");
    container.set("/process/apparmorProfile", "unconfined");
    assert_eq!(container.run().ok().stdout, "unconfined\ntold\n");
}

#[test]
fn labels_that_nobody_enforces_are_refused() {
    let selinux = Path::new("/sys/fs/selinux/enforce").exists();
    for (pointer, value, enabled) in [
        ("/process/apparmorProfile", "strict", has_apparmor()),
        ("/process/selinuxLabel", "system_u:system_r:container_t:s0", selinux),
        ("/linux/mountLabel", "system_u:object_r:container_file_t:s0", selinux),
    ] {
        if enabled {
            continue;
        }
        let mut container = Container::sh("echo ran");
        container.set(pointer, value);
        let out = container.run().fails_with(if runtime::is_orlop() { pointer } else { "" });
        assert!(!out.stdout.contains("ran"), "{out}");
    }
    if !has_apparmor() {
        // What engines give where there is none.
        let mut container = Container::sh("echo ran");
        container.set("/process/apparmorProfile", "unconfined");
        assert_eq!(container.run().ok().stdout, "ran\n");
    }
}

#[test]
fn exec_refuses_them_too() {
    need!(!has_apparmor(), "this kernel has AppArmor");
    let container = Container::lasting();
    container.up();
    for flags in [["--apparmor", "strict"], ["--process-label", "u:r:t:s0"]] {
        container.exec_command(&flags, &["echo", "ran"]).output().fails_with("cannot be applied");
    }
}
