//! Who it is, and what it may do.

use super::{Facts, Hit, hit, when};
use crate::audit::capabilities::ALLOWED;
use crate::names::capabilities as names;
use orlop_compile::KNOWN_CAPABILITIES;

const SETS: &str = "/process/capabilities";

pub(super) fn host_root(facts: &Facts) -> Vec<Hit> {
    when(facts.host_uid == Some(0), || hit("it runs as user 0 of the host", "/process/user/uid"))
}

/// How many capabilities are missing from all of them, at most, for one to speak of all.
const NEARLY: u32 = 4;

fn has_nearly_all(set: u64) -> bool {
    set.count_ones() + NEARLY >= ALLOWED.len() as u32
}

pub(super) fn all(facts: &Facts) -> Vec<Hit> {
    when(has_nearly_all(facts.capabilities()), || {
        let level = facts.unprivileged_root.then_some(super::Level::Medium);
        Hit {
            level,
            ..hit(
                format!(
                    "it may have {} of {} capabilities",
                    facts.capabilities().count_ones(),
                    ALLOWED.len()
                ),
                SETS,
            )
        }
    })
}

pub(super) fn capabilities(facts: &Facts) -> Vec<Hit> {
    let set = facts.capabilities();
    if has_nearly_all(set) {
        return Vec::new();
    }
    let held =
        ALLOWED.iter().zip(KNOWN_CAPABILITIES).enumerate().filter(|(number, _)| set >> number & 1 == 1);
    held.map(|(number, ((level, why), name))| {
        let what = if facts.permitted >> number & 1 == 1 {
            format!("it has {name}")
        } else {
            format!("its programs may gain {name}")
        };
        Hit {
            part: Some(part(name)),
            level: Some(if facts.unprivileged_root { level.lower() } else { *level }),
            why: Some(why),
            ..hit(what, SETS)
        }
    })
    .collect()
}

/// A capability's name as findings have it.
fn part(name: &str) -> String {
    name.trim_start_matches("CAP_").to_ascii_lowercase().replace('_', "-")
}

pub(super) fn is_part(text: &str) -> bool {
    KNOWN_CAPABILITIES.iter().any(|name| part(name) == text)
}

pub(super) fn ambient(facts: &Facts) -> Vec<Hit> {
    when(facts.ambient != 0, || {
        hit(format!("ambient: {}", names(facts.ambient)), "/process/capabilities/ambient")
    })
}

pub(super) fn inheritable(facts: &Facts) -> Vec<Hit> {
    // The ambient set is always a part of it.
    let more = facts.inheritable & !facts.ambient;
    when(more != 0, || hit(format!("inheritable: {}", names(more)), "/process/capabilities/inheritable"))
}

pub(super) fn new_privileges(facts: &Facts) -> Vec<Hit> {
    when(!facts.no_new_privileges, || {
        let suid = facts.mounts.first().is_some_and(|root| root.suid);
        let files = if suid { ", and its root file system honours set-user-id bits" } else { "" };
        hit(format!("no_new_privs is not set{files}"), "/process/noNewPrivileges")
    })
}

pub(super) fn no_label(facts: &Facts) -> Vec<Hit> {
    when(facts.label.is_none(), || hit("no security module confines it", "/process/apparmorProfile"))
}

pub(super) fn oom(facts: &Facts) -> Vec<Hit> {
    let score = facts.oom_score_adj.filter(|score| *score < 0);
    score
        .into_iter()
        .map(|score| hit(format!("its OOM score adjustment is {score}"), "/process/oomScoreAdj"))
        .collect()
}
