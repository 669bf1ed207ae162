//! Labels of security modules: `AppArmor` profiles, and `SELinux` labels of processes, their keys, and mounts.

use crate::compiler::Compiler;
use crate::{Code, Origin};
use orlop_program::Step;
use orlop_spec::{Pointer, Process};

const APPARMOR: Pointer = Pointer::new("/process/apparmorProfile");
const SELINUX: Pointer = Pointer::new("/process/selinuxLabel");
const MOUNT_LABEL: Pointer = Pointer::new("/linux/mountLabel");
/// The profile that confines nothing: what a host without `AppArmor` has.
const UNCONFINED: &str = "unconfined";

/// File systems that take no label for everything in them: the kernel's policy labels what they show.
const LABELLED_BY_POLICY: [&str; 5] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

impl<'a> Compiler<'a> {
    /// Refuses labels that no security module enforces: they would give a false sense of safety.
    pub(crate) fn check_process_labels(&mut self, process: &Process) {
        if process.apparmor_profile != UNCONFINED {
            self.check_label(&process.apparmor_profile, APPARMOR, "AppArmor profile", self.host.apparmor);
        }
        self.check_label(&process.selinux_label, SELINUX, "SELinux label", self.host.selinux);
    }

    /// The same for the label of mounts.
    pub(crate) fn check_mount_label(&mut self) {
        self.check_label(&self.linux.mount_label, MOUNT_LABEL, "SELinux label", self.host.selinux);
    }

    fn check_label(&mut self, label: &str, pointer: Pointer, what: &str, enabled: bool) {
        if !label.is_empty() && !enabled {
            let message = format!(
                "the {what} {label:?} cannot be applied: this security module is disabled or not supported on this host"
            );
            self.error(Code::Label, pointer, message)
                .hint("remove it, or enable the module on the kernel's command line and load its policy");
        }
    }

    /// Where labels of a process are written through, if there are any.
    pub(crate) fn proc_for_labels(&mut self, process: &Process) {
        let apparmor = self.profile_of(process).is_some();
        let origin = if apparmor { APPARMOR } else { SELINUX };
        if (apparmor || !self.label_of(process).is_empty()) && !std::mem::replace(&mut self.has_proc, true) {
            let why =
                "The process's labels are written through a procfs that is known to be one (CVE-2019-16884).";
            self.step(Step::PrivateProc {}, origin, why);
        }
    }

    /// Sets what the program's exec does to its labels.
    pub(crate) fn labels(&mut self, process: &Process) {
        if let Some(profile) = self.profile_of(process) {
            let step = Step::AppArmorProfile { profile: profile.into() };
            self.step(step, APPARMOR, "Confines the program from its first instruction on.");
        }
        let label = self.label_of(process);
        if !label.is_empty() {
            self.step(Step::ExecLabel { label: label.into() }, SELINUX, "The program's own label.");
        }
    }

    /// Gives keys that are made from now on the process's label, or, before anything else is made, none.
    pub(crate) fn key_label(&mut self, process: &Process, on: bool) {
        let label = self.label_of(process);
        if !label.is_empty() {
            let why = if on {
                "The session keyring is the container's, so it has the label of the container's process."
            } else {
                "Other keys get what the policy says."
            };
            self.step(Step::KeyLabel { label: on.then(|| label.into()) }, SELINUX, why);
        }
    }

    /// The `AppArmor` profile of a process: an added one that names none has its container's (as with runc).
    pub(crate) fn profile_of<'p>(&self, process: &'p Process) -> Option<&'p str>
    where
        'a: 'p,
    {
        let own = Some(process.apparmor_profile.as_str()).filter(|profile| !profile.is_empty());
        let profile = own.or_else(|| self.spec.process.as_ref().map(|p| p.apparmor_profile.as_str()));
        profile.filter(|profile| !profile.is_empty() && self.host.apparmor)
    }

    /// The `SELinux` label of a process, in the same way, or nothing.
    pub(crate) fn label_of<'p>(&self, process: &'p Process) -> &'p str
    where
        'a: 'p,
    {
        match (process.selinux_label.as_str(), self.spec.process.as_ref()) {
            ("", Some(container)) => &container.selinux_label,
            (own, _) => own,
        }
    }

    /// The label of everything in a new file system of this type. It is one value of fsconfig(2): a comma in it needs no
    /// quotes, which the option string of mount(2) would.
    pub(crate) fn context(&self, fstype: &str) -> Option<(&'a str, Origin)> {
        let label = self.linux.mount_label.as_str();
        (!label.is_empty() && !LABELLED_BY_POLICY.contains(&fstype)).then(|| (label, MOUNT_LABEL.into()))
    }

    /// Labels the root of a mount that is there: message queues of a namespace are one file system, which can have no label
    /// of its own.
    pub(crate) fn label_mount(&mut self, fstype: &str, target: &str) {
        let label = self.linux.mount_label.as_str();
        if fstype == "mqueue" && !label.is_empty() {
            let step = Step::FileLabel { target: target.into(), label: label.into() };
            self.step(step, MOUNT_LABEL, "Message queues of the container's are its own.");
        }
    }

    /// Labels the empty directory that hides others.
    pub(crate) fn label_masks(&mut self) {
        let label = self.linux.mount_label.as_str();
        if !label.is_empty() && !self.linux.masked_paths.is_empty() {
            let why = "A masked directory is empty for the container, not forbidden.";
            self.step(Step::MaskLabel { label: label.into() }, MOUNT_LABEL, why);
        }
    }
}
