//! System calls that a container seldom needs, and that have helped attackers before.

use super::Level::{self, High, Low, Medium};

/// A call, and what is bad about it.
#[derive(Clone, Copy)]
pub(super) struct Dangerous {
    /// The name in a finding's id.
    pub(super) id: &'static str,
    /// The call with the arguments that make it dangerous, as [`Call::parse`](crate::filter::Call::parse) reads it.
    pub(super) call: &'static str,
    /// How bad.
    pub(super) level: Level,
    /// What it allows.
    pub(super) why: &'static str,
    /// The capability over the host without which the kernel refuses it, whatever the filter says.
    pub(super) needs: Option<u32>,
}

const SYS_MODULE: u32 = 16;
const SYS_RAWIO: u32 = 17;
const SYS_ADMIN: u32 = 21;
const SYS_BOOT: u32 = 22;
const SYS_TIME: u32 = 25;
const DAC_READ_SEARCH: u32 = 2;

const fn call(id: &'static str, call: &'static str, level: Level, why: &'static str) -> Dangerous {
    Dangerous { id, call, level, why, needs: None }
}

const fn root(needs: u32, of: Dangerous) -> Dangerous {
    Dangerous { needs: Some(needs), ..of }
}

/// All of them.
pub(super) const CALLS: [Dangerous; 27] = [
    call("add-key", "add_key", Low, "Keyrings are not divided among containers of one user."),
    call(
        "af-alg",
        "socket(AF_ALG)",
        Low,
        "The kernel's crypto interface has had holes, and programs seldom use it.",
    ),
    call("af-vsock", "socket(AF_VSOCK)", Low, "It talks to the hypervisor, past the network namespace."),
    call("bpf", "bpf", Medium, "BPF's verifier has had holes through which programs became root."),
    root(SYS_TIME, call("clock-settime", "clock_settime", Medium, "The machine's clock is everybody's.")),
    root(SYS_MODULE, call("delete-module", "delete_module", High, "It takes code out of the kernel.")),
    root(SYS_MODULE, call("finit-module", "finit_module", High, "It loads code into the kernel.")),
    root(SYS_MODULE, call("init-module", "init_module", High, "It loads code into the kernel.")),
    call(
        "io-uring",
        "io_uring_setup",
        Medium,
        "Its system calls are not seen by the filter, and it has had many holes.",
    ),
    root(SYS_RAWIO, call("ioperm", "ioperm", High, "It reaches the hardware's ports.")),
    root(SYS_RAWIO, call("iopl", "iopl", High, "It reaches the hardware's ports.")),
    root(SYS_BOOT, call("kexec-load", "kexec_load", High, "It replaces the running kernel.")),
    call("keyctl", "keyctl", Low, "Keyrings are not divided among containers of one user."),
    call(
        "mount",
        "mount",
        Medium,
        "With a user namespace anybody may mount, and reach code of many file systems.",
    ),
    call(
        "move-mount",
        "move_mount",
        Medium,
        "With a user namespace anybody may mount, and reach code of many file systems.",
    ),
    call(
        "new-user-namespace",
        "clone(CLONE_NEWUSER)",
        Medium,
        "In a user namespace of its own a process has all capabilities, and reaches code that only root reached.",
    ),
    root(
        DAC_READ_SEARCH,
        call("open-by-handle-at", "open_by_handle_at", High, "It opens files of the host past every mount."),
    ),
    call("perf-event-open", "perf_event_open", Medium, "It measures others, and has had holes."),
    call("personality", "personality(0x0040000)", Low, "It turns off the randomisation of addresses."),
    call(
        "process-vm-writev",
        "process_vm_writev",
        Low,
        "It writes to the memory of other processes of its user.",
    ),
    call("ptrace", "ptrace", Low, "It changes other processes of its user."),
    root(SYS_BOOT, call("reboot", "reboot", High, "It reboots the machine.")),
    call("request-key", "request_key", Low, "It makes the kernel start a program of the host."),
    call("setns", "setns", Medium, "It joins namespaces of others."),
    root(SYS_ADMIN, call("swapon", "swapon", High, "It changes the machine's swap.")),
    call(
        "unshare-user",
        "unshare(CLONE_NEWUSER)",
        Medium,
        "In a user namespace of its own a process has all capabilities, and reaches code that only root reached.",
    ),
    call(
        "userfaultfd",
        "userfaultfd",
        Medium,
        "It stops the kernel in the middle of a copy, which makes races easy to win.",
    ),
];
