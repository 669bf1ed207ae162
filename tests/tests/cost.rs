//! What the commands cost in system calls: a figure that a noisy machine does not change. `make bench` has the others.
use std::fs;
use std::path::Path;

use orlop_tests::{Container, Invocation, need, runtime};

/// Runs what follows where there is version 2 of cgroups only: what a hybrid host has besides costs more.
const VIEW: &str =
    "mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"";

/// How many system calls a command makes; `whole` counts those of the processes that it starts too.
fn calls(container: &Container, arguments: &[&str], whole: bool) -> usize {
    let report = container.home().join("calls");
    let report_text = report.to_string_lossy().into_owned();
    let mut wrapper = vec!["unshare", "--mount", "--propagation", "private", "sh", "-c", VIEW, "sh"];
    wrapper.extend(["strace", "-q", "-e", "signal=none", "-o", &report_text]);
    wrapper.extend(whole.then_some("-f"));
    let command = arguments.iter().fold(container.runtime(), Invocation::arg);
    command.within(&wrapper).output().ok();
    count(&report)
}

/// Lines that begin a call: neither the second half of one nor an exit.
fn count(report: &Path) -> usize {
    let text = fs::read_to_string(report).expect("strace has written it");
    text.lines()
        .filter(|line| line.contains('(') && !line.contains("resumed>") && !line.contains("+++"))
        .count()
}

/// The limits are what was counted when they were written, and some for other kernels and C libraries. Whoever needs more
/// has a reason, and writes it into the commit that changes them.
#[test]
fn the_commands_make_no_more_system_calls_than_they_did() {
    let released = runtime::binary() == runtime::workspace().join("bin/orlop");
    need!(released, "the figures are those of the release build");
    let container = Container::new(&["true"]);
    container.bundle.save();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let (id, pid_file) = (container.id.clone(), container.pid_file().to_string_lossy().into_owned());
    let expect = |limit: usize, whole, arguments: &[&str]| {
        let calls = calls(&container, arguments, whole);
        println!("{}: {calls} system calls", arguments[0]);
        assert!(calls <= limit, "{}: {calls} system calls, more than {limit}", arguments[0]);
        assert!(calls > limit / 2, "{}: {calls} is less than half of {limit}: lower it", arguments[0]);
    };
    expect(640, true, &["run", "--bundle", &bundle, &id]);
    expect(220, false, &["create", "--bundle", &bundle, "--pid-file", &pid_file, &id]);
    container.adopt();
    expect(170, false, &["start", &id]);
    assert_eq!(container.wait(), 0);
    expect(130, false, &["delete", &id]);
}
