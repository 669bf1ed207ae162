//! What the tests share: libseccomp as a witness, and profiles to try.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // Each test uses a part; all of it is test code.

pub mod calls;
pub mod profiles;
pub mod reference;

use std::io::Read;

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use orlop_seccomp::tables::Syscall as Name;
use orlop_seccomp::{Arch, Insn};
use orlop_spec::seccomp::{Arg, Seccomp, Syscall};

/// libseccomp's program for a profile, built as runtimes do: names it does not know and rules that repeat the default
/// action are left out, conditions on one argument become rules of their own. `None` where libseccomp refuses, which
/// it does for rules that contradict each other.
pub fn witness(seccomp: &Seccomp, native: Arch, optimize: bool) -> Option<Vec<Insn>> {
    let default = action(&seccomp.default_action, seccomp.default_errno_ret);
    let mut filter = ScmpFilterContext::new(default).unwrap();
    if native != Arch::X86_64 {
        filter.remove_arch(ScmpArch::X8664).unwrap();
        filter.add_arch(arch(native)).unwrap();
    }
    for name in &seccomp.architectures {
        filter.add_arch(arch(Arch::from_oci(name).unwrap())).unwrap();
    }
    if optimize {
        filter.set_ctl_optimize(2).unwrap();
    }
    for rule in &seccomp.syscalls {
        let action = action(&rule.action, rule.errno_ret);
        if action == default {
            continue;
        }
        for name in rule.names.iter() {
            let Ok(number) = ScmpSyscall::from_name(name) else { continue };
            for conditions in alternatives(&rule.args) {
                filter.add_rule_conditional(action, number, &conditions).ok()?;
            }
        }
    }
    Some(export(&filter, native))
}

fn alternatives(args: &[Arg]) -> Vec<Vec<ScmpArgCompare>> {
    let repeated = (0..6).any(|index| args.iter().filter(|arg| arg.index == index).count() > 1);
    let conditions = args.iter().map(condition);
    if repeated { conditions.map(|condition| vec![condition]).collect() } else { vec![conditions.collect()] }
}

fn condition(arg: &Arg) -> ScmpArgCompare {
    let (op, datum) = match arg.op.as_str() {
        "SCMP_CMP_NE" => (ScmpCompareOp::NotEqual, arg.value),
        "SCMP_CMP_LT" => (ScmpCompareOp::Less, arg.value),
        "SCMP_CMP_LE" => (ScmpCompareOp::LessOrEqual, arg.value),
        "SCMP_CMP_EQ" => (ScmpCompareOp::Equal, arg.value),
        "SCMP_CMP_GE" => (ScmpCompareOp::GreaterEqual, arg.value),
        "SCMP_CMP_GT" => (ScmpCompareOp::Greater, arg.value),
        "SCMP_CMP_MASKED_EQ" => (ScmpCompareOp::MaskedEqual(arg.value), arg.value_two),
        op => panic!("{op}"),
    };
    ScmpArgCompare::new(arg.index, op, datum)
}

fn action(name: &str, errno: Option<u32>) -> ScmpAction {
    let data = errno.unwrap_or(1);
    match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => ScmpAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => ScmpAction::KillProcess,
        "SCMP_ACT_TRAP" => ScmpAction::Trap,
        "SCMP_ACT_ERRNO" => ScmpAction::Errno(data as i32),
        "SCMP_ACT_TRACE" => ScmpAction::Trace(data as u16),
        "SCMP_ACT_ALLOW" => ScmpAction::Allow,
        "SCMP_ACT_LOG" => ScmpAction::Log,
        "SCMP_ACT_NOTIFY" => ScmpAction::Notify,
        name => panic!("{name}"),
    }
}

pub fn arch(arch: Arch) -> ScmpArch {
    match arch {
        Arch::X86_64 => ScmpArch::X8664,
        Arch::X86 => ScmpArch::X86,
        Arch::X32 => ScmpArch::X32,
        Arch::Aarch64 => ScmpArch::Aarch64,
        Arch::Arm => ScmpArch::Arm,
        Arch::Riscv64 => ScmpArch::Riscv64,
        Arch::Ppc64le => ScmpArch::Ppc64Le,
        Arch::Ppc64 => ScmpArch::Ppc64,
        Arch::Ppc => ScmpArch::Ppc,
        Arch::S390x => ScmpArch::S390X,
        Arch::S390 => ScmpArch::S390,
        Arch::Mips => ScmpArch::Mips,
        Arch::Mipsel => ScmpArch::Mipsel,
        Arch::Mips64 => ScmpArch::Mips64,
        Arch::Mipsel64 => ScmpArch::Mipsel64,
        Arch::Mips64n32 => ScmpArch::Mips64N32,
        Arch::Mipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::Parisc => ScmpArch::Parisc,
        Arch::Parisc64 => ScmpArch::Parisc64,
        arch => panic!("libseccomp 2.5 does not know {arch:?}"),
    }
}

/// libseccomp writes a program in the byte order of its architectures.
fn export(filter: &ScmpFilterContext, native: Arch) -> Vec<Insn> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    filter.export_bpf(&writer).unwrap();
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    let swapped = native.token() & 0x4000_0000 == 0;
    let insn = |bytes: &[u8]| {
        let mut insn = Insn::from_bytes(bytes.try_into().unwrap());
        if swapped {
            insn.code = insn.code.swap_bytes();
            insn.k = insn.k.swap_bytes();
        }
        insn
    };
    bytes.chunks_exact(8).map(insn).collect()
}

/// Whether libseccomp's tables agree with ours about a name on these architectures. Its packaged versions lack newer
/// system calls, and it knows multiplexed calls by numbers of its own; any other difference is an error. Where 2.5.4 has
/// one internal number for two names (`switch_endian` and `sys_debug_setcontext`), it takes one for the other.
pub fn agreed(name: Name, arches: &[Arch]) -> bool {
    let Ok(number) = ScmpSyscall::from_name(name.name()) else { return false };
    if number.get_name().ok().as_deref() != Some(name.name()) {
        return false;
    }
    arches.iter().all(|&on| {
        let theirs = ScmpSyscall::from_name_by_arch(name.name(), arch(on)).map(ScmpSyscall::as_raw_syscall);
        match (theirs, name.number(on)) {
            (Ok(theirs), Some(ours)) if theirs >= 0 => {
                assert_eq!(theirs as u32, ours, "{} on {on:?}", name.name());
                true
            }
            (Ok(-299..=-100), _) => true,
            (_, ours) => ours.is_none(),
        }
    })
}

pub fn rule(names: &[&str], action: &str, args: Vec<Arg>) -> Syscall {
    let names = names.iter().collect();
    Syscall { names, action: format!("SCMP_ACT_{action}"), args, ..Syscall::default() }
}

pub fn arg(index: u32, op: &str, value: u64, value_two: u64) -> Arg {
    Arg { index, value, value_two, op: format!("SCMP_CMP_{op}") }
}

/// What an engine denies an ordinary container.
const DENIED: [&str; 60] = [
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_adjtime64",
    "clock_settime",
    "clock_settime64",
    "clone",
    "clone3",
    "create_module",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "get_mempolicy",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pivot_root",
    "process_madvise",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "set_mempolicy",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "socket",
    "swapoff",
    "swapon",
    "sysfs",
    "umount",
    "umount2",
    "unshare",
    "userfaultfd",
];

/// A profile like those that engines write: some 400 names allowed, a few by argument, the rest denied.
pub fn engine_profile() -> Seccomp {
    let allowed = Name::all().map(Name::name).filter(|name| !DENIED.contains(name));
    let mut syscalls = vec![rule(&allowed.collect::<Vec<_>>(), "ALLOW", vec![])];
    for value in [0, 8, 0x20000, 0x20008, 0xffff_ffff] {
        syscalls.push(rule(&["personality"], "ALLOW", vec![arg(0, "EQ", value, 0)]));
    }
    for (op, value) in [("LT", 38), ("EQ", 39), ("GT", 40)] {
        syscalls.push(rule(&["socket"], "ALLOW", vec![arg(0, op, value, 0)]));
    }
    syscalls.push(rule(&["clone"], "ALLOW", vec![arg(0, "MASKED_EQ", 0x7e02_0000, 0)]));
    syscalls.push(Syscall { errno_ret: Some(38), ..rule(&["clone3"], "ERRNO", vec![]) });
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        architectures: ["X86_64", "X86", "X32"].map(|name| format!("SCMP_ARCH_{name}")).to_vec(),
        syscalls,
        ..Seccomp::default()
    }
}

/// The filter of a config, or the file as a filter.
pub fn read(file: &str) -> Seccomp {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let filter = json.pointer("/linux/seccomp").unwrap_or(&json).clone();
    serde_json::from_value(filter).unwrap()
}
