//! Where streams go.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use orlop_tests::Container;
use orlop_tests::shim::messages::{Create, Empty, Exec, Pid, Resize};

use crate::stage::{INVALID, Stage, UNKNOWN};

#[test]
fn streams_go_through_fifos() {
    let mut stage = Stage::new(Container::sh("cat; echo bad >&2"));
    let (mut stdin, mut stdout, mut stderr) = (stage.fifo("in"), stage.fifo("out"), stage.fifo("err"));
    let (input, out, err) = (stage.text("in"), stage.text("out"), stage.text("err"));
    let request = Create { stdin: input, stdout: out, stderr: err, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    stdin.tell("through");
    assert_eq!(stdout.line(), "through");
    // The kit's end of the FIFO ends with it, the shim's with this call.
    drop(stdin);
    stage.close_input();
    assert_eq!(stderr.line(), "bad");
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    stage.delete(&first);
}

#[test]
fn streams_go_to_a_file() {
    let mut stage = Stage::new(Container::sh("echo out; echo err >&2"));
    let log = format!("file://{}", stage.text("new/log"));
    let request = Create { stdout: log.clone(), stderr: log, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    let mut lines: Vec<_> =
        fs::read_to_string(stage.path("new/log")).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

/// A logging program that writes down its arguments, and the output with its words.
const LOGGER: &str = r#"#!/bin/sh
# On a slow machine it is asked to end before it has come to its last line.
trap '' TERM
echo "$CONTAINER_NAMESPACE $*" >"$2"
exec 5>&-
sed 's/^/out /' <&3 >>"$2"
sed 's/^/err /' <&4 >>"$2"
echo end >>"$2"
"#;

#[test]
fn streams_go_to_a_program() {
    let mut stage = Stage::new(Container::sh("echo one; echo two >&2"));
    let (program, log) = (stage.path("logger"), stage.path("log"));
    fs::write(&program, LOGGER).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("binary://{}?to={}", program.display(), log.display());
    let request = Create { stdout: address.clone(), stderr: address, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    stage.start();
    let first = stage.which();
    stage.wait(&first);
    stage.delete(&first);
    let text = orlop_tests::events::when_file(&log, |text| text.ends_with("end\n"));
    assert_eq!(text, format!("state to {}\nout one\nerr two\nend\n", log.display()));

    // One for one stream only.
    let half = Create { stderr: format!("binary://{}", program.display()), ..stage.request() };
    assert_eq!(stage.refused("Create", &half), INVALID);
    // One that never says that it is ready, though it has to, and one that others may write to.
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let strict = Create { stdout: format!("binary-v2://{}", program.display()), ..stage.request() };
    assert_eq!(stage.refused("Create", &strict), UNKNOWN);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(stage.refused("Create", &strict), INVALID);
}

#[test]
fn a_terminal_has_the_size_that_was_told() {
    let mut container = Container::sh("read x; stty size");
    container.set("/process/terminal", true);
    let mut stage = Stage::new(container);
    let (mut stdin, mut stdout) = (stage.fifo("in"), stage.fifo("out"));
    let (input, out) = (stage.text("in"), stage.text("out"));
    let request = Create { terminal: true, stdin: input, stdout: out, ..stage.request() };
    stage.client.call::<Pid>("Create", &request).unwrap();
    let size = Resize { id: stage.container.id.clone(), width: 123, height: 45, ..Resize::default() };
    stage.client.call::<Empty>("ResizePty", &size).unwrap();
    stage.start();
    stdin.tell("go");
    assert_eq!(stdout.line().trim_end(), "go", "the terminal's echo");
    assert_eq!(stdout.line().trim_end(), "45 123");
    let first = stage.which();
    assert_eq!(stage.wait(&first), 0);
    stage.delete(&first);
}

#[test]
fn a_child_that_keeps_the_output_open_does_not_keep_delete_waiting() {
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let mut stdout = stage.fifo("out");
    let out = stage.text("out");
    stage.add(
        Exec { exec_id: "x".into(), stdout: out, ..Exec::default() },
        &["sh", "-c", "sleep 1000 & echo said"],
    );
    let added = stage.added("x");
    stage.client.call::<Pid>("Start", &added).unwrap();
    assert_eq!(stage.wait(&added), 0);
    // The kit's own time limit would end this test if it waited for the child.
    assert_eq!(stage.delete(&added), 0);
    assert_eq!(stdout.line(), "said", "what it wrote itself is delivered");
}

#[test]
fn a_terminal_goes_to_a_file_or_a_program() {
    let mut container = Container::sh("echo on a terminal; test -t 1");
    container.set("/process/terminal", true);
    let mut stage = Stage::new(container);
    let log = stage.path("file");
    let request = Create { terminal: true, stdout: format!("file://{}", log.display()), ..stage.request() };
    assert_eq!(stage.run(&request), 0);
    assert_eq!(fs::read_to_string(&log).unwrap(), "on a terminal\r\n");

    let (program, log) = (stage.path("logger"), stage.path("log"));
    fs::write(&program, LOGGER).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let address = format!("binary://{}?to={}", program.display(), log.display());
    let request = Create { terminal: true, stdout: address, ..stage.request() };
    assert_eq!(stage.run(&request), 0);
    let text = orlop_tests::events::when_file(&log, |text| text.ends_with("end\n"));
    assert_eq!(text, format!("state to {}\nout on a terminal\r\nend\n", log.display()));
}

#[test]
fn a_link_in_the_place_of_a_log_is_refused() {
    let mut stage = Stage::new(Container::sh("echo out"));
    let (link, target) = (stage.path("link"), stage.path("target"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for (address, code) in
        [(format!("file://{}", link.display()), UNKNOWN), (link.display().to_string(), INVALID)]
    {
        let request = Create { stdout: address.clone(), ..stage.request() };
        assert_eq!(stage.refused("Create", &request), code, "{address}");
    }
    let request = Create { stdout: target.display().to_string(), ..stage.request() };
    assert_eq!(stage.run(&request), 0);
    assert_eq!(fs::read_to_string(&target).unwrap(), "out\n", "and only what was asked for");
}

#[test]
fn a_reader_that_sleeps_costs_little_and_loses_nothing() {
    const BYTES: usize = 4 << 20;
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let mut stdout = stage.fifo("out");
    let out = stage.text("out");
    let exec = Exec { exec_id: "x".into(), stdout: out, ..Exec::default() };
    stage.add(exec, &["sh", "-c", &format!("yes 0123456 | head -c {BYTES}")]);
    let added = stage.added("x");
    stage.client.call::<Pid>("Start", &added).unwrap();
    // Other calls are answered meanwhile.
    let first = stage.which();
    assert_eq!(stage.status(&first), 2, "running");
    for _ in 0..BYTES / 8 {
        assert_eq!(stdout.line(), "0123456");
    }
    let peak = stage.status_of_shim("VmHWM");
    let kilobytes: u64 = peak.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 16 << 10, "{peak}");
    assert_eq!(stage.wait(&added), 0);
    stage.delete(&added);
}

#[test]
fn processes_that_never_run_leave_nothing_in_the_shim() {
    // CVE-2022-23471: each of them cost a thread there, for its terminal's size.
    let mut stage = Stage::new(Container::lasting());
    stage.create();
    stage.start();
    let _stdout = stage.fifo("out");
    let pid = stage.shim.process.pid();
    let holds = || {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
        (count("fd"), count("task"))
    };
    let mut before = None;
    for number in 0..30 {
        let exec_id = format!("x{number}");
        let exec = Exec {
            exec_id: exec_id.clone(),
            terminal: number % 2 == 0,
            stdout: stage.text("out"),
            ..Exec::default()
        };
        stage.add(exec, &["/nothing"]);
        let added = stage.added(&exec_id);
        let size = Resize { id: stage.container.id.clone(), exec_id, width: 9, height: 9 };
        stage.client.call::<Empty>("ResizePty", &size).expect("it waits for a terminal");
        assert_eq!(stage.refused("Start", &added), UNKNOWN);
        stage.delete(&added);
        // The first ones may leave what is used again.
        if number == 4 {
            before = Some(holds());
        }
    }
    let (descriptors, threads) = before.unwrap();
    let after = holds();
    assert_eq!(after.0, descriptors);
    assert!(after.1 <= threads + 1, "{} threads: at most one that has just done its work", after.1);
}
