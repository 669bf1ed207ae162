//! Controllers, and sets of them.

use std::fmt;

/// A resource controller of the kernel (cgroup-v2.rst, "Controllers"; cgroup-v1/).
///
/// One name for both versions: what version 1 calls `blkio` is [`Controller::Io`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// CPU time: weight and bandwidth. In version 1 also realtime bandwidth.
    Cpu,
    /// Version 1 only: CPU time accounting. Version 2 accounts in `cpu.stat` without a controller.
    Cpuacct,
    /// Which CPUs and memory nodes may be used.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Block devices; `blkio` in version 1.
    Io,
    /// Number of tasks.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// RDMA handles and objects.
    Rdma,
    /// Scalar resources such as SEV ASIDs. Version 2 only.
    Misc,
    /// Device memory, since Linux 6.14. Version 2 only.
    Dmem,
    /// Version 1 only: class id of a cgroup's packets.
    NetCls,
    /// Version 1 only: priority of a cgroup's packets per interface.
    NetPrio,
    /// Version 1 only: which devices may be used. In version 2 that is a program, and it is what holds here too.
    Devices,
    /// Version 1 only: stopping processes. Version 2 does it in every cgroup.
    Freezer,
    /// Version 1 only: events of a cgroup, for perf(1). Version 2 has them in every cgroup.
    PerfEvent,
    /// No controller, but the version 1 hierarchy in which systemd keeps its services.
    Systemd,
    /// The core itself: the files `cgroup.*`, present in every cgroup of version 2.
    Core,
}

impl Controller {
    /// Every controller, in the order in which settings are written.
    pub const ALL: [Self; 17] = [
        Self::Core,
        Self::Pids,
        Self::Memory,
        Self::Io,
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Hugetlb,
        Self::Rdma,
        Self::Misc,
        Self::Dmem,
        Self::NetCls,
        Self::NetPrio,
        Self::Devices,
        Self::Freezer,
        Self::PerfEvent,
        Self::Systemd,
    ];

    /// The name in `cgroup.controllers` and before the dot of a version 2 file name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Pids => "pids",
            Self::Hugetlb => "hugetlb",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
            Self::Dmem => "dmem",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::PerfEvent => "perf_event",
            Self::Systemd => "name=systemd",
            Self::Core => "cgroup",
        }
    }

    /// The name among the mount options of a version 1 hierarchy and in `/proc/self/cgroup`.
    pub fn v1_name(self) -> &'static str {
        if self == Self::Io { "blkio" } else { self.name() }
    }

    /// The controller of a version 2 name, such as `memory`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The controller of a version 1 name, such as `blkio`.
    pub fn from_v1_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| *c != Self::Core && c.v1_name() == name)
    }

    /// Whether version 2 lets a *threaded* cgroup have this controller (cgroup-v2.rst, "Threads").
    pub fn is_threaded(self) -> bool {
        matches!(self, Self::Cpu | Self::Cpuset | Self::Pids | Self::Core)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of controllers.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Controllers(u32);

impl Controllers {
    /// The set without members.
    pub const NONE: Self = Self(0);

    /// Reads the text of `cgroup.controllers` or `cgroup.subtree_control`: names separated by spaces. Unknown names are skipped.
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().filter_map(Controller::from_name).collect()
    }

    /// Whether `controller` is a member.
    pub fn contains(self, controller: Controller) -> bool {
        self.0 & (1 << controller as u16) != 0
    }

    /// Adds `controller`.
    pub fn insert(&mut self, controller: Controller) {
        self.0 |= 1 << controller as u16;
    }

    /// The members that `other` lacks.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there are no members.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of [`Controller::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |c| self.contains(*c))
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(members: I) -> Self {
        let mut set = Self::NONE;
        for controller in members {
            set.insert(controller);
        }
        set
    }
}

impl fmt::Display for Controllers {
    /// Names separated by spaces, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, controller) in self.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{controller}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Controller, Controllers};

    #[test]
    fn names_go_both_ways() {
        for controller in Controller::ALL {
            assert_eq!(Controller::from_name(controller.name()), Some(controller));
        }
        assert_eq!(Controller::from_v1_name("blkio"), Some(Controller::Io));
        assert_eq!(Controller::from_v1_name("name=systemd"), Some(Controller::Systemd));
        assert_eq!(Controller::from_v1_name("debug"), None);
    }

    #[test]
    fn sets_parse_what_the_kernel_prints() {
        let set = Controllers::parse("cpuset cpu io memory hugetlb pids rdma misc unknown\n");
        assert_eq!(set.to_string(), "pids memory io cpu cpuset hugetlb rdma misc");
        assert!(!set.contains(Controller::Dmem));
        assert_eq!(Controllers::parse("\n").to_string(), "none");
        assert_eq!(
            set.without(Controllers::parse("cpu memory pids io")).to_string(),
            "cpuset hugetlb rdma misc"
        );
    }
}
