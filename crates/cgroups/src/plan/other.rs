//! Tasks, huge pages, RDMA, network tags: controllers with one or two files each.

use std::collections::BTreeMap;

use orlop_spec::{HugepageLimit, Network, Pids, Pointer, Rdma};

use super::{Planner, Wish};
use crate::controller::Controller;
use crate::layout::Hierarchy;
use crate::setting::Absent;

const PIDS: Pointer = Pointer::new("/linux/resources/pids/limit");
const HUGEPAGES: &str = "/linux/resources/hugepageLimits/{}";
const RDMA: &str = "/linux/resources/rdma/{}";
const CLASS: Pointer = Pointer::new("/linux/resources/network/classID");
const PRIORITIES: &str = "/linux/resources/network/priorities/{}";

impl Planner<'_> {
    /// Tasks (cgroup-v2.rst, "PID Interface Files"). As in runc 1.4: a negative limit is none, and zero is one, since the
    /// container's first process is there before any limit is met and systemd knows no zero.
    pub(super) fn pids(&mut self, pids: &Pids) {
        let value = match pids.limit {
            None => return,
            Some(0) => "1".to_owned(),
            Some(n) if n > 0 => n.to_string(),
            Some(_) if self.layout.hierarchy_of(Controller::Pids).is_none() => return,
            Some(_) => "max".to_owned(),
        };
        if let Some(version) = self.version(Controller::Pids, &PIDS) {
            self.put(version, Wish::new(Controller::Pids, "pids.max", value, PIDS, "number of tasks"));
        }
    }

    /// Huge pages (cgroup-v2.rst, "HugeTLB Interface Files"; the reservation files are since Linux 5.7).
    pub(super) fn hugepages(&mut self, limits: &[HugepageLimit]) {
        for (i, limit) in limits.iter().enumerate() {
            let origin = Pointer::new(HUGEPAGES).at(i);
            if !is_page_size(&limit.page_size) {
                let what = format!("{:?} is not a page size such as \"2MB\"", limit.page_size);
                self.problem(origin, what, "ls /sys/kernel/mm/hugepages shows the sizes of this host");
                continue;
            }
            let Some(version) = self.version(Controller::Hugetlb, &origin) else {
                continue;
            };
            let end = if version == Hierarchy::V2 { "max" } else { "limit_in_bytes" };
            let file = |middle: &str| format!("hugetlb.{}.{middle}{end}", limit.page_size);
            let why = "huge pages in use, in bytes";
            let wish = Wish::new(Controller::Hugetlb, file(""), limit.limit, origin.clone(), why);
            self.put(version, wish);
            let why = "huge pages reserved, in bytes";
            let wish = Wish::new(Controller::Hugetlb, file("rsvd."), limit.limit, origin, why);
            self.put(version, wish.or(Absent::Skip));
        }
    }

    /// RDMA (cgroup-v2.rst, "RDMA Interface Files"); the file is the same in both versions.
    pub(super) fn rdma(&mut self, devices: &BTreeMap<String, Rdma>) {
        for (name, rdma) in devices {
            let origin = Pointer::new(RDMA).key(name.as_str());
            if name.is_empty() || name.contains(char::is_whitespace) {
                self.problem(origin, format!("{name:?} is not the name of an RDMA device"), "");
                continue;
            }
            let mut value = name.clone();
            for (key, limit) in [("hca_handle", rdma.hca_handles), ("hca_object", rdma.hca_objects)] {
                if let Some(limit) = limit {
                    value = format!("{value} {key}={limit}");
                }
            }
            if value == *name {
                self.problem(origin, "neither hcaHandles nor hcaObjects is given", "");
            } else if let Some(version) = self.version(Controller::Rdma, &origin) {
                let why = "RDMA handles and objects";
                self.put(version, Wish::new(Controller::Rdma, "rdma.max", value, origin, why));
            }
        }
    }

    /// Network tags, which only version 1 has. On a host with version 2 only they are ignored, as by runc.
    pub(super) fn network(&mut self, network: &Network) {
        if let Some(class) = network.class_id.filter(|c| *c != 0) {
            let why = "class of the packets";
            self.network_tag(Wish::new(Controller::NetCls, "net_cls.classid", u64::from(class), CLASS, why));
        }
        for (i, priority) in network.priorities.iter().enumerate() {
            let origin = Pointer::new(PRIORITIES).at(i);
            if priority.name.is_empty() || priority.name.contains(char::is_whitespace) {
                self.problem(origin, format!("{:?} is not the name of an interface", priority.name), "");
                continue;
            }
            let value = format!("{} {}", priority.name, priority.priority);
            let why = "priority of the packets";
            self.network_tag(Wish::new(Controller::NetPrio, "net_prio.ifpriomap", value, origin, why));
        }
    }

    fn network_tag(&mut self, wish: Wish) {
        if self.layout.v1.is_empty() {
            self.warn(wish.origin, format!("cgroup v2 has no {} controller; ignored", wish.controller));
        } else if let Some(version) = self.version(wish.controller, &wish.origin) {
            self.put(version, wish);
        }
    }
}

fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
