//! Going on as another process, per architecture.

use crate::raw::{Error, Result};

/// Goes on as a new child of this process's parent, with the same memory, in the PID namespace for children of this process,
/// which ends with status 0. ([clone(2)](https://man7.org/linux/man-pages/man2/clone.2.html), `CLONE_VM`, `CLONE_PARENT`.)
/// Nothing is copied: the old process touches no memory after the call. Whom the new one sees as its parent is not the old
/// one. For programs with one thread, such as init: others would be left behind, with their locks.
///
/// # Errors
///
/// There is no new process, and the old one goes on.
pub fn go_on_as_sibling() -> Result<()> {
    let ret: isize;
    // SAFETY: the new process has the registers and the stack of this one, which uses neither any more: between its return
    // from the call and its end there are instructions on registers only.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jle 2f",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit_group,
            inlateout("rax") libc::SYS_clone as isize => ret,
            in("rdi") libc::CLONE_VM | libc::CLONE_PARENT,
            in("rsi") 0, in("rdx") 0, in("r10") 0, in("r8") 0,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cmp x0, #0",
            "b.le 2f",
            "mov x8, {exit}",
            "mov x0, #0",
            "svc 0",
            "brk 1",
            "2:",
            exit = const libc::SYS_exit_group,
            in("x8") libc::SYS_clone,
            inlateout("x0") (libc::CLONE_VM | libc::CLONE_PARENT) as isize => ret,
            in("x1") 0, in("x2") 0, in("x3") 0, in("x4") 0,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        core::arch::asm!(
            "ecall",
            "blez a0, 2f",
            "li a7, {exit}",
            "li a0, 0",
            "ecall",
            "ebreak",
            "2:",
            exit = const libc::SYS_exit_group,
            in("a7") libc::SYS_clone,
            inlateout("a0") (libc::CLONE_VM | libc::CLONE_PARENT) as isize => ret,
            in("a1") 0, in("a2") 0, in("a3") 0, in("a4") 0,
        );
    }
    if ret < 0 { Err(Error::of(libc::SYS_clone, -ret as i32)) } else { Ok(()) }
}
