//! `clone3` into a function on another stack, per architecture.

use crate::raw::{Error, Result};
use core::ptr;

/// `struct clone_args` of clone3(2).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// Where a new process begins.
pub(super) type Entry = unsafe extern "C" fn(*const ()) -> !;

/// [clone3(2)](https://man7.org/linux/man-pages/man2/clone3.2.html), Linux 5.3: in the new process, calls `entry(argument)` on
/// the stack that `args` names; in the caller, returns the process id.
///
/// # Safety
///
/// `args` names a stack that nothing else uses; `entry` never returns; what it touches outlives the new process's use of it.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for rax and rsp, and leaves this
    // block only into `entry`; rbp is cleared there to end stack traces.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            // Registers that the call preserves: the new process needs them after it.
            in("r12") argument,
            in("r13") entry,
            inlateout("rax") libc::SYS_clone3 as isize => ret,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            lateout("rcx") _, lateout("r11") _,
        );
    }
    returned(ret)
}

/// As above, for aarch64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for x0 and sp, and leaves this
    // block only into `entry`; frame pointer and link register are cleared there to end stack traces.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            in("x20") argument,
            in("x21") entry,
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(args) => ret,
            in("x1") size_of::<CloneArgs>(),
            lateout("x30") _,
        );
    }
    returned(ret)
}

/// As above, for riscv64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "riscv64")]
pub(super) unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *const ()) -> Result<usize> {
    let ret: isize;
    // SAFETY: the caller's contract. The new process has the registers of this one but for a0 and sp, and leaves this
    // block only into `entry`.
    unsafe {
        core::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, s2",
            "jalr s3",
            "ebreak",
            "2:",
            in("s2") argument,
            in("s3") entry,
            in("a7") libc::SYS_clone3,
            inlateout("a0") ptr::from_ref(args) => ret,
            in("a1") size_of::<CloneArgs>(),
            lateout("ra") _,
        );
    }
    returned(ret)
}

fn returned(ret: isize) -> Result<usize> {
    if ret < 0 { Err(Error::of(libc::SYS_clone3, -ret as i32)) } else { Ok(ret as usize) }
}
