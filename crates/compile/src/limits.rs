//! Resource limits and the OOM score.

use crate::Code;
use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_program::message::Point;
use orlop_spec::{Pointer, Process, Rlimit, RlimitKind};

impl Compiler<'_> {
    /// How willingly the kernel kills the process when memory is short.
    pub(crate) fn oom_score(&mut self, process: &Process) {
        if self.in_user_namespace() {
            return; // The host side has done it.
        }
        if let Some(value) = self.oom_score_value(process) {
            let step = Step::OomScoreAdj { value };
            self.step(step, Pointer::new("/process/oomScoreAdj"), "While we may still lower it.");
        }
    }

    /// The same, done by the host side. First of all steps: it is the first thing that init waits for.
    pub(crate) fn oom_score_by_host(&mut self, process: &Process) {
        self.launch.oom_score_adj = self.oom_score_value(process);
        if self.launch.oom_score_adj.is_some() {
            let why = "The host side sets it: lowering it takes a right that init may not have, or a procfs.";
            self.sync(Point::Begin, Pointer::new("/process/oomScoreAdj"), why);
        }
    }

    fn oom_score_value(&mut self, process: &Process) -> Option<i32> {
        let value = process.oom_score_adj?;
        if !(-1000..=1000).contains(&value) {
            let message = format!("oomScoreAdj goes from -1000 to 1000, {value} is out of range");
            self.error(Code::OomScore, Pointer::new("/process/oomScoreAdj"), message);
            return None;
        }
        i32::try_from(value).ok()
    }

    /// Resource limits, each at most once.
    pub(crate) fn rlimits(&mut self, rlimits: &[Rlimit]) {
        for (index, limit) in rlimits.iter().enumerate() {
            let pointer = Pointer::new("/process/rlimits/{}").at(index);
            let Some(resource) = number(&limit.kind) else {
                let message = format!("{:?} is no resource limit", limit.kind.as_str());
                self.error(Code::Rlimit, Pointer::new("/process/rlimits/{}/type").at(index), message)
                    .hint("names are those of getrlimit(2), such as RLIMIT_NOFILE");
                continue;
            };
            if rlimits[..index].iter().any(|earlier| earlier.kind == limit.kind) {
                self.error(Code::Rlimit, pointer, format!("{} is listed twice", limit.kind));
                continue;
            }
            if limit.soft > limit.hard {
                let message = format!(
                    "the soft limit {} of {} is above the hard limit {}",
                    limit.soft, limit.kind, limit.hard
                );
                self.error(Code::Rlimit, pointer, message);
                continue;
            }
            if self.host.privileged && self.in_user_namespace() {
                self.launch.raise_limits.push((resource, limit.hard));
            }
            let step = Step::Rlimit { resource, soft: limit.soft, hard: limit.hard };
            self.step(step, pointer, "While we may still raise it.");
        }
    }
}

/// The name of a resource by its number, for messages.
pub fn rlimit_name(resource: u32) -> &'static str {
    let known = RlimitKind::KNOWN.iter().find(|kind| number(kind) == Some(resource));
    known.map_or("a resource limit", |kind| kind.as_str())
}

/// The number of a resource.
#[allow(clippy::unnecessary_cast)] // C libraries disagree about the type
fn number(kind: &RlimitKind) -> Option<u32> {
    Some(match kind {
        RlimitKind::Cpu => libc::RLIMIT_CPU,
        RlimitKind::Fsize => libc::RLIMIT_FSIZE,
        RlimitKind::Data => libc::RLIMIT_DATA,
        RlimitKind::Stack => libc::RLIMIT_STACK,
        RlimitKind::Core => libc::RLIMIT_CORE,
        RlimitKind::Rss => libc::RLIMIT_RSS,
        RlimitKind::Nproc => libc::RLIMIT_NPROC,
        RlimitKind::Nofile => libc::RLIMIT_NOFILE,
        RlimitKind::Memlock => libc::RLIMIT_MEMLOCK,
        RlimitKind::As => libc::RLIMIT_AS,
        RlimitKind::Locks => libc::RLIMIT_LOCKS,
        RlimitKind::Sigpending => libc::RLIMIT_SIGPENDING,
        RlimitKind::Msgqueue => libc::RLIMIT_MSGQUEUE,
        RlimitKind::Nice => libc::RLIMIT_NICE,
        RlimitKind::Rtprio => libc::RLIMIT_RTPRIO,
        RlimitKind::Rttime => libc::RLIMIT_RTTIME,
        RlimitKind::Unknown(_) => return None,
    } as u32)
}

#[cfg(test)]
mod tests {
    use super::{RlimitKind, number};

    #[test]
    fn every_resource_of_the_spec_has_a_number_of_its_own() {
        let mut numbers: Vec<_> = RlimitKind::KNOWN.iter().filter_map(number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..16).collect::<Vec<_>>());
    }
}
