//! Scheduling: policy, I/O priority, and the CPUs to run on.

use crate::compiler::Compiler;
use crate::{Code, Origin, SchedulerAttributes, numbers};
use orlop_program::Step;
use orlop_spec::{CpuAffinity, IoPriority, IoPriorityClass, Pointer, Process, Scheduler, SchedulerPolicy};

/// The flags of sched_setattr(2), one bit each.
const FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// `SCHED_FLAG_KEEP_POLICY` and `SCHED_FLAG_KEEP_PARAMS`: what is given besides is not looked at.
const KEEP: u64 = 0x18;

/// No kernel can be built for more CPUs.
const MOST_CPUS: u32 = 8191;

/// Runs of the deadline policy are at least this long, in nanoseconds (sched(7)).
const SHORTEST: u64 = 1024;

impl Compiler<'_> {
    /// How the process is scheduled. An added process has what its container has unless it says otherwise, as with runc.
    pub(crate) fn scheduling(&mut self, process: &Process, added: bool) {
        let container = self.spec.process.as_ref();
        let scheduler = process.scheduler.as_ref().or_else(|| container?.scheduler.as_ref());
        let io_priority = process.io_priority.as_ref().or_else(|| container?.io_priority.as_ref());
        let said = |affinity: &&CpuAffinity| !(affinity.initial.is_empty() && affinity.final_.is_empty());
        let affinity = process.exec_cpu_affinity.as_ref().filter(said);
        let affinity = affinity.or_else(|| container?.exec_cpu_affinity.as_ref().filter(said));

        // Before the policy: a process with deadlines may not be confined to some CPUs.
        self.affinity(affinity, added);
        if let Some(scheduler) = scheduler {
            self.scheduler(scheduler);
        }
        if let Some(priority) = io_priority {
            self.io_priority(priority);
        }
    }

    /// The caller's own affinity must not come along. That of the config is for added processes only, and only checked for
    /// the container's first one.
    fn affinity(&mut self, affinity: Option<&CpuAffinity>, added: bool) {
        let initial = affinity.and_then(|a| self.cpus("/process/execCPUAffinity/initial", &a.initial));
        let last = affinity.and_then(|a| self.cpus("/process/execCPUAffinity/final", &a.final_));
        let (initial, last) = if added { (initial, last) } else { (None, None) };
        if let Some(cpus) = &last {
            let step = Step::Affinity { cpus: Some(cpus) };
            let why = "In the container's cgroup, which decides what can be had of it.";
            self.step(step, Pointer::new("/process/execCPUAffinity/final"), why);
        } else if initial.is_none() {
            let origin = Origin::Rule("the caller's CPU affinity stays the caller's");
            self.step(Step::Affinity { cpus: None }, origin, "The cgroup alone decides about CPUs.");
        }
        self.launch.initial_cpus = initial;
    }

    fn cpus(&mut self, field: &'static str, list: &str) -> Option<Vec<u8>> {
        match numbers::mask(list, MOST_CPUS) {
            _ if list.is_empty() => None,
            Ok(mask) => Some(mask),
            Err(what) => {
                let message = format!("{list:?} is no list of CPUs: {what}");
                self.error(Code::CpuAffinity, Pointer::new(field), message).hint("write it as 0-3,7");
                None
            }
        }
    }

    fn scheduler(&mut self, scheduler: &Scheduler) {
        let flags = self.scheduler_flags(&scheduler.flags);
        let Some(policy) = self.policy(&scheduler.policy) else { return };
        if flags & KEEP == 0 {
            self.parameters(scheduler);
        }
        let &Scheduler { nice, runtime, deadline, period, .. } = scheduler;
        let priority = u32::try_from(scheduler.priority).unwrap_or_default();
        if self.host.privileged && self.in_user_namespace() {
            self.launch.scheduler =
                Some(SchedulerAttributes { policy, flags, nice, priority, runtime, deadline, period });
            return;
        }
        let step = Step::Scheduler { policy, flags, nice, priority, runtime, deadline, period };
        let why = "As late as can be, as it may slow us down, but while we may still raise it.";
        self.step(step, Pointer::new("/process/scheduler"), why);
    }

    fn policy(&mut self, policy: &SchedulerPolicy) -> Option<u32> {
        let number = match policy {
            SchedulerPolicy::Other => 0,
            SchedulerPolicy::Fifo => 1,
            SchedulerPolicy::Rr => 2,
            SchedulerPolicy::Batch => 3,
            SchedulerPolicy::Idle => 5,
            SchedulerPolicy::Deadline => 6,
            SchedulerPolicy::Iso | SchedulerPolicy::Unknown(_) => {
                let what =
                    if *policy == SchedulerPolicy::Iso { "was never part of Linux" } else { "is unknown" };
                let message = format!("the scheduling policy {:?} {what}", policy.as_str());
                self.error(Code::Scheduler, Pointer::new("/process/scheduler/policy"), message).hint(
                    "policies are SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR and SCHED_DEADLINE",
                );
                return None;
            }
        };
        Some(number)
    }

    fn scheduler_flags(&mut self, names: &[String]) -> u64 {
        let mut flags = 0;
        for (index, name) in names.iter().enumerate() {
            if let Some(bit) = FLAGS.iter().position(|known| known == name) {
                flags |= 1 << bit;
                continue;
            }
            let pointer = Pointer::new("/process/scheduler/flags/{}").at(index);
            self.error(Code::Scheduler, pointer, format!("{name:?} is no scheduling flag"))
                .hint("flags are those of sched_setattr(2), such as SCHED_FLAG_RESET_ON_FORK");
        }
        flags
    }

    /// Parameters belong to policies; the kernel would only say "invalid argument".
    fn parameters(&mut self, scheduler: &Scheduler) {
        use SchedulerPolicy::{Batch, Deadline, Fifo, Other, Rr};
        let (policy, nice, priority) = (&scheduler.policy, scheduler.nice, scheduler.priority);
        let mut refuse = |field: &'static str, message: String| {
            self.error(Code::Scheduler, Pointer::new(field), message);
        };
        match policy {
            Fifo | Rr if !(1..=99).contains(&priority) => {
                refuse(
                    "/process/scheduler/priority",
                    format!("{policy} has priorities 1 to 99, not {priority}"),
                );
            }
            Fifo | Rr => {}
            _ if priority != 0 => {
                let message = format!("a priority is for SCHED_FIFO and SCHED_RR only, not for {policy}");
                refuse("/process/scheduler/priority", message);
            }
            _ => {}
        }
        let &Scheduler { runtime, deadline, period, .. } = scheduler;
        if *policy == Deadline {
            let window = if period == 0 { deadline } else { period };
            if runtime < SHORTEST || runtime > deadline || deadline > window || window >= 1 << 63 {
                let message = format!(
                    "SCHED_DEADLINE needs {SHORTEST} <= runtime <= deadline <= period in nanoseconds, \
                    not {runtime}, {deadline}, {period}"
                );
                refuse("/process/scheduler", message);
            }
        } else if runtime | deadline | period != 0 {
            let message =
                format!("runtime, deadline and period are for SCHED_DEADLINE only, not for {policy}");
            refuse("/process/scheduler", message);
        }
        let out_of_range = !(-20..=19).contains(&nice);
        if matches!(policy, Other | Batch) && out_of_range {
            refuse(
                "/process/scheduler/nice",
                format!("nice values go from -20 to 19, {nice} is out of range"),
            );
        } else if !matches!(policy, Other | Batch) && nice != 0 {
            let message = format!("a nice value has no effect with {policy}");
            self.warn(Code::Scheduler, Pointer::new("/process/scheduler/nice"), message);
        }
    }

    fn io_priority(&mut self, priority: &IoPriority) {
        let class = match &priority.class {
            IoPriorityClass::RealTime => 1,
            IoPriorityClass::BestEffort => 2,
            IoPriorityClass::Idle => 3,
            IoPriorityClass::Unknown(name) => {
                let message = format!("{name:?} is no class of I/O priority");
                self.error(Code::IoPriority, Pointer::new("/process/ioPriority/class"), message)
                    .hint("classes are IOPRIO_CLASS_RT, IOPRIO_CLASS_BE and IOPRIO_CLASS_IDLE");
                return;
            }
        };
        let Some(level) = u32::try_from(priority.priority).ok().filter(|level| *level <= 7) else {
            let message = format!("I/O priorities go from 0 to 7, {} is out of range", priority.priority);
            self.error(Code::IoPriority, Pointer::new("/process/ioPriority/priority"), message);
            return;
        };
        let value = class << 13 | level;
        if self.host.privileged && self.in_user_namespace() {
            self.launch.io_priority = Some(value);
            return;
        }
        let step = Step::IoPriority { value };
        self.step(step, Pointer::new("/process/ioPriority"), "While we may still raise it.");
    }
}
