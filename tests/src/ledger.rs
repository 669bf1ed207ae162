//! The leak ledger: what of a container is still on the machine.
//!
//! Each test's container has an id that nobody else uses, and everything made for it carries that id or the
//! path of a directory named after it. So the ledger looks for the id only, and other containers,
//! tests and people on the same machine do not disturb it.
use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::command::patience;
use crate::{ProcessHandle, cgroup};

/// Everything that still carries `id`: control groups, mounts, processes, files under `/run`, state.
pub fn leaks(id: &str, state_root: &Path) -> Vec<String> {
    let mut found = vec![];
    found.extend(cgroup::named(id).iter().map(|path| format!("control group {}", path.display())));
    found.extend(mounts(id).into_iter().map(|line| format!("mount {line}")));
    found.extend(processes(id).into_iter().map(|line| format!("process {line}")));
    for place in ["/run", "/var/run", "/dev/shm", "/run/lock"] {
        named_entries(Path::new(place), id, 2, &mut found);
    }
    named_entries(state_root, id, 1, &mut found);
    found.sort();
    found.dedup();
    found
}

/// Lines of this thread's mountinfo that name the id: a test may have a mount namespace of its own. Named network namespaces are mounts too.
fn mounts(id: &str) -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("procfs is mounted");
    text.lines().filter(|line| line.contains(id)).map(str::to_owned).collect()
}

/// Our own children that have ended in one of the container's cgroups and that nobody has waited for.
pub fn zombies(id: &str) -> Vec<i32> {
    let all = fs::read_dir("/proc").expect("procfs is mounted").flatten();
    let own = format!(" {} ", std::process::id());
    let is_ours = |process: &Path| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let is_child = stat.rsplit_once(") Z").is_some_and(|(_, rest)| rest.starts_with(&own));
        is_child && fs::read_to_string(process.join("cgroup")).is_ok_and(|text| text.contains(id))
    };
    all.filter(|entry| is_ours(&entry.path()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Takes away what [`leaks`] has found, so that the next look finds only what is new.
pub fn sweep(id: &str, state_root: &Path) {
    for line in processes(id) {
        let pid = line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(ProcessHandle::open);
        if let Some(process) = pid.filter(|process| process.signal(Signal::KILL).is_ok()) {
            process.wait(patience());
        }
    }
    for directory in cgroup::named(id).iter().rev() {
        fs::remove_dir(directory).ok();
    }
    fs::remove_dir_all(state_root.join(id)).ok();
}

/// Processes that are alive and tied to the id, described.
pub fn processes(id: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("procfs is mounted").flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let own = pid == std::process::id() as i32;
        (!own && !is_zombie(&entry.path()) && mentions(&entry.path(), id))
            .then(|| describe(pid, &entry.path()))
    })
    .collect()
}

/// A zombie is not the container's any more: it only waits for its parent.
fn is_zombie(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn mentions(process: &Path, id: &str) -> bool {
    let texts = ["cmdline", "environ", "cgroup", "mountinfo"];
    let links = ["cwd", "root", "exe"];
    // Mounts of our own namespace are looked at once, not for each process that shares them.
    let own_mounts =
        fs::read_link(process.join("ns/mnt")).ok() == fs::read_link("/proc/thread-self/ns/mnt").ok();
    let texts = if own_mounts { &texts[..3] } else { &texts };
    texts.iter().any(|name| fs::read(process.join(name)).is_ok_and(|bytes| contains(&bytes, id)))
        || links.iter().any(|name| {
            fs::read_link(process.join(name)).is_ok_and(|path| path.to_string_lossy().contains(id))
        })
}

fn contains(bytes: &[u8], id: &str) -> bool {
    bytes.windows(id.len()).any(|window| window == id.as_bytes())
}

fn describe(pid: i32, process: &Path) -> String {
    let cmdline = fs::read(process.join("cmdline")).unwrap_or_default();
    let comm = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let words: String = String::from_utf8_lossy(&cmdline).replace('\0', " ").chars().take(200).collect();
    format!("{pid} ({}) {words}", comm.trim())
}

fn named_entries(directory: &Path, id: &str, depth: u32, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(id) {
            found.push(format!("file {}", entry.path().display()));
        } else if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            named_entries(&entry.path(), id, depth - 1, found);
        }
    }
}
