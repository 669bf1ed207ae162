//! Of the doing half, what cannot be reached from outside: the ways for older kernels and for tasks that do not freeze.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use orlop_spec::{DeviceRule, Resources};

use super::freeze::unfrozen_tasks;
use super::{Cgroup, Claim, FREEZE_DEADLINE};
use crate::{CgroupPath, Layout, plan};

/// A cgroup that goes away with its processes.
struct Scratch(Cgroup);

impl Scratch {
    fn new(name: &str) -> Option<Self> {
        let layout = Layout::detect().unwrap();
        let name = format!("/orlop-unit-{}-{name}", std::process::id());
        let path = CgroupPath::new(Some(&name), "id").unwrap();
        let all = DeviceRule { allow: true, access: "rwm".into(), ..DeviceRule::default() };
        let plan = plan(&Resources::default(), &layout, &[all]).unwrap();
        match Cgroup::create(&layout, &path, &plan, Claim { owner: "tests", is_over: &|_| true }) {
            Ok(cgroup) => Some(Self(cgroup)),
            Err(e) => {
                println!("skipped: {e}");
                None
            }
        }
    }

    fn spawn(&self, script: &str) -> Child {
        let procs = self.0.v2.join("cgroup.procs");
        let script = format!("echo $$ >{} && {script}", procs.display());
        let child = Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
        let end = Instant::now() + FREEZE_DEADLINE;
        while !self.0.procs().unwrap().contains(&(child.id() as i32)) {
            assert!(Instant::now() < end, "the process never came");
        }
        child
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Not unwrapped: this runs while a failed test panics, too.
        let emptied = self.0.kill().and_then(|()| self.0.wait_empty(FREEZE_DEADLINE));
        if let Err(e) = self.0.remove() {
            println!("left behind: {e} ({emptied:?})");
        }
    }
}

#[test]
fn without_cgroup_kill_processes_that_fork_all_the_time_die_too() {
    let Some(scratch) = Scratch::new("kill") else { return };
    let forks = "while :; do sleep 0.01 & done";
    let mut children = [scratch.spawn(forks), scratch.spawn("exec sleep 1000")];
    scratch.0.kill_one_by_one().unwrap();
    scratch.0.wait_empty(FREEZE_DEADLINE).unwrap();
    assert!(!scratch.0.is_frozen().unwrap());
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}

#[test]
fn tasks_that_are_not_frozen_are_named_with_what_they_do() {
    let Some(scratch) = Scratch::new("freeze") else { return };
    let mut child = scratch.spawn("while :; do :; done");
    let tasks = unfrozen_tasks(&scratch.0.v2).unwrap();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!((tasks[0].tid, tasks[0].name.as_str(), tasks[0].state), (child.id() as i32, "sh", 'R'));
    scratch.0.freeze(FREEZE_DEADLINE).unwrap();
    assert!(unfrozen_tasks(&scratch.0.v2).unwrap().is_empty());
    drop(scratch);
    child.wait().unwrap();
}

#[test]
fn freezing_that_takes_too_long_is_taken_back_and_says_so() {
    let Some(scratch) = Scratch::new("late") else { return };
    // With no time at all: more tasks than there are CPUs cannot all have stopped by the first look.
    let mut child = scratch.spawn("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do while :; do :; done & done; wait");
    while scratch.0.procs().unwrap().len() < 13 {
        assert!(child.try_wait().unwrap().is_none());
    }
    match scratch.0.freeze(Duration::ZERO) {
        Ok(()) => println!("skipped: the task froze before the first look"),
        Err(e) => {
            assert!(e.to_string().contains("not frozen after 0ns (thawed again)"), "{e}");
            assert!(!scratch.0.is_frozen().unwrap());
        }
    }
    drop(scratch);
    child.wait().unwrap();
}
