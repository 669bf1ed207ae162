//! What containers have left behind: orlop's own, which `orlop gc` removes, and what can be recognised of others.
//!
//! Each kind is a file. In it, what the kernel says is gathered into values, and what is left is judged from these alone. What
//! may be in use is not reported; where that cannot be known, this is said.
//!
//! | file | what is in it |
//! |---|---|
//! | `facts.rs` | what all kinds need: processes, mounts, the ids that states and bundles name |
//! | `holds.rs` | what processes hold: network namespaces, files, mounts, listening sockets |
//! | `states.rs` | states of other runtimes |
//! | `cgroups.rs` | cgroups that are named, or marked, as those of containers |
//! | `netns.rs` | network namespaces that a mount keeps |
//! | `mounts.rs` | root file systems and shared memory of containers |
//! | `processes.rs` | shims, monitors, processes that wait for a start, zombies |
//! | `sockets.rs` | sockets of shims |
//! | `keyrings.rs` | keyrings, as far as they can be judged |
//! | `pins.rs` | device programs that are pinned |

mod cgroups;
mod facts;
mod holds;
mod keyrings;
mod mounts;
mod netns;
mod pins;
mod processes;
mod sockets;
mod states;

use std::collections::BTreeSet;
use std::path::PathBuf;

use orlop_runtime::leftovers::Leftover;

use self::facts::Facts;
use self::holds::Holds;
use super::Check;

const GROUP: &str = "Leftovers";

/// Something that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    /// Its path or number, and what it is.
    what: String,
    /// Why it is taken for a leftover.
    why: String,
    /// What removes it.
    remedy: String,
}

impl Finding {
    fn new(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), remedy: remedy.into() }
    }
}

/// What came of looking for one kind of things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answer {
    findings: Vec<Finding>,
    /// What could not be known, and why.
    unknown: Vec<String>,
}

impl Answer {
    /// What is left, if all is known that may be in use.
    fn if_all_is_seen(facts: &Facts, judge: impl FnOnce(&Holds) -> Vec<Finding>) -> Self {
        let holds = facts.holds();
        match &holds.gap {
            Some(gap) => Self { unknown: vec![gap.clone()], ..Self::default() },
            None => Self { findings: judge(holds), ..Self::default() },
        }
    }

    /// What is left, if all states and bundles are known that may name it.
    fn if_all_are_listed(facts: &Facts, findings: Vec<Finding>) -> Self {
        match &facts.unlisted {
            Some(why) if !findings.is_empty() => Self { unknown: vec![why.clone()], ..Self::default() },
            _ => Self { findings, ..Self::default() },
        }
    }

    fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.unknown.extend(other.unknown);
    }
}

pub(super) fn checks(found: Result<Vec<Leftover>, String>) -> Vec<Check> {
    let facts = Facts::gather();
    let known: Vec<PathBuf> = found.iter().flatten().map(|leftover| leftover.path.clone()).collect();
    let mut checks = vec![own(found)];
    let mut tell = |name, none, answer| checks.extend(told(name, none, answer));
    tell("other runtimes", "no container has ended and was not deleted", states::look(&facts));
    tell("cgroups", "all that are containers' by their names are in use", cgroups::look(&facts, &known));
    tell("network namespaces", "all that engines have made are in use", netns::look(&facts));
    tell("mounts", "none of a container that is gone", mounts::look(&facts));
    tell("processes", "none is left of a container", processes::look(&facts));
    tell("sockets", "shims listen at all of theirs", sockets::look(&facts));
    tell("device programs", "none is pinned for a container that is gone", pins::look(&facts));
    checks.extend(keyrings::checks());
    checks
}

/// What `orlop gc` would remove.
fn own(found: Result<Vec<Leftover>, String>) -> Check {
    let name = "orlop";
    match found {
        Ok(found) if found.is_empty() => Check::ok(GROUP, name, "nothing is left"),
        Ok(found) => {
            let all: Vec<String> = found
                .iter()
                .map(|one| format!("{} {} ({})", one.kind, one.path.display(), one.why))
                .collect();
            Check::warn(GROUP, name, all.join("; "), "orlop gc")
        }
        Err(why) => Check::ok(GROUP, name, format!("not known: {why}")),
    }
}

/// An answer as checks: one for each finding.
fn told(name: &'static str, none: &str, answer: Answer) -> Vec<Check> {
    let one = |Finding { what, why, remedy }| Check::warn(GROUP, name, format!("{what}: {why}"), remedy);
    // What is mounted twice at one place is told once.
    let mut told = BTreeSet::new();
    let findings = answer.findings.into_iter().filter(|finding| told.insert(finding.what.clone()));
    let mut checks: Vec<Check> = findings.map(one).collect();
    if !answer.unknown.is_empty() {
        checks.push(Check::ok(GROUP, name, format!("not known: {}", answer.unknown.join("; "))));
    } else if checks.is_empty() {
        checks.push(Check::ok(GROUP, name, none));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn findings_are_told_one_by_one() {
        let finding = |n: usize| Finding::new(format!("/run/{n}"), "nobody has it", format!("rm /run/{n}"));
        let answer = |count| Answer { findings: (0..count).map(finding).collect(), unknown: vec![] };
        let checks = told("sockets", "none", answer(2));
        assert_eq!((checks.len(), &*checks[1].what), (2, "/run/1: nobody has it"));
        assert_eq!(checks[1].remedy.as_deref(), Some("rm /run/1"));
        let checks = told("sockets", "none", answer(0));
        assert_eq!((checks.len(), checks[0].outcome, &*checks[0].what), (1, Outcome::Ok, "none"));
        let unknown = Answer { unknown: vec!["no right to look".into()], ..answer(0) };
        let checks = told("sockets", "none", unknown);
        assert_eq!((checks.len(), &*checks[0].what), (1, "not known: no right to look"));
    }
}
