//! The output of supervised containers: `logs`, and the files it is read from.
use std::fs;
use std::path::PathBuf;

use orlop_tests::Container;
use serde_json::Value;

/// The files of the log, the one that is written first.
fn files(container: &Container) -> Vec<PathBuf> {
    let name = format!("{}-json.log", container.id);
    let dir = container.state_root().join(&container.id);
    let all = (0..).map(|age| if age == 0 { name.clone() } else { format!("{name}.{age}") });
    all.map(|name| dir.join(name)).take_while(|file| file.exists()).collect()
}

#[test]
fn each_stream_comes_out_where_it_belongs() {
    let container = Container::sh("echo one; echo two >&2; printf three");
    container.supervise(&[]);
    container.exit_status();
    let out = container.logs(&[]);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("one\nthree", "two\n"));
    container.delete();
}

#[test]
fn the_files_are_as_docker_writes_them() {
    let container = Container::sh(r#"echo 'a "quoted" line'; printf 'bad \377 byte'"#);
    container.supervise(&[]);
    container.exit_status();
    let text = fs::read_to_string(&files(&container)[0]).expect("the log is there");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines[0]["log"], "a \"quoted\" line\n");
    assert_eq!(lines[0]["stream"], "stdout");
    assert_eq!(lines[1]["log"], "bad \u{fffd} byte");
    let time = lines[0]["time"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
    assert!(text.starts_with(r#"{"log":"a \"quoted\" line\n","stream":"stdout","time":""#), "{text}");
    assert_eq!(lines[0].as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn files_are_rotated_and_no_more_are_kept_than_wanted() {
    let container = Container::sh("seq 1000");
    container.supervise(&["--log-opt", "max-size=4k", "--log-opt", "max-file=3"]);
    container.exit_status();
    let files = files(&container);
    assert_eq!(files.len(), 3);
    for file in &files {
        assert!(fs::metadata(file).expect("it is there").len() <= 4096);
    }
    let out = container.logs(&[]);
    let lines: Vec<u32> = out.lines().iter().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(lines.last(), Some(&1000));
    assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "in order and without gaps: {lines:?}");
    assert_eq!(container.logs(&["--tail", "2"]).stdout, "999\n1000\n");
    // More than the newest file has.
    assert_eq!(container.logs(&["-n", "60"]).lines().len(), 60);
    assert_eq!(container.logs(&["--tail=0"]).stdout, "");
}

#[test]
fn one_file_alone_is_begun_anew() {
    let container = Container::sh("seq 300");
    container.supervise(&["--log-opt", "max-size=4k", "--log-opt", "max-file=1"]);
    container.exit_status();
    assert_eq!(files(&container).len(), 1);
    assert_eq!(container.logs(&["--tail=1"]).stdout, "300\n");
}

#[test]
fn following_goes_across_rotated_files_and_ends_with_the_container() {
    let container = Container::sh("echo begin; read _ </go; seq 500; read _ </go; seq 501 1000; exit 1");
    let mut go = container.fifo("go");
    container.supervise(&["--log-opt", "max-size=2k", "--log-opt", "max-file=500"]);
    let following = container.command("logs", &["--follow"]).spawn();
    orlop_tests::events::when_file(following.stdout_file(), |text| text == "begin\n");
    go.tell("");
    orlop_tests::events::when_file(following.stdout_file(), |text| text.ends_with("\n500\n"));
    assert!(files(&container).len() > 10);
    go.tell("");
    let out = following.wait().ok();
    let expected: Vec<String> =
        std::iter::once("begin".to_owned()).chain((1..=1000).map(|n| n.to_string())).collect();
    assert!(out.lines() == expected, "{out}");
    // Of one that has ended it is no different from not following.
    assert!(container.logs(&["-f"]).lines() == expected);
}

#[test]
fn since_and_timestamps() {
    let container = Container::sh("echo early; echo late");
    container.supervise(&[]);
    container.exit_status();
    let out = container.logs(&["--timestamps"]);
    let (first, second) = (out.lines()[0].to_owned(), out.lines()[1].to_owned());
    assert!(first.ends_with("Z early") && second.ends_with("Z late"), "{out}");
    let moment = second.split(' ').next().expect("a time");
    assert!(container.logs(&["--since", moment]).stdout.ends_with("late\n"));
    assert_eq!(container.logs(&["--since", "1h"]).stdout, "early\nlate\n");
    assert_eq!(container.logs(&["--since", "2100-01-01"]).stdout, "");
    container.command("logs", &["--since", "soon"]).output().fails_with("is no moment");
}

#[test]
fn nothing_is_kept_where_nothing_is_wanted() {
    let container = Container::sh("seq 100000; echo done >/ready; exit 5");
    let mut ready = container.fifo("ready");
    container.supervise(&["--log-driver", "none"]);
    ready.line();
    assert_eq!(container.exit_status(), 5);
    assert!(files(&container).is_empty());
    container.command::<&str>("logs", &[]).output().fails_with("--log-driver none");
}

#[test]
fn a_terminal_is_logged_as_one_stream() {
    let mut container = Container::sh("test -t 0 && test -t 1 && echo terminal; echo error >&2");
    container.set("/process/terminal", true);
    container.supervise(&[]);
    assert_eq!(container.exit_status(), 0);
    let out = container.logs(&[]);
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("terminal\r\nerror\r\n", ""));
}

#[test]
fn much_output_is_complete() {
    let container = Container::sh("seq 20000; seq 20000 >&2");
    container.supervise(&["--log-opt", "max-size=-1"]);
    assert_eq!(container.exit_status(), 0);
    let out = container.logs(&[]);
    let expected: Vec<String> = (1..=20000).map(|n| n.to_string()).collect();
    assert!(out.lines() == expected && out.stderr == out.stdout);
}
