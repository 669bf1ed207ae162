//! Hierarchies of version 1 beside version 2.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, chown, setfsuid};
use orlop_cgroups::{Cgroup, Controller, Error, Location, V1Mount};

use crate::support::{Sandbox, TESTS, sleeper};

const SOON: Duration = Duration::from_secs(10);

/// A sandbox on a host with version 1 hierarchies.
fn hybrid() -> Option<Sandbox> {
    let sandbox = Sandbox::new()?;
    if !sandbox.layout.has_v1_controllers() {
        println!("skipped: this host has no version 1 hierarchies");
        return None;
    }
    Some(sandbox)
}

/// The directories of a cgroup in version 1.
fn directories(location: &Location) -> Vec<PathBuf> {
    location.v1.iter().map(|(_, place)| place.path()).collect()
}

fn create_error(sandbox: &Sandbox, below: &str) -> Error {
    Cgroup::create(&sandbox.layout, &sandbox.path(below), &sandbox.free(), TESTS).unwrap_err()
}

/// The directory in the hierarchy of one controller, if it is of version 1.
fn of(cgroup: &Cgroup, controller: Controller) -> Option<PathBuf> {
    let found = cgroup.location().v1.iter().find(|(controllers, _)| controllers.contains(controller));
    if found.is_none() {
        println!("skipped: {controller} is not in version 1 here");
    }
    found.map(|(_, place)| place.path())
}

#[test]
fn a_cgroup_is_in_every_hierarchy_until_it_is_removed() {
    let Some(sandbox) = hybrid() else { return };
    let cgroup = sandbox.create("p/c", &sandbox.free());
    let made = directories(cgroup.location());
    assert_eq!(made.len(), sandbox.layout.v1.len());
    assert!(made.iter().all(|dir| dir.is_dir() && cgroup.created().contains(dir)), "{made:?}");
    // With cgroups below, as a container makes them.
    fs::create_dir_all(made[0].join("deep/er")).unwrap();
    cgroup.remove().unwrap();
    assert!(!made.iter().any(|dir| dir.exists()), "{made:?}");
    assert!(made.iter().all(|dir| dir.parent().is_some_and(Path::exists)), "parents stay");
}

#[test]
fn directories_that_somebody_has_removed_are_no_obstacle() {
    let Some(sandbox) = hybrid() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let gone = directories(cgroup.location()).remove(0);
    fs::remove_dir(&gone).unwrap();
    let again = Cgroup::open(cgroup.location()).unwrap();
    let left = directories(again.location());
    assert_eq!(left.len() + 1, sandbox.layout.v1.len());
    assert!(!left.contains(&gone));
    let mut child = sleeper(&again);
    again.kill().unwrap();
    child.wait().unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn what_is_in_use_in_version_1_is_refused() {
    let Some(sandbox) = hybrid() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let dir = directories(cgroup.location()).remove(0);
    // In this hierarchy only: version 2 knows nothing of it.
    let mut child = sleeper(&sandbox.create("elsewhere", &sandbox.free()));
    fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
    match create_error(&sandbox, "c") {
        Error::NotEmpty { pids, path } => assert_eq!((pids, path), (vec![child.id() as i32], dir)),
        other => panic!("{other}"),
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.create("c", &sandbox.free());
}

#[test]
fn what_is_frozen_in_version_1_is_refused() {
    let Some(sandbox) = hybrid() else { return };
    let cgroup = sandbox.create("p", &sandbox.free());
    let Some(dir) = of(&cgroup, Controller::Freezer) else { return };
    fs::write(dir.join("freezer.state"), "FROZEN").unwrap();
    assert!(cgroup.is_frozen().unwrap());
    assert!(matches!(create_error(&sandbox, "p"), Error::Frozen { .. }));
    assert!(matches!(create_error(&sandbox, "p/c"), Error::Frozen { .. }));
    assert!(!dir.join("c").exists(), "nothing is left of the attempt");
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen().unwrap());
    sandbox.create("p/c", &sandbox.free());
}

#[test]
fn what_others_have_frozen_in_version_1_can_be_killed() {
    let Some(sandbox) = hybrid() else { return };
    let cgroup = sandbox.create("c", &sandbox.free());
    let Some(dir) = of(&cgroup, Controller::Freezer) else { return };
    let mut child = sleeper(&cgroup);
    fs::write(dir.join("freezer.state"), "FROZEN").unwrap();
    cgroup.kill().unwrap();
    cgroup.wait_empty(SOON).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_hierarchy_that_is_covered_is_left_out() {
    let Some(mut sandbox) = hybrid() else { return };
    let known = sandbox.layout.v1.len();
    let covered = V1Mount {
        mount: "/sys/fs/cgroup/no such hierarchy".into(),
        own: PathBuf::new(),
        controllers: std::iter::once(Controller::Rdma).collect(),
    };
    sandbox.layout.v1.push(covered);
    let cgroup = sandbox.create("c", &sandbox.free());
    assert_eq!(cgroup.location().v1.len(), known);
}

#[test]
fn a_hierarchy_without_rights_is_left_out_unless_it_is_needed() {
    let Some(sandbox) = hybrid() else { return };
    let parent = sandbox.create("p", &sandbox.free());
    parent.delegate(65_534).unwrap();
    let mine = of(&parent, Controller::Pids);
    if let Some(dir) = &mine {
        chown(dir, Some(Uid::from_raw(65_534)), None).unwrap();
    }
    let limited = r#"{"memory":{"limit":16777216},"devices":[{"allow":true,"access":"rwm"}]}"#;
    let (free, limited) = (sandbox.free(), sandbox.plan(limited));
    // Of a thread's own: the tests beside this one go on as root.
    let (made, refused) = std::thread::scope(|scope| {
        let work = || {
            setfsuid(Uid::from_raw(65_534));
            let create = |below, plan| Cgroup::create(&sandbox.layout, &sandbox.path(below), plan, TESTS);
            (create("p/c", &free), create("p/limited", &limited))
        };
        scope.spawn(work).join().unwrap()
    });
    let made = made.unwrap();
    let wanted: Vec<PathBuf> = mine.into_iter().map(|dir| dir.join("c")).collect();
    assert_eq!(directories(made.location()), wanted);
    assert!(refused.unwrap_err().is_denial());
    assert!(!parent.location().v2.path().join("limited").exists(), "nothing is left of the attempt");
}
