//! Where a lab is typed: a shell with its own mounts, processes, network and cgroup, in an empty directory.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::{Answer, Lab};
use crate::cgroup::Hierarchy;
use crate::command::patience;
use crate::events::when_file;
use crate::layout::Layout;
use crate::{Invocation, cgroup, runtime};

/// What ends each command's output in that of the shell: the status follows, and a line's end.
const MARK: char = '\u{1e}';

/// Makes the shell's surroundings. `$1` is the directory with all that follows, `$2` the cgroup or nothing: it is the root of the
/// cgroup namespace, and has no processes, so that it may have controllers.
const ENTER: &str = r#"[ -z "$2" ] || echo 0 >"$2/cgroup.procs" || exit
exec unshare --cgroup bash -c '
[ -z "$2" ] || echo 0 >"$2/shell/cgroup.procs" || exit
exec unshare --mount --uts --ipc --net --pid --fork --kill-child --mount-proc bash "$1/typed" "$2"' bash "$@""#;

/// Inside: its own `/run`, where orlop keeps state and ip(8) its namespaces, and cgroups that begin with its own.
const PRELUDE: &str = r#"exec 2>&1 </dev/null
hostname host
ip link set lo up
mount -t tmpfs -o mode=755 run /run
if [ -n "$1" ]; then
    mount -t tmpfs cgroups /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mounts=$(cut -d ' ' -f 3- /proc/self/mountinfo)
"#;

/// After the last command: what the page's own commands have left. `ip netns add` makes a mount of `/run/netns` once and
/// for all.
const EPILOGUE: &str = r#"
set -- /proc/[0-9]*/
for process; do
    [ "$process" = /proc/1/ ] || words=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline")
    [ -z "$words" ] || echo "left: a process: $words"
    words=
done
diff <(echo "$mounts") <(cut -d ' ' -f 3- /proc/self/mountinfo) | sed -n '/ \/run\/netns /!s/^> /left: a mount: /p'
find /run/orlop /run/netns -mindepth 1 -printf 'left: a file: %p\n' 2>/dev/null
find /sys/fs/cgroup -mindepth 1 -type d ! -path /sys/fs/cgroup/shell -printf 'left: a cgroup: %p\n' 2>/dev/null
:"#;

impl Lab {
    /// Types the page and fails the test where the shell answers something else. With `ORLOP_LABS=write`, what it
    /// answered is written to the page instead.
    #[track_caller]
    pub fn check(&self) {
        let (answers, rest) = self.type_it();
        if std::env::var_os("ORLOP_LABS").is_some_and(|word| word == "write") {
            self.rewrite(&answers);
        }
        let mut wrong = self.differences(&answers);
        wrong.extend(rest.map(|rest| format!("{}: after the last command\n{rest}", self.path.display())));
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// What each command answered, and what was said after the last: what it has left.
    fn type_it(&self) -> (Vec<Answer>, Option<String>) {
        let room = Room::new(&self.needs("controllers"));
        let script = room.script(self.commands.iter().map(|command| command.text.as_str()));
        let cgroup = room.cgroup.as_deref().unwrap_or(Path::new(""));
        for name in self.needs("image") {
            room.import(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        // Sooner than the test gives up, so that it can say which command does not end.
        let limit = (patience().as_secs() - 5).to_string();
        let shell = Invocation::new("timeout", room.home.path())
            .args(["-s", "KILL", &limit, "bash", "-c", ENTER, "bash"])
            .args([room.home.path(), cgroup])
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", room.home.path().join("bin").display()))
            .env("ORLOP_STORE", room.home.path().join("store"))
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "100")
            .current_dir(room.home.path().join("lab"));
        let out = shell.output();
        let mut parts = out.stdout.split(MARK);
        let first = parts.next().unwrap_or_default();
        let mut said = room.lines(first);
        let mut answers = vec![];
        for part in parts {
            let (status, rest) = part.split_once('\n').unwrap_or((part, ""));
            answers.push(Answer { status: status.parse().unwrap_or(-1), said });
            said = room.lines(rest);
        }
        assert!(!answers.is_empty(), "the shell did not begin: {script}\n{out}");
        (answers, Some(said.join("\n")).filter(|rest| !rest.is_empty()))
    }
}

struct Room {
    home: tempfile::TempDir,
    cgroup: Option<PathBuf>,
}

impl Room {
    fn new(controllers: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("lab-").tempdir().expect("a temporary directory");
        // Some pages are about other users.
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        for directory in ["lab", "bin", "commands"] {
            fs::create_dir(home.path().join(directory)).expect("a new directory");
        }
        std::os::unix::fs::symlink(runtime::binary(), home.path().join("bin/orlop")).expect("a new link");
        let unified = cgroup::hierarchies().into_iter().find(|hierarchy| hierarchy.unified);
        Self { home, cgroup: unified.map(|unified| new_cgroup(&unified, controllers)) }
    }

    /// Makes an image with a busybox and gives it this name.
    fn import(&self, name: &str) {
        let image =
            Layout::busybox(&self.home.path().join("image"), &json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]}));
        let import =
            Invocation::new(runtime::binary(), self.home.path()).args(["image", "import", &image, name]);
        import.env("ORLOP_STORE", self.home.path().join("store")).ok();
    }

    /// Writes the commands, and the script that takes one after another, each with the status of the one before it.
    fn script<'a>(&self, commands: impl Iterator<Item = &'a str>) -> String {
        let mut script = PRELUDE.to_owned();
        for (n, command) in commands.enumerate() {
            let path = self.home.path().join(format!("commands/{n}"));
            fs::write(&path, format!("{command}\n")).expect("a new file");
            let typed = path.display();
            let then = format!("(exit $status)\n. {typed}\nstatus=$?\nprintf '{MARK}%d\\n' $status\n");
            script.push_str(&then);
        }
        script += EPILOGUE;
        fs::write(self.home.path().join("typed"), &script).expect("a new file");
        script
    }

    /// What the shell said as one would see it at a terminal: without the names of our files, and without what it says
    /// about its jobs.
    fn lines(&self, text: &str) -> Vec<String> {
        let ours = format!("{}/", self.home.path().display());
        let scripts = ["commands/", "typed"].map(|name| ours.clone() + name);
        let line = |line: &str| {
            let from_shell = scripts.iter().any(|script| line.starts_with(script));
            let Some((_, said)) = line.split_once(": line ").filter(|_| from_shell) else {
                return Some(line.trim_end().to_owned());
            };
            let said = said.split_once(": ").map_or(said, |(_, said)| said);
            let job = said.trim_start().starts_with(|c: char| c.is_ascii_digit());
            (!job).then(|| format!("bash: {said}"))
        };
        text.lines().filter_map(line).collect()
    }
}

/// A cgroup below the root with these controllers.
fn new_cgroup(unified: &Hierarchy, controllers: &[&str]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("orlop-lab-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    for controller in controllers {
        fs::write(unified.mount.join("cgroup.subtree_control"), format!("+{controller}"))
            .unwrap_or_else(|error| panic!("the controller {controller}: {error}"));
    }
    let path = unified.mount.join(name);
    fs::create_dir_all(path.join("shell")).expect("a new cgroup");
    path
}

impl Drop for Room {
    /// The shell was process 1 of its own namespace: with it, all its processes are gone. After a failure, soon.
    fn drop(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            fs::write(cgroup.join("cgroup.kill"), "1").ok();
            when_file(&cgroup.join("cgroup.events"), |text| text.contains("populated 0"));
            let left = remove(cgroup);
            assert!(left.is_ok() || std::thread::panicking(), "{}: {left:?}", cgroup.display());
        }
    }
}

fn remove(cgroup: &Path) -> std::io::Result<()> {
    let entries = fs::read_dir(cgroup)?.flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path())?;
    }
    fs::remove_dir(cgroup)
}
