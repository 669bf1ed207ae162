//! Descriptors and directories of the host's that come into a container.
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use orlop_tests::{Fifo, runtime};

use crate::stage::{Attack, rounds};

/// Shows where it is, and whether a file of the host's is to be seen from there.
const SHOW: [&str; 3] = ["sh", "-c", "ls -d /proc/self/cwd/../../../../../../../../../../etc/hostname"];

#[test]
fn cve_2024_21626_no_descriptor_leads_out_of_the_root() {
    let attack = Attack::new(
        "CVE-2024-21626",
        "the working directory is `/proc/self/fd/N`, where N is a directory of the host's that the runtime has open",
        "`CloseFrom` before the program; the working directory has to be inside the root (`init/src/identity.rs`)",
    );
    // One that the caller has left open, too.
    let leaked = File::open("/").expect("it is there");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("our own descriptor");
    let mut numbers: Vec<i32> = (3..if rounds() > 100 { 40 } else { 12 }).collect();
    numbers.push(leaked.as_raw_fd());
    let added = Attack::lasting();
    added.up();
    for number in numbers {
        let mut container = Attack::sh("");
        let cwd = format!("/proc/self/fd/{number}");
        container.set("/process/args", SHOW.to_vec()).set("/process/cwd", cwd.as_str());
        let out = container.run();
        attack.succeeds_if(out.stdout.contains("hostname"), format!("{number}: {out}"));
        let out = added.exec_command(&["--cwd", &cwd], &SHOW).output();
        attack.succeeds_if(out.stdout.contains("hostname"), format!("exec, {number}: {out}"));
    }
}

#[test]
fn cve_2024_21626_the_program_has_no_descriptor_but_its_streams() {
    let attack = Attack::new(
        "CVE-2024-21626",
        "the caller of the runtime, or the runtime, has descriptors open: the program looks for them",
        "`CloseFrom` in `compile/src/process.rs`",
    );
    let leaked = File::open("/").expect("it is there");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("our own descriptor");
    // One of them is the listing's own.
    let script = "for f in /proc/self/fd/*; do n=${f##*/}; [ $n -le 2 ] || readlink $f; done; true";
    let container = Attack::sh(script);
    let out = container.run().ok();
    attack.succeeds_if(!out.stdout.trim().is_empty(), &out);
    let container = Attack::lasting();
    container.up();
    let out = container.exec(&["sh", "-c", script]).ok();
    attack.succeeds_if(!out.stdout.trim().is_empty(), &out);
    drop(leaked);
}

/// Looks at the descriptors of everybody else in the container.
const SPY: &str = r"
echo ready >/events
while :; do
    ls -l /proc/[0-9]*/fd 2>/dev/null | grep -- '-> /' | grep -v -e '/io/' -e /dev/null -e /seen -e '-> /proc/' >>/seen
done
";

#[test]
fn cve_2016_9962_nobody_looks_into_what_enters_the_container() {
    let attack = Attack::new(
        "CVE-2016-9962",
        "a process looks at the descriptors of one that is being added, and goes out by a directory of the host's",
        "init is not dumpable until exec (`init/src/main.rs`), and has nothing but sockets open",
    );
    let mut container = Attack::sh(SPY);
    container.set("/root/readonly", false);
    let mut events: Fifo = container.fifo("events");
    let seen = container.bundle.rootfs().join("seen");
    container.create();
    container.start();
    assert_eq!(events.line(), "ready");
    let all = rounds().div_ceil(2);
    for _ in 0..all {
        container.exec(&["true"]).ok();
        let text = fs::read_to_string(&seen).unwrap_or_default();
        attack.succeeds_if(!text.is_empty(), format!("{}: {text}", runtime::version()));
    }
    attack.held(format!("{all} processes were added"));
}
