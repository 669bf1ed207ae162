//! What arguments mean, from the command line to the options of a command.

use std::collections::VecDeque;
use std::ffi::OsString;

use clap::ArgMatches;
use orlop_command::argv::{Split, Stop, rewrite};

use super::ORLOP;

fn rewritten(line: &str) -> String {
    let mut words: VecDeque<OsString> = line.split(' ').map(OsString::from).collect();
    let entry = ORLOP.find(&words.pop_front().unwrap()).unwrap();
    let out = rewrite(&entry.define(), entry.tail, words);
    out.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
}

#[test]
fn seldom_options_are_defined_where_one_is_meant() {
    let defined = |line: &str| {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let command = ORLOP.find("run".as_ref()).unwrap().define_for(&words);
        command.get_arguments().any(|arg| arg.get_long() == Some("restart"))
    };
    for plain in ["web", "-d web", "--bundle=/b -pid-file /p --detach=false web", "-b /b -- -restart"] {
        assert_eq!(defined(plain), plain.contains("restart"), "{plain}");
    }
    for meant in ["--restart always web", "-restart=no web", "--nonsense web", "--help", "-h", "-df /c web"] {
        assert!(defined(meant), "{meant}");
    }
}

fn split(line: &str) -> Split {
    Split::new(&ORLOP, line.split(' ').map(OsString::from))
}

fn parsed(line: &str) -> ArgMatches {
    match split(line).command() {
        Ok((_, arguments)) => arguments,
        Err(e) => panic!("{line}: {e:?}"),
    }
}

fn wrong(line: &str) -> String {
    match split(line).command() {
        Err(Stop::Wrong(e, _)) => e.to_string(),
        other => panic!("{line}: {:?}", other.map(|(entry, _)| entry.name)),
    }
}

#[test]
fn single_dash_long_options_become_ordinary_ones() {
    assert_eq!(
        rewritten("create -bundle /b -no-pivot web"),
        "create --bundle /b --no-pivot web".split_once(' ').unwrap().1
    );
    assert_eq!(rewritten("create -bundle=/b -pid-file=/p web"), "--bundle=/b --pid-file=/p web");
    assert_eq!(rewritten("create -b /b web"), "-b /b web");
    assert_eq!(rewritten("delete web -force"), "web --force");
    assert_eq!(rewritten("run -d -keep web"), "-d --keep web");
}

#[test]
fn switches_may_be_given_a_value() {
    assert_eq!(rewritten("run --detach=true -keep=1 -d=T web"), "--detach --keep -d web");
    assert_eq!(rewritten("run --detach=false -keep=0 --bundle=true web"), "--bundle=true web");
    assert!(wrong("orlop run --detach=maybe web").contains("unexpected value 'maybe'"));
    assert!(parsed("orlop delete --force web web2 --force").get_flag("force"));
}

#[test]
fn values_are_left_alone_even_if_they_look_like_options() {
    assert_eq!(rewritten("create -b -no-pivot web"), "-b -no-pivot web");
    assert_eq!(rewritten("create --pid-file -keep web"), "--pid-file -keep web");
    assert_eq!(rewritten("exec -te -user web sh"), "-te -user web -- sh");
}

#[test]
fn what_follows_belongs_to_the_other_program() {
    assert_eq!(rewritten("exec -t web ls -user --tty"), "-t web -- ls -user --tty");
    assert_eq!(rewritten("exec web -- ls -- -user"), "web -- ls -- -user");
    assert_eq!(rewritten("exec -- web ls -user"), "-- web ls -user");
    assert_eq!(rewritten("ps -format json web -aux"), "--format json web -- -aux");
    assert_eq!(rewritten("try -memory 64m ls -net"), "--memory 64m -- ls -net");
    assert_eq!(rewritten("try -- ls -net"), "-- ls -net");
    let exec = parsed("orlop exec -t web ls -user --tty -- x");
    assert_eq!(exec.get_one::<String>("id").unwrap(), "web");
    let command: Vec<&String> = exec.get_many("command").unwrap().collect();
    assert_eq!(command, ["ls", "-user", "--tty", "--", "x"]);
    let exec = parsed("orlop exec -- web ls -t");
    assert!(!exec.get_flag("tty"));
    assert_eq!(exec.get_many::<String>("command").unwrap().count(), 2);
}

#[test]
fn the_command_is_found_behind_global_options() {
    for line in [
        "orlop --root /r --log /l --log-format json create -b . web",
        "orlop -root /r -debug -log=/l create web",
        "orlop --root create create web",
    ] {
        let mut split = split(line);
        assert!(split.globals().is_ok(), "{line}");
        assert_eq!(split.command().ok().unwrap().0.name, "create", "{line}");
    }
}

#[test]
fn wrong_arguments_are_told_in_one_line() {
    assert_eq!(wrong("orlop create"), "the following required arguments were not provided: <ID>");
    assert_eq!(wrong("orlop state a b"), "unexpected argument 'b' found");
    assert_eq!(
        wrong("orlop create --no-pivots web"),
        "unexpected argument '--no-pivots' found; did you mean '--no-pivot'?"
    );
    assert_eq!(wrong("orlop create --xyz web"), "unexpected argument '--xyz' found");
    assert_eq!(
        wrong("orlop list --root /r"),
        "unexpected argument '--root' found; '--root' belongs before the command"
    );
    assert_eq!(wrong("orlop strat web"), "unrecognized subcommand 'strat'; did you mean 'start'?");
    assert_eq!(wrong("orlop xyzzy web"), "unrecognized subcommand 'xyzzy'");
    assert_eq!(wrong("orlop strat -h"), "No help topic for 'strat'");
    assert!(wrong("orlop exec -u +1 web sh").contains("\"+1\" is not a number from 0 to 4294967294"));
    assert!(matches!(split("orlop --colour create web").globals(), Err(Stop::Wrong(..))));
}

#[test]
fn help_and_version_are_printed() {
    let printed = |line: &str| match split(line).globals().err().or_else(|| split(line).command().err()) {
        Some(Stop::Print(text)) => text,
        _ => panic!("{line}"),
    };
    for line in ["orlop", "orlop --help", "orlop -h", "orlop help", "orlop --debug --help"] {
        let help = printed(line);
        for entry in ORLOP.commands {
            assert!(help.contains(entry.name), "{line}: {}", entry.name);
        }
        assert!(help.contains("255"), "{line}: exit statuses");
        assert!(help.starts_with("NAME:\n   orlop - "), "{line}: {help}");
    }
    for line in ["orlop run --help", "orlop run -h", "orlop run -help", "orlop help run"] {
        let help = printed(line);
        assert!(help.contains("--no-subreaper"), "{line}");
        assert!(help.starts_with("NAME:\n   orlop run - "), "{line}: {help}");
    }
    for line in ["orlop --version", "orlop -v", "orlop -V", "orlop -version"] {
        assert!(printed(line).starts_with("orlop version "), "{line}");
    }
}

#[test]
fn every_definition_is_sound() {
    ORLOP.all().debug_assert();
}
