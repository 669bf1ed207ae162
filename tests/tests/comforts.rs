//! What makes the command line comfortable: completions, manual pages, formats, suggestions. Little of it needs a container.
use std::path::PathBuf;
use std::process::Command;

use orlop_tests::{Container, need, runtime};

/// The directory of the programs under test, which shells find them in.
fn programs() -> PathBuf {
    runtime::binary().parent().expect("a directory").to_owned()
}

/// Runs a script in a shell that finds `orlop`; what it prints.
fn shell(program: &[&str], script: &str) -> String {
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap_or_default());
    let (shell, options) = program.split_first().expect("a shell");
    let out = Command::new(shell).args(options).arg("-c").arg(script).env("PATH", path).output();
    let out = out.expect("it is installed");
    assert!(out.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// In bash, a line as bash would cut it (at spaces, = and :), completed by the script.
fn in_bash(line: &str) -> Vec<String> {
    let words: Vec<String> = line
        .split(' ')
        .flat_map(|word| {
            let mut parts: Vec<String> = Vec::new();
            for part in word.split_inclusive(['=', ':']) {
                let (text, sign) =
                    part.strip_suffix(['=', ':']).map_or((part, ""), |text| (text, &part[text.len()..]));
                parts.extend(
                    [text, sign].iter().filter(|part| !part.is_empty()).map(|part| format!("'{part}'")),
                );
            }
            if parts.is_empty() { vec!["''".to_owned()] } else { parts }
        })
        .collect();
    let script = format!(
        "source <(orlop completion bash); complete -p orlop >/dev/null || exit; COMP_LINE='{line}' COMP_WORDS=({}); \
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _orlop 2>/dev/null; [ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" ")
    );
    shell(&["bash", "--norc"], &script).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_ids_and_files() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(!need::in_vm(), "shells are the same there");
    assert_eq!(in_bash("orlop sta"), ["start", "state", "stats"]);
    assert_eq!(in_bash("orlop exec --no-n"), ["--no-new-privs"]);
    assert_eq!(in_bash("orlop --log-format=j"), ["json"], "bash keeps what is before the sign");
    assert_eq!(in_bash("orlop --log-format="), ["text", "json"]);
    assert_eq!(in_bash("orlop run --network cni"), ["cni:"]);
    assert_eq!(in_bash("orlop explain /et"), ["/etc"]);
    assert_eq!(in_bash("orlop exec web ls --"), [""; 0]);
    let container = Container::sh("true");
    container.create();
    let root = container.state_root();
    assert_eq!(in_bash(&format!("orlop --root {} state ", root.display())), [container.id.as_str()]);
    container.delete();
}

#[test]
fn fish_and_zsh_take_their_scripts() {
    need!(runtime::is_orlop(), "a command of ours");
    need!(!need::in_vm(), "shells are the same there");
    need!(need::program("fish") && need::program("zsh"), "no fish or no zsh here");
    let fish = |line: &str| {
        let script = format!("orlop completion fish | source; complete -C '{line}'");
        let lines = shell(&["fish", "--no-config"], &script);
        lines.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fish("orlop sta"), ["start", "state", "stats"]);
    assert_eq!(fish("orlop --log-format=j"), ["--log-format=json"]);
    assert_eq!(fish("orlop explain /et"), ["/etc/"]);
    // Of zsh, what it is handed in the end: to see more takes a terminal.
    let zsh = "autoload -U compinit; compinit -u -D; _describe() { print -l $named }; source <(orlop completion zsh); \
               words=(orlop --log-format json sta) CURRENT=4; _orlop; print $_comps[orlop]";
    let told = shell(&["zsh", "-f"], zsh);
    assert!(told.contains("state:Print the state of a container as JSON\n"), "{told}");
    assert!(told.ends_with("_orlop\n"), "{told}");
}

#[test]
fn what_was_meant_is_said() {
    need!(runtime::is_orlop(), "words of ours");
    let wrong = |line: &str| {
        let out = Command::new(runtime::binary()).args(line.split(' ')).output().expect("it starts");
        assert!(!out.status.success(), "{line}");
        String::from_utf8(out.stderr).expect("text")
    };
    assert!(wrong("rn").starts_with("orlop: unrecognized subcommand 'rn'; did you mean 'run'?\n"));
    assert!(wrong("run --memry 64m debian:13").contains("'--memry' found; did you mean '--memory'?\n"));
    assert!(wrong("run --memory 64m web").contains("`orlop run image: --help`"), "that needs an image");
    assert!(wrong("image lis").contains("did you mean 'list'?"));
    assert!(!wrong("list --zzz").contains("did you mean"));
}

#[test]
fn manual_pages_have_nothing_to_complain_about() {
    need!(runtime::is_orlop(), "pages of ours");
    need!(!need::in_vm(), "pages are the same there");
    need!(need::program("mandoc"), "no mandoc here");
    let dir = tempfile::tempdir().expect("a directory");
    let mut tools = Command::new(programs().join("orlop-tools"));
    let made = tools.arg("man").arg(dir.path()).env("SOURCE_DATE_EPOCH", "1767225600").status();
    assert!(made.expect("it starts").success());
    let pages = |section: &str| {
        let entries = std::fs::read_dir(dir.path().join(section)).expect("a section");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let (commands, shim) = (pages("man1"), pages("man8"));
    assert!(commands.len() > 30 && shim.len() == 1, "{commands:?} {shim:?}");
    let lint =
        Command::new("mandoc").args(["-T", "lint"]).args(commands).args(shim).output().expect("it starts");
    assert!(lint.stdout.is_empty(), "{}", String::from_utf8_lossy(&lint.stdout));
    let shown =
        Command::new("mandoc").args(["-T", "ascii"]).arg(dir.path().join("man1/orlop-exec.1")).output();
    let shown = String::from_utf8(shown.expect("it starts").stdout).expect("text").replace('\u{8}', "");
    assert!(shown.contains("2026-01-01"), "the date is the version's: {shown}");
}

#[test]
fn templates_choose_what_is_shown() {
    need!(runtime::is_orlop(), "templates of ours");
    let container = Container::lasting();
    container.up();
    let id = container.id.clone();
    let shown = |args: &[&str]| container.runtime().args(args).output().ok().stdout;
    assert_eq!(shown(&["list", "--format", r"{{.Names}}\t{{.Status}}"]), format!("{id}\trunning\n"));
    let table = shown(&["list", "--format", r"table {{.ID}}\t{{.State}}"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [["ID", "STATE"], [id.as_str(), "running"]]);
    let pid = container.pid();
    assert_eq!(shown(&["state", &id, "-f", "{{.pid}}"]), format!("{pid}\n"));
    let inspected = shown(&["inspect", "--format", "{{.State.Status}} {{json .Name}} {{.State.Pid}}", &id]);
    assert_eq!(inspected, format!("running \"{id}\" {pid}\n"));
    let used = shown(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}{{if .pids}} counted{{end}}"]);
    assert!(used.starts_with(&format!("{id} ")), "{used}");
    let refused = |args: &[&str], words: &str| {
        let out = container.runtime().args(args).output();
        assert!(out.code == 1 && out.stderr.contains(words), "{args:?}: {out}");
    };
    refused(&["list", "--format", "{{.Nonsense}}"], "there is no field \"Nonsense\", but ID Names");
    refused(&["list", "--format", "{{title .ID}}"], "there is no function \"title\"");
    refused(&["list", "-q", "--format", "{{.ID}}"], "cannot be used with");
    refused(&["list", "--format", "yaml"], "[possible values: table, json]");
    refused(&["inspect", &id, "--format", "yaml"], "neither text nor json nor a template");
    container.kill("KILL");
    container.wait();
    container.delete();
}
