//! What a profile means, told the slow way: no tests of halves, no shared code, no program.

use std::cmp::Reverse;

use orlop_seccomp::tables::Syscall as Name;
use orlop_seccomp::{Action, Arch, SeccompData};
use orlop_spec::seccomp::{Arg, Seccomp, Syscall};

/// The calls of `socketcall(2)`, from 1.
const SOCKETCALL: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
/// The calls of `ipc(2)`; the rest have no name.
const IPC: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The rules for a number, in profile order: conditions that can fail, and the action.
fn rules(profile: &Seccomp, arch: Arch, nr: u32) -> Vec<(Vec<Arg>, Action)> {
    let default = action(&profile.default_action, profile.default_errno_ret);
    let mut rules = Vec::new();
    for rule in &profile.syscalls {
        let action = action(&rule.action, rule.errno_ret);
        let on_this_call = rule.names.iter().flat_map(|name| ways(name, rule, arch, nr));
        rules.extend(on_this_call.map(|args| (args, action)).filter(|_| action != default));
    }
    rules
}

/// How many rules with conditions there are for a number.
pub fn conditional(profile: &Seccomp, arch: Arch, nr: u32) -> usize {
    rules(profile, arch, nr).iter().filter(|(args, _)| !args.is_empty()).count()
}

/// The decision on a call of `arch`, which is in the profile or native, without the rule for new system calls.
pub fn decide(profile: &Seccomp, arch: Arch, call: &SeccompData) -> Action {
    let mut rules = rules(profile, arch, call.nr);
    if let Some((_, action)) = rules.iter().find(|(args, _)| args.is_empty()) {
        return *action;
    }
    rules.sort_by_cached_key(|(args, _)| order(args, arch));
    let first = rules.iter().find(|(args, _)| args.iter().all(|arg| holds(arg, arch, call)));
    first.map_or_else(|| action(&profile.default_action, profile.default_errno_ret), |(_, action)| *action)
}

/// The conditions under which a rule for `name` is one for the number: none if it is about another number.
fn ways(name: &str, rule: &Syscall, arch: Arch, nr: u32) -> Vec<Vec<Arg>> {
    let number = |name| Name::from_name(name).and_then(|name| name.number(arch));
    let repeated = (0..6).any(|index| rule.args.iter().filter(|arg| arg.index == index).count() > 1);
    let alternatives: Vec<Vec<Arg>> = if repeated {
        rule.args.iter().map(|arg| vec![arg.clone()]).collect()
    } else {
        vec![rule.args.clone()]
    };
    let mut ways = Vec::new();
    for mut args in alternatives {
        args.sort_by_key(|arg| arg.index);
        args.retain(|arg| has_bits(arg, arch));
        if number(name) == Some(nr) {
            ways.push(args.clone());
        }
        let socket = SOCKETCALL.iter().position(|call| *call == name).map(|at| ("socketcall", at as u64 + 1));
        let ipc = IPC.iter().find(|call| call.0 == name).map(|call| ("ipc", call.1));
        if let Some((multiplexer, value)) = socket.or(ipc)
            && number(multiplexer) == Some(nr)
        {
            args.retain(|arg| arg.index != 0);
            args.insert(0, super::arg(0, "EQ", value, 0));
            ways.push(args);
        }
    }
    ways
}

/// x32 and other 32-bit conventions compare the low halves.
fn width(arch: Arch) -> u64 {
    let narrow = matches!(arch, Arch::X32 | Arch::X86 | Arch::Arm | Arch::Mipsel);
    if narrow { 0xffff_ffff } else { u64::MAX }
}

fn has_bits(arg: &Arg, arch: Arch) -> bool {
    arg.op != "SCMP_CMP_MASKED_EQ" || arg.value & width(arch) != 0
}

fn holds(arg: &Arg, arch: Arch, call: &SeccompData) -> bool {
    let [given, value, two] =
        [call.args[arg.index as usize], arg.value, arg.value_two].map(|value| value & width(arch));
    match arg.op.as_str() {
        "SCMP_CMP_NE" => given != value,
        "SCMP_CMP_LT" => given < value,
        "SCMP_CMP_LE" => given <= value,
        "SCMP_CMP_EQ" => given == value,
        "SCMP_CMP_GE" => given >= value,
        "SCMP_CMP_GT" => given > value,
        _ => given & value == two & value,
    }
}

/// Later arguments first; equalities, upper bounds, lower bounds; tightest first; fewer conditions first.
fn order(args: &[Arg], arch: Arch) -> Vec<(Reverse<u32>, u8, i128)> {
    let key = |arg: &Arg| {
        let [value, two] = [arg.value, arg.value_two].map(|value| i128::from(value & width(arch)));
        let (class, value) = match arg.op.as_str() {
            "SCMP_CMP_LT" | "SCMP_CMP_LE" => (1, value),
            "SCMP_CMP_GE" | "SCMP_CMP_GT" => (2, -value),
            "SCMP_CMP_MASKED_EQ" => (0, -(value & two)),
            _ => (0, -value),
        };
        (Reverse(arg.index), class, value)
    };
    args.iter().map(key).collect()
}

fn action(name: &str, errno: Option<u32>) -> Action {
    let data = errno.unwrap_or(1) as u16;
    match name.trim_start_matches("SCMP_ACT_") {
        "KILL_PROCESS" => Action::KillProcess,
        "TRAP" => Action::Trap,
        "ERRNO" => Action::Errno(data),
        "TRACE" => Action::Trace(data),
        "ALLOW" => Action::Allow,
        "LOG" => Action::Log,
        "NOTIFY" => Action::Notify,
        _ => Action::KillThread,
    }
}
