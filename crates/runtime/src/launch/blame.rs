//! A failing step, in words: what it was doing, what the kernel said, and which place of the config asked for it.

use orlop_compile::{Compiled, Origin, in_words};
use orlop_program::message::{BEFORE, Failed};
use orlop_program::step::Step;
use orlop_program::{StepInfo, Steps};

use super::fill::id_map_hint;
use crate::error::{Answer, Error, Place};

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
            Some(step) => in_words(&step),
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
fn place(info: &StepInfo<Origin>, part: u32) -> Option<Place> {
    let part = info.parts.get(part as usize).and_then(Origin::pointer);
    part.or_else(|| info.origin.pointer()).map(|pointer| pointer.to_string().into())
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
        (Step::OverlayRoot { .. }, _) => return overlay_hint(errno),
        (Step::BindRoot { .. } | Step::DetachedRoot { .. }, libc::ENOENT) => {
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

/// What usually is the matter with an overlay.
const fn overlay_hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::ENOENT | libc::ENOTDIR => {
            "the directories of an overlay must exist: those below, and the one that changes go to"
        }
        libc::E2BIG => "this kernel takes fewer directories; Linux 6.5 takes 500",
        libc::ENODEV => "the kernel has no overlayfs, or its module is not loaded",
        libc::EPERM => "without root, an overlay needs Linux 5.11",
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
