//! An independent witness: what we set, the `cgroups-rs` crate reads back, from version 1 as well as from version 2.
//!
//! It chooses one version for the whole host, so a controller that is on the other one is left out, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this whole binary is a test, its helpers included; it prints what it skips"
)]

#[allow(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "kernel/support.rs"]
mod support;

use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuset::CpuSetController;
use cgroups_rs::fs::hierarchies;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{Cgroup as Witness, MaxValue};
use orlop_cgroups::{Cgroup, Controller, Hierarchy};
use support::Sandbox;

/// What the witness sees of a cgroup of ours; `None` where it looks in another version than we wrote to.
fn witness(sandbox: &Sandbox, cgroup: &Cgroup, controller: Controller) -> Option<Witness> {
    let hierarchy = hierarchies::auto();
    let looks_in = if hierarchy.v2() { Hierarchy::V2 } else { Hierarchy::V1 };
    match sandbox.layout.hierarchy_of(controller) {
        Some(ours) if ours == looks_in => Some(Witness::load(hierarchy, &cgroup.location().v2.inner)),
        Some(_) => {
            println!("skipped: {controller} is not in the version that cgroups-rs looks in");
            None
        }
        None => {
            println!("skipped: {controller}: {}", sandbox.layout.looked_for(controller));
            None
        }
    }
}

#[test]
fn the_limit_of_memory() {
    let Some(sandbox) = Sandbox::new() else { return };
    if sandbox.layout.hierarchy_of(Controller::Memory).is_none() {
        return println!("skipped: no memory controller");
    }
    let cgroup =
        sandbox.create("c", &sandbox.plan(r#"{"memory":{"limit":67108864,"reservation":33554432}}"#));
    let Some(witness) = witness(&sandbox, &cgroup, Controller::Memory) else { return };
    let memory = witness.controller_of::<MemController>().unwrap().memory_stat();
    assert_eq!((memory.limit_in_bytes, memory.soft_limit_in_bytes), (64 << 20, 32 << 20));
    let ours = cgroup.stats().unwrap().memory.unwrap();
    assert_eq!(ours.memory.limit, Some(64 << 20));
}

#[test]
fn the_limit_of_tasks() {
    let Some(sandbox) = Sandbox::new() else { return };
    for (json, want) in [
        (r#"{"pids":{"limit":20}}"#, MaxValue::Value(20)),
        (r#"{"pids":{"limit":-1}}"#, MaxValue::Max),
        (r#"{"pids":{"limit":0}}"#, MaxValue::Value(1)),
    ] {
        if sandbox.layout.hierarchy_of(Controller::Pids).is_none() {
            return println!("skipped: no pids controller");
        }
        let cgroup = sandbox.create("c", &sandbox.plan(json));
        let Some(witness) = witness(&sandbox, &cgroup, Controller::Pids) else { return };
        assert_eq!(witness.controller_of::<PidController>().unwrap().get_pid_max().unwrap(), want, "{json}");
        cgroup.remove().unwrap();
    }
}

#[test]
fn cpu_time_and_placement() {
    let Some(sandbox) = Sandbox::new() else { return };
    for controller in [Controller::Cpu, Controller::Cpuset] {
        if sandbox.layout.hierarchy_of(controller).is_none() {
            return println!("skipped: no {controller} controller");
        }
    }
    let json = r#"{"cpu":{"shares":512,"quota":50000,"period":200000,"cpus":"0","mems":"0"}}"#;
    let cgroup = sandbox.create("p/c", &sandbox.plan(json));
    if let Some(witness) = witness(&sandbox, &cgroup, Controller::Cpu) {
        let cpu = witness.controller_of::<CpuController>().unwrap();
        let want = if witness.v2() { 59 } else { 512 };
        assert_eq!(cpu.shares().unwrap(), want);
        assert_eq!((cpu.cfs_quota().unwrap(), cpu.cfs_period().unwrap()), (50_000, 200_000));
    }
    if let Some(witness) = witness(&sandbox, &cgroup, Controller::Cpuset) {
        let set = witness.controller_of::<CpuSetController>().unwrap().cpuset();
        assert_eq!((set.cpus, set.mems), (vec![(0, 0)], vec![(0, 0)]));
    }
}
