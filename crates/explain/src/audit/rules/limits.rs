//! What it may use up, and what others run for it.

use super::{Facts, Hit, hit, when};

pub(super) fn memory(facts: &Facts) -> Vec<Hit> {
    when(facts.memory_limited == Some(false), || {
        hit("memory is not limited", "/linux/resources/memory/limit")
    })
}

pub(super) fn pids(facts: &Facts) -> Vec<Hit> {
    when(facts.pids_limited == Some(false), || {
        hit("processes are not limited", "/linux/resources/pids/limit")
    })
}

pub(super) fn cpu(facts: &Facts) -> Vec<Hit> {
    when(facts.cpu_limited == Some(false), || hit("CPU time is not limited", "/linux/resources/cpu/quota"))
}

pub(super) fn hooks(facts: &Facts) -> Vec<Hit> {
    facts.hooks.iter().map(|(path, pointer)| hit(format!("{path} runs on the host"), pointer)).collect()
}
