//! The table of rules. One entry is one rule; what each looks for is in the files below.

mod files;
mod kernel;
mod limits;
mod namespaces;
mod privileges;

use super::Level::{self, Critical, High, Info, Low, Medium};
use super::facts::Facts;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name, which stays the same.
    pub id: &'static str,
    /// How bad what it finds usually is.
    pub level: Level,
    /// What it looks for, in a few words.
    pub title: &'static str,
    /// What is bad about that, in one sentence.
    pub why: &'static str,
    /// The change of the config that takes it away.
    pub fix: &'static str,
    /// Looks for it.
    pub find: fn(&Facts) -> Vec<Hit>,
}

/// Something that a rule has found. What is absent is as the rule says.
#[derive(Debug, Default)]
pub struct Hit {
    /// What exactly.
    pub what: String,
    /// The place in the config.
    pub pointer: Option<String>,
    /// A further part of the id.
    pub part: Option<String>,
    /// How bad it is here.
    pub level: Option<Level>,
    /// What is bad about it here.
    pub why: Option<&'static str>,
    /// What helps here.
    pub fix: Option<String>,
}

/// A hit, as lists of hits are made: of one, or of none.
fn hit(what: impl Into<String>, pointer: impl Into<String>) -> Hit {
    Hit { what: what.into(), pointer: Some(pointer.into()), ..Hit::default() }
}

/// One hit, if there is a reason for it.
fn when(condition: bool, hit: impl FnOnce() -> Hit) -> Vec<Hit> {
    if condition { vec![hit()] } else { Vec::new() }
}

/// Whether this names a finding: a rule, or what one says of a single capability or call.
pub fn is_name(name: &str) -> bool {
    RULES.iter().any(|rule| rule.id == name || rule.says(name))
}

/// Whether findings with this id are meant by this name: their own, or that of their rule, which means all of its.
pub(super) fn means(name: &str, id: &str) -> bool {
    name == id || RULES.iter().any(|rule| rule.id == name && rule.says(id))
}

impl Rule {
    /// Whether it can say this of a single capability or call.
    fn says(&self, id: &str) -> bool {
        let part = id.strip_prefix(self.id).and_then(|rest| rest.strip_prefix('-'));
        part.is_some_and(|part| match self.id {
            "capability" => privileges::is_part(part),
            "filter-allows" => kernel::is_part(part),
            _ => false,
        })
    }
}

macro_rules! rules {
    ($($id:literal $level:ident $find:path, $title:literal, $why:literal, $fix:literal;)*) => {
        &[$(Rule { id: $id, level: $level, title: $title, why: $why, fix: $fix, find: $find }),*]
    };
}

/// All rules.
#[rustfmt::skip]
pub const RULES: &[Rule] = rules! {
    "host-mount-namespace" Critical namespaces::mount, "The host's mount namespace",
        "Its mounts are the host's, and the host's are its own.", "add {\"type\": \"mount\"} to linux.namespaces";
    "host-pid-namespace" High namespaces::pid, "The host's PID namespace",
        "It sees every process of the host, and signals those of its user; root sees into them (/proc/PID/root, environ).",
        "add {\"type\": \"pid\"} to linux.namespaces";
    "host-network-namespace" High namespaces::network, "The host's network namespace",
        "It reaches services that listen on localhost only, abstract Unix sockets, and the host's interfaces.",
        "add {\"type\": \"network\"} to linux.namespaces";
    "host-ipc-namespace" Medium namespaces::ipc, "The host's IPC namespace",
        "It reads and writes shared memory, semaphores and message queues of the host's programs.",
        "add {\"type\": \"ipc\"} to linux.namespaces";
    "host-uts-namespace" Low namespaces::uts, "The host's UTS namespace",
        "With CAP_SYS_ADMIN it changes the name of the host.", "add {\"type\": \"uts\"} to linux.namespaces";
    "host-cgroup-namespace" Low namespaces::cgroup, "The host's cgroup namespace",
        "It sees where on the host its cgroup is, and which others there are.", "add {\"type\": \"cgroup\"} to linux.namespaces";
    "joined-namespace" Info namespaces::joined, "A namespace of others",
        "It shares the namespace with whoever else is in it.", "leave out the path, if it should have its own";
    "root-is-host-root" Medium privileges::host_root, "Root of the container is root of the host",
        "Whoever breaks out of it is root there.",
        "add {\"type\": \"user\"} to linux.namespaces with uidMappings and gidMappings, or set process.user.uid";

    "privileged" Critical privileges::all, "All capabilities",
        "Nothing that only root may do is denied to it.", "list only the capabilities that the program needs in process.capabilities";
    "capability" Medium privileges::capabilities, "Single capabilities",
        "", "remove it from all sets of process.capabilities";
    "ambient-capabilities" Low privileges::ambient, "Ambient capabilities",
        "Every program that it executes has them, whoever its user is.", "empty process.capabilities.ambient";
    "inheritable-capabilities" Low privileges::inheritable, "Inheritable capabilities",
        "Programs whose files say so get them (CVE-2022-24769).", "empty process.capabilities.inheritable";
    "new-privileges" Medium privileges::new_privileges, "Programs may gain privileges",
        "Set-user-id programs and file capabilities work: a flaw in one of them is enough to become root of the container.",
        "set process.noNewPrivileges to true";
    "no-security-module" Low privileges::no_label, "No AppArmor profile, no SELinux label",
        "There is no second opinion on what it may open and do.",
        "set process.apparmorProfile or process.selinuxLabel, where the host has one";
    "oom-score-protected" Low privileges::oom, "Protected from the OOM killer",
        "When memory is short the kernel kills the host's programs before it.", "set process.oomScoreAdj to 0 or more";

    "no-filter" High kernel::no_filter, "No system call filter",
        "Every system call reaches the kernel, with every hole it may have.", "set linux.seccomp, for instance to the default profile of an engine";
    "filter-default-allow" Medium kernel::default_allow, "A filter that allows what it does not name",
        "System calls that are newer than the profile are allowed.", "set linux.seccomp.defaultAction to SCMP_ACT_ERRNO, and list what is needed";
    "filter-allows" Medium kernel::calls, "Dangerous system calls", "", "remove it from the rules of linux.seccomp";
    "proc-sys-writable" High kernel::proc_sys, "/proc/sys can be written",
        "Parameters of the whole kernel are there; kernel.core_pattern names a program that the host runs as root.",
        "add /proc/sys to linux.readonlyPaths";
    "sysrq-writable" High kernel::sysrq, "/proc/sysrq-trigger can be written",
        "A letter written to it reboots or stops the machine.", "add /proc/sysrq-trigger to linux.readonlyPaths";
    "proc-unmasked" Low kernel::unmasked, "Parts of /proc that tell much are visible",
        "They tell of the kernel's memory, keys, timers and interrupts.", "add them to linux.maskedPaths";
    "sysfs-writable" High kernel::sysfs, "/sys can be written",
        "Devices and the kernel are configured there; uevent_helper names a program that the host runs as root.",
        "add \"ro\" to the options of the mount";
    "firmware-visible" Low kernel::firmware, "/sys/firmware is visible",
        "Tables and variables of the firmware are there.", "add /sys/firmware to linux.maskedPaths";
    "cgroup-writable" Medium kernel::cgroup, "The cgroup tree can be written",
        "It changes its own limits where it is root, and in a tree of version 1 names a program that the host runs (CVE-2022-0492).",
        "add \"ro\" to the options of the mount";
    "kernel-file-system" High kernel::file_systems, "A file system of the kernel's insides",
        "It shows and changes the insides of the kernel.", "remove the mount";

    "host-root-mounted" Critical files::host_root, "The host's root directory",
        "Every file of the host is there, its passwords and its programs.", "mount only the directories that are needed, read-only";
    "engine-socket" Critical files::sockets, "The socket of a container engine, or of systemd",
        "Whoever can talk to it has containers made with every right.", "remove the mount";
    "sensitive-host-path" High files::sensitive, "A directory of the host that its programs rely on",
        "What is written there the host's programs execute or trust.", "remove the mount, or mount less of it, read-only";
    "host-path-writable" Info files::writable, "A directory of the host that can be written",
        "What is written there stays on the host.", "add \"ro\" to the options, if the program need not write";
    "shared-propagation" Medium files::shared, "Mounts that reach the host",
        "What is mounted in it appears on the host.", "use rprivate or rslave instead of rshared";
    "root-writable" Low files::root, "The root file system can be written",
        "Who breaks into the program can replace its files.", "set root.readonly to true";
    "device-node" High files::devices, "A device of the host",
        "It reads and writes the device past every file system.", "remove it from linux.devices and linux.resources.devices";
    "all-devices" Critical files::all_devices, "Every device may be used",
        "It makes a node of the host's disk and writes to it.", "begin linux.resources.devices with {\"allow\": false, \"access\": \"rwm\"}";

    "no-memory-limit" Medium limits::memory, "No limit of memory",
        "It uses up the machine's memory, and others are killed.", "set linux.resources.memory.limit";
    "no-pids-limit" Medium limits::pids, "No limit of processes",
        "A fork bomb in it stops the machine.", "set linux.resources.pids.limit";
    "no-cpu-limit" Low limits::cpu, "No limit of CPU time",
        "It slows everything else down.", "set linux.resources.cpu.quota and period";
    "host-hook" Info limits::hooks, "A hook that runs on the host",
        "It runs with the rights of whoever makes the container.", "remove it, or make sure that only root can change the program";
};
