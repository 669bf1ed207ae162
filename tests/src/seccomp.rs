//! A seccomp profile of the kind that container engines use.
use std::fs;

use serde_json::{Value, json};

/// What an unprivileged server has no business with: mounts, namespaces, modules, clocks, tracing, raw access.
const DENIED: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "clock_settime",
    "create_module",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
];

/// The flags of `clone` that make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7E02_0000;

/// A profile like Docker's default: what is not allowed fails with EPERM, `clone` makes no namespaces, `clone3`
/// (whose flags a filter cannot see) is said not to exist, and some syscalls are allowed for some arguments only.
///
/// The allowed syscalls are all that this machine's headers know but the ones above.
pub fn engine_profile() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": allowed(), "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
                {"index": 0, "value": 0xffff_ffff_u32, "op": "SCMP_CMP_EQ"}]}
        ]
    })
}

fn allowed() -> Vec<String> {
    let header = fs::read_to_string("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
    let header = header.expect("libc6-dev is installed (hack/setup.sh build)");
    let names =
        header.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_whitespace().next());
    let with_rules = ["clone", "clone3", "socket", "personality"];
    names.filter(|name| !DENIED.contains(name) && !with_rules.contains(name)).map(str::to_owned).collect()
}
