//! Control groups: which version, which controllers, and whether this caller may make some.

use orlop_cgroups::{Controller, Layout};

use super::{Caller, Check, read};

const GROUP: &str = "Control groups";
/// Those that limits of usual configs need.
const USUAL: [Controller; 5] =
    [Controller::Memory, Controller::Pids, Controller::Cpu, Controller::Cpuset, Controller::Io];

pub(super) fn checks(caller: Caller) -> Vec<Check> {
    let layout = match Layout::detect() {
        Ok(layout) => layout,
        Err(e) => {
            return vec![Check::fail(GROUP, "hierarchies", e.to_string(), "mount /proc, then ask again")];
        }
    };
    let Some(unified) = &layout.unified else {
        let what = "there is no cgroup2 file system, and every container is born in a cgroup";
        return vec![Check::fail(GROUP, "hierarchies", what, "mount -t cgroup2 none /sys/fs/cgroup/unified")];
    };
    let at = unified.mount.display();
    let mode = if layout.has_v1_controllers() {
        let what = format!("version 1 beside version 2, at {at} (hybrid)");
        let remedy = "boot with systemd.unified_cgroup_hierarchy=1 for pressure and delegation";
        Check::warn(GROUP, "hierarchies", what, remedy)
    } else {
        Check::ok(GROUP, "hierarchies", format!("version 2, at {at}"))
    };
    let mut checks = vec![mode, controllers(&layout)];
    let own = unified.mount.join(&unified.own);
    checks.push(delegation(caller, &own.display().to_string(), &layout));
    checks.push(kill(&own.display().to_string()));
    checks
}

fn controllers(layout: &Layout) -> Check {
    let has = |controller: Controller| layout.hierarchy_of(controller).is_some();
    let missing: Vec<&str> =
        USUAL.into_iter().filter(|controller| !has(*controller)).map(Controller::name).collect();
    if missing.is_empty() {
        return Check::ok(GROUP, "controllers", "memory, pids, cpu, cpuset and io are there");
    }
    let what = format!("missing: {}; a config that limits them is refused", missing.join(" "));
    let remedy = "write +NAME to cgroup.subtree_control of the groups above, or ask systemd to delegate them (Delegate=yes)";
    Check::warn(GROUP, "controllers", what, remedy)
}

fn delegation(caller: Caller, own: &str, layout: &Layout) -> Check {
    let name = "delegation";
    if caller.privileged {
        return Check::ok(GROUP, name, "root makes cgroups wherever it wants");
    }
    let may = |file: &str| nix::unistd::access(file, nix::unistd::AccessFlags::W_OK).is_ok();
    if may(own) && may(&format!("{own}/cgroup.procs")) {
        let controllers = read(&format!("{own}/cgroup.controllers")).unwrap_or_default();
        let v1 = if layout.has_v1_controllers() { "; those of version 1 are root's" } else { "" };
        return Check::ok(GROUP, name, format!("{own} is user {}'s, with: {controllers}{v1}", caller.uid));
    }
    let what = format!(
        "{own} is not user {}'s: containers stay in it, without limits, pause and statistics",
        caller.uid
    );
    Check::warn(GROUP, name, what, "systemd-run --user --scope -p Delegate=yes, then ask in there")
}

fn kill(own: &str) -> Check {
    let name = "cgroup.kill";
    let root = read(&format!("{own}/cgroup.type")).is_none();
    if root || std::path::Path::new(&format!("{own}/cgroup.kill")).exists() {
        let what = if root {
            "not asked: this process is in the root of the tree"
        } else {
            "groups can be killed at once"
        };
        return Check::ok(GROUP, name, what);
    }
    Check::warn(GROUP, name, "groups are frozen and killed one by one", "a kernel of Linux 5.14 or newer")
}
