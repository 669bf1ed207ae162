//! Who a process is: users, groups, capabilities.
use std::fs;
use std::os::unix::fs::PermissionsExt;

use orlop_tests::{Container, Output, runtime};
use serde_json::json;

use crate::stage::{Attack, set_capabilities};

/// A field of the process's status.
fn field(out: &Output, name: &str) -> Option<String> {
    out.stdout.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

fn with_status(container: &Container, flags: &[&str]) -> Output {
    container.exec_command(flags, &["cat", "/proc/self/status"]).output()
}

#[test]
fn cve_2016_3697_a_user_whose_name_is_a_number_is_not_that_number() {
    let attack = Attack::new(
        "CVE-2016-3697",
        "the image's `/etc/passwd` has a user with the name `1000` and the id 0",
        "users are numbers; names are looked up for `HOME` only (`init/src/home.rs`)",
    );
    let mut container = Attack::sh("id -u; sleep 1000");
    let passwd = "1000:x:0:0:root:/root:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n";
    fs::write(container.bundle.rootfs().join("etc/passwd"), passwd).expect("it is ours");
    container.set("/process/user/uid", 1000).set("/process/args", json!(["id", "-u"]));
    let out = container.run().ok();
    attack.succeeds_if(out.stdout != "1000\n", &out);
    let container = Attack::lasting();
    fs::write(container.bundle.rootfs().join("etc/passwd"), passwd).expect("it is ours");
    container.up();
    let out = container.exec_command(&["--user", "1000"], &["id", "-u"]).ok();
    attack.succeeds_if(out.stdout != "1000\n", &out);
}

#[test]
fn cve_2026_30892_users_are_taken_as_they_are_written() {
    let attack = Attack::new(
        "CVE-2026-30892",
        "`exec --user` with a number that is misread, as another one or as root",
        "`user` in `cli/src/values.rs`",
    );
    let container = Attack::lasting();
    container.up();
    for (text, ids) in [
        ("1", Some("1 1")),
        ("1:2", Some("1 2")),
        ("1:", None),
        ("+1", None),
        (" 1", None),
        ("0x1", None),
        ("-1", None),
        ("1.5", None),
        ("nobody", None),
        ("4294967295", None),
        ("4294967296", None),
        ("18446744073709551616", None),
    ] {
        let flag = format!("--user={text}");
        let out = container.exec_command(&[&flag], &["sh", "-c", "echo ids $(id -u) $(id -g)"]).output();
        let Some(got) = field(&out, "ids ") else { continue };
        // Without a group it is the user's own, or root's: both are documented of somebody.
        let fine = ids.is_some_and(|ids| got == ids || (text == "1" && got == "1 0"));
        // As lenient parsers have it, as long as it is what a person would read.
        let fine = fine || (["+1", "1:", " 1", "0x1"].contains(&text) && got.starts_with("1 "));
        attack.succeeds_if(!fine, format!("{text:?} is {got}: {out}"));
    }
}

#[test]
fn cve_2024_40635_ids_that_are_no_ids_are_nobodys() {
    let attack = Attack::new(
        "CVE-2024-40635, CVE-2026-46680",
        "the config's user or group is out of range, and wraps around to root's",
        "ids are 32 bits, and the last one is none (`spec`, `compile/src/identity.rs`)",
    );
    for id in [
        json!(-1),
        json!(4_294_967_295_u32),
        json!(4_294_967_296_u64),
        json!(1.5),
        json!("1000"),
        json!(18_446_744_073_709_551_615_u64),
    ] {
        for pointer in ["/process/user/uid", "/process/user/gid"] {
            let mut container = Attack::sh("echo ids $(id -u) $(id -g)");
            container.set("/process/user", json!({"uid": 7, "gid": 7})).set(pointer, id.clone());
            let out = container.run();
            let got = field(&out, "ids ").unwrap_or_default();
            attack.succeeds_if(got.split(' ').any(|id| id == "0"), format!("{pointer} {id}: {out}"));
        }
    }
    for id in [2_147_483_647_u32, 2_147_483_648, 4_294_967_294] {
        let mut container = Attack::sh("echo ids $(grep -m1 Uid: /proc/self/status)");
        container.set("/process/user", json!({"uid": id, "gid": id}));
        let out = container.run();
        // Some refuse the upper half, which is theirs to choose.
        attack.succeeds_if(out.code == 0 && !out.stdout.contains(&id.to_string()), &out);
        assert!(out.code == 0 || !runtime::is_orlop(), "{out}");
    }
}

#[test]
fn cve_2022_29162_added_capabilities_are_not_inheritable() {
    let attack = Attack::new(
        "CVE-2022-29162, CVE-2022-27650, CVE-2025-27612",
        "a process with `exec --cap` has them inheritable too: files with such capabilities give them to everybody",
        "the inheritable set is the config's (`runtime/src/exec.rs`)",
    );
    let container = Attack::lasting();
    container.up();
    for flags in [&["--cap", "CAP_KILL"][..], &["--cap", "CAP_NET_ADMIN", "--user", "1000:1000"], &[]] {
        let out = with_status(&container, flags);
        let inheritable = field(&out, "CapInh:").unwrap_or_default();
        attack.succeeds_if(inheritable.chars().any(|c| c != '0'), format!("{flags:?}: {out}"));
    }
}

#[test]
fn cve_2022_24769_a_container_has_no_inheritable_capabilities_unasked() {
    let attack = Attack::new(
        "CVE-2016-8867, CVE-2022-24769",
        "inheritable capabilities that nobody asked for, which a user that is not root gets by files",
        "each set is the config's and nothing else (`compile/src/capabilities.rs`)",
    );
    for uid in [0, 1000] {
        let mut container = Attack::sh("cat /proc/self/status");
        set_capabilities(&mut container, &["CAP_CHOWN", "CAP_KILL"]);
        container.set("/process/user/uid", uid);
        // Of the caller's, too.
        let wrapper = ["setpriv", "--inh-caps", "+chown,+kill", "--ambient-caps", "+chown"];
        let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
        for set in ["CapInh:", "CapAmb:"] {
            let set = field(&out, set).expect("it is there");
            attack.succeeds_if(set.chars().any(|c| c != '0'), &out);
        }
        let effective = field(&out, "CapEff:").expect("it is there");
        attack.succeeds_if(uid != 0 && effective.chars().any(|c| c != '0'), &out);
    }
}

#[test]
fn cve_2023_25173_groups_are_those_that_were_asked_for() {
    let attack = Attack::new(
        "CVE-2023-25173, CVE-2022-2990",
        "the process keeps groups of the runtime's caller, or lacks its own",
        "`Identity` sets exactly the config's (`compile/src/identity.rs`)",
    );
    let wrapper = ["setpriv", "--groups", "4,24"];
    for groups in [json!([]), json!([2000, 3000])] {
        let mut container = Attack::lasting();
        container.set("/process/user", json!({"uid": 1000, "gid": 1000, "additionalGids": groups}));
        container.set("/process/args", json!(["cat", "/proc/self/status"]));
        let out = container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
        let mut got: Vec<String> =
            field(&out, "Groups:").expect("it is there").split_whitespace().map(str::to_owned).collect();
        // The kernel lists the main one among them, if the runtime does.
        got.retain(|group| group != "1000");
        let wanted: Vec<String> =
            groups.as_array().expect("a list").iter().map(ToString::to_string).collect();
        attack.succeeds_if(got != wanted, &out);
    }
}

#[test]
fn a_setuid_program_gives_nothing_with_no_new_privileges() {
    let attack = Attack::new(
        "–",
        "a user in the container executes the image's set-user-id program",
        "`NoNewPrivileges` before the program (`compile/src/process.rs`), for `exec` as for the first process",
    );
    let container = Attack::lasting();
    let program = container.bundle.rootfs().join("bin/become");
    fs::copy(container.bundle.rootfs().join("bin/busybox"), &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("it is ours");
    container.up();
    let out = container.exec_command(
        &["--user", "1000:1000"],
        &["sh", "-c", "cp /bin/become /dev/shm/id 2>/dev/null; exec /bin/become id"],
    );
    let out = out.output();
    attack.succeeds_if(out.stdout.contains("euid=0"), &out);
}
