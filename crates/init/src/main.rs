//! The entry point of `orlop-init`: where the kernel enters, before there is anything like a Rust program.
//!
//! This file and orlop-sys are the only ones with `unsafe` in them.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use orlop_init::Machine;
use orlop_program::Program;
use orlop_sys::{Fd, OwnedFd, cred, file, memory, process};

mod memory_functions;

// The kernel enters with argc, argv, envp on the stack (the System V ABI's process initialisation). The first function
// gets that address; the stack is aligned as calls want it; the cleared frame pointer ends stack traces.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
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
    "mov x0, sp",
    "bl {start}",
    "brk 1",
    start = sym start,
);
#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mv a0, sp",
    "andi sp, sp, -16",
    "call {start}",
    "ebreak",
    start = sym start,
);

/// Arguments: the program's name, and the number of the descriptor of the file that it and its program lie in. Without that
/// number there is no program, and it is the first process of a pod.
///
/// # Safety
///
/// `stack` is where the kernel put argc and argv.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: argc is the first word.
    let argc = unsafe { stack.read() };
    // SAFETY: the words after it are the argc addresses of the arguments, and a null pointer.
    let argv = unsafe { core::slice::from_raw_parts(stack.add(1).cast::<*const u8>(), argc) };
    if argc == 1 {
        orlop_init::pod::stay();
    }
    // Nobody of the container's may look into this process or take its descriptors (CVE-2016-9962), until exec.
    if cred::set_dumpable(false).is_err() {
        process::exit(1);
    }
    let Some(number) = argv.get(1).and_then(|text| number(*text)) else { process::exit(1) };
    // SAFETY: the host side passed this descriptor to us alone.
    let file = unsafe { OwnedFd::from_raw(number) };
    let Ok(bytes) = map(file.fd()) else { process::exit(1) };
    drop(file);
    let Ok(program) = Program::at_end_of(bytes) else { process::exit(1) };
    // SAFETY: the host side passed the descriptors in the program's table to us alone, each once.
    let own = |number| unsafe { OwnedFd::from_raw(number) };
    Machine::new(&program, own).run(&program)
}

/// The whole file.
fn map(file: Fd) -> orlop_sys::Result<&'static [u8]> {
    let size = file::fstat(file)?.size;
    // SAFETY: the file is a sealed memfd of this size.
    unsafe { memory::map_sealed(file, size as usize) }
}

/// A decimal number.
fn number(text: *const u8) -> Option<i32> {
    // SAFETY: the kernel's argument strings end with a NUL and live as long as the process.
    let text = unsafe { core::ffi::CStr::from_ptr(text.cast()) };
    orlop_init::decimal(text.to_bytes())?.try_into().ok()
}

/// There is nobody to tell and nothing to unwind. Init has no code that panics by intent; the host side sees init's end
/// without a message and says so.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    process::exit(101)
}
