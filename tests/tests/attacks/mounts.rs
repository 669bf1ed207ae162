//! Where mounts go: links and exchanged directories on the way to them.
use std::fs;
use std::os::unix::fs::symlink;

use orlop_tests::Container;
use orlop_tests::spec::{HOST_ID, add_user_namespace};
use serde_json::{Value, json};

use crate::stage::{Attack, Swap, Victim, ran, rounds, set_capabilities};

/// How many mounts of one container are raced.
const MOUNTS: usize = 20;

/// Makes containers with mounts below `/vol/swap`, which is now a directory, now a link to the host's. How many ran, of
/// how many.
fn race(
    attack: &Attack,
    container: &mut Container,
    mount: impl Fn(&str) -> Value,
    check: &dyn Fn(&Victim, usize),
) -> (usize, usize) {
    let victim = Victim::of(container);
    let volume = container.bundle.rootfs().join("vol");
    fs::create_dir_all(volume.join("swap")).expect("new directories");
    symlink(&victim.path, volume.join("link")).expect("a new link");
    let usual = container.bundle.config["mounts"].clone();
    let containers = rounds().div_ceil(MOUNTS);
    let mut well = 0;
    let mut attacker = None;
    for number in 0..=containers {
        container.set("/mounts", usual.clone());
        for mark in 0..MOUNTS {
            container.push("/mounts", mount(&format!("/vol/swap/m{number}-{mark}")));
        }
        let out = container.run();
        if number == 0 {
            // Without an attacker, to see that it works at all.
            assert!(ran(&out), "{out}");
            attacker = Some(Swap::of(&volume.join("swap"), &volume.join("link")));
            continue;
        }
        well += usize::from(ran(&out));
        // What the script counts is the mounts that are in the root.
        let elsewhere = ran(&out) && out.lines().first() != Some(&MOUNTS.to_string().as_str());
        attack.succeeds_if(elsewhere, format!("mounts outside of the root, after {number}: {out}"));
        check(&victim, number);
    }
    drop(attacker);
    (well, containers)
}

#[test]
fn cve_2021_30465_a_directory_on_the_way_to_a_mount_is_exchanged_for_a_link() {
    let attack = Attack::new(
        "CVE-2021-30465",
        "a volume's directory, in which mounts are made, is exchanged for a link to a directory of the host",
        "every look-up is openat2 from the root's descriptor, mounts go to descriptors (`init/src/target.rs`)",
    );
    let mut container = Attack::sh("grep -c ' - tmpfs raced ' /proc/self/mountinfo; echo ran");
    let tmpfs =
        |place: &str| json!({"destination": format!("{place}/deep/er"), "type": "tmpfs", "source": "raced"});
    let (well, all) = race(&attack, &mut container, tmpfs, &|_, _| ());
    attack.held(format!("{} mounts, {well} of {all} containers ran", all * MOUNTS));
}

/// Nothing was made on the host.
fn unharmed(attack: &Attack, victim: &Victim, number: usize) {
    let harm = victim.harm();
    attack.succeeds_if(!harm.is_empty(), format!("{harm:?} on the host, after {number}"));
}

#[test]
fn cve_2024_45310_a_directory_to_mount_on_is_not_made_on_the_host() {
    let attack = Attack::new(
        "CVE-2024-45310",
        "the same while directories are made to mount on: they shall be made on the host",
        "missing names are made one at a time in their verified parent (`init/src/target.rs`)",
    );
    let mut container = Attack::sh("grep -c ' - tmpfs raced ' /proc/self/mountinfo; echo ran");
    let tmpfs =
        |place: &str| json!({"destination": format!("{place}/deep/er"), "type": "tmpfs", "source": "raced"});
    let (well, all) =
        race(&attack, &mut container, tmpfs, &|victim, number| unharmed(&attack, victim, number));
    attack.held(format!("{} mounts, {well} of {all} containers ran", all * MOUNTS));
}

#[test]
fn cve_2024_45310_a_file_to_mount_on_is_not_made_on_the_host() {
    let attack = Attack::new(
        "CVE-2024-45310",
        "the same while files are made to bind others to: they shall be made on the host",
        "missing names are made one at a time in their verified parent (`init/src/target.rs`)",
    );
    let mut container = Attack::sh("grep -c /raced-source /proc/self/mountinfo; echo ran");
    let source = container.home().join("raced-source");
    fs::write(&source, "words").expect("a new file");
    let text = source.to_string_lossy().into_owned();
    let bind =
        |place: &str| json!({"destination": format!("{place}/file"), "source": text, "options": ["bind"]});
    let unharmed = |victim: &Victim, number: usize| {
        unharmed(&attack, victim, number);
        assert_eq!(fs::read_to_string(&source).expect("it is there"), "words");
    };
    let (well, all) = race(&attack, &mut container, bind, &unharmed);
    attack.held(format!("{} mounts, {well} of {all} containers ran", all * MOUNTS));
}

#[test]
fn cve_2019_18837_a_link_of_the_image_on_the_way_to_a_mount() {
    let attack = Attack::new(
        "CVE-2019-18837, CVE-2025-24965",
        "the image has a link to the host in the place where a mount point or a file is to be made",
        "links are resolved inside the root (`init/src/target.rs`)",
    );
    for up in ["", "/../../../../../../.."] {
        let mut container = Attack::sh("grep -c ' - tmpfs raced ' /proc/self/mountinfo; echo ran");
        let victim = Victim::of(&container);
        let root = container.bundle.rootfs();
        symlink(format!("{up}{}", victim.text()), root.join("a")).expect("a new link");
        fs::create_dir(root.join("b")).expect("a new directory");
        symlink(victim.path.join("made"), root.join("b/resolv.conf")).expect("a new link");
        container.push("/mounts", json!({"destination": "/a/etc", "type": "tmpfs", "source": "raced"}));
        let source = container.home().join("source");
        fs::write(&source, "words").expect("a new file");
        let source = source.to_string_lossy().into_owned();
        container
            .push("/mounts", json!({"destination": "/b/resolv.conf", "source": source, "options": ["bind"]}));
        let out = container.run();
        attack.succeeds_if(!victim.harm().is_empty(), format!("{:?} on the host", victim.harm()));
        attack.succeeds_if(
            ran(&out) && out.lines()[0] != "1",
            format!("the mount is outside of the root: {out}"),
        );
    }
}

#[test]
fn the_hosts_procfs_is_no_licence_to_mount_a_whole_one() {
    let attack = Attack::new(
        "–",
        "without pivot_root, a user namespace made in the container asks for a procfs without masked paths",
        "no procfs or sysfs of the host's is left below the root (`hide` in `init/src/root.rs`)",
    );
    // The kernel allows a new procfs where one is to be seen in full: the container's own has masked paths, the host's not.
    let mut container = Attack::sh("unshare -Urmpf sh -c 'mount -t proc none /proc && echo mounted'");
    for set in ["bounding", "permitted"] {
        // Who has it may map root.
        container.push(&format!("/process/capabilities/{set}"), "CAP_SETFCAP");
    }
    // The unmounting must not reach the host, whatever the root is to share with it.
    for propagation in ["", "shared", "rshared"] {
        container.set("/linux/rootfsPropagation", propagation);
        let host = "\"$@\"; test -e /proc/self/status && mountpoint -q /sys && echo the host has them";
        let wrapper = ["unshare", "-m", "--propagation", "shared", "sh", "-c", host, "sh"];
        let out = container.with_bundle("run", &["--no-pivot"]).within(&wrapper).output();
        attack.succeeds_if(out.lines().contains(&"mounted"), format!("{propagation}: {out}"));
        attack
            .succeeds_if(!out.lines().contains(&"the host has them"), format!("the host's are gone: {out}"));
        if orlop_tests::runtime::is_orlop() {
            assert!(out.stderr.contains("permission denied"), "{propagation}: {out}");
        }
    }
}

#[test]
fn mounts_made_in_a_user_namespace_do_not_appear_on_the_host() {
    let attack = Attack::new(
        "–",
        "root of a user namespace mounts below a directory that the host shares: the mount travels",
        "the whole tree gets its propagation before the first mount (`HostPropagation`, `init/src/root.rs`)",
    );
    let mut container = Attack::sh("mount -t tmpfs none /mnt/inner && echo mounted");
    let source = container.home().join("source");
    fs::create_dir(&source).expect("a new directory");
    let text = source.to_string_lossy().into_owned();
    add_user_namespace(&mut container.bundle.config, &[(0, HOST_ID, 65536)]);
    set_capabilities(&mut container, &["CAP_SYS_ADMIN"]);
    container.push("/mounts", json!({"destination": "/mnt", "source": text, "options": ["rbind"]}));
    // In a mount namespace in the host's place, so that nobody else gets copies of what is mounted there.
    let host = "mount -t tmpfs none \"$0\" && mount --make-shared \"$0\" && mkdir \"$0/inner\" && \"$@\"; code=$?; \
                grep -F \"$0/\" /proc/self/mountinfo | sed 's/^/seen /'; exit $code";
    let wrapper = ["unshare", "-m", "--propagation", "private", "sh", "-c", host, &text];
    let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).output();
    attack.succeeds_if(out.stdout.contains("seen "), &out);
    assert_eq!(out.ok().stdout, "mounted\n");
}
