use super::*;

fn wrong(action: Action, status: Status) -> String {
    Error::WrongState { id: "web".into(), action, status }.to_string()
}

#[test]
fn engines_find_the_words_they_look_for() {
    assert!(Error::NotExist { id: "web".into() }.to_string().contains("does not exist"));
    assert!(wrong(Action::Kill, Status::Stopped).contains("container not running"));
    assert!(wrong(Action::Resume, Status::Running).contains("container not paused"));
    let exists = Error::Exists { id: "web".into() }.to_string();
    assert!(exists.contains("container with given ID already exists"), "{exists}");
    let exec =
        |program: &str, errno| Error::NotFound { program: program.into(), errno, pointer: None }.to_string();
    assert_eq!(exec("foo", libc::ENOENT), r#"exec: "foo": executable file not found in $PATH"#);
    assert_eq!(exec("/foo", libc::ENOENT), r#"exec: "/foo": no such file or directory"#);
    assert_eq!(exec("/etc", libc::EACCES), r#"exec: "/etc": permission denied"#);
    let script =
        Error::Exec { program: "/a".into(), errno: libc::ENOENT, pointer: Some("/process/args".into()) };
    assert_eq!(script.to_string(), "exec /a: no such file or directory");
}

#[test]
fn a_line_is_one_line_whatever_is_in_it() {
    let error = Error::Kernel {
        doing: "open /tmp/a\nb\u{1b}[31m".into(),
        answer: Answer { call: "openat", errno: libc::ENOENT },
        pointer: Some("/mounts/0".into()),
        hint: None,
    };
    assert_eq!(
        error.to_string(),
        "open /tmp/a\\nb\\u{1b}[31m (/mounts/0): openat: no such file or directory (ENOENT)"
    );
}

#[test]
fn a_failing_step_shows_the_line_that_asked_for_it() {
    let text = "{\n\"cwd\": \"/x\"}";
    let error = |errno, detail: &str| {
        let step = Error::Step {
            step: "change to /x".into(),
            answer: Answer { call: "chdir", errno },
            pointer: Some("/process/cwd".into()),
            detail: detail.into(),
            hint: None,
        };
        step.within("/process").located_in(text)
    };
    let denied = error(libc::EACCES, "");
    assert_eq!(denied.to_string(), "change to /x (/cwd, line 2 column 8): chdir: permission denied (EACCES)");
    let expected = "       2 | \"cwd\": \"/x\"}\n         |        ^^^^\nhint: permissions of the path or one above it, or a security \
                    module's rules, forbid it\n`orlop help ORL-1302` has more.";
    assert_eq!(denied.help().as_deref().map(str::trim_start), Some(expected.trim_start()));
    assert!(!error(libc::EACCES, "the kernel's words").help().unwrap().contains("hint"));
    let nowhere = Error::Kernel {
        doing: "x".into(),
        answer: Answer { call: "", errno: 9999 },
        pointer: None,
        hint: None,
    };
    assert_eq!(nowhere.help().as_deref(), Some("`orlop help ORL-1301` has more."));
}

#[test]
fn the_line_in_question_is_shown_with_carets() {
    let shown = |text: &str, pointer: &str| {
        let location = orlop_spec::locate(text, pointer).unwrap();
        let problem = Problem {
            what: "wrong".into(),
            position: Some((location.line, location.column)),
            excerpt: Some(Excerpt::of(text, &location)),
            hint: "mend it".into(),
            ..Problem::default()
        };
        Error::Config { path: "config.json".into(), problems: vec![problem] }.help().unwrap()
    };
    assert_eq!(
        shown("{\n\t\"cwd\": \"röt\",\n\t\"b\": {\n}}", "/cwd"),
        "  line 2 column 9: wrong\n       2 |  \"cwd\": \"röt\",\n         |         ^^^^^\n    hint: mend it"
    );
    let several = "  line 1 column 7: wrong\n       1 > {\"a\": [\n       2 > 1]\n    hint: mend it";
    assert_eq!(shown("{\"a\": [\n1]}", "/a"), several);
    let long = format!("{{{}\"a\": 12345}}", " ".repeat(500));
    let long = shown(&long, "/a");
    let lines: Vec<&str> = long.lines().collect();
    assert!(lines[1].len() < 110 && lines[1].ends_with("12345}"), "{long}");
    let caret = lines[2].find('^').unwrap();
    assert_eq!(&lines[1][caret..caret + 5], "12345");
}

#[test]
fn every_problem_of_a_config_is_told() {
    let problem = |pointer: &str, what: &str| Problem {
        pointer: pointer.into(),
        what: what.into(),
        ..Problem::default()
    };
    let error = Error::Config {
        path: "config.json".into(),
        problems: vec![problem("/mounts/0", "no destination"), problem("", "no process")],
    };
    assert_eq!(error.to_string(), "invalid configuration config.json: /mounts/0: no destination; no process");
    assert_eq!(error.help().as_deref(), Some("  /mounts/0: no destination\n  no process"));
}
