//! Several commands at once, on one container and on many: processes that end at any moment, numbers that are used again.
use std::path::Path;
use std::time::{Duration, Instant};

use orlop_tests::command::DEFECTS;
use orlop_tests::events::ProcessHandle;
use orlop_tests::random::{Random, in_lanes};
use orlop_tests::{Container, cgroup, ledger, need, runtime};
use rustix::process::Signal;

/// How often, where nothing says otherwise.
fn rounds(usual: usize) -> usize {
    if need::in_vm() { usual / 10 } else { usual }
}

/// Waits for those of the container's processes that are our children by now.
fn reap(container: &Container) {
    for pid in ledger::zombies(&container.id) {
        ProcessHandle::open(pid).and_then(|process| process.reap());
    }
}

#[test]
fn many_commands_at_once_on_one_container() {
    need!(runtime::is_orlop(), "the words are ours");
    let container = Container::lasting();
    container.bundle.save();
    let bundle = container.bundle.path().to_string_lossy().into_owned();
    let (home, id) = (container.home().to_owned(), container.id.clone());
    let root = container.state_root();
    let random = Random::seeded();
    let seed = random.seed;
    let started = Instant::now();
    in_lanes(4, rounds(80), |number| {
        let id = id.as_str();
        let commands: [&[&str]; 9] = [
            &["create", "--bundle", &bundle, id],
            &["start", id],
            &["exec", id, "true"],
            &["pause", id],
            &["resume", id],
            &["kill", id, "KILL"],
            &["update", "--pids-limit", "1000", id],
            &["delete", "--force", id],
            &["state", id],
        ];
        let command = *random.nth(number as u64).of(&commands);
        let run = |command: &[&str]| {
            let orlop = orlop_tests::Invocation::new(runtime::binary(), &home).env("ORLOP_TEST", id);
            let begin = started.elapsed();
            let out = orlop.arg("--root").arg(&root).args(command).output();
            // Shown if it fails: who met whom.
            println!(
                "{begin:?} to {:?}: {} {}: {}",
                started.elapsed(),
                command[0],
                out.code,
                out.stderr.trim()
            );
            out
        };
        let out = run(command);
        if command[0] == "pause" {
            // Or else an exec that comes in between could wait for ever, and all lanes for it.
            run(&["resume", id]);
        }
        let refused = [1, 255].contains(&out.code) && !DEFECTS.iter().any(|words| out.stderr.contains(words));
        // A process that was added is killed with the container.
        let fine = out.code == 0 || refused || (command[0] == "exec" && out.code == 137);
        assert!(fine, "ORLOP_SEED={seed}, number {number}: {out}");
    });
    container.command("delete", &["--force"]).ok();
    reap(&container);
    container.assert_no_leaks();
}

#[test]
fn many_containers_at_once() {
    in_lanes(4, rounds(24), |number| {
        let container = Container::lasting();
        container.up();
        let code = (number * 37 + 11) % 250;
        assert_eq!(container.exec(&["sh", "-c", &format!("exit {code}")]).code, code as i32);
        container.command::<&str>("pause", &[]).ok();
        assert_eq!(container.status(), "paused");
        if number.is_multiple_of(2) {
            container.command::<&str>("resume", &[]).ok();
        }
        container.kill("KILL");
        assert_eq!(container.wait(), 137);
        assert_eq!(container.status(), "stopped");
        container.delete();
    });
}

#[test]
fn create_is_killed_at_any_moment() {
    let container = Container::lasting();
    container.bundle.save();
    for number in 0..rounds(60) {
        let create = container.with_bundle::<&str>("create", &[]).spawn();
        std::thread::sleep(Duration::from_micros(number as u64 * 211 % 20_000));
        create.signal(Signal::KILL);
        create.wait();
        container.command("delete", &["--force"]).ok();
        reap(&container);
        container.assert_no_leaks();
    }
}

#[test]
fn delete_overtakes_create() {
    // More lanes than processors, so that each is stopped anywhere.
    in_lanes(6, rounds(60), |number| {
        let container = Container::lasting();
        container.bundle.save();
        let create = container.with_bundle::<&str>("create", &[]).spawn();
        std::thread::sleep(Duration::from_micros(number as u64 * 311 % 40_000));
        container.command("delete", &["--force"]).ok();
        let out = create.wait();
        assert!(
            [0, 1].contains(&out.code) && !DEFECTS.iter().any(|words| out.stderr.contains(words)),
            "{out}"
        );
        if out.code == 0 {
            // It came after the delete.
            container.command("delete", &["--force"]).ok();
        }
        reap(&container);
        container.forget();
        container.assert_no_leaks();
    });
}

#[test]
fn delete_overtakes_exec() {
    for number in 0..rounds(15) {
        let container = Container::lasting();
        container.up();
        let running: Vec<_> =
            (0..3).map(|_| container.exec_command(&[], &["sleep", "1000"]).spawn()).collect();
        std::thread::sleep(Duration::from_micros(number as u64 * 977 % 15_000));
        container.command("delete", &["--force"]).ok();
        for exec in running {
            let out = exec.wait();
            assert!([137, 255].contains(&out.code), "{out}");
        }
        reap(&container);
        container.forget();
        container.assert_no_leaks();
    }
}

#[test]
fn processes_that_end_at_once() {
    in_lanes(4, rounds(30), |number| {
        let code = number % 256;
        let container = Container::sh(&format!("exit {code}"));
        if number.is_multiple_of(2) {
            assert_eq!(container.run().code, code as i32);
        } else {
            container.up();
            assert_eq!(container.wait(), code as i32);
            assert_eq!(container.status(), "stopped");
            container.command::<&str>("kill", &[]).arg("KILL").output().fails_with("not running");
            container.delete();
        }
        container.assert_no_leaks();
    });
}

/// In a PID namespace of its own, where numbers can be chosen: the next process gets the number after `ns_last_pid`.
const REUSE: &str = r#"
set -e
orlop=$1 root=$2 bundle=$3 id=$4
$orlop --root $root run --detach --bundle $bundle --pid-file $bundle/number $id
number=$(cat $bundle/number)
$orlop --root $root exec --detach --pid-file $bundle/other $id sleep 1000
kill -KILL $number
while [ -e /proc/$number ]; do wait; sleep 0.05; done
echo $((number - 1)) >/proc/sys/kernel/ns_last_pid
sleep 1000 &
[ $! = $number ] || { echo "the number was not to be had"; exit 9; }
$orlop --root $root state $id | grep -q '"status": *"stopped"' || { echo "it is taken for alive"; exit 1; }
if $orlop --root $root kill $id KILL; then echo "somebody was killed"; exit 1; fi
if $orlop --root $root exec $id true; then echo "a process was added to somebody"; exit 1; fi
$orlop --root $root delete --force $id
kill -0 $! || { echo "an innocent process is dead"; exit 1; }
"#;

/// A script in a PID namespace of its own: the runtime, the root of its state, a bundle and an id are its arguments.
fn in_pid_namespace(script: &str, container: &Container) -> orlop_tests::Output {
    container.bundle.save();
    let words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"];
    orlop_tests::Invocation::new(words[0], &container.io())
        .args(&words[1..])
        .arg(runtime::binary())
        .arg(container.state_root())
        .arg(container.bundle.path())
        .arg(&container.id)
        .output()
}

#[test]
fn a_number_that_another_process_has_got_is_not_the_containers() {
    need!(Path::new("/proc/sys/kernel/ns_last_pid").exists(), "numbers cannot be chosen on this kernel");
    let container = Container::lasting();
    let out = in_pid_namespace(REUSE, &container);
    need!(out.code != 9, "the number of the container's process was taken by somebody else");
    out.ok();
    container.assert_no_leaks();
}

/// In a PID namespace of its own, which has a hundred numbers for everybody: each is used again within moments.
const FEW: &str = r#"
orlop="$1 --root $2" bundle=$3 id=$4
echo 400 >/proc/sys/kernel/pid_max || exit 8
for n in 1 2 3 4 5 6 7 8; do sleep 1000 & innocent="$innocent $!"; done
# One of them that is killed ends it.
(while sh -c :; do :; done) & busy=$!
lane() {
    for n in 1 2 3 4 5 6 7 8; do
        name=$id-$1-$n
        $orlop run --detach --bundle $bundle $name || exit 1
        $orlop exec $name sh -c "exit $n"; [ $? = $n ] || exit 2
        # Until it is not running any more; then its number may be anybody's.
        while $orlop kill $name KILL 2>/dev/null; do :; done
        for again in 1 2 3; do $orlop kill $name KILL 2>/dev/null && exit 3; done
        $orlop exec $name true 2>/dev/null && exit 4
        $orlop delete --force $name || exit 5
    done
}
for number in 1 2 3; do lane $number & lanes="$lanes $!"; done
# Orphans are ours to wait for, which this does too.
for lane in $lanes; do wait $lane || { echo "a lane ended with $?"; exit 1; }; done
for process in $innocent $busy; do
    case $(cat /proc/$process/stat 2>/dev/null) in
    "" | *") Z "*) echo "an innocent process is dead"; exit 1 ;;
    esac
done
"#;

#[test]
fn numbers_that_are_used_again_at_once_are_nobodys_but_their_owners() {
    need!(runtime::is_orlop(), "others have a number only, and no time of its start");
    // Before, it is the whole machine's, and must not be touched.
    need!(need::kernel() >= (6, 14), "PID namespaces have no pid_max of their own before Linux 6.14");
    let container = Container::lasting();
    let out = in_pid_namespace(FEW, &container);
    out.ok();
    container.assert_no_leaks();
}

/// Freezes a cgroup below the container's own, with a process of the container's in it.
fn freeze_below(own: &Path, pid: i32, file: &str, value: &str) {
    let below = own.join("below");
    std::fs::create_dir(&below).expect("a new cgroup");
    std::fs::write(below.join("cgroup.procs"), pid.to_string()).expect("the process goes there");
    std::fs::write(below.join(file), value).expect("it is frozen");
}

#[test]
fn frozen_cgroups_of_the_containers_own_do_not_keep_it_alive() {
    for (controller, file, value) in [("", "cgroup.freeze", "1"), ("freezer", "freezer.state", "FROZEN")] {
        let container = Container::lasting();
        container.up();
        let inside = container.exec_detached(&[], &["sleep", "1000"]);
        let own = match (controller, cgroup::controller("freezer")) {
            ("", _) => cgroup::unified_directory(container.pid()),
            (_, Some((cgroup::Version::V1, _))) => Some(cgroup::directory(container.pid(), "freezer").1),
            _ => None,
        };
        let Some(own) = own else { continue };
        freeze_below(&own, inside.pid(), file, value);
        container.kill("KILL");
        for process in container.take_detached() {
            assert!(process.wait(Duration::from_secs(10)), "{file}: still frozen");
            process.reap();
        }
        assert_eq!(container.wait(), 137);
        container.delete();
    }
}
