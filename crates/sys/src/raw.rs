//! The system call instruction itself, per architecture, and the error it returns.

use core::fmt;
use core::num::NonZeroU32;

/// What the kernel answered, and to which call.
///
/// The call's number travels with the error, so that whoever reports it can say `openat2: ENOENT` without every
/// caller naming what it called.
///
/// Both are in one word that is not zero: so a result fits into a register, and tests and copies of it, of which a program of
/// system calls is full, are short.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(NonZeroU32);

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error as another process reported it, or as a check of ours found it: call number and errno.
    pub const fn new(call: u16, errno: u16) -> Self {
        // An errno of 0 is none that the kernel answers with; who reports one may be malicious.
        let errno = if errno == 0 { libc::EIO as u16 } else { errno };
        match NonZeroU32::new((call as u32) << 16 | errno as u32) {
            Some(both) => Self(both),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// An errno (`libc::E…`) that belongs to the call with this number (`libc::SYS_…`).
    pub const fn of(call: libc::c_long, errno: i32) -> Self {
        Self::new(call as u16, errno as u16)
    }

    /// The errno, as in errno(3).
    pub const fn errno(self) -> i32 {
        (self.0.get() & 0xffff) as i32
    }

    /// The number of the call that failed, on this architecture.
    pub const fn call(self) -> u16 {
        (self.0.get() >> 16) as u16
    }

    /// The name of the call that failed.
    pub fn call_name(self) -> &'static str {
        crate::names::call(self.call())
    }

    /// Whether the errno is this one.
    pub const fn is(self, errno: i32) -> bool {
        self.errno() == errno
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call_name(), crate::names::errno(self.errno()))
    }
}

impl core::error::Error for Error {}

/// One system call with up to six arguments.
///
/// # Safety
///
/// The arguments must be what the call expects: pointers valid for the call's reads and writes, and no effect on
/// memory or descriptors that safe code relies on.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn instruction(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the registers are those of the x86_64 system call convention (syscall(2)); rcx and r11 are declared
    // clobbered; what the call itself does is the caller's contract.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") nr as isize => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    ret
}

/// As above, for aarch64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "aarch64")]
#[inline]
unsafe fn instruction(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the registers are those of the aarch64 system call convention (syscall(2)); the rest is the caller's.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") nr,
            inlateout("x0") a[0] as isize => ret,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    ret
}

/// As above, for riscv64.
///
/// # Safety
///
/// As above.
#[cfg(target_arch = "riscv64")]
#[inline]
unsafe fn instruction(nr: usize, a: [usize; 6]) -> isize {
    let ret: isize;
    // SAFETY: the registers are those of the riscv64 system call convention (syscall(2)); the rest is the caller's.
    unsafe {
        core::arch::asm!(
            "ecall",
            in("a7") nr,
            inlateout("a0") a[0] as isize => ret,
            in("a1") a[1], in("a2") a[2], in("a3") a[3], in("a4") a[4], in("a5") a[5],
            options(nostack),
        );
    }
    ret
}

/// One system call: its number (`libc::SYS_…`) and up to six arguments; missing ones are zero.
///
/// # Safety
///
/// The arguments must be what the call expects: pointers valid for the call's reads and writes, and no effect on
/// memory or descriptors that safe code relies on.
#[inline(always)]
#[allow(clippy::inline_always)] // else arguments are written to memory and read again, wherever it is called
pub(crate) unsafe fn call<const N: usize>(nr: libc::c_long, args: [usize; N]) -> Result<usize> {
    let mut a = [0; 6];
    a[..N].copy_from_slice(&args);
    let nr = nr as usize;
    let answer = match N {
        // SAFETY: the caller's contract is the same.
        0..=3 => unsafe { three(nr, a[0], a[1], a[2]) },
        // SAFETY: likewise.
        4..=5 => unsafe { five(nr, a[0], a[1], a[2], a[3], a[4]) },
        // SAFETY: likewise.
        _ => answer(nr, unsafe { instruction(nr, a) }),
    };
    // A negative answer is that of an error, whole.
    match NonZeroU32::new(answer.wrapping_neg() as u32) {
        Some(both) if answer < 0 => Err(Error(both)),
        _ => Ok(answer as usize),
    }
}

/// What the kernel has returned, with the call's number in it if it is an error.
#[inline]
const fn answer(nr: usize, ret: isize) -> isize {
    if ret < 0 { ret - ((nr as isize) << 16) } else { ret }
}

/// The same for all calls: a register for each argument, and no code of its own where it is called from.
///
/// # Safety
///
/// As above.
#[inline(never)]
unsafe fn three(nr: usize, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller's contract is the same.
    answer(nr, unsafe { instruction(nr, [a, b, c, 0, 0, 0]) })
}

/// As above, with more arguments.
///
/// # Safety
///
/// As above.
#[inline(never)]
#[allow(clippy::many_single_char_names)] // they have no others
unsafe fn five(nr: usize, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    // SAFETY: the caller's contract is the same.
    answer(nr, unsafe { instruction(nr, [a, b, c, d, e, 0]) })
}
