//! Memory and swap (cgroup-v2.rst, "Memory Interface Files"; cgroup-v1/memory.rst).

use orlop_spec::{Memory, Pointer};

use super::convert::{Limit, limit, swap_alone};
use super::{Planner, Wish};
use crate::controller::Controller;
use crate::layout::Hierarchy;
use crate::setting::{Above, Absent};

const LIMIT: Pointer = Pointer::new("/linux/resources/memory/limit");
const SWAP: Pointer = Pointer::new("/linux/resources/memory/swap");
const RESERVATION: Pointer = Pointer::new("/linux/resources/memory/reservation");
const SWAPPINESS: Pointer = Pointer::new("/linux/resources/memory/swappiness");
const OOM: Pointer = Pointer::new("/linux/resources/memory/disableOOMKiller");
const HIERARCHY: Pointer = Pointer::new("/linux/resources/memory/useHierarchy");

/// The three limits, checked.
struct Limits {
    limit: Option<Limit>,
    reservation: Option<Limit>,
    /// Memory and swap together.
    sum: Option<Limit>,
    /// Swap alone.
    swap: Option<Limit>,
}

impl Planner<'_> {
    pub(super) fn memory(&mut self, memory: &Memory) {
        let known = self.problems.len();
        let limits = self.limits(memory);
        if self.problems.len() > known {
            return;
        }
        self.ignored_everywhere(memory);
        let Some((origin, only_max)) = wanted(memory, &limits) else {
            return;
        };
        if only_max && self.layout.hierarchy_of(Controller::Memory).is_none() {
            return; // Without the controller nothing is limited, as wished.
        }
        let first = self.settings.len();
        match self.version(Controller::Memory, &origin) {
            Some(Hierarchy::V2) => self.memory_v2(memory, &limits),
            Some(Hierarchy::V1) => self.memory_v1(memory, &limits),
            None => {}
        }
        if memory.check_before_update == Some(true) {
            self.check_usage(first, &limits);
        }
    }

    fn limits(&mut self, memory: &Memory) -> Limits {
        let mut checked = |value: Option<i64>, origin| match limit(value.unwrap_or(0)) {
            Ok(limit) => limit,
            Err(what) => {
                self.problem(origin, what, "");
                None
            }
        };
        let (max, reservation) = (checked(memory.limit, LIMIT), checked(memory.reservation, RESERVATION));
        let sum = checked(memory.swap, SWAP);
        let swap = swap_alone(max, sum).unwrap_or_else(|what| {
            self.problem(SWAP, what, "in the OCI config, swap counts memory and swap together");
            None
        });
        Limits { limit: max, reservation, sum, swap }
    }

    fn memory_v2(&mut self, memory: &Memory, limits: &Limits) {
        if let Some(swap) = limits.swap {
            // Without swap accounting there is no file; then "no limit" and "no swap at all" are both met.
            let moot = matches!(swap, Limit::Max | Limit::Bytes(0));
            let absent = if moot { Absent::Skip } else { Absent::Fail };
            let origin = if limits.sum.is_some() { SWAP } else { LIMIT };
            let why = "swap beyond the memory limit";
            self.put(Hierarchy::V2, Wish::new(MEMORY, "memory.swap.max", swap, origin, why).or(absent));
        }
        if let Some(max) = limits.limit {
            self.put(Hierarchy::V2, Wish::new(MEMORY, "memory.max", max, LIMIT, "hard limit of memory"));
        }
        if let Some(low) = limits.reservation {
            let why = "memory that is reclaimed last";
            self.put(Hierarchy::V2, Wish::new(MEMORY, "memory.low", low, RESERVATION, why));
        }
        if memory.swappiness.is_some_and(|s| s != u64::MAX) {
            self.warn(SWAPPINESS, "cgroup v2 has no swappiness per cgroup; ignored");
        }
        if memory.disable_oom_killer == Some(true) {
            self.warn(OOM, "cgroup v2 cannot disable the OOM killer; ignored");
        }
    }

    fn memory_v1(&mut self, memory: &Memory, limits: &Limits) {
        let v1 = |limit| match limit {
            Limit::Max => "-1".to_owned(),
            Limit::Bytes(n) => n.to_string(),
        };
        if let Some(max) = limits.limit {
            let file = "memory.limit_in_bytes";
            self.put(Hierarchy::V1, Wish::new(MEMORY, file, v1(max), LIMIT, "hard limit of memory"));
        }
        let (sum, absent) = match (limits.sum, limits.limit) {
            // No limit of memory lifts the limit of the sum, too, unless somebody asked for one.
            (None, Some(Limit::Max)) => (Some(Limit::Max), Absent::Skip),
            (sum, _) => (sum, Absent::Fail),
        };
        if let Some(sum) = sum {
            let origin = if limits.sum.is_some() { SWAP } else { LIMIT };
            let why = "limit of memory and swap together";
            let wish = Wish::new(MEMORY, "memory.memsw.limit_in_bytes", v1(sum), origin, why);
            self.put(Hierarchy::V1, wish.or(absent));
        }
        if let Some(soft) = limits.reservation {
            let why = "memory that is reclaimed last";
            self.put(
                Hierarchy::V1,
                Wish::new(MEMORY, "memory.soft_limit_in_bytes", v1(soft), RESERVATION, why),
            );
        }
        if memory.disable_oom_killer == Some(true) {
            let why = "tasks wait for memory instead of being killed";
            self.put(Hierarchy::V1, Wish::new(MEMORY, "memory.oom_control", "1", OOM, why));
        }
        match memory.swappiness {
            None | Some(u64::MAX) => {}
            Some(s @ 0..=100) => {
                let why = "how readily to swap";
                self.put(Hierarchy::V1, Wish::new(MEMORY, "memory.swappiness", s, SWAPPINESS, why));
            }
            Some(s) => self.problem(SWAPPINESS, format!("{s} is not between 0 and 100"), ""),
        }
    }

    /// What no kernel of today does, in either version.
    fn ignored_everywhere(&mut self, memory: &Memory) {
        for (value, origin) in [
            (memory.kernel, Pointer::new("/linux/resources/memory/kernel")),
            (memory.kernel_tcp, Pointer::new("/linux/resources/memory/kernelTCP")),
        ] {
            if value.is_some_and(|v| v != 0) {
                self.warn(origin, "limits of kernel memory are gone from Linux; ignored");
            }
        }
        if memory.use_hierarchy == Some(false) {
            self.warn(HIERARCHY, "memory is always accounted hierarchically; ignored");
        }
    }

    /// Lets an update fail rather than call the OOM killer: every limit must be above the usage.
    fn check_usage(&mut self, first: usize, limits: &Limits) {
        let bytes = |limit: Option<Limit>| limit.and_then(Limit::bytes);
        for setting in &mut self.settings[first..] {
            let (usage, limit, of) = match &*setting.file {
                "memory.max" => ("memory.current", bytes(limits.limit), "memory"),
                // The limit is of swap alone, but what counts is that both together have room for what is there.
                "memory.swap.max" => ("memory.current", bytes(limits.sum), "memory+swap"),
                "memory.limit_in_bytes" => ("memory.usage_in_bytes", bytes(limits.limit), "memory"),
                "memory.memsw.limit_in_bytes" => {
                    ("memory.memsw.usage_in_bytes", bytes(limits.sum), "memory+swap")
                }
                _ => continue,
            };
            setting.above = limit.map(|limit| Above { usage, limit, of });
        }
    }
}

const MEMORY: Controller = Controller::Memory;

/// The first wish that needs the controller, and whether all wishes are for "no limit"; `None` without wishes.
fn wanted(memory: &Memory, limits: &Limits) -> Option<(Pointer, bool)> {
    let wishes = [(limits.limit, LIMIT), (limits.sum, SWAP), (limits.reservation, RESERVATION)];
    let only_max = wishes.iter().all(|(limit, _)| matches!(limit, None | Some(Limit::Max)));
    let first = wishes.into_iter().find(|(limit, _)| limit.is_some());
    let swappiness = memory.swappiness.filter(|s| *s != u64::MAX).map(|_| (SWAPPINESS, true));
    let oom = memory.disable_oom_killer.filter(|d| *d).map(|_| (OOM, true));
    first.map(|(_, origin)| (origin, only_max)).or(oom).or(swappiness)
}
