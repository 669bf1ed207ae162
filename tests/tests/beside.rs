//! File systems that the host side makes while init is at work: nobody can tell.
use std::collections::HashSet;
use std::fs;

use orlop_tests::container::printed;
use orlop_tests::{Container, need, runtime};
use serde_json::json;

/// The mounts as the kernel lists them: their numbers, those of what they lie on, and where they are.
fn listed(container: &Container) -> Vec<(String, String, String)> {
    let table = container.run().ok().stdout;
    let mount = |line: &str| {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        (words[0].clone(), words[1].clone(), words[4].clone())
    };
    table.lines().map(mount).collect()
}

#[test]
fn mounts_are_listed_after_those_that_they_lie_on() {
    let mut container = Container::new(&["cat", "/proc/self/mountinfo"]);
    let source = container.home().join("source");
    fs::create_dir_all(source.join("in")).expect("a new directory");
    container.push("/mounts", json!({"destination": "/mnt", "source": source, "options": ["rbind"]}));
    for place in ["/mnt/in", "/mnt", "/mnt/in", "/tmp", "/tmp/in"] {
        let options = ["mode=700", "size=64k"];
        let tmpfs = json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options});
        container.push("/mounts", tmpfs);
    }
    // Which is first, is decided by who is faster, if by anything.
    for _ in 0..10 {
        let mounts = listed(&container);
        assert_eq!(mounts[0].2, "/", "{mounts:?}");
        let mut seen = HashSet::from([mounts[0].1.clone()]);
        for (id, parent, place) in &mounts {
            assert!(seen.contains(parent), "{place} comes before what it lies on: {mounts:?}");
            seen.insert(id.clone());
        }
        assert_eq!(mounts.iter().filter(|(.., place)| place.starts_with("/mnt")).count(), 4, "{mounts:?}");
    }
}

#[test]
fn devices_are_there_before_anything_of_the_containers_runs() {
    let script = "for i in null zero full random urandom tty; do test -c /dev/$i || echo no $i; done; \
        stat -c '%a %t:%T %u:%g %n' /dev/null /dev/tty; readlink /dev/ptmx; readlink /dev/stdin";
    let found = "666 1:3 0:0 /dev/null\n666 5:0 0:0 /dev/tty\npts/ptmx\n/proc/self/fd/0\n";
    for _ in 0..10 {
        assert_eq!(printed(script, &[]), found);
    }
}

#[test]
fn a_file_system_in_dev_covers_nothing_whose_permissions_it_would_have() {
    let mut container = Container::sh("stat -c '%a %n' /dev/own /dev/deep/own /dev/given; ls -d /dev/early");
    for (place, options) in [("own", vec![]), ("deep/own", vec![]), ("given", vec!["mode=710"])] {
        let place = format!("/dev/{place}");
        let tmpfs = json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": options});
        container.push("/mounts", tmpfs);
    }
    // What is mounted in a directory that /dev covers later leaves no trace.
    let early = json!({"destination": "/dev/early", "type": "tmpfs", "source": "tmpfs"});
    let mounts = container.bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    let mounts: Vec<_> = std::iter::once(early).chain(mounts).collect();
    container.set("/mounts", mounts);
    let out = container.run();
    assert_eq!(out.stdout, "1777 /dev/own\n1777 /dev/deep/own\n710 /dev/given\n", "{out}");
}

#[test]
fn devices_of_the_config_have_their_owners_and_modes() {
    let mut container = Container::sh("stat -c '%a %t:%T %u:%g %n' /dev/one /dev/deep/two");
    for (path, mode) in [("/dev/one", 0o4640), ("/dev/deep/two", 0o604)] {
        let device = json!({
            "path": path, "type": "c", "major": 1, "minor": 3, "fileMode": mode, "uid": 7, "gid": 8
        });
        container.push("/linux/devices", device);
    }
    assert_eq!(container.run().ok().stdout, "4640 1:3 7:8 /dev/one\n604 1:3 7:8 /dev/deep/two\n");
}

#[test]
fn a_mount_on_a_device_hides_it_or_is_refused() {
    let mut container = Container::sh("stat -c '%t:%T' /dev/zero /dev/null; ls -l /dev/zero");
    container
        .push("/mounts", json!({"destination": "/dev/zero", "source": "/dev/zero", "options": ["bind"]}));
    let out = container.run().ok().stdout;
    assert!(out.starts_with("1:5\n1:3\n"), "{out}");
    let mut other = Container::sh("true");
    let file = other.home().join("file");
    fs::write(&file, "no device").expect("a new file");
    other.push("/mounts", json!({"destination": "/dev/zero", "source": file, "options": ["bind"]}));
    need!(runtime::is_orlop(), "others leave it as it is");
    other.run().fails_with("make the device zero: mknodat: file exists");
}

#[test]
fn what_fails_beside_is_told_as_if_init_had_failed() {
    need!(runtime::is_orlop(), "words of ours");
    let mut container = Container::sh("true");
    let options = json!(["mode=1777", "size=64k", "nonsense=1"]);
    let tmpfs = json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options});
    container.push("/mounts", tmpfs);
    let index = container.bundle.config["mounts"].as_array().expect("there are some").len() - 1;
    let out = container.run().fails_with("mount tmpfs at /mnt");
    assert!(out.stderr.contains(&format!("/mounts/{index}/options/2")), "{out}");
    assert!(out.stderr.contains("Unknown parameter 'nonsense'"), "the kernel's own words: {out}");
}
