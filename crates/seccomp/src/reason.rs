//! Which rule of a profile decides about a call: for people who ask why.

use orlop_spec::seccomp::Seccomp;

use crate::action::{Action, enosys};
use crate::arch::Arch;
use crate::compile::{Options, effective};
use crate::condition::Condition;
use crate::profile::{self, Rule};
use crate::tables::Syscall;

/// Why a filter decides as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The rule with this index in the profile's `syscalls`.
    Rule(usize),
    /// No rule: the default action.
    Default,
    /// The call is newer than the profile knows: `ENOSYS`, so that programs fall back.
    TooNew,
    /// The profile does not list the architecture.
    Architecture,
}

/// Why a profile decides `action` about this call; none if the profile is malformed.
///
/// The decision itself is the program's (see [`simulate`](crate::simulate())): this only finds who is responsible for it.
pub fn reason(
    seccomp: &Seccomp,
    options: &Options,
    arch: Arch,
    syscall: Syscall,
    args: &[u64; 6],
    action: Action,
) -> Option<Reason> {
    let profile = profile::read(seccomp, options).ok()?;
    if !profile.arches.contains(&arch) {
        return Some(Reason::Architecture);
    }
    // Rules without an effect are not among those of the profile, so they are counted in the text.
    let named = |rule: &&Rule| rule.syscalls.contains(&syscall);
    let rules: Vec<&Rule> = profile.rules().filter(named).collect();
    let holds = |conditions: &Vec<Condition>| effective(conditions, arch).iter().all(|c| c.holds(args, arch));
    let unconditional =
        |rule: &&&Rule| rule.alternatives.iter().any(|conditions| effective(conditions, arch).is_empty());
    let deciding = rules
        .iter()
        .find(unconditional)
        .or_else(|| rules.iter().find(|rule| rule.action == action && rule.alternatives.iter().any(holds)));
    if let Some(rule) = deciding.filter(|rule| rule.action == action) {
        return Some(Reason::Rule(rule.index));
    }
    if action != profile.default && action == enosys(arch) && !profile.named().any(|named| named == syscall) {
        return Some(Reason::TooNew);
    }
    Some(Reason::Default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SeccompData, compile, simulate};

    const PROFILE: &str = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"},
            {"names": ["read", "openat2"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_GE"}]}]}"#;

    fn ask(arch: Arch, name: &str, first: u64) -> (Action, Reason) {
        let seccomp: Seccomp = serde_json::from_str(PROFILE).unwrap();
        let options = Options::new(Arch::X86_64);
        let filter = compile(&seccomp, &options).unwrap();
        let syscall = Syscall::from_name(name).unwrap();
        let args = [first, 0, 0, 0, 0, 0];
        let nr = syscall.number(arch).unwrap();
        let data = SeccompData { nr, arch: arch.token(), args, ..SeccompData::default() };
        let action = simulate(&filter.program, &data).unwrap();
        (action, reason(&seccomp, &options, arch, syscall, &args, action).unwrap())
    }

    #[test]
    fn who_is_responsible_is_found() {
        let eperm = Action::Errno(1);
        for (name, first, action, reason) in [
            ("read", 0, Action::Allow, Reason::Rule(1)),
            ("personality", 8, Action::Allow, Reason::Rule(2)),
            ("personality", 9, eperm, Reason::Default),
            ("clone", 17, Action::Allow, Reason::Rule(3)),
            ("clone", 0x1000_0000, eperm, Reason::Default),
            ("socket", 40, Action::KillThread, Reason::Rule(4)),
            ("socket", 2, eperm, Reason::Default),
            ("mkdir", 0, eperm, Reason::Default),
            ("ptrace", 0, eperm, Reason::Default),
            ("cachestat", 0, Action::Errno(38), Reason::TooNew),
        ] {
            assert_eq!(ask(Arch::X86_64, name, first), (action, reason), "{name} {first}");
        }
        assert_eq!(ask(Arch::Aarch64, "read", 0), (Action::KillThread, Reason::Architecture));
        assert_eq!(
            ask(Arch::X86, "personality", 0xf_0000_0008).1,
            Reason::Rule(2),
            "its arguments have 32 bits"
        );
    }
}
