use super::*;

/// A machine with few things on it.
struct Few;

impl Source for Few {
    fn containers(&self) -> Vec<Named> {
        vec![("web".into(), "running".into()), ("db".into(), "stopped".into())]
    }

    fn images(&self) -> Vec<Named> {
        vec![("docker.io/library/debian:13".into(), "0123456789ab".into())]
    }

    fn volumes(&self) -> Vec<Named> {
        vec![("data".into(), "db".into())]
    }
}

/// The words that fit at the end of a line, and what else does.
fn fits(line: &str) -> (Vec<String>, String) {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let answer = answer(&words, &Few);
    let mut lines: Vec<&str> = answer.lines().collect();
    let otherwise = lines.pop().unwrap().to_owned();
    (lines.iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect(), otherwise)
}

#[track_caller]
fn expect(line: &str, names: &[&str], otherwise: &str) {
    assert_eq!(fits(line), (names.iter().map(|name| (*name).to_owned()).collect(), format!(":{otherwise}")));
}

#[test]
fn commands_and_global_options_come_first() {
    expect("chec", &["checkpoint"], "nothing");
    let all = fits("").0;
    assert!(
        ["run", "image", "help", "completion"].iter().all(|name| all.iter().any(|n| n == name)),
        "{all:?}"
    );
    assert!(!all.iter().any(|name| name == "supervise" || name == "complete"), "those are not for people");
    expect("--log-f", &["--log-format"], "nothing");
    expect("--log-format ", &["text", "json"], "nothing");
    expect("--log-format=j", &["--log-format=json"], "nothing");
    expect("--root ", &[], "directories");
    expect("--log ", &[], "files");
    expect("--root /x --debug sta", &["start", "state", "stats"], "nothing");
    expect("help doc", &["doctor"], "nothing");
}

#[test]
fn containers_images_and_volumes_are_offered_where_they_belong() {
    for command in
        ["state", "exec", "--root /x delete --force", "delete web", "inspect", "logs -f", "logs -n 3"]
    {
        expect(&format!("{command} "), &["web", "db"], "nothing");
    }
    expect("kill web TER", &["TERM"], "nothing");
    expect("create ", &[], "nothing");
    expect("run ", &["docker.io/library/debian:13"], "nothing");
    expect("run --network cont", &["container:web", "container:db"], "nothing");
    expect("run -v ", &["data:"], "files");
    expect("run --cap-add CAP_SYS_AD", &["CAP_SYS_ADMIN"], "nothing");
    expect("image remove ", &["docker.io/library/debian:13"], "nothing");
    expect("image rm doc", &["docker.io/library/debian:13"], "nothing");
    expect("image import ", &["docker.io/library/debian:13"], "files");
    expect("volume inspect ", &["data"], "nothing");
    expect("volume create ", &[], "nothing");
    expect("cp w", &["web:"], "files");
    expect("audit ", &["web", "db"], "directories");
    expect("explain ", &[], "directories");
}

#[test]
fn options_are_those_of_the_command_and_not_given_twice() {
    expect("list --q", &["--quiet"], "nothing");
    expect("list -q --q", &[], "nothing");
    expect("list --format ", &["table", "json"], "nothing");
    expect("list -f j", &["json"], "nothing");
    expect("image li", &["list"], "nothing");
    expect("image import --no-s", &["--no-sync"], "nothing");
    expect("run --env a=b --env", &["--env", "--env-file"], "nothing");
    expect("create -b ", &[], "directories");
    expect("create -bundle ", &[], "directories");
    assert!(
        fits("run --").0.contains(&"--bundle".to_owned()),
        "it is not said yet whether an image is meant"
    );
    assert!(!fits("run debian:13 -").0.contains(&"--bundle".to_owned()));
}

#[test]
fn what_belongs_to_another_program_is_left_alone() {
    for line in [
        "exec web ",
        "exec web -",
        "exec web ls --col",
        "run debian:13 ",
        "run debian:13 sh -",
        "ps web -",
        "try ",
    ] {
        expect(line, &[], "nothing");
    }
    expect("nonsense ", &[], "nothing");
    expect("exec -- ", &["web", "db"], "nothing");
    expect("state -- -", &[], "nothing");
}

#[test]
fn every_option_and_argument_has_a_place() {
    for command in table::commands() {
        for line in [format!("{} ", command.name), format!("{} -", command.name)] {
            fits(&line);
        }
        assert!(fits(command.name).0.contains(&command.name.to_owned()), "{}", command.name);
    }
}
