use super::*;
use crate::liveness::has_ended;

fn sh(script: &str) -> Hook {
    Hook { path: "/bin/sh".into(), args: vec!["sh".into(), "-c".into(), script.into()], ..Hook::default() }
}

fn state() -> State {
    State { oci_version: "1.3.0".into(), id: "web".into(), pid: 7, bundle: "/b".into(), ..State::default() }
}

fn run_all(hooks: &[Hook], kind: Kind) -> Result<()> {
    run(hooks, kind, &state(), &mut on_host(None))
}

#[test]
fn a_hook_reads_the_state_and_has_its_arguments_and_environment() {
    let temporary = tempfile::tempdir().unwrap();
    let script = r#"cat > state; echo "$0 $A ${HOME-unset}" > env"#;
    let mut hook = sh(script);
    hook.args.push("zero".into());
    hook.env = vec!["A=b=c".into()];
    run(&[hook], Kind::CreateRuntime, &state(), &mut on_host(Some(temporary.path()))).unwrap();
    let seen: State =
        serde_json::from_slice(&std::fs::read(temporary.path().join("state")).unwrap()).unwrap();
    assert_eq!(seen, state());
    assert_eq!(std::fs::read_to_string(temporary.path().join("env")).unwrap(), "zero b=c unset\n");
}

#[test]
fn the_first_failure_stops_and_names_pointer_status_and_output() {
    let temporary = tempfile::tempdir().unwrap();
    let mark = temporary.path().join("mark");
    let hooks = [sh("echo out; echo err >&2; exit 3"), sh(&format!("touch {}", mark.display()))];
    let error = run_all(&hooks, Kind::Prestart).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error running prestart hook #0: /bin/sh: exit status 3: out\\nerr (/hooks/prestart/0)"
    );
    assert!(!mark.exists());
    let missing = Hook { path: "/no/such".into(), ..Hook::default() };
    let error = run_all(&[sh("true"), missing], Kind::CreateContainer).unwrap_err().to_string();
    assert!(error.starts_with("error running createContainer hook #1: /no/such: "), "{error}");
    assert!(error.contains("no such file or directory"), "{error}");
}

#[test]
fn after_the_end_failures_are_only_told() {
    let temporary = tempfile::tempdir().unwrap();
    let mark = temporary.path().join("mark");
    run_all(&[sh("exit 1"), sh(&format!("touch {}", mark.display()))], Kind::Poststop).unwrap();
    assert!(mark.exists());
}

#[test]
fn one_that_takes_too_long_is_killed() {
    let begin = Instant::now();
    let hook = Hook { timeout: Some(1), ..sh("exec sleep 60") };
    let mut copy = None;
    let mut host = on_host(None);
    let error = run(&[hook], Kind::CreateRuntime, &state(), &mut |hook, streams| {
        let child = host(hook, streams)?;
        copy = child.pidfd.as_fd().try_clone_to_owned().ok();
        Ok(child)
    })
    .unwrap_err()
    .to_string();
    assert!(error.ends_with("not done within 1 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(has_ended(&copy.unwrap()).unwrap());
}

#[test]
fn what_one_that_takes_too_long_has_started_is_killed_with_it() {
    let hook = Hook { timeout: Some(1), ..sh("sleep 60 & echo $!; sleep 60; true") };
    let error = run_all(&[hook], Kind::CreateRuntime).unwrap_err();
    let Error::Hook { stderr, .. } = error else { panic!() };
    // Gone, or a zombie until its new parent finds it.
    if let Ok(left) = pidfd_open(stderr.parse().unwrap()) {
        let dead = poll(&mut [PollFd::new(left.as_fd(), PollFlags::POLLIN)], PollTimeout::from(30_000_u16));
        assert_eq!(dead, Ok(1));
    }
}

#[test]
fn a_hook_may_ignore_its_input_write_much_and_leave_processes_behind() {
    let mut large = state();
    large.annotations.insert("k".into(), "v".repeat(1_000_000));
    let hooks = [
        sh("exec <&-; sleep 60 & exit 0"),
        sh("head -c 3000000 /dev/zero; cat > /dev/null"),
        sh(r#"test "$(wc -c)" -gt 1000000"#),
    ];
    let begin = Instant::now();
    run(&hooks, Kind::CreateRuntime, &large, &mut on_host(None)).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn only_the_end_of_what_it_wrote_is_kept() {
    let error = run_all(&[sh("seq 1 10000; exit 1")], Kind::CreateRuntime).unwrap_err();
    let Error::Hook { stderr, .. } = error else { panic!() };
    assert!(stderr.len() <= TAIL && stderr.ends_with("9999\n10000"));
}
