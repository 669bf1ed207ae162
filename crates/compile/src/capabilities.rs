//! Capabilities: what is left of root's rights (capabilities(7)).

use crate::compiler::Compiler;
use crate::{Code, Origin};
use orlop_program::Step;
use orlop_spec::{Capabilities, Pointer, Process};

/// The names of all capabilities, each at the index that is its number.
pub const KNOWN: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The capabilities of the caller that decide how a container is made, one bit for each: all that its processes ask for, and
/// those that decide how its root is entered and how its devices are made.
#[must_use]
pub fn capabilities_of_interest<'a>(processes: impl IntoIterator<Item = &'a Process>) -> u64 {
    let sets = processes.into_iter().filter_map(|process| process.capabilities.as_ref());
    let mut wanted = CAP_SYS_CHROOT | CAP_MKNOD;
    for Capabilities { bounding, effective, permitted, inheritable, ambient } in sets {
        // Most configs say the same several times.
        let others = [effective, permitted, inheritable, ambient].into_iter().filter(|set| *set != bounding);
        for name in std::iter::once(bounding).chain(others).flatten() {
            wanted |= number_of(name).map_or(0, |number| 1 << number);
        }
    }
    wanted
}

/// The number of a capability, if it is one that is known here.
fn number_of(name: &str) -> Option<usize> {
    KNOWN.iter().position(|known| *known == name)
}

/// The bit of the right to enter another root directory.
pub(crate) const CAP_SYS_CHROOT: u64 = 1 << 18;
/// The bit of the right to load a system call filter, among others.
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// The bit of the right to make device nodes.
pub(crate) const CAP_MKNOD: u64 = 1 << 27;

/// One of the five sets of a config.
struct Set {
    /// One bit for each capability.
    bits: u64,
    list: &'static str,
}

/// The sets of a process, one bit for each capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    pub(crate) bounding: u64,
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

impl Compiler<'_> {
    /// Reads and checks the sets. A process without any has no capability at all.
    pub(crate) fn capability_sets(&mut self, capabilities: Option<&Capabilities>) -> Sets {
        let Some(capabilities) = capabilities else { return Sets::default() };
        let mut set = |names: &[String], list, entry| Set { bits: self.capability_bits(names, entry), list };
        let bounding = set(
            &capabilities.bounding,
            "/process/capabilities/bounding",
            "/process/capabilities/bounding/{}",
        );
        let effective = set(
            &capabilities.effective,
            "/process/capabilities/effective",
            "/process/capabilities/effective/{}",
        );
        let permitted = set(
            &capabilities.permitted,
            "/process/capabilities/permitted",
            "/process/capabilities/permitted/{}",
        );
        let inheritable = set(
            &capabilities.inheritable,
            "/process/capabilities/inheritable",
            "/process/capabilities/inheritable/{}",
        );
        let ambient =
            set(&capabilities.ambient, "/process/capabilities/ambient", "/process/capabilities/ambient/{}");
        self.check_host(&bounding, &[&effective, &permitted, &inheritable]);
        // What capset(2) would only answer with "operation not permitted".
        self.check_within(&effective, &permitted, "permitted");
        self.check_within(&inheritable, &bounding, "bounding");
        let raised = permitted.bits & inheritable.bits;
        self.check_ambient(&ambient, raised, &inheritable);
        Sets {
            bounding: bounding.bits,
            effective: effective.bits,
            permitted: permitted.bits,
            inheritable: inheritable.bits,
            ambient: ambient.bits & raised,
        }
    }

    /// Takes everything else out of the bounding set. Before the user changes: it takes a capability itself.
    pub(crate) fn bounding_set(&mut self, sets: &Sets, given: bool) {
        let why = "No program that is executed later can gain more than this.";
        let step = Step::BoundingSet { keep: sets.bounding };
        self.step(step, origin(given, "/process/capabilities/bounding"), why);
    }

    /// Sets the four other sets. After the user was changed: that would clear the effective ones.
    ///
    /// `filter`: a filter is loaded later, by this right alone. Exec takes that away: what a program is executed with comes
    /// from the bounding, inheritable and ambient sets (capabilities(7), "Transformation of capabilities during execve()").
    pub(crate) fn capability_step(&mut self, sets: &Sets, given: bool, filter: bool) {
        let Sets { effective, permitted, inheritable, ambient, .. } = *sets;
        let more = if filter { CAP_SYS_ADMIN } else { 0 };
        let (effective, permitted) = (effective | more, permitted | more);
        let step = Step::Capabilities { effective, permitted, inheritable, ambient };
        let why = if filter {
            "The rights that the process starts with, and until exec the one to load a filter without noNewPrivileges."
        } else {
            "The rights that the process starts with."
        };
        self.step(step, origin(given, "/process/capabilities"), why);
    }

    /// The bits of a list of names. The specification wants unknown ones to be a warning only.
    fn capability_bits(&mut self, names: &[String], entry: &'static str) -> u64 {
        let mut bits = 0;
        for (index, name) in names.iter().enumerate() {
            let pointer = Pointer::new(entry).at(index);
            match number_of(name) {
                None => {
                    self.warn(
                        Code::CapabilityUnknown,
                        pointer,
                        format!("{name:?} is no capability; it is ignored"),
                    );
                }
                Some(number) if number > self.host.last_cap as usize => {
                    let message = format!("this kernel does not know {name}; it is ignored");
                    self.warn(Code::CapabilityUnknown, pointer, message);
                }
                Some(number) => bits |= 1 << number,
            }
        }
        bits
    }

    /// What the caller does not have itself it cannot give. In another user namespace, init has every capability.
    fn check_host(&mut self, bounding: &Set, others: &[&Set]) {
        if self.in_user_namespace() {
            return;
        }
        let missing = |set: &Set| set.bits & !self.host.bounding;
        let in_bounding = missing(bounding);
        let in_others: Vec<_> =
            others.iter().map(|set| (missing(set), set.list)).filter(|m| m.0 != 0).collect();
        for (missing, list) in &in_others {
            let message =
                format!("{} cannot be given: the caller does not have it itself", list_of(*missing));
            self.error(Code::CapabilityUnavailable, Pointer::new(list), message)
                .hint("remove it, or give it to the service that starts containers");
        }
        if in_bounding != 0 && in_others.is_empty() {
            let message = format!(
                "{} stays out of the bounding set: the caller does not have it",
                list_of(in_bounding)
            );
            self.warn(Code::CapabilityUnavailable, Pointer::new(bounding.list), message);
        }
    }

    fn check_within(&mut self, set: &Set, within: &Set, name: &str) {
        let outside = set.bits & !within.bits;
        if outside != 0 {
            let message = format!("{} is not {name}", list_of(outside));
            self.error(Code::CapabilitySets, Pointer::new(set.list), message)
                .hint(format!("add it to {}", within.list[1..].replace('/', ".")));
        }
    }

    /// As with runc, and in its words, an ambient capability that cannot be raised is passed over. Builders of images list
    /// all of them, with none inheritable since CVE-2022-24769, for every command that they run: no reason for a warning.
    fn check_ambient(&mut self, ambient: &Set, raised: u64, inheritable: &Set) {
        let outside = ambient.bits & !raised;
        if outside == 0 {
            return;
        }
        let message = format!(
            "can't raise ambient capability {}: it is not permitted and inheritable",
            list_of(outside)
        );
        let pointer = Pointer::new(ambient.list);
        if inheritable.bits == 0 {
            self.note(Code::CapabilitySets, pointer, message);
        } else {
            self.warn(Code::CapabilitySets, pointer, message);
        }
    }
}

fn origin(given: bool, pointer: &'static str) -> Origin {
    if given { Pointer::new(pointer).into() } else { Origin::Rule("no capabilities unless asked for") }
}

/// The names of the capabilities in a set.
fn list_of(bits: u64) -> String {
    let names = KNOWN.iter().enumerate().filter(|(number, _)| bits & (1 << number) != 0);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::KNOWN;

    #[test]
    fn names_and_numbers_are_those_of_the_caps_crate() {
        assert_eq!(KNOWN.len(), caps::all().len());
        for capability in caps::all() {
            assert_eq!(KNOWN[usize::from(capability.index())], capability.to_string());
        }
    }
}
