//! Processes that serve a container that has ended, that wait for what cannot come, or that nobody has waited for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use orlop_runtime::liveness::start_time;

use super::facts::{Facts, Process, YOUNG, processes};
use super::holds::{self, Holds, usual};
use super::{Answer, Finding};

/// So many children of a process are named.
const MOST: usize = 20;
/// What runtimes call the file at which a created container waits for its start.
const GATE: &str = "exec.fifo";

pub(super) fn look(facts: &Facts) -> Answer {
    let mut answer = Answer::default();
    if !facts.whole {
        answer.unknown.push(holds::OUTSIDE.to_owned());
    }
    let shims: Vec<&Process> = facts.processes.iter().filter(|process| is_shim(process)).collect();
    if !shims.is_empty() && facts.whole {
        let lonely =
            |holds: &Holds| shims.iter().filter_map(|shim| lonely_shim(shim, facts, holds)).collect();
        answer.extend(Answer::if_all_is_seen(facts, lonely));
    }
    let monitors = facts.processes.iter().filter_map(|process| lonely_monitor(process, facts, &is_new));
    answer.extend(Answer::if_all_are_listed(facts, monitors.collect()));
    for process in facts.processes.iter().filter(|process| is_of_runtime(process)) {
        answer.findings.extend(at_a_gate(process, facts));
    }
    answer.findings.extend(zombies(facts));
    answer
}

/// A shim at work, and not one of the commands with which containerd starts and cleans up.
fn is_shim(process: &Process) -> bool {
    let command = process.command.last().is_some_and(|word| word == "start" || word == "delete");
    let named = !process.zombie && process.name.starts_with("containerd-shim");
    named && !command && process.value_of("-address").is_some()
}

fn has_children(process: &Process, facts: &Facts) -> bool {
    facts.processes.iter().any(|child| child.parent == process.pid && !child.zombie)
}

/// A shim is the parent of its containers' processes. What remains for it to do is to tell its containerd.
fn lonely_shim(shim: &Process, facts: &Facts, holds: &Holds) -> Option<Finding> {
    let (address, id) = (shim.value_of("-address")?, shim.value_of("-id").unwrap_or("?"));
    let address = usual(address.trim_start_matches("unix://"));
    if has_children(shim, facts) || holds.listening.contains(&address) {
        return None;
    }
    let (name, pid) = (&shim.name, shim.pid);
    Some(Finding::new(
        format!("process {pid} ({name}), the shim of {id}"),
        format!("its containers have ended, and no containerd listens at {}", address.display()),
        format!("start containerd, which will end it, or kill {pid}"),
    ))
}

/// Podman's and CRI-O's monitor waits for the container, then for a command that cleans up.
fn lonely_monitor(process: &Process, facts: &Facts, is_new: &dyn Fn(i32) -> bool) -> Option<Finding> {
    let id = process.value_of("-c").filter(|_| process.name == "conmon" && !process.zombie)?;
    if has_children(process, facts) || facts.known.contains(id) || is_new(process.pid) {
        return None;
    }
    let pid = process.pid;
    Some(Finding::new(
        format!("process {pid} (conmon), the monitor of {id}"),
        "its container has ended, and no runtime has a state of it",
        format!("kill {pid}"),
    ))
}

/// Whether a process was started a moment ago, and may not have a child yet.
fn is_new(pid: i32) -> bool {
    // The unit of such times, in which the kernel counts for user space on all machines that orlop runs on.
    const TICKS: u64 = 100;
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let now: Option<u64> = uptime.split('.').next().and_then(|word| word.parse().ok());
    let start = start_time(pid).ok().map(|time| time / TICKS);
    // One that is gone by now was no leftover.
    now.zip(start).is_none_or(|(now, start)| now.saturating_sub(start) < YOUNG.as_secs())
}

/// A runtime in a container that it is making: it has not executed the container's program yet.
fn is_of_runtime(process: &Process) -> bool {
    let named = ["runc", "crun", "youki"].iter().any(|name| process.name.starts_with(name));
    !process.zombie && (named || is_own(process))
}

/// Whether it is orlop's. Its name is of the file that it was started from, which has different ones in kernels of different age.
fn is_own(process: &Process) -> bool {
    process.command.first().is_some_and(|word| word == "orlop-init")
}

/// A process that waits for a start which cannot come: the place where it waits was deleted, with the state.
fn at_a_gate(process: &Process, facts: &Facts) -> Option<Finding> {
    let links = links_of(process.pid);
    let state = gate(&links).or_else(|| own_gate(process, &links, facts))?;
    if has_children(process, facts) || facts.holds().sees(&state) {
        return None;
    }
    let (name, pid) = (&process.name, process.pid);
    Some(Finding::new(
        format!("process {pid} ({name}), of a container that was not started"),
        format!("its state, {}, is gone: nothing can start or delete it", state.display()),
        format!("kill -KILL {pid}"),
    ))
}

/// What a process has open; nothing if we may not know.
fn links_of(pid: i32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

/// The state directory whose gate a process has open, if it was deleted.
fn gate(links: &[PathBuf]) -> Option<PathBuf> {
    let deleted = links.iter().filter_map(|link| link.to_str()?.strip_suffix(" (deleted)"));
    let mut gates = deleted.map(Path::new).filter(|path| path.file_name().is_some_and(|name| name == GATE));
    gates.find_map(|path| path.parent().map(Path::to_owned))
}

/// The same for orlop, whose gate is a socket: its cgroup has a mark that names the state directory.
fn own_gate(process: &Process, links: &[PathBuf], facts: &Facts) -> Option<PathBuf> {
    let is_socket = |link: &PathBuf| link.to_string_lossy().starts_with("socket:");
    if !is_own(process) || !links.iter().any(is_socket) || facts.holds().gap.is_some() {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
    let inner = unified(&text)?;
    let mount =
        facts.mounts.iter().rfind(|mount| mount.fstype == "cgroup2" && inner.starts_with(&mount.root))?;
    let directory = mount.target.join(inner.strip_prefix(&mount.root).ok()?);
    orlop_cgroups::mark_of(&directory).ok().flatten().map(|mark| state_of(&mark.owner))
}

/// A mark is a moment and a path.
fn state_of(mark: &str) -> PathBuf {
    mark.split_once(' ').map_or(mark, |(_, path)| path).into()
}

/// The cgroup of version 2 in a process's list.
fn unified(text: &str) -> Option<&Path> {
    text.lines().find_map(|line| line.strip_prefix("0::")).map(Path::new)
}

/// Processes that have ended in a cgroup that was deleted since, so that their container is gone, and that are still there at a
/// second look.
fn zombies(facts: &Facts) -> Vec<Finding> {
    let ended: Vec<&Process> = facts.processes.iter().filter(|process| process.zombie).collect();
    if ended.is_empty() {
        return vec![];
    }
    let again = processes();
    let remain = ended.into_iter().filter(|process| again.contains(process));
    let cgroup = |process: &Process| std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok();
    let lost = remain.filter(|process| cgroup(process).is_some_and(|text| is_in_a_deleted_one(&text)));
    judge_zombies(&lost.collect::<Vec<_>>(), &name_of)
}

fn is_in_a_deleted_one(cgroups: &str) -> bool {
    unified(cgroups).is_some_and(|path| path.to_string_lossy().ends_with(" (deleted)"))
}

/// One finding for each process that should have waited.
fn judge_zombies(lost: &[&Process], name_of: &dyn Fn(i32) -> String) -> Vec<Finding> {
    let mut by_keeper: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in lost {
        by_keeper.entry(process.keeper()).or_default().push(process);
    }
    let finding = |(keeper, ended): (i32, Vec<&Process>)| {
        let mut all: Vec<String> =
            ended.iter().take(MOST).map(|one| format!("{} ({})", one.pid, one.name)).collect();
        if ended.len() > MOST {
            all.push(format!("and {} more", ended.len() - MOST));
        }
        let role = if ended[0].tracer == 0 { "parent" } else { "tracer" };
        Finding::new(
            format!("zombies, whose {role} is {keeper} ({}): {}", name_of(keeper), all.join(", ")),
            "it has not waited for them, and their cgroups are deleted already",
            format!("only process {keeper} can take them away, or its end"),
        )
    };
    by_keeper.into_iter().map(finding).collect()
}

/// The name of a process or thread.
fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map_or_else(|_| "?".into(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, name: &str, command: &[&str]) -> Process {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Process { pid, parent, name: name.into(), command, ..Process::default() }
    }

    #[test]
    fn a_shim_is_left_without_containers_and_without_containerd() {
        let words = [
            "/bin/containerd-shim-runc-v2",
            "-namespace",
            "k8s.io",
            "-id",
            "web",
            "-address",
            "/var/run/c.sock",
        ];
        let shim = process(7, 1, "containerd-shim", &words);
        assert!(is_shim(&shim) && !is_shim(&process(8, 1, "containerd-shim", &["x", "-info"])));
        let lonely = |others: &[&Process], holds: &Holds| {
            let facts =
                Facts::with(others.iter().map(|process| (*process).clone()).collect(), Holds::default());
            lonely_shim(&shim, &facts, holds)
        };
        let finding = lonely(&[], &Holds::default()).unwrap();
        assert!(finding.what.contains("of web") && finding.remedy.ends_with("kill 7"), "{finding:?}");
        let child = process(9, 7, "sh", &[]);
        assert_eq!(lonely(&[&child], &Holds::default()), None);
        let ended = Process { zombie: true, ..child };
        assert!(lonely(&[&ended], &Holds::default()).is_some());
        let holds = Holds { listening: ["/run/c.sock".into()].into(), ..Holds::default() };
        assert_eq!(lonely(&[], &holds), None);
    }

    #[test]
    fn a_monitor_is_left_when_its_container_has_ended_and_was_deleted() {
        let lonely_monitor =
            |process: &Process, facts: &Facts| lonely_monitor(process, facts, &|pid| pid == 8);
        let monitor = process(7, 1, "conmon", &["/bin/conmon", "--api-version", "1", "-c", "web"]);
        let mut facts = Facts::with(vec![monitor.clone()], Holds::default());
        assert!(lonely_monitor(&monitor, &facts).is_some());
        assert_eq!(lonely_monitor(&process(7, 1, "sh", &["sh", "-c", "web"]), &facts), None);
        assert_eq!(
            lonely_monitor(&Process { pid: 8, ..monitor.clone() }, &facts),
            None,
            "it was just started"
        );
        facts.known.insert("web".into());
        assert_eq!(lonely_monitor(&monitor, &facts), None);
        facts = Facts::with(vec![monitor.clone(), process(9, 7, "podman", &[])], Holds::default());
        assert_eq!(lonely_monitor(&monitor, &facts), None, "it cleans up");
    }

    #[test]
    fn a_gate_is_gone_if_it_was_deleted() {
        let links = |path: &str| vec![PathBuf::from("/dev/null"), path.into()];
        assert_eq!(gate(&links("/run/runc/web/exec.fifo (deleted)")), Some("/run/runc/web".into()));
        assert_eq!(gate(&links("/run/runc/web/exec.fifo")), None);
        assert_eq!(gate(&links("/run/runc/web/log (deleted)")), None);
        assert!(is_of_runtime(&process(7, 1, "runc:[2:INIT]", &[])));
        assert!(is_of_runtime(&process(7, 1, "3", &["orlop-init", "11"])));
        assert!(!is_of_runtime(&process(7, 1, "sh", &["sh", "orlop-init"])));
        assert_eq!(state_of("2026-01-01T00:00:00Z /run/a b"), Path::new("/run/a b"));
    }

    #[test]
    fn a_zombie_is_left_when_its_container_is_deleted() {
        let mut ended: Vec<Process> = (10..32).map(|pid| process(pid, 3, "sh", &[])).collect();
        ended.push(Process { tracer: 7, ..process(40, 3, "sh", &[]) });
        let findings = judge_zombies(&ended.iter().collect::<Vec<_>>(), &|_| "shim".to_owned());
        let [finding, traced] = &*findings else { panic!("{findings:?}") };
        assert!(finding.what.contains("parent is 3 (shim): 10 (sh), 11 (sh)"), "{finding:?}");
        assert_eq!(traced.what, "zombies, whose tracer is 7 (shim): 40 (sh)");
        assert!(finding.what.ends_with("29 (sh), and 2 more"), "{finding:?}");
        assert!(is_in_a_deleted_one("2:cpu:/\n0::/docker/x (deleted)\n"));
        assert!(!is_in_a_deleted_one("0::/docker/x\n") && !is_in_a_deleted_one("2:cpu:/\n"));
    }
}
