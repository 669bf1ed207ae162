//! Create, freeze, kill, remove.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use orlop_cgroups::{Below, Cgroup, Claim, Error, Mark};

use crate::support::{Sandbox, TESTS, sleeper, spawn, until};

const SOON: Duration = Duration::from_secs(10);

fn create_error(sandbox: &Sandbox, below: &str) -> Error {
    Cgroup::create(&sandbox.layout, &sandbox.path(below), &sandbox.free(), TESTS).unwrap_err()
}

#[test]
fn create_makes_what_is_missing_and_remove_takes_the_container_away() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("pod/c1", &sandbox.free());
    let dir = sandbox.dir();
    // Those of version 2 come first; tests/kernel/hybrid.rs has the others.
    assert_eq!(cgroup.created()[..3], [dir.clone(), dir.join("pod"), dir.join("pod/c1")]);
    assert_eq!(sandbox.create("pod/c2", &sandbox.free()).created()[0], dir.join("pod/c2"));
    let fd = fs::read_link(format!("/proc/self/fd/{}", cgroup.fd().as_raw_fd())).unwrap();
    assert!(fd.ends_with("pod/c1"), "{}", fd.display());
    assert!(cgroup.procs().unwrap().is_empty());
    cgroup.remove().unwrap();
    assert!(!dir.join("pod/c1").exists() && dir.join("pod/c2").exists());
    cgroup.remove().unwrap();
    Cgroup::remove_at(cgroup.location()).unwrap();
    assert!(matches!(Cgroup::open(cgroup.location()), Err(Error::Call { .. })));
}

#[test]
fn a_failed_create_leaves_nothing_behind() {
    let Some(sandbox) = Sandbox::new() else { return };
    let plan = sandbox.plan(r#"{"unified":{"cgroup.max.depth":"many"}}"#);
    let error = Cgroup::create(&sandbox.layout, &sandbox.path("a/b"), &plan, TESTS).unwrap_err().to_string();
    let file = sandbox.dir().join("a/b/cgroup.max.depth");
    let want = format!(
        "write \"many\" to {}: EINVAL: Invalid argument (asked for by /linux/resources/unified/cgroup.max.depth); \
         hint: the kernel does not take this value",
        file.display()
    );
    assert_eq!(error, want);
    assert!(!sandbox.dir().exists());
}

#[test]
fn an_existing_empty_cgroup_is_used_and_one_with_processes_is_refused() {
    let Some(sandbox) = Sandbox::new() else { return };
    let first = sandbox.create("c", &sandbox.free());
    let again = sandbox.create("c", &sandbox.free());
    assert!(again.created().is_empty());
    let mut child = sleeper(&first);
    match create_error(&sandbox, "c") {
        Error::NotEmpty { pids, .. } => assert_eq!(pids, [child.id() as i32]),
        other => panic!("{other}"),
    }
    first.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_frozen_cgroup_or_parent_is_refused() {
    let Some(sandbox) = Sandbox::new() else { return };
    let parent = sandbox.create("p", &sandbox.free());
    parent.freeze(SOON).unwrap();
    assert!(parent.is_frozen().unwrap());
    assert!(matches!(create_error(&sandbox, "p"), Error::Frozen { .. }));
    assert!(matches!(create_error(&sandbox, "p/c"), Error::Frozen { .. }));
    parent.thaw().unwrap();
    sandbox.create("p/c", &sandbox.free());
}

#[test]
fn freezing_stops_a_counter_and_thawing_lets_it_go_on() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let file = std::env::temp_dir().join(format!("orlop-counter-{}", std::process::id()));
    let script = format!("i=0; while :; do i=$((i+1)); echo $i >{}; done", file.display());
    let mut child = spawn(&cgroup, &script);
    let count = || fs::read_to_string(&file).ok().and_then(|t| t.trim().parse::<u64>().ok());
    until("the counter runs", || count() > Some(10));
    for _ in 0..3 {
        cgroup.freeze(SOON).unwrap();
        let before = fs::read_to_string(&file).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        assert!(cgroup.is_frozen().unwrap());
        cgroup.thaw().unwrap();
        let stopped = before.trim().parse().ok();
        until("the counter goes on", || count() > stopped);
    }
    cgroup.kill().unwrap();
    child.wait().unwrap();
    fs::remove_file(&file).unwrap();
}

#[test]
fn kill_empties_nested_and_frozen_cgroups() {
    let Some(sandbox) = Sandbox::new() else { return };
    let outer = sandbox.create("c", &sandbox.free());
    // First the process: a cgroup with processes gives no controllers to those below, which would keep processes out of it.
    let child = sleeper(&outer);
    let inner = sandbox.create("c/inner/most", &sandbox.free());
    let mut children = [child, sleeper(&inner), sleeper(&inner)];
    let mut pids = children.each_ref().map(|c| c.id() as i32);
    pids.sort_unstable();
    assert_eq!(outer.procs().unwrap(), pids);
    inner.freeze(SOON).unwrap();
    outer.kill().unwrap();
    outer.wait_empty(SOON).unwrap();
    // Nobody has reaped them yet: zombies do not keep a cgroup.
    outer.remove().unwrap();
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn waiting_for_an_empty_cgroup_ends_at_the_deadline_and_names_who_is_left() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let mut child = sleeper(&cgroup);
    let start = Instant::now();
    match cgroup.wait_empty(Duration::from_millis(30)) {
        Err(Error::EmptyTimeout { left, .. }) => {
            assert_eq!(left.iter().map(|task| task.tid).collect::<Vec<_>>(), [child.id() as i32]);
        }
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() >= Duration::from_millis(30));
    match cgroup.remove() {
        Err(Error::Busy { pids, .. }) => assert_eq!(pids, [child.id() as i32]),
        other => panic!("{other:?}"),
    }
    let waiter = std::thread::spawn({
        let cgroup = Cgroup::open(cgroup.location()).unwrap();
        move || cgroup.wait_empty(SOON)
    });
    cgroup.kill().unwrap();
    waiter.join().unwrap().unwrap();
    child.wait().unwrap();
}

#[test]
fn remove_takes_a_deep_and_wide_subtree_with_few_descriptors() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    // Deeper than a path may be long, as a container can make it.
    let mut dir = cgroup.fd().try_clone_to_owned().unwrap();
    for _ in 0..300 {
        for name in ["side", "deeeeeeeeeeeeeeeeep"] {
            mkdirat(&dir, name, Mode::S_IRWXU).unwrap();
        }
        dir = openat(&dir, "deeeeeeeeeeeeeeeeep", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
            .unwrap();
    }
    assert!(cgroup.procs().unwrap().is_empty());
    cgroup.remove().unwrap();
    assert!(!cgroup.location().v2.path().exists());
}

#[test]
fn every_controller_is_enabled_above_a_container_and_none_below() {
    let Some(sandbox) = Sandbox::new() else { return };
    let enabled = |dir: &Path| fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap();
    sandbox.create("p/c", &sandbox.free());
    let available = fs::read_to_string(sandbox.dir().join("cgroup.controllers")).unwrap();
    for dir in [sandbox.dir(), sandbox.dir().join("p")] {
        assert_eq!(enabled(&dir), available);
    }
    assert_eq!(enabled(&sandbox.dir().join("p/c")).trim(), "");
}

#[test]
fn a_cgroup_with_processes_does_not_keep_them_out_of_new_ones_below() {
    let Some(sandbox) = Sandbox::new() else { return };
    let parent = sandbox.create("p", &sandbox.free());
    let mut processes = vec![sleeper(&parent)];
    let child = sandbox.create("p/c", &sandbox.free());
    processes.push(sleeper(&child));
    parent.kill().unwrap();
    for process in &mut processes {
        process.wait().unwrap();
    }
}

#[test]
fn a_parent_with_processes_cannot_give_controllers() {
    let Some(sandbox) = Sandbox::new() else { return };
    let unified = sandbox.layout.unified.as_ref().unwrap();
    let Some(controller) = unified.controllers.iter().find(|c| !c.is_threaded()) else {
        return println!("skipped: no domain controllers in {}", unified.mount.display());
    };
    let parent = sandbox.create("p", &sandbox.free());
    let mut process = sleeper(&parent);
    let mut child = sandbox.create("p/c", &sandbox.free());
    let error = child.enable(&sandbox.layout, std::iter::once(controller).collect()).unwrap_err().to_string();
    assert!(error.contains("p/cgroup.subtree_control: EBUSY"), "{error}");
    assert!(error.contains("this cgroup has processes of its own"), "{error}");
    parent.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_delegated_cgroup_belongs_to_the_user_and_its_limits_do_not() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    cgroup.delegate(1234).unwrap();
    let dir = cgroup.location().v2.path();
    let owner = |file: &str| fs::metadata(dir.join(file)).unwrap().uid();
    for (file, want) in
        [("", 1234), ("cgroup.procs", 1234), ("cgroup.subtree_control", 1234), ("cgroup.freeze", 0)]
    {
        assert_eq!(owner(file), want, "{file}");
    }
}

#[test]
fn a_sub_cgroup_is_found_and_a_path_that_leaves_the_container_is_refused() {
    let Some(sandbox) = Sandbox::new() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    sandbox.create("c/a/b", &sandbox.free());
    let below = |path: &str| cgroup.below(&Below::Everywhere(path.into()));
    let found = below("/a/b").unwrap();
    let path = fs::read_link(format!("/proc/self/fd/{}", found.fd().as_raw_fd())).unwrap();
    assert!(path.ends_with("c/a/b"), "{}", path.display());
    below("").unwrap();
    below("/").unwrap();
    for bad in ["../x", "a/../../x", "/..", ".."] {
        assert!(matches!(below(bad), Err(Error::Sub { .. })), "{bad}");
    }
    assert!(matches!(below("missing"), Err(Error::Call { .. })));
    let unknown = cgroup.below(&Below::Each(vec![("whaaat".into(), "/".into())])).unwrap_err();
    assert!(unknown.to_string().contains("unknown controller whaaat"), "{unknown}");
}

#[test]
fn a_cgroup_is_its_makers_until_that_one_is_over() {
    let Some(sandbox) = Sandbox::new() else { return };
    let claim = |owner, is_over| {
        Cgroup::create(&sandbox.layout, &sandbox.path("c"), &sandbox.free(), Claim { owner, is_over })
    };
    let protected = nix::unistd::geteuid().is_root();
    let owner = |cgroup: &Cgroup| cgroup.owner().unwrap();
    let first = claim("first", &|_| false).unwrap();
    assert_eq!(owner(&first), Some(Mark { owner: "first".into(), protected }));
    // It is empty, and yet not to be had: its maker has not put anybody into it so far.
    let error = claim("second", &|other| other != "first").unwrap_err();
    assert!(matches!(&error, Error::Claimed { owner, .. } if owner == "first"), "{error}");
    assert_eq!(owner(&first), Some(Mark { owner: "first".into(), protected }));
    assert_eq!(owner(&claim("first", &|_| false).unwrap()).unwrap().owner, "first");
    let second = claim("second", &|other| other == "first").unwrap();
    assert_eq!(owner(&second).unwrap().owner, "second");
    let location = second.location();
    let mut inside = sleeper(&second);
    Cgroup::remove_unused(location).unwrap();
    assert!(location.v2.path().exists());
    inside.kill().unwrap();
    inside.wait().unwrap();
    second.wait_empty(Duration::from_secs(10)).unwrap();
    Cgroup::remove_unused(location).unwrap();
    assert!(!location.v2.path().exists());
    Cgroup::remove_unused(location).unwrap();
}
