//! CPU time and placement (cgroup-v2.rst, "CPU Interface Files" and "Cpuset Interface Files"; sched-bwc.rst).

use orlop_spec::{Cpu, Pointer};

use super::convert::cpu_weight;
use super::{Planner, Wish};
use crate::controller::Controller;
use crate::layout::Hierarchy;
use crate::setting::{Absent, Setting};

const SHARES: Pointer = Pointer::new("/linux/resources/cpu/shares");
const QUOTA: Pointer = Pointer::new("/linux/resources/cpu/quota");
const PERIOD: Pointer = Pointer::new("/linux/resources/cpu/period");
const BURST: Pointer = Pointer::new("/linux/resources/cpu/burst");
const IDLE: Pointer = Pointer::new("/linux/resources/cpu/idle");
const RT_PERIOD: Pointer = Pointer::new("/linux/resources/cpu/realtimePeriod");
const RT_RUNTIME: Pointer = Pointer::new("/linux/resources/cpu/realtimeRuntime");
const CPUS: Pointer = Pointer::new("/linux/resources/cpu/cpus");
const MEMS: Pointer = Pointer::new("/linux/resources/cpu/mems");

const CPU: Controller = Controller::Cpu;
/// The kernel's default period, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

/// The values of a [`Cpu`] that are set; in the OCI spec zero is "unset" for all but `burst` and `idle`.
struct Time {
    shares: Option<u64>,
    quota: Option<i64>,
    period: Option<u64>,
    burst: Option<u64>,
    idle: Option<i64>,
    rt_period: Option<u64>,
    rt_runtime: Option<i64>,
}

impl Planner<'_> {
    pub(super) fn cpu(&mut self, cpu: &Cpu) {
        if let Some(idle) = cpu.idle.filter(|idle| !matches!(idle, 0 | 1)) {
            return self.problem(IDLE, format!("{idle} is neither 0 nor 1"), "");
        }
        let time = Time {
            shares: cpu.shares.filter(|v| *v != 0),
            quota: cpu.quota.filter(|v| *v != 0),
            period: cpu.period.filter(|v| *v != 0),
            burst: cpu.burst,
            idle: cpu.idle,
            rt_period: cpu.realtime_period.filter(|v| *v != 0),
            rt_runtime: cpu.realtime_runtime.filter(|v| *v != 0),
        };
        let limiting = [
            time.shares.map(|_| SHARES),
            time.quota.filter(|q| *q > 0).map(|_| QUOTA),
            time.burst.filter(|b| *b > 0).map(|_| BURST),
            time.idle.filter(|i| *i != 0).map(|_| IDLE),
            time.rt_runtime.map(|_| RT_RUNTIME),
            time.rt_period.map(|_| RT_PERIOD),
        ];
        let harmless =
            time.quota.is_some() || time.period.is_some() || time.burst.is_some() || time.idle.is_some();
        let version = match limiting.into_iter().flatten().next() {
            Some(origin) => self.version(CPU, &origin),
            None if harmless => self.layout.hierarchy_of(CPU),
            None => None,
        };
        match version {
            Some(Hierarchy::V2) => self.cpu_v2(&time),
            Some(Hierarchy::V1) => self.cpu_v1(&time),
            None => {}
        }
    }

    fn cpu_v2(&mut self, time: &Time) {
        let mut put = |file, value: String, origin, why| {
            self.put(Hierarchy::V2, Wish::new(CPU, file, value, origin, why));
        };
        if let Some(idle) = time.idle {
            put("cpu.idle", idle.to_string(), IDLE, "runs only when nothing else does");
        }
        if let Some(weight) = time.shares.and_then(cpu_weight) {
            put("cpu.weight", weight.to_string(), SHARES, "share of CPU time under contention");
        }
        if time.quota.is_some() || time.period.is_some() {
            let quota = time.quota.filter(|q| *q > 0).map_or("max".into(), |q| q.to_string());
            let value = format!("{quota} {}", time.period.unwrap_or(DEFAULT_PERIOD));
            let origin = if time.quota.is_some() { QUOTA } else { PERIOD };
            put("cpu.max", value, origin, "CPU time in each period, in microseconds");
        }
        if let Some(burst) = time.burst {
            put("cpu.max.burst", burst.to_string(), BURST, "CPU time saved up for bursts, in microseconds");
        }
        for (set, origin) in [(time.rt_period.is_some(), RT_PERIOD), (time.rt_runtime.is_some(), RT_RUNTIME)]
        {
            if set {
                self.warn(origin, "cgroup v2 has no realtime bandwidth; ignored");
            }
        }
    }

    /// The kernel refuses a weight for an idle cgroup: idle is a weight, the smallest. By whatever names both are asked for.
    pub(super) fn idle_without_weight(&mut self) {
        let is = |setting: &Setting, files: &[&str]| {
            setting.hierarchy == Hierarchy::V2 && files.contains(&setting.file.as_ref())
        };
        let idle = self.settings.iter().rfind(|setting| is(setting, &["cpu.idle"]));
        if idle.is_none_or(|idle| idle.value.trim() != "1") {
            return;
        }
        let weights = |setting: &mut Setting| is(setting, &["cpu.weight", "cpu.weight.nice"]);
        for Setting { origin, file, .. } in self.settings.extract_if(.., weights).collect::<Vec<_>>() {
            let ignored = if origin == SHARES { "shares are".to_owned() } else { format!("{file} is") };
            self.warn(
                origin,
                format!("unable to apply both: an idle cgroup has no other weight; {ignored} ignored"),
            );
        }
    }

    fn cpu_v1(&mut self, time: &Time) {
        // The kernel clamps silently; runc reads back and refuses. We know the bounds.
        if let Some(shares) = time.shares.filter(|s| !(2..=262_144).contains(s)) {
            let what = format!("{shares} CPU shares are not between 2 and 262144");
            return self.problem(SHARES, what, "");
        }
        let mut put = |file, value: Option<String>, origin, why, absent| {
            if let Some(value) = value {
                self.put(Hierarchy::V1, Wish::new(CPU, file, value, origin, why).or(absent));
            }
        };
        let text = |n: u64| n.to_string();
        let why = "share of CPU time under contention";
        put("cpu.shares", time.shares.map(text), SHARES, why, Absent::Fail);
        let why = "period of the CPU quota, in microseconds";
        put("cpu.cfs_period_us", time.period.map(text), PERIOD, why, Absent::Fail);
        let why = "CPU time in each period, in microseconds";
        put("cpu.cfs_quota_us", time.quota.map(|q| q.to_string()), QUOTA, why, Absent::Fail);
        let why = "CPU time saved up for bursts, in microseconds";
        let absent = if time.burst == Some(0) { Absent::Skip } else { Absent::Fail };
        put("cpu.cfs_burst_us", time.burst.map(text), BURST, why, absent);
        let why = "runs only when nothing else does";
        put("cpu.idle", time.idle.map(|i| i.to_string()), IDLE, why, Absent::Fail);
        let why = "period of realtime CPU time, in microseconds";
        put("cpu.rt_period_us", time.rt_period.map(text), RT_PERIOD, why, Absent::Fail);
        let why = "realtime CPU time in each period, in microseconds";
        put("cpu.rt_runtime_us", time.rt_runtime.map(|r| r.to_string()), RT_RUNTIME, why, Absent::Fail);
    }

    pub(super) fn cpuset(&mut self, cpu: &Cpu) {
        for (list, file, origin, why) in [
            (&cpu.cpus, "cpuset.cpus", CPUS, "CPUs to run on"),
            (&cpu.mems, "cpuset.mems", MEMS, "memory nodes to use"),
        ] {
            if list.is_empty() {
                continue;
            }
            if !list.bytes().all(|b| b.is_ascii_digit() || b",- \n".contains(&b)) {
                self.problem(origin, format!("{list:?} is not a list such as \"0-3,7\""), "");
            } else if let Some(version) = self.version(Controller::Cpuset, &origin) {
                self.put(version, Wish::new(Controller::Cpuset, file, list.trim(), origin, why));
            }
        }
    }
}
