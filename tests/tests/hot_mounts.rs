//! `mounts`: mounts added to a container that runs, and removed again.
use std::fs;

use orlop_tests::spec::{HOST_ID, add_user_namespace};
use orlop_tests::{Container, Output};
use serde_json::{Value, json};

fn running() -> Container {
    let mut container = Container::lasting();
    container.set("/root/readonly", false);
    container.up();
    container
}

fn change(container: &Container, action: &str, mounts: &Value) -> Output {
    let command = container.runtime().args(["mounts", action, &container.id, "-"]);
    command.input(mounts.to_string().as_bytes()).output()
}

fn mount_points(container: &Container) -> String {
    fs::read_to_string(format!("/proc/{}/mountinfo", container.pid())).expect("it runs")
}

#[test]
fn directories_and_files_of_the_host_come_and_go() {
    let container = running();
    let shared = container.home().join("shared");
    fs::create_dir(&shared).expect("a new directory");
    fs::write(shared.join("note"), "hello\n").expect("a new file");
    let mounts = json!([
        { "destination": "/opt/shared", "source": shared, "options": ["bind", "ro"] },
        { "destination": "/opt/note", "source": shared.join("note"), "options": ["bind"] },
        { "destination": "/opt/mem", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "ro"] },
    ]);
    change(&container, "add", &mounts).ok();
    let script = "cat /opt/shared/note /opt/note; echo x > /opt/shared/x || echo ro; echo x > /opt/mem/x || echo ro; \
        echo more >> /opt/note";
    let out = container.exec(&["sh", "-c", script]).ok();
    assert_eq!(out.lines(), ["hello", "hello", "ro", "ro"]);
    assert_eq!(fs::read_to_string(shared.join("note")).expect("it is there"), "hello\nmore\n");
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("procfs").contains("/opt/shared"));
    change(&container, "remove", &mounts).ok();
    assert!(!mount_points(&container).contains("/opt/"), "{}", mount_points(&container));
    // The places stay, as with everything that is mounted.
    assert_eq!(container.exec(&["ls", "/opt/shared"]).ok().stdout, "");
    assert_eq!(container.status(), "running");
}

#[test]
fn a_created_container_and_one_in_a_user_namespace_have_them_too() {
    let mut container = Container::sh("cat /opt/note/text");
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65_536)]);
    // Its root may make nothing in a directory of the host's.
    fs::create_dir_all(container.bundle.rootfs().join("opt/note")).expect("a new directory");
    let shared = container.home().join("shared");
    fs::create_dir(&shared).expect("a new directory");
    fs::write(shared.join("text"), "mapped\n").expect("a new file");
    let out = container.create();
    let mounts = json!([{ "destination": "/opt/note", "source": shared, "options": ["rbind"] }]);
    change(&container, "add", &mounts).ok();
    container.start();
    assert_eq!(container.wait(), 0, "{out}");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let container = running();
    for (mounts, place) in [
        (json!({}), "standard input"),
        (json!([{ "destination": 5 }]), "line 1 column 17: /0/destination"),
        (json!([{ "destination": "" }]), "/0/destination: the mount has no destination"),
        (json!([{ "destination": "/proc/self", "type": "tmpfs" }]), "/0/destination"),
        (
            json!([{ "destination": "/opt", "source": "/no/such/place", "options": ["bind"] }]),
            "/no/such/place",
        ),
        (json!([{ "destination": "/opt" }]), "/0/type"),
        (json!([{ "destination": "/opt", "type": "tmpfs", "options": ["colour=red"] }]), "/0/options/0"),
    ] {
        change(&container, "add", &mounts).fails_with(place);
    }
    for (mounts, place) in [
        (json!([{ "destination": "/" }]), "/0/destination"),
        (json!([{ "destination": "/etc" }]), "unmount /etc"),
        (json!([{ "destination": "/no/such" }]), "unmount /no/such"),
    ] {
        change(&container, "remove", &mounts).fails_with(place);
    }
    container.runtime().args(["mounts", "swap", &container.id, "-"]).output().fails_with("swap");
    container.command::<&str>("pause", &[]).ok();
    change(&container, "add", &json!([])).fails_with("cannot change mounts of a paused container");
    container.command::<&str>("resume", &[]).ok();
    container.kill("KILL");
    container.wait();
    change(&container, "add", &json!([])).fails_with("cannot change mounts of a stopped container");
}

/// A symbolic link of the image must not lead a mount, or its removal, out of the container.
#[test]
fn links_in_the_container_stay_inside() {
    let container = running();
    container.exec(&["sh", "-c", "ln -s /../../../etc /opt-link; mkdir -p /etc"]).ok();
    let mounts = json!([{ "destination": "/opt-link/inside", "type": "tmpfs", "options": ["size=64k"] }]);
    change(&container, "add", &mounts).ok();
    assert!(mount_points(&container).contains(" /etc/inside "), "{}", mount_points(&container));
    assert!(!std::path::Path::new("/etc/inside").exists());
    change(&container, "remove", &mounts).ok();
    assert!(!mount_points(&container).contains(" /etc/inside "));
}
