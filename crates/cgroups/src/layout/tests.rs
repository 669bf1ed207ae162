use std::path::Path;

use super::{Hierarchy, Layout};
use crate::controller::Controller;

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
90 23 0:38 / /run/cilium/cgroupv2 rw,relatime shared:9 - cgroup2 none rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
42 31 0:40 / /sys/fs/cgroup/openrc rw,relatime - cgroup openrc rw,name=openrc
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const OWN: &str = "9:name=systemd:/s\n4:memory:/jobs/a:b\n1:cpu,cpuacct:/x\n0::/user.slice/session-1.scope\n";

#[test]
fn a_hybrid_host_has_v2_beside_v1() {
    let layout = Layout::from_texts(HYBRID, OWN);
    let unified = layout.unified.as_ref().unwrap();
    assert_eq!(unified.mount, Path::new("/sys/fs/cgroup/unified"));
    assert_eq!(unified.own, Path::new("user.slice/session-1.scope"));
    let known: Vec<String> = layout.v1.iter().map(|mount| mount.controllers.to_string()).collect();
    assert_eq!(known, ["cpu cpuacct", "memory", "io", "name=systemd"], "others are left out, as in runc");
    assert!(layout.has_v1_controllers() && !layout.v1[3].has_controllers());
    assert_eq!(layout.v1_mount_of(Controller::Memory).unwrap().own, Path::new("jobs/a:b"));
    assert_eq!(layout.v1_mount_of(Controller::Cpuacct).unwrap().own, Path::new("x"));
    assert_eq!(layout.v1_mount_of(Controller::Systemd).unwrap().own, Path::new("s"));
    assert_eq!(layout.v1_mount_of(Controller::Io).unwrap().mount, Path::new("/sys/fs/cgroup/blkio"));
}

#[test]
fn a_controller_of_v2_is_used_there() {
    let mut layout = Layout::from_texts(HYBRID, OWN);
    layout.unified.as_mut().unwrap().controllers.insert(Controller::Memory);
    assert_eq!(layout.hierarchy_of(Controller::Memory), Some(Hierarchy::V2));
    assert_eq!(layout.hierarchy_of(Controller::Cpu), Some(Hierarchy::V1));
    assert_eq!(layout.hierarchy_of(Controller::Core), Some(Hierarchy::V2));
    assert_eq!(layout.hierarchy_of(Controller::Rdma), None);
    let why = layout.looked_for(Controller::Rdma);
    assert_eq!(
        why,
        "not in /sys/fs/cgroup/unified/cgroup.controllers, and no version 1 hierarchy with rdma is mounted"
    );
}

#[test]
fn inside_a_container_without_a_cgroup_namespace_the_mount_root_is_not_the_hierarchy_root() {
    let info = "35 31 0:32 /docker/abc /sys/fs/cgroup/me\\040mory ro - cgroup cgroup rw,memory\n";
    let layout = Layout::from_texts(info, "4:memory:/docker/abc/inner\n");
    let memory = layout.v1_mount_of(Controller::Memory).unwrap();
    assert_eq!(memory.own, Path::new("inner"));
    assert_eq!(memory.mount, Path::new("/sys/fs/cgroup/me mory"));
    assert_eq!(layout.unified, None);
}

#[test]
fn a_cgroup_outside_our_namespace_counts_as_the_root() {
    let layout = Layout::from_texts(HYBRID, "0::/../../other\n");
    assert_eq!(layout.unified.unwrap().own, Path::new(""));
}
