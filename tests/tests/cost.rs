//! What the commands cost in system calls, instructions and bytes: figures that a noisy machine does not change. `make bench`
//! has the others.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use orlop_tests::{Container, Invocation, need, runtime};

/// Runs what follows where there is version 2 of cgroups only: what a hybrid host has besides costs more.
const VIEW: &str =
    "mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"";

/// Runs a command of the runtime in that view, under another program.
fn run_under(container: &Container, arguments: &[&str], program: &[&str]) {
    let mut wrapper = vec!["unshare", "--mount", "--propagation", "private", "sh", "-c", VIEW, "sh"];
    wrapper.extend(program);
    let command = arguments.iter().fold(container.runtime(), Invocation::arg);
    command.within(&wrapper).output().ok();
}

/// How many system calls a command makes; `whole` counts those of the processes that it starts too.
fn calls(container: &Container, arguments: &[&str], whole: bool) -> usize {
    let report = container.home().join("calls");
    let report_text = report.to_string_lossy().into_owned();
    let mut strace = vec!["strace", "-q", "-e", "signal=none", "-o", &report_text];
    strace.extend(whole.then_some("-f"));
    run_under(container, arguments, &strace);
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
    let expect = |limit: usize, command: &str, calls: usize| {
        println!("{command}: {calls} system calls");
        assert!(calls <= limit, "{command}: {calls} system calls, more than {limit}");
        assert!(calls > limit / 2, "{command}: {calls} is less than half of {limit}: lower it");
    };
    expect(560, "run", calls(&container, &["run", "--bundle", &bundle, &id], true));
    let create = ["create", "--bundle", &bundle, "--pid-file", &pid_file, &id];
    let created = calls(&container, &create, false);
    // Before anything can fail that leaves it there.
    container.adopt();
    expect(200, "create", created);
    expect(100, "start", calls(&container, &["start", &id], false));
    assert_eq!(container.wait(), 0);
    expect(65, "delete", calls(&container, &["delete", &id], false));
}

/// The program of the benchmark that counts instructions by single steps, built with the C compiler that links Rust.
fn counter(container: &Container) -> Option<PathBuf> {
    let source = runtime::workspace().join("hack/bench.d/floor/count.c");
    let program = container.home().join("count");
    let mut compiler = Command::new("cc");
    compiler.args([
        "-std=gnu11",
        "-O2",
        "-static",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-no-pie",
    ]);
    let done = compiler.arg("-o").arg(&program).arg(source).status();
    done.is_ok_and(|status| status.success()).then_some(program)
}

/// How many instructions a command takes in user mode, those of the processes it starts among them, but of each only until it
/// executes a program whose path ends in `end`.
fn instructions(container: &Container, counter: &Path, end: &str, arguments: &[&str]) -> u64 {
    let report = container.home().join("instructions");
    let (report_text, counter) = (report.to_string_lossy(), counter.to_string_lossy());
    let script = "exec 9>\"$0\" && exec \"$@\"";
    run_under(container, arguments, &["sh", "-c", script, &report_text, &counter, "9", end]);
    let text = fs::read_to_string(report).expect("the counter has written it");
    text.trim().parse().expect("the counter writes a number")
}

/// The limits are what was counted when they were written, and a twentieth. As above, more takes a reason.
#[test]
fn the_commands_take_no_more_instructions_than_they_did() {
    let released = runtime::binary() == runtime::workspace().join("bin/orlop");
    need!(released, "the figures are those of the release build");
    need!(cfg!(target_arch = "x86_64"), "the figures are those of x86_64");
    need!(!need::in_vm(), "in emulation, a single step takes too long");
    let container = Container::new(&["true"]);
    let counter = counter(&container);
    need!(counter.is_some(), "no C compiler builds hack/bench.d/floor/count.c here");
    let counter = counter.expect("just checked");
    container.bundle.save();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let expect = |limit: u64, end, arguments: &[&str]| {
        let counted = instructions(&container, &counter, end, arguments);
        println!("{} until {end}: {counted} instructions", arguments[0]);
        assert!(counted <= limit, "{}: {counted} instructions, more than {limit}", arguments[0]);
        assert!(counted > limit / 2, "{}: {counted} is less than half of {limit}: lower it", arguments[0]);
    };
    expect(63_000, "no program", &["--version"]);
    let run = ["run", "--bundle", &bundle, &container.id];
    // Without the machine: reading, checking and compiling the config, the cgroup, the state.
    expect(530_000, "/memfd:orlop-init (deleted)", &run);
    expect(615_000, "/busybox", &run);
    container.create();
    expect(150_000, "no program", &["state", &container.id]);
}

/// For the machine in it, crates/runtime/src/image.rs has a limit.
#[test]
fn the_binary_is_no_larger_than_it_was() {
    let released = runtime::binary() == runtime::workspace().join("bin/orlop");
    need!(released, "the figure is that of the release build");
    let size = fs::metadata(runtime::binary()).expect("the binary is there").len();
    println!("{size} bytes");
    assert!(size <= 2_500_000, "{size} bytes");
}

/// By crates/cli/hot-functions.ld, which `hack/hot-functions` makes: of what a command has in memory most is the program, in
/// pieces of 64 kB, and so less if what it executes lies together.
#[test]
fn the_functions_that_commands_execute_lie_together() {
    let released = runtime::binary() == runtime::workspace().join("bin/orlop");
    need!(released, "the binary is not the release build");
    let musl = runtime::workspace().join(format!("target/{}-unknown-linux-musl", std::env::consts::ARCH));
    need!(musl.exists(), "no Rust target with musl was there to build with");
    let binary = fs::read(runtime::binary()).expect("the binary is there");
    let size = |name: &str| section_size(&binary, name).unwrap_or_else(|| panic!("no section {name}"));
    let (together, rest) = (size(".text.hot") + size(".text.run"), size(".text"));
    println!("{together} bytes together, {rest} elsewhere");
    // If the names in the script are of another compiler's kind, nearly all of it is elsewhere.
    assert!((600_000..1_400_000).contains(&together), "{together} bytes: run hack/hot-functions");
}

/// The size of a section of a 64-bit ELF file ([elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)).
fn section_size(file: &[u8], name: &str) -> Option<u64> {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| u16::from_le_bytes(file[at..at + 2].try_into().expect("2 bytes")) as usize;
    let (table, each, count, names) = (word(0x28) as usize, half(0x3A), half(0x3C), half(0x3E));
    let header = |index: usize| table + each * index;
    let strings = word(header(names) + 0x18) as usize;
    let sections = (0..count).map(header);
    let name_at =
        |at: usize| strings + u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes")) as usize;
    let mut found =
        sections.filter(|at| file[name_at(*at)..].starts_with(&[name.as_bytes(), b"\0"].concat()));
    found.next().map(|at| word(at + 0x20))
}
