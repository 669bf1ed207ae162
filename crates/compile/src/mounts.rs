//! Mounts: new file systems, bind mounts, and the cgroup tree.

mod bind;
mod cgroup;
mod cgroup_v1;
mod file_system;
mod idmap;
pub(crate) mod options;
mod place;

use crate::Code;
use crate::compiler::{Compiler, on_host};
use crate::paths::clean;
use libc::{MS_PRIVATE, MS_SLAVE};
use options::MountOptions;
use orlop_program::{Slot, Step};
use orlop_spec::{Mount, Pointer};
use std::borrow::Cow;

/// The first kernel with mounts that follow no symbolic links, in mount_setattr(2).
const NOSYMFOLLOW_SINCE: (u16, u16) = (5, 14);

/// File systems that are the same in every network and IPC namespace. Others are not, such as sysfs, or may talk to a server.
const WITHOUT_NETWORK: [&str; 5] = ["proc", "tmpfs", "devpts", "cgroup", "cgroup2"];

/// One mount of the config, on its way into the program.
struct Entry<'a> {
    index: usize,
    mount: &'a Mount,
    options: MountOptions<'a>,
    /// Where, from the container's root.
    target: Cow<'a, str>,
}

impl Entry<'_> {
    fn pointer(&self) -> Pointer {
        Pointer::new("/mounts/{}").at(self.index)
    }

    /// A field of it.
    fn field(&self, pattern: &'static str) -> Pointer {
        Pointer::new(pattern).at(self.index)
    }

    fn option(&self, option: usize) -> Pointer {
        Pointer::new("/mounts/{}/options/{}").at(self.index).at(option)
    }
}

impl Compiler<'_> {
    /// All mounts, in the order of the config.
    pub(crate) fn mounts(&mut self) {
        for (index, mount) in self.spec.mounts.iter().enumerate() {
            let Some(target) = self.target(index, mount) else { continue };
            let options = MountOptions::parse(&mount.options);
            if options.bind().is_none() && !WITHOUT_NETWORK.contains(&mount.kind.as_str()) {
                self.new_network();
            }
            // The last one at a place is what is seen there.
            let place = clean(&target).into_owned();
            if place == "/dev" {
                self.dev_beside = None;
            }
            let (had_proc, beside) = (self.has_proc, self.launch.beside.steps);
            self.mount(&Entry { index, mount, options, target });
            if place == "/proc" {
                self.proc_in_place = self.has_proc && !had_proc;
            }
            self.places.push((place, self.launch.beside.steps > beside));
        }
        self.new_network();
    }

    /// Whether an entry can be mounted in a root that is attached nowhere. There the kernel changes no mount that has its place,
    /// and what lies on a shared one would be shared with it. A source in the root may be meant as an earlier mount has it,
    /// which is not among the host's.
    pub(crate) fn can_be_detached(&self, mount: &Mount) -> bool {
        let options = MountOptions::parse(&mount.options);
        let changes = match options.propagations[..] {
            [] => false,
            [(MS_PRIVATE | MS_SLAVE, ..)] => mount.kind == "cgroup",
            _ => true,
        };
        let in_root = || self.inside_root(&on_host(self.bundle, &mount.source)).is_some();
        !changes && if place::is_bind(mount) { !in_root() } else { options.flags & libc::MS_REMOUNT == 0 }
    }

    fn mount(&mut self, entry: &Entry<'_>) {
        self.no_nul(entry.mount.destination.as_bytes(), &entry.field("/mounts/{}/destination"));
        self.no_nul(entry.mount.source.as_bytes(), &entry.field("/mounts/{}/source"));
        self.check_options(entry);
        let recursive = entry.options.bind();
        match (recursive, entry.mount.kind.as_str()) {
            (Some(recursive), _) => self.bind(entry, recursive),
            (None, "bind") => {
                let message =
                    "type \"bind\" is taken as option \"bind\": the specification knows only the option";
                self.warn(Code::MountType, entry.field("/mounts/{}/type"), message);
                self.bind(entry, false);
            }
            (None, _) if entry.options.flags & libc::MS_REMOUNT != 0 => self.remount(entry),
            (None, "cgroup") => self.cgroup_mount(entry),
            (None, "" | "none") => {
                let message = "the mount has neither a file system type nor the option bind or rbind";
                self.error(Code::MountType, entry.field("/mounts/{}/type"), message);
            }
            (None, fstype) => self.new_file_system(entry, fstype),
        }
        self.propagate(entry);
    }

    fn check_options(&mut self, entry: &Entry<'_>) {
        if let Some(option) = entry.options.copy_up
            && (entry.mount.kind != "tmpfs" || entry.options.bind().is_some())
        {
            let message = "\"tmpcopyup\" is for a new tmpfs; here it has no effect";
            self.warn(Code::MountOptionIgnored, entry.option(option), message);
        }
        let all = entry.options.set_all | entry.options.clear_all;
        let no_symfollow = entry.options.flags & libc::MS_NOSYMFOLLOW != 0;
        if (no_symfollow || all & options::MOUNT_ATTR_NOSYMFOLLOW != 0) && self.host.kernel < (5, 14) {
            let (major, minor) = self.host.kernel;
            let message = format!("nosymfollow needs Linux 5.14, this is {major}.{minor}");
            self.error(Code::MountOption, entry.field("/mounts/{}/options"), message);
        }
    }

    /// Propagation types, after the mount is in its place: there, they take effect.
    fn propagate(&mut self, entry: &Entry<'_>) {
        if self.detached {
            // A bind mount has taken it along, and a new file system is private.
            return;
        }
        for (propagation, recursive, option) in &entry.options.propagations {
            let step = Step::Propagation {
                target: entry.target.as_ref().into(),
                propagation: *propagation,
                recursive: *recursive,
            };
            let why = "What is mounted here later reaches others, or not, as asked.";
            self.step(step, entry.option(*option), why);
        }
    }

    /// Makes a procfs for steps that write to it, where the container has none that serves.
    pub(crate) fn private_proc(&mut self) {
        let origin = match &self.spec.process {
            _ if self.has_proc => return,
            _ if !self.linux.sysctl.is_empty() => Pointer::new("/linux/sysctl"),
            Some(process) if process.oom_score_adj.is_some() && !self.in_user_namespace() => {
                Pointer::new("/process/oomScoreAdj")
            }
            _ => return,
        };
        let why = "The container mounts no procfs that could be written through.";
        self.step(Step::PrivateProc {}, origin, why);
        self.has_proc = true;
    }

    /// The slot for a procfs, if it is the first one that serves for writing.
    fn keep_proc(&mut self, usable: bool) -> Option<Slot> {
        (usable && !std::mem::replace(&mut self.has_proc, true)).then_some(Slot::PROC)
    }
}
