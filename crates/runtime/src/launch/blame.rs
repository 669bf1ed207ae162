//! A failing step, in words: what it was doing, what the kernel said, and which place of the config asked for it.

use orlop_compile::{Compiled, Origin, rlimit_name};
use orlop_program::message::{BEFORE, Failed};
use orlop_program::source::Source;
use orlop_program::step::Step;
use orlop_program::{StepInfo, Steps, Str};

use super::fill::id_map_hint;
use crate::error::{Answer, Error};

const MOUNT_SETATTR: u16 = libc::SYS_mount_setattr as u16;
const DEADLINE: u32 = libc::SCHED_DEADLINE as u32;
/// The words of runc.
const NOT_WITH_SOME_CPUS: &str =
    "CAP_SYS_NICE is missing, or a CPU: this process scheduler can't be used together with AllowedCPUs";

/// What is needed to find the words.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    compiled: &'a Compiled,
    /// The program to execute, as the config names it.
    program: &'a str,
}

impl<'a> Words<'a> {
    /// For a compiled program that executes `args`.
    pub(crate) fn new(compiled: &'a Compiled, args: &'a [String]) -> Self {
        Self { compiled, program: args.first().map_or("", String::as_str) }
    }
}

/// What init says of a failure, in words.
pub(crate) fn failed(failed: &Failed<'_>, words: &Words<'_>) -> Error {
    let index = failed.step as usize;
    let (step, info) = (words.step(index), words.compiled.program.infos().get(index));
    let errno = i32::from(failed.errno);
    let answer = Answer::from(orlop_sys::Error::new(failed.call, failed.errno));
    let pointer = info.and_then(|info| place(info, failed.part));
    let program = words.program.to_owned();
    match step {
        Some(Step::Locate { .. }) => return Error::NotFound { program, errno, pointer },
        Some(Step::Exec { .. }) => return Error::Exec { program, errno, pointer },
        _ => {}
    }
    let text = match step {
        Some(Step::Scheduler { policy: DEADLINE, .. }) if errno == libc::EPERM => NOT_WITH_SOME_CPUS.into(),
        _ => String::from_utf8_lossy(failed.text),
    };
    Error::Step {
        step: match step {
            Some(step) => what(&step),
            None if failed.step == BEFORE => words.birth(),
            None => format!("run step {index}"),
        },
        answer,
        pointer,
        // The kernel's messages begin with a level letter: "e tmpfs: Unknown parameter 'foo'".
        detail: match text.trim().trim_start_matches(['e', 'w', 'i']).trim() {
            "" => step.map_or("", |step| detail(&step, errno)).to_owned(),
            said => said.to_owned(),
        },
        hint: step.and_then(|step| hint(&step, failed.call, errno)).map(Into::into),
    }
}

impl<'a> Words<'a> {
    /// What fails before the first step.
    fn birth(&self) -> String {
        let join = self.compiled.launch.joins.iter().find(|join| join.flag == libc::CLONE_NEWPID);
        join.map_or_else(
            || "join the container's PID namespace".to_owned(),
            |join| format!("join the pid namespace {}", join.path.display()),
        )
    }

    fn step(&self, index: usize) -> Option<Step<'a>> {
        let steps: Steps<'a> = self.compiled.program.steps();
        steps.map_while(Result::ok).nth(index)
    }
}

/// Where in the config it comes from: the part that failed, if it is known, else the whole step.
fn place(info: &StepInfo<Origin>, part: u32) -> Option<String> {
    let part = info.parts.get(part as usize).and_then(Origin::pointer);
    part.or_else(|| info.origin.pointer()).map(ToString::to_string)
}

fn text(text: Str<'_>) -> String {
    String::from_utf8_lossy(text.bytes()).into_owned()
}

fn source(source: &Source<'_>) -> String {
    match source {
        Source::Path(path) | Source::Mapped(path, ..) | Source::MappedByHost(path, _) => text(*path),
        Source::Tree(_) => "what the host side opened".to_owned(),
    }
}

/// What a step does, and to what.
fn what(step: &Step<'_>) -> String {
    match *step {
        Step::BindRoot { at, .. } => format!("make {} the root file system", text(at)),
        Step::OverlayRoot { lower, .. } => {
            format!("make an overlay over {} the root file system", text(lower))
        }
        Step::Mount { fstype, target, .. } => format!("mount {} at {}", text(fstype), text(target)),
        Step::Bind { source: from, target, .. } => {
            format!("bind mount {} at {}", source(&from), text(target))
        }
        Step::Propagation { target, .. } => format!("set the propagation of {}", text(target)),
        Step::Unmount { target } => format!("unmount {}", text(target)),
        Step::MountAttributes { target, .. } => format!("change the mount at {}", text(target)),
        Step::OpenCovered { path, .. } => format!("open {}", text(path)),
        Step::TakeOver { target, .. } => {
            format!("copy what is at {} into the file system mounted there", text(target))
        }
        Step::OpenDir { path, .. } | Step::MakeDir { path } => format!("make the directory {}", text(path)),
        Step::Device { name, .. } => format!("make the device {}", text(name)),
        Step::BindDevice { name, source: from, .. } => {
            format!("bind mount the device {} as {}", source(&from), text(name))
        }
        Step::Symlink { name, target, .. } => format!("make the link {} to {}", text(name), text(target)),
        Step::Sysctl { path, value } => {
            format!("set the kernel parameter {} to {:?}", text(path), text(value))
        }
        Step::ReadonlyPath { path, .. } => format!("make {} read-only", text(path)),
        Step::MaskPath { path, .. } => format!("mask {}", text(path)),
        Step::Hostname { name } => format!("set the hostname {:?}", text(name)),
        Step::Domainname { name } => format!("set the domain name {:?}", text(name)),
        Step::Rlimit { resource, soft, hard } => {
            format!("set {} to {soft}, at most {hard}", rlimit_name(resource))
        }
        Step::OomScoreAdj { value } => format!("set the OOM score adjustment {value}"),
        Step::Identity { uid, gid, .. } => format!("become user {uid}, group {gid}"),
        Step::AppArmorProfile { profile } => format!("apply the AppArmor profile {:?}", text(profile)),
        Step::ExecLabel { label } => format!("set the SELinux label {:?}", text(label)),
        Step::FileLabel { target, label } => format!("label {} {:?}", text(target), text(label)),
        Step::AllowPath { path, .. } => format!("allow access to {} by Landlock", text(path)),
        Step::AllowPort { port, .. } => format!("allow the use of port {port} by Landlock"),
        Step::Cwd { path, .. } => format!("change to the working directory {}", text(path)),
        _ => plain(step).to_owned(),
    }
}

/// What steps without an object do.
const fn plain(step: &Step<'_>) -> &'static str {
    match step {
        Step::NewSession {} => "start a new session",
        Step::SessionKeyring { .. } => "join a new session keyring",
        Step::Unshare { .. } => "make a new cgroup namespace",
        Step::TimeNamespace { .. } => "make a time namespace",
        Step::LoopbackUp {} => "bring the loopback interface up",
        Step::HostPropagation { .. } => "set the propagation of the host's mounts",
        Step::UseRoot {} => "open the root",
        Step::Chroot {} => "change the root",
        Step::PrivateProc {} => "make a private procfs",
        Step::Sync { .. } => "wait for the host side",
        Step::PivotRoot { .. } | Step::MoveRoot { .. } => "switch to the root file system",
        Step::RootAttributes { .. } => "change the root mount",
        Step::Console { .. } => "make the console",
        Step::OwnStdio { .. } => "give standard input and output to the container's user",
        Step::NoNewPrivileges {} => "set no_new_privs",
        Step::Seccomp { .. } => "load the seccomp filter",
        Step::Ruleset { .. } => "make a Landlock ruleset",
        Step::Restrict {} => "put the Landlock ruleset in force",
        Step::BoundingSet { .. } => "drop capabilities from the bounding set",
        Step::Capabilities { .. } => "set the capabilities",
        Step::KeyLabel { .. } => "label new keys",
        Step::MaskLabel { .. } => "label the directory that hides others",
        Step::AwaitStart {} => "wait to be started",
        Step::Stay { .. } => "stay as the container's first process",
        Step::Affinity { .. } => "set the final CPU affinity",
        Step::Scheduler { .. } => "set the scheduling policy",
        Step::IoPriority { .. } => "set the I/O priority",
        Step::Personality { .. } => "set the execution domain",
        Step::MemoryPolicy { .. } => "set the NUMA memory policy",
        Step::DropGroups {} => "leave the supplementary groups",
        _ => step.name(),
    }
}

/// What the errno alone does not say; in runc's words.
const fn detail(step: &Step<'_>, errno: i32) -> &'static str {
    match (step, errno) {
        (Step::Mount { real: true, .. }, libc::ENOTDIR | libc::ELOOP) => {
            "it must be mounted on ordinary directory, not on a symbolic link"
        }
        _ => "",
    }
}

/// What usually is the matter.
fn hint(step: &Step<'_>, call: u16, errno: i32) -> Option<&'static str> {
    Some(match (step, errno) {
        (Step::BindRoot { .. } | Step::OverlayRoot { .. }, libc::ENOENT) => {
            "the bundle's root file system must exist; config.json names it in /root/path"
        }
        (Step::Bind { .. }, libc::ENOENT) => "the source of a bind mount must exist on the host",
        (Step::MountAttributes { .. }, libc::EINVAL) => "there is nothing mounted at this place",
        (Step::Mount { .. }, libc::ENODEV) => {
            "the kernel has no such file system, or its module is not loaded"
        }
        (Step::Mount { fstype, .. }, libc::EPERM) if fstype.bytes() == b"proc" => {
            "a user namespace may mount a procfs only where a whole one is visible: in a container, engines cover parts of \
             /proc (docker: --security-opt systempaths=unconfined, podman: --security-opt unmask=ALL); or bind the caller's \
             /proc, without a pid namespace"
        }
        (Step::Mount { id_map: Some(_), .. }, _) if call == MOUNT_SETATTR => return id_map_hint(errno),
        (Step::Mount { .. }, libc::EPERM) => {
            "in a user namespace only some file systems can be mounted, and sysfs only with a network namespace of its own"
        }
        (Step::Rlimit { .. }, libc::EPERM) => "raising a hard limit needs CAP_SYS_RESOURCE",
        (Step::OomScoreAdj { .. }, libc::EACCES) => "lowering the OOM score needs CAP_SYS_RESOURCE",
        (Step::Identity { .. }, libc::EINVAL) => "the id must be mapped in the container's user namespace",
        (Step::Identity { .. }, libc::EPERM) => {
            "this user namespace denies setgroups(2), so additionalGids cannot be set"
        }
        (Step::Cwd { .. }, libc::ENOENT) => "the directory must be inside the root file system",
        (Step::Sysctl { .. }, libc::ENOENT) => "this kernel has no such parameter",
        (Step::Sysctl { .. }, libc::EACCES | libc::EPERM) => {
            "the parameter belongs to the host, not to the container's namespaces"
        }
        (Step::Seccomp { .. }, libc::EACCES) => "without noNewPrivileges a filter needs CAP_SYS_ADMIN",
        (Step::PivotRoot { .. }, libc::EINVAL) => "if the host's root is the initial ramfs, use --no-pivot",
        (Step::Console { .. }, libc::ENOENT) => "a terminal needs a devpts file system mounted at /dev/pts",
        (Step::TimeNamespace { .. }, libc::EINVAL | libc::ENOENT) => {
            "this kernel is built without CONFIG_TIME_NS"
        }
        (Step::TimeNamespace { .. }, libc::EPERM) => {
            "a time namespace needs CAP_SYS_ADMIN, offsets CAP_SYS_TIME"
        }
        (Step::TimeNamespace { .. }, libc::ERANGE) => {
            "a clock with its offset may not be negative, nor beyond 146 years"
        }
        (Step::Scheduler { .. }, _) => return scheduler_hint(errno),
        (Step::IoPriority { .. }, libc::EPERM) => "the real-time class needs CAP_SYS_NICE",
        (Step::Affinity { .. }, libc::EINVAL) => {
            "at least one of the CPUs must be online and in the container's cpuset"
        }
        (Step::MemoryPolicy { .. }, libc::EINVAL) => {
            "the nodes must have memory and be in the container's cpuset, and the kernel must know mode and flags"
        }
        (Step::MemoryPolicy { .. }, libc::ENOSYS) => "this kernel is built without CONFIG_NUMA",
        (Step::AppArmorProfile { .. }, libc::ENOENT) => {
            "the profile must be loaded before (apparmor_parser), and the kernel have /proc/thread-self/attr/apparmor"
        }
        (Step::ExecLabel { .. } | Step::KeyLabel { .. }, libc::EINVAL) => {
            "the loaded SELinux policy does not know this label"
        }
        (Step::Device { .. }, libc::EEXIST) => "the root file system has something else at this path",
        _ => return None,
    })
}

/// What usually is the matter with a scheduling policy.
pub(super) const fn scheduler_hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "real-time policies and negative nice values need CAP_SYS_NICE, deadlines also every CPU; in a cgroup of version \
            1, real-time policies need linux.resources.cpu.realtimeRuntime"
        }
        libc::EBUSY => "the processes with SCHED_DEADLINE ask for more time than the CPUs have",
        libc::EOPNOTSUPP => "the utilisation can be clamped only by a kernel with CONFIG_UCLAMP_TASK",
        _ => return None,
    })
}
