//! The profile of containers that were not given one: what reaches the machine instead of the container is refused.
//!
//! It is written the other way round than it is used: here stand the calls that are refused and the capability that makes
//! each of them reasonable; what is not here, and known to the tables, is allowed. A call that is newer than the tables fails
//! with `ENOSYS`.

use orlop_spec::Seccomp;
use orlop_spec::seccomp::{Arg, Syscall};

use crate::arch::Arch;
use crate::tables;

/// Calls that are refused, unless the container has one of the capabilities.
struct Refused {
    unless: &'static [&'static str],
    calls: &'static [&'static str],
}

#[rustfmt::skip]
const REFUSED: &[Refused] = &[
    // Keyrings are not in any namespace.
    Refused { unless: &[], calls: &["add_key", "keyctl", "request_key"] },
    // Much of the kernel, behind a door that a filter cannot look through.
    Refused { unless: &[], calls: &["io_uring_enter", "io_uring_register", "io_uring_setup"] },
    // Makes races in the kernel easy to win.
    Refused { unless: &[], calls: &["userfaultfd"] },
    // Another kernel.
    Refused { unless: &["CAP_SYS_BOOT"], calls: &["kexec_file_load", "kexec_load", "reboot"] },
    Refused { unless: &["CAP_SYS_MODULE"], calls: &[
        "create_module", "delete_module", "finit_module", "get_kernel_syms", "init_module", "query_module",
    ] },
    // Old and without users, most of them without code.
    Refused { unless: &[], calls: &[
        "_sysctl", "afs_syscall", "bdflush", "nfsservctl", "sysfs", "uselib", "ustat", "vm86", "vm86old",
    ] },
    // Mounts and namespaces: a container inside the container, with the rights over the kernel that come with it.
    Refused { unless: &["CAP_SYS_ADMIN"], calls: &[
        "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount", "mount_setattr", "move_mount",
        "open_tree", "open_tree_attr", "pivot_root", "setns", "umount", "umount2", "unshare",
    ] },
    Refused { unless: &["CAP_SYS_ADMIN"], calls: &[
        "fanotify_init", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "swapoff", "swapon",
    ] },
    Refused { unless: &["CAP_SYS_ADMIN", "CAP_BPF"], calls: &["bpf"] },
    Refused { unless: &["CAP_SYS_ADMIN", "CAP_PERFMON"], calls: &["perf_event_open"] },
    Refused { unless: &["CAP_SYS_ADMIN", "CAP_SYSLOG"], calls: &["syslog"] },
    // By a handle, a file of the host outside the root file system can be opened.
    Refused { unless: &["CAP_DAC_READ_SEARCH"], calls: &["open_by_handle_at"] },
    Refused { unless: &["CAP_SYS_PACCT"], calls: &["acct"] },
    Refused { unless: &["CAP_SYS_PTRACE"], calls: &["kcmp", "pidfd_getfd", "process_madvise"] },
    Refused { unless: &["CAP_SYS_RAWIO"], calls: &["ioperm", "iopl"] },
    Refused { unless: &["CAP_SYS_TIME"], calls: &["clock_settime", "clock_settime64", "settimeofday", "stime"] },
    Refused { unless: &["CAP_SYS_TTY_CONFIG"], calls: &["vhangup"] },
    // Memory of which node: other containers feel it.
    Refused { unless: &["CAP_SYS_NICE"], calls: &[
        "get_mempolicy", "mbind", "migrate_pages", "move_pages", "set_mempolicy", "set_mempolicy_home_node",
    ] },
];

/// `CLONE_NEW…` of every namespace that clone(2) can make.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// Execution domains (personality(2)): Linux, with and without 32 bits and the old layout, and the question which one.
const DOMAINS: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Sockets that lead past the network namespace, to the hypervisor (`AF_VSOCK`), or to much of the kernel (`AF_ALG`).
const FAMILIES: [u64; 2] = [38, 40];

/// The profile for a container with these capabilities, on a machine of this architecture.
pub fn standard<'a>(capabilities: impl IntoIterator<Item = &'a str>, native: Arch) -> Seccomp {
    let held: Vec<&str> = capabilities.into_iter().collect();
    let has = |name: &&str| held.contains(name);
    let refused: Vec<&str> = REFUSED
        .iter()
        .filter(|entry| !entry.unless.iter().any(has))
        .flat_map(|entry| entry.calls.iter().copied())
        .collect();
    let privileged = has(&"CAP_SYS_ADMIN");
    let special: &[&str] =
        if privileged { &["personality", "socket"] } else { &["personality", "socket", "clone", "clone3"] };
    let names = tables::Syscall::all().map(tables::Syscall::name);
    let allowed = names.filter(|name| !refused.contains(name) && !special.contains(name));
    let mut syscalls = vec![allow(allowed, Vec::new())];
    syscalls.extend(DOMAINS.map(|domain| allow(["personality"], vec![is(0, "SCMP_CMP_EQ", domain, 0)])));
    syscalls.extend(families().map(|family| allow(["socket"], family)));
    if !privileged {
        // Its first argument on s390 is the second.
        let flags = u32::from(matches!(native, Arch::S390x | Arch::S390));
        syscalls.push(allow(["clone"], vec![is(flags, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES, 0)]));
        // A filter cannot see its flags. The C library takes clone(2) then.
        syscalls.push(Syscall {
            names: ["clone3"].into_iter().collect(),
            action: "SCMP_ACT_ERRNO".to_owned(),
            errno_ret: Some(38),
            args: Vec::new(),
        });
    }
    Seccomp {
        default_action: "SCMP_ACT_ERRNO".to_owned(),
        architectures: architectures(native)
            .iter()
            .map(|arch| format!("SCMP_ARCH_{}", arch.name()))
            .collect(),
        syscalls,
        ..Seccomp::default()
    }
}

/// All address families but [`FAMILIES`]: below, between and above them. Two conditions on one argument would be
/// alternatives.
fn families() -> [Vec<Arg>; 3] {
    let [low, high] = FAMILIES;
    [is(0, "SCMP_CMP_LT", low, 0), is(0, "SCMP_CMP_EQ", low + 1, 0), is(0, "SCMP_CMP_GT", high, 0)]
        .map(|family| vec![family])
}

/// The machine's own, and those of 32 bits whose programs it runs. Not x32: it has users no more.
fn architectures(native: Arch) -> &'static [Arch] {
    match native {
        Arch::X86_64 => &[Arch::X86_64, Arch::X86],
        Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
        Arch::S390x => &[Arch::S390x, Arch::S390],
        // It is filtered in any case.
        _ => &[],
    }
}

fn allow<'a>(names: impl IntoIterator<Item = &'a str>, args: Vec<Arg>) -> Syscall {
    Syscall { names: names.into_iter().collect(), action: "SCMP_ACT_ALLOW".to_owned(), errno_ret: None, args }
}

fn is(index: u32, op: &str, value: u64, value_two: u64) -> Arg {
    Arg { index, value, value_two, op: op.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Options, SeccompData, compile, simulate};

    const NOTHING: [&str; 0] = [];

    fn decide(capabilities: &[&str], name: &str, args: [u64; 6]) -> Action {
        let native = Arch::X86_64;
        let filter = compile(&standard(capabilities.iter().copied(), native), &Options::new(native)).unwrap();
        assert!(filter.warnings.is_empty(), "{:?}", filter.warnings);
        let number = tables::Syscall::from_name(name).and_then(|call| call.number(native)).unwrap();
        let call = SeccompData { nr: number, arch: native.token(), instruction_pointer: 0, args };
        simulate(&filter.program, &call).unwrap()
    }

    fn plain(capabilities: &[&str], name: &str) -> Action {
        decide(capabilities, name, [0; 6])
    }

    #[test]
    fn every_name_is_a_call_that_some_architecture_has() {
        for name in REFUSED.iter().flat_map(|entry| entry.calls) {
            assert!(tables::Syscall::from_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn everyday_calls_pass_and_those_on_the_machine_do_not() {
        for name in ["read", "openat", "execve", "futex", "ptrace", "chroot", "statx", "pidfd_open"] {
            assert_eq!(plain(&NOTHING, name), Action::Allow, "{name}");
        }
        for name in ["mount", "bpf", "keyctl", "io_uring_setup", "reboot", "init_module", "setns"] {
            assert_eq!(plain(&NOTHING, name), Action::Errno(1), "{name}");
        }
    }

    #[test]
    fn a_capability_opens_what_it_is_for() {
        assert_eq!(plain(&["CAP_SYS_ADMIN"], "mount"), Action::Allow);
        assert_eq!(plain(&["CAP_BPF"], "bpf"), Action::Allow);
        assert_eq!(plain(&["CAP_SYS_ADMIN"], "init_module"), Action::Errno(1));
        assert_eq!(plain(&["CAP_SYS_ADMIN"], "keyctl"), Action::Errno(1));
    }

    #[test]
    fn arguments_decide_about_namespaces_families_and_domains() {
        assert_eq!(decide(&[], "clone", [0x1_1200, 0, 0, 0, 0, 0]), Action::Allow);
        assert_eq!(decide(&[], "clone", [0x1000_0000, 0, 0, 0, 0, 0]), Action::Errno(1));
        assert_eq!(decide(&["CAP_SYS_ADMIN"], "clone", [0x1000_0000, 0, 0, 0, 0, 0]), Action::Allow);
        assert_eq!(plain(&[], "clone3"), Action::Errno(38));
        assert_eq!(plain(&["CAP_SYS_ADMIN"], "clone3"), Action::Allow);
        for (family, action) in [(2, Action::Allow), (39, Action::Allow), (44, Action::Allow)]
            .into_iter()
            .chain(FAMILIES.map(|family| (family, Action::Errno(1))))
        {
            assert_eq!(decide(&[], "socket", [family, 1, 0, 0, 0, 0]), action, "{family}");
        }
        assert_eq!(decide(&[], "personality", [8, 0, 0, 0, 0, 0]), Action::Allow);
        assert_eq!(decide(&[], "personality", [0x40000, 0, 0, 0, 0, 0]), Action::Errno(1));
    }

    #[test]
    fn all_architectures_have_one_without_findings() {
        for native in Arch::all() {
            let filter = compile(&standard(NOTHING, native), &Options::new(native)).unwrap();
            assert!(filter.warnings.is_empty(), "{native:?}: {:?}", filter.warnings);
        }
    }
}
