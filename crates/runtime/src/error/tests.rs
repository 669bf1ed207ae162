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
