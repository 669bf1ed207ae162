//! What the machine has in use, in numbers: what a runtime that loses nothing brings back to where it was.
//!
//! Some figures are of one container's kind and have to come back exactly; those of the whole machine move with what others
//! do on it, and may be off by some.
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Container, cgroup, ledger};

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What it is of.
    pub name: &'static str,
    /// How much there is; none where the machine does not say.
    pub value: Option<u64>,
    /// By how much it may have grown in the end.
    pub allowed: u64,
}

/// All figures of a container's kind: it, and all whose ids begin with its. `often` is how many there have been.
pub fn of(container: &Container, often: u64) -> Vec<Figure> {
    let figure = |name, allowed, value| Figure { name, value, allowed };
    let id = &container.id;
    let processes = ledger::processes(id).len() + ledger::zombies(id).len();
    // Of the whole machine: what is lost once in a hundred times would show, if there are thousands. The kernel counts what is
    // in its caches by whole pages, of which each processor has some.
    let (some, cached, kilobytes) = (32 + often / 100, 256 + often / 100, 16_384 + often);
    vec![
        figure("cgroups of its containers", 0, Some(cgroup::named(id).len() as u64)),
        figure("processes of its containers", 0, Some(processes as u64)),
        figure("mounts on the host that name them", 0, Some(lines_with("/proc/self/mountinfo", id))),
        figure("state directories", 0, Some(entries(&container.state_root()))),
        figure("descriptors of their caller", 0, Some(entries(Path::new("/proc/self/fd")))),
        figure("cgroups that the kernel counts, of all hierarchies", some, all_cgroups()),
        figure("dying cgroups of version 2", some, dying()),
        figure("mounts in all namespaces", 4 * cached, slab("mnt_cache")),
        figure("network namespaces", cached, slab("net_namespace")),
        figure("PID namespaces", cached, slab("pid_namespace")),
        figure("keys and keyrings of root", some, keys()),
        figure("BPF programs, filters among them", some, bpf_programs()),
        figure("kernel memory in slabs that cannot be reclaimed, kB", kilobytes, meminfo("SUnreclaim")),
        figure("kernel memory for each processor, kB", kilobytes, meminfo("Percpu")),
        figure("kernel stacks, kB", kilobytes, meminfo("KernelStack")),
    ]
}

/// How long is waited for figures that may be off by some to come back all the way.
const ALL_THE_WAY: Duration = Duration::from_secs(5);

/// The figures once they are where they were, or after some time: much of what the kernel lets go of, it lets go of later.
pub fn settled(container: &Container, often: u64, before: &[Figure], limit: Duration) -> Vec<Figure> {
    let begun = Instant::now();
    loop {
        let now = of(container, often);
        let back = before.iter().zip(&now).all(|(before, now)| now.value <= before.value);
        let enough = begun.elapsed() > ALL_THE_WAY && grown(before, &now).is_empty();
        if back || enough || begun.elapsed() > limit {
            return now;
        }
        // Nothing tells of the moment.
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What has grown by more than it may.
pub fn grown(before: &[Figure], after: &[Figure]) -> Vec<String> {
    let pairs = before.iter().zip(after).filter_map(|(a, b)| Some((b, a.value?, b.value?)));
    pairs
        .filter(|(figure, before, after)| *after > before + figure.allowed)
        .map(|(figure, before, after)| format!("{}: {before}, now {after}", figure.name))
        .collect()
}

/// BPF programs of all kinds that are loaded: each has its own piece of the kernel's virtual memory.
pub fn bpf_programs() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmallocinfo").ok().filter(|text| !text.is_empty())?;
    Some(text.lines().filter(|line| line.contains("bpf_prog_alloc")).count() as u64)
}

/// Resident memory of a process, in kB.
pub fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    number_after(&status, "VmRSS:").expect("a process has memory")
}

/// Open descriptors of a process.
pub fn descriptors(pid: i32) -> u64 {
    entries(Path::new(&format!("/proc/{pid}/fd")))
}

fn entries(directory: &Path) -> u64 {
    fs::read_dir(directory).map_or(0, |entries| entries.count() as u64)
}

fn lines_with(file: &str, word: &str) -> u64 {
    let text = fs::read_to_string(file).expect("procfs is mounted");
    text.lines().filter(|line| line.contains(word)).count() as u64
}

/// The number that follows a word.
fn number_after(text: &str, word: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(word)?.split_whitespace().next()?.parse().ok())
}

fn meminfo(name: &str) -> Option<u64> {
    number_after(&fs::read_to_string("/proc/meminfo").ok()?, &format!("{name}:"))
}

/// Objects in use of one of the kernel's caches.
fn slab(name: &str) -> Option<u64> {
    number_after(&fs::read_to_string("/proc/slabinfo").ok()?, &format!("{name} "))
}

fn all_cgroups() -> Option<u64> {
    let text = fs::read_to_string("/proc/cgroups").ok()?;
    let numbers = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    Some(numbers.sum())
}

fn dying() -> Option<u64> {
    let unified = cgroup::hierarchies().into_iter().find(|hierarchy| hierarchy.unified)?;
    number_after(&fs::read_to_string(unified.mount.join("cgroup.stat")).ok()?, "nr_dying_descendants ")
}

/// Keys and keyrings of root: the second column is of keys, and of those that are instantiated.
pub fn keys() -> Option<u64> {
    let text = fs::read_to_string("/proc/key-users").ok()?;
    let root = text.lines().find(|line| line.trim_start().starts_with("0:"))?;
    root.split_whitespace().nth(2)?.split('/').next()?.parse().ok()
}
