//! The six functions that compiled code calls by name (memcpy(3) and family), which a C library would have.
//!
//! Written with string instructions on x86_64, byte by byte elsewhere: init copies little. They must not be compiled into
//! calls of themselves, so they are either assembly or go through volatile accesses.

/// memcpy(3).
///
/// # Safety
///
/// `from` is readable and `to` writable for `n` bytes, and they do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's contract.
    unsafe { copy_forward(to, from, n) };
    to
}

/// memmove(3).
///
/// # Safety
///
/// `from` is readable and `to` writable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: the caller's contract; the destination begins before the source or after its end.
        unsafe { copy_forward(to, from, n) };
    } else {
        for i in (0..n).rev() {
            // SAFETY: within the caller's `n` bytes.
            let byte = unsafe { from.add(i).read_volatile() };
            // SAFETY: within the caller's `n` bytes; what is overwritten was read already.
            unsafe { to.add(i).write_volatile(byte) };
        }
    }
    to
}

/// memset(3).
///
/// # Safety
///
/// `to` is writable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's contract; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..n {
        // SAFETY: within the caller's `n` bytes.
        unsafe { to.add(i).write_volatile(byte as u8) };
    }
    to
}

/// memcmp(3).
///
/// # Safety
///
/// `a` and `b` are readable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: within the caller's `n` bytes.
        let x = unsafe { a.add(i).read_volatile() };
        // SAFETY: within the caller's `n` bytes.
        let y = unsafe { b.add(i).read_volatile() };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// bcmp(3): whether they differ. What is compiled for size asks for it.
///
/// # Safety
///
/// `a` and `b` are readable for `n` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's contract.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3).
///
/// # Safety
///
/// `text` ends with a NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut n = 0;
    loop {
        // SAFETY: no byte before this one was the NUL.
        let byte = unsafe { text.add(n).read_volatile() };
        if byte == 0 {
            return n;
        }
        n += 1;
    }
}

/// Copies from the first byte to the last.
///
/// # Safety
///
/// As memcpy(3), but `to` may lie before `from` and overlap it.
unsafe fn copy_forward(to: *mut u8, from: *const u8, n: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's contract; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..n {
        // SAFETY: within the caller's `n` bytes.
        let byte = unsafe { from.add(i).read_volatile() };
        // SAFETY: within the caller's `n` bytes.
        unsafe { to.add(i).write_volatile(byte) };
    }
}
