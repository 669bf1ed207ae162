//! The entry point of `orlop-init`: where the kernel enters, before there is anything like a Rust program.
//!
//! This file and orlop-sys are the only ones with `unsafe` in them.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use orlop_init::Machine;
use orlop_program::Program;
use orlop_sys::{OwnedFd, cred, process};

mod memory_functions;

// The kernel enters with the stack pointer at argc, argv, envp (the System V ABI's process initialisation), which nobody reads.
// The stack is aligned as calls want it; the cleared frame pointer ends stack traces.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "bl {start}",
    "brk 1",
    start = sym start,
);
#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "andi sp, sp, -16",
    "call {start}",
    "ebreak",
    start = sym start,
);

unsafe extern "C" {
    /// How many bytes of a program follow it; the last word of the machine (`link.ld`). Where there are none, this is the first
    /// process of a pod.
    safe static orlop_program: u64;
}

extern "C" fn start() -> ! {
    let length = orlop_program as usize;
    if length == 0 {
        orlop_init::pod::stay();
    }
    // Nobody of the container's may look into this process or take its descriptors (CVE-2016-9962), until exec.
    if cred::set_dumpable(false).is_err() {
        process::exit(1);
    }
    let begin = (&raw const orlop_program).wrapping_add(1).cast::<u8>();
    // SAFETY: the host side put so many bytes there, of a sealed file, and had them mapped with the machine.
    let bytes = unsafe { core::slice::from_raw_parts(begin, length) };
    let Ok(program) = Program::read(bytes) else { process::exit(1) };
    // SAFETY: the host side passed the descriptors in the program's table to us alone, each once.
    let own = |number| unsafe { OwnedFd::from_raw(number) };
    Machine::new(&program, own).run(&program)
}

/// There is nobody to tell and nothing to unwind. Init has no code that panics by intent; the host side sees init's end
/// without a message and says so.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    process::exit(101)
}
