//! `explain`, `inspect`, `audit` and `doctor`, against real containers.
use std::fs;

use orlop_tests::rootless::Rootless;
use orlop_tests::terminal::Terminal;
use orlop_tests::{Container, Output, need, runtime};
use serde_json::{Value, json};

fn of_json(out: &Output) -> Value {
    serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// `explain FLAGS… BUNDLE`, its config saved.
fn explain(container: &Container, flags: &[&str]) -> Output {
    container.bundle.save();
    container.runtime().arg("explain").args(flags).arg(container.bundle.path()).output()
}

#[test]
fn a_bundle_is_explained_and_nothing_is_made() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::sh("true");
    container.set("/hostname", "explained").set("/linux/resources/pids/limit", 77);
    let text = explain(&container, &[]).ok();
    for part in
        ["77", "set the hostname \"explained\"", "sethostname(\"explained\")", "config.json:", "/hostname"]
    {
        assert!(text.stdout.contains(part), "{part}: {text}");
    }
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 100), "{text}");
    let story = of_json(&explain(&container, &["--format", "json"]).ok());
    let steps: Vec<&Value> = story["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["steps"].as_array().unwrap())
        .collect();
    let hostname = steps.iter().find(|step| step["origin"] == "/hostname").expect("a step");
    let config = fs::read_to_string(container.bundle.path().join("config.json")).unwrap();
    let line = usize::try_from(hostname["place"]["line"].as_u64().unwrap()).unwrap();
    assert!(config.lines().nth(line - 1).unwrap().contains("explained"), "{hostname}");
    assert!(explain(&container, &["--format", "html"]).ok().stdout.starts_with("<!DOCTYPE html>"));
    assert!(explain(&container, &["--format", "mermaid"]).ok().stdout.starts_with("flowchart TB\n"));
    assert_eq!(fs::read_dir(container.state_root()).unwrap().count(), 0, "no state");
}

#[test]
fn a_user_without_privileges_explains_what_root_would_do() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(need::root(), "becoming another user takes root");
    let plain = Rootless::new("true", |_| ());
    let bundle = plain.container.bundle.path().to_string_lossy().into_owned();
    let own = plain.plain(&["explain", &bundle]).ok();
    assert!(own.stdout.contains("CLONE_NEWUSER") && !own.stdout.contains("assumed: "), "{own}");
    let root = Rootless::new("true", |container| {
        container.bundle.remove("/linux/uidMappings").remove("/linux/gidMappings").remove_namespace("user");
    });
    let bundle = root.container.bundle.path().to_string_lossy().into_owned();
    let others = root.plain(&["explain", &bundle]).ok();
    assert!(others.stdout.contains("assumed: the caller is root"), "{others}");
    root.plain(&["create", "--bundle", &bundle, "c"]).output().fails_with("a user namespace is missing");
}

#[test]
fn what_is_wrong_with_a_config_is_told_with_its_place() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::sh("true");
    container.set("/process/cwd", "relative").set("/linux/rootfsPropagation", "sometimes");
    let out = explain(&container, &[]);
    assert_eq!(out.code, 1);
    for part in ["/process/cwd", "/linux/rootfsPropagation", "line "] {
        assert!(out.stderr.contains(part), "{part}: {out}");
    }
    let newer = explain(&container, &["--assume", "kernel=new"]);
    assert!(newer.code == 1 && newer.stderr.contains("kernel=X.Y"), "{newer}");
}

#[test]
fn two_bundles_are_compared() {
    need!(runtime::is_orlop(), "a command of ours");
    let (one, mut two) = (Container::sh("true"), Container::sh("true"));
    two.set("/hostname", "another").set("/process/noNewPrivileges", false);
    let mount = json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]});
    two.push("/mounts", mount);
    two.bundle.save();
    one.bundle.save();
    let compare = |flags: &[&str]| {
        let out = one.runtime().args(["explain", "--diff"]).args(flags);
        out.arg(one.bundle.path()).arg(two.bundle.path()).output().ok()
    };
    let text = compare(&[]);
    for part in ["+ mount tmpfs at /data", "- set no_new_privs", "sethostname(\"another\")"] {
        assert!(text.stdout.contains(part), "{part}: {text}");
    }
    assert!(!text.stdout.contains("mount proc at /proc"), "both have it: {text}");
    let json = of_json(&compare(&["--format", "json"]));
    assert!(json["changes"].as_array().unwrap().len() >= 3, "{json}");
}

#[test]
fn what_a_filter_answers_is_what_the_kernel_does() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::sh("mkdir /tmp/a; echo mkdir $?; chmod 700 /tmp; echo chmod $?");
    container.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            {"names": ["fchmodat", "chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
             "args": [{"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"}]}]}),
    );
    container.push("/mounts", json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
    let mkdir = explain(&container, &["--syscall", "mkdir"]);
    assert_eq!(mkdir.code, 2);
    assert!(
        mkdir.stdout.contains("EACCES (13)") && mkdir.stdout.contains("/linux/seccomp/syscalls/0"),
        "{mkdir}"
    );
    let answers = of_json(&explain(
        &container,
        &["--format", "json", "--syscall", "chmod(0, 0700)", "--syscall", "chmod(0, 0777)"],
    ));
    assert_eq!(answers[0]["passes"], true, "{answers}");
    assert_eq!(
        (&answers[1]["passes"], &answers[1]["pointer"]),
        (&json!(false), &json!("/linux/seccomp/syscalls/1"))
    );
    let foreign = explain(&container, &["--syscall", "read", "--arch", "aarch64"]);
    assert!(foreign.code == 2 && foreign.stdout.contains("does not list this architecture"), "{foreign}");
    assert!(explain(&container, &["--seccomp"]).ok().stdout.contains("jeq"));
    let run = container.run();
    assert!(run.stdout.contains("mkdir 1") && run.stdout.contains("chmod 0"), "{run}");
    assert!(run.stderr.contains("Permission denied"), "{run}");
}

/// The name of a call as `explain` shows it; none for what is prose, or depends on what is found.
fn call(text: &str) -> Option<&str> {
    let name = text
        .split('(')
        .next()
        .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))?;
    let certain = !["unless", "if there is one", "nothing to do"].iter().any(|word| text.contains(word));
    (certain && name.len() < text.len()).then_some(name)
}

#[test]
fn what_is_explained_is_what_the_kernel_sees() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(need::program("strace"), "strace is not installed");
    let mut container = Container::sh("true");
    container.push(
        "/mounts",
        json!({"destination": "/data", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}),
    );
    let story = of_json(&explain(&container, &["--format", "json"]).ok());
    let groups = story["groups"].as_array().unwrap().iter();
    // Which of those paths there are depends on the kernel.
    let groups = groups.filter(|group| group["title"] != "Read-only and masked paths");
    let steps = groups.flat_map(|group| group["steps"].as_array().unwrap());
    let mut steps: Vec<&Value> = steps.filter(|step| step["step"].is_u64()).collect();
    steps.sort_by_key(|step| step["step"].as_u64());
    let trace = container.home().join("trace");
    let wrapper = ["strace", "-f", "-o", &trace.to_string_lossy()].map(str::to_owned);
    container.with_bundle::<&str>("run", &[]).within(&wrapper).ok();
    let trace = fs::read_to_string(trace).unwrap();
    // Each line begins with the thread's number; init begins with execveat(2).
    let init = trace.lines().find(|line| line.contains(" execveat(")).unwrap().split(' ').next().unwrap();
    let of = |thread| trace.lines().filter_map(move |line| line.strip_prefix(thread)).map(str::trim_start);
    let mut seen = of(init).skip_while(|line| !line.starts_with("execveat("));
    // The host side is who was started.
    let mut seen_beside = of(trace.split(' ').next().unwrap());
    let mut compared = 0;
    for step in steps {
        // Waiting for `start` is what `run` does not.
        if step["does"].as_str().unwrap().starts_with("wait ") {
            continue;
        }
        for text in step["calls"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()) {
            let beside = text.strip_prefix("host side: ");
            let Some(name) = call(beside.unwrap_or(text)) else { continue };
            let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('('));
            let found = if beside.is_some() { seen_beside.any(is_it) } else { seen.any(is_it) };
            assert!(found, "{text} of {step} is not made, or not in this order:\n{trace}");
            compared += 1;
        }
    }
    assert!(compared > 80, "only {compared} calls were compared");
}

#[test]
fn a_running_container_is_inspected_from_the_kernels_side() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::lasting();
    container.set("/process/oomScoreAdj", 321).set("/linux/resources/pids/limit", 66);
    container.set("/process/capabilities/bounding", ["CAP_KILL", "CAP_CHOWN"]);
    for set in ["permitted", "effective"] {
        container.set(&format!("/process/capabilities/{set}"), ["CAP_KILL"]);
    }
    container.up();
    let report = of_json(&container.command("inspect", &["--format", "json"]).ok());
    assert_eq!((&report["pid"], &report["id"]), (&json!(container.pid()), &json!(container.id)));
    let inside =
        container.exec(&["sh", "-c", "for kind in pid net user; do readlink /proc/1/ns/$kind; done"]).ok();
    let inode = |kind: &str| {
        let all = report["namespaces"].as_array().unwrap();
        all.iter().find(|namespace| namespace["kind"] == kind).unwrap().clone()
    };
    for (kind, link) in ["pid", "network", "user"].into_iter().zip(inside.lines()) {
        let namespace = inode(kind);
        assert!(link.contains(&format!("[{}]", namespace["inode"])), "{namespace} {link}");
        assert_eq!(namespace["shared"], kind == "user", "{namespace}");
    }
    assert_eq!(report["status"]["bounding"], json!(["CHOWN", "KILL"]));
    assert_eq!(report["status"]["effective"], json!(["KILL"]));
    assert_eq!((&report["oom_score_adj"], &report["status"]["no_new_privs"]), (&json!(321), &json!(true)));
    let values =
        report["cgroups"].as_array().unwrap().iter().flat_map(|group| group["values"].as_array().unwrap());
    assert!(
        values.into_iter().any(|value| *value == json!({"file": "pids.max", "value": "66"})),
        "{report:#}"
    );
    let mounts = report["mounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["target"] == "/proc" && mount["fstype"] == "proc"));
    let added = container.exec_detached(&[], &["sleep", "1000"]);
    let report = of_json(&container.command("inspect", &["--format", "json"]).ok());
    let processes = report["processes"].as_array().unwrap();
    assert_eq!((&processes[0]["pid"], &processes[0]["inner"]), (&json!(container.pid()), &json!(1)));
    assert!(processes.iter().any(|process| process["command"] == "sleep 1000"), "{processes:?}");
    drop(added);
    let text = container.command::<&str>("inspect", &[]).ok();
    for part in ["Namespaces", "own (host: ", "Mounts", "/dev/shm", "66", "KILL"] {
        assert!(text.stdout.contains(part), "{part}: {text}");
    }
    let pid = container.pid().to_string();
    let by_pid = of_json(&container.runtime().args(["inspect", "--format", "json", "--pid", &pid]).ok());
    assert_eq!((by_pid["id"].clone(), &by_pid["pid"]), (Value::Null, &json!(container.pid())));
    container.end_with_detached();
    container.command::<&str>("inspect", &[]).output().fails_with("does not exist");
}

#[test]
fn only_what_runs_can_be_inspected() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    container.up();
    container.wait();
    container.command::<&str>("inspect", &[]).output().fails_with("does not run");
    container.runtime().arg("inspect").output().fails_with("ID or --pid");
    container.runtime().args(["inspect", "--pid", "2147483647"]).output().fails_with("no such process");
}

/// The ids of findings.
fn ids(audit: &Value) -> Vec<String> {
    let findings = audit["findings"].as_array().into_iter().flatten();
    findings.map(|finding| finding["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_audit_finds_in_the_kernel_what_it_finds_in_the_config() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::lasting();
    container.bundle.remove_namespace("ipc");
    container.set("/linux/resources/pids/limit", 55).set("/process/noNewPrivileges", false);
    let shared = container.home().join("shared");
    fs::create_dir(&shared).unwrap();
    let bind = json!({"destination": "/mnt", "type": "bind", "source": shared, "options": ["rbind"]});
    container.push("/mounts", bind);
    container.up();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let audit =
        |subject: &str| of_json(&container.runtime().args(["audit", "--format", "json", subject]).ok());
    let (of_config, of_kernel) = (audit(&bundle), audit(&container.id));
    for id in [
        "host-ipc-namespace",
        "new-privileges",
        "no-filter",
        "root-is-host-root",
        "no-memory-limit",
        "host-path-writable",
        "capability-kill",
    ] {
        assert!(ids(&of_config).iter().any(|known| known == id), "{id}: {of_config:#}");
        assert!(ids(&of_kernel).iter().any(|known| known == id), "{id}: {of_kernel:#}");
    }
    for id in [
        "host-pid-namespace",
        "no-pids-limit",
        "proc-sys-writable",
        "sysfs-writable",
        "all-devices",
        "root-writable",
    ] {
        assert!(!ids(&of_config).iter().any(|known| known == id), "{id}: {of_config:#}");
        assert!(!ids(&of_kernel).iter().any(|known| known == id), "{id}: {of_kernel:#}");
    }
    let text = fs::read_to_string(container.bundle.path().join("config.json")).unwrap();
    let place =
        of_config["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "new-privileges");
    let line = usize::try_from(place.unwrap()["place"]["line"].as_u64().unwrap()).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("noNewPrivileges"), "{place:?}");
    let pid = container.pid().to_string();
    let by_pid = of_json(&container.runtime().args(["audit", "--format", "json", "--pid", &pid]).ok());
    assert_eq!(ids(&by_pid), ids(&of_kernel));
}

#[test]
fn the_filter_of_a_running_container_is_asked() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::lasting();
    let denied = json!({"names": ["bpf"], "action": "SCMP_ACT_ERRNO"});
    container.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}));
    container.up();
    let audit = of_json(&container.command("audit", &["--format", "json"]).ok());
    let found = ids(&audit);
    for (id, expected) in [("filter-allows-ptrace", true), ("filter-allows-bpf", false), ("no-filter", false)]
    {
        assert_eq!(found.iter().any(|known| known == id), expected, "{id}: {audit:#}");
    }
    assert!(audit["assumed"][0].as_str().unwrap().contains("the config that it was made with"), "{audit:#}");
    let pid = container.pid().to_string();
    let others = of_json(&container.runtime().args(["audit", "--format", "json", "--pid", &pid]).ok());
    assert!(others["unknown"][0].as_str().unwrap().contains("filter"), "{others:#}");
    assert!(ids(&others).iter().all(|id| !id.starts_with("filter-allows")), "{others:#}");
}

#[test]
fn an_audit_can_fail_a_build() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::sh("true");
    container.bundle.save();
    let audit = |container: &Container, flags: &[&str]| {
        container.bundle.save();
        container.runtime().arg("audit").args(flags).arg(container.bundle.path()).output()
    };
    assert_eq!(audit(&container, &[]).code, 0, "findings alone are no failure");
    assert_eq!(audit(&container, &["--fail-on", "high"]).code, 2, "there is no filter");
    assert_eq!(audit(&container, &["--fail-on", "critical"]).code, 0);
    let socket = json!({"destination": "/docker.sock", "type": "bind", "source": "/run/docker.sock", "options": ["bind"]});
    container.push("/mounts", socket);
    assert_eq!(audit(&container, &["--fail-on", "critical"]).code, 2);
    let refused = |arguments: &[&str], why: &str| {
        container.runtime().args(arguments).output().fails_with(why);
    };
    refused(&["audit", "--pid", "1", "--assume", "typical"], "is for bundles");
    refused(&["audit", "some-id", "--config", "x"], "is for bundles");
    refused(&["explain", "--diff", "--seccomp", "a", "b"], "cannot be used with");
    refused(&["explain", "--arch", "x86"], "required");
    audit(&container, &["--fail-on", "bad"]).fails_with("critical, high, medium, low, info");
    let sarif = of_json(&audit(&container, &["--format", "sarif"]).ok());
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(
        results.iter().any(|result| result["ruleId"] == "engine-socket" && result["level"] == "error"),
        "{sarif:#}"
    );
}

#[test]
fn a_doctor_says_that_containers_run_where_they_do() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    container.run().ok();
    let diagnosis = of_json(&container.runtime().args(["doctor", "--format", "json"]).ok());
    assert_eq!(diagnosis["fit"], true);
    let check = |diagnosis: &Value, group: &str, name: &str| {
        let checks = diagnosis["checks"].as_array().unwrap();
        checks.iter().find(|check| check["group"] == group && check["name"] == name).unwrap().clone()
    };
    for name in ["openat2", "mount API", "pidfd", "namespaces"] {
        assert_eq!(check(&diagnosis, "Kernel", name)["outcome"], "ok", "{diagnosis:#}");
    }
    assert_eq!(check(&diagnosis, "Leftovers", "orlop")["outcome"], "ok");
    let text = container.runtime().arg("doctor").ok();
    assert!(text.stdout.contains("Containers can run here"), "{text}");
}

#[test]
fn a_doctor_finds_what_is_left() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    container.up();
    container.wait();
    fs::remove_dir_all(container.bundle.path()).unwrap();
    let out = container.runtime().arg("doctor").ok();
    assert!(out.stdout.contains(&container.id) && out.stdout.contains("try: orlop gc"), "{out}");
    container.runtime().arg("gc").ok();
}

#[test]
fn colours_are_for_terminals_only() {
    need!(runtime::is_orlop(), "a command of ours");
    let container = Container::sh("true");
    container.bundle.save();
    let audit = || container.runtime().arg("audit").arg(container.bundle.path()).env("TERM", "xterm");
    assert!(!audit().ok().stdout.contains('\u{1b}'));
    for (no_color, coloured) in [("", true), ("1", false)] {
        let (terminal, theirs) = Terminal::open();
        terminal.resize(40, 100);
        let running = audit().env("NO_COLOR", no_color).on(&theirs).spawn();
        drop(theirs);
        let said = terminal.rest();
        running.wait();
        assert_eq!(said.contains("\u{1b}["), coloured, "{said}");
        assert!(said.contains("no-filter"), "{said}");
    }
}

#[test]
fn codes_are_explained_and_the_lines_in_question_shown() {
    need!(runtime::is_orlop(), "a command of ours");
    let mut container = Container::sh("true");
    container.set("/process/cwd", "relative");
    container.bundle.save();
    let (terminal, theirs) = Terminal::open();
    let run = || container.with_bundle::<&str>("run", &[]).env("TERM", "xterm");
    let running = run().env("NO_COLOR", "1").on(&theirs).spawn();
    drop(theirs);
    let said = terminal.rest();
    assert_eq!(running.wait().code, 1);
    let (terminal, theirs) = Terminal::open();
    let running = run().env("NO_COLOR", "").on(&theirs).spawn();
    drop(theirs);
    let coloured = terminal.rest();
    assert_eq!(running.wait().code, 1);
    assert!(coloured.contains("\u{1b}[31m^") && !said.contains('\u{1b}'), "{coloured}");
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    let shown =
        lines.iter().position(|line| line.contains("\"cwd\": \"relative\"")).expect("the line of the config");
    let caret = lines[shown + 1].find('^').expect("carets");
    assert!(lines[shown][caret..].starts_with("\"relative\""), "{said}");
    let code = said.split("orlop help ").nth(1).and_then(|rest| rest.get(..8)).expect("a code");
    let help = container.runtime().args(["help", code]).ok();
    assert!(
        help.stdout.starts_with(&format!("{code}: working directory")) && help.stdout.contains("Try: "),
        "{help}"
    );
    assert!(container.runtime().args(["help", "ORL"]).ok().lines().len() > 90);
    container.runtime().args(["help", "ORL-9999"]).output().fails_with("there is no code");
}
