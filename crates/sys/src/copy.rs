//! memcpy(3) and memmove(3) for programs that mostly copy a few bytes.
//!
//! musl's have string instructions for every length, and to start one takes as long as to copy a hundred bytes without: a tenth
//! of the time that a short command spends in its own code. Here, up to 64 bytes are copied in two pieces that may overlap, the
//! first ones and the last ones.
//!
//! `orlop-init` has its own, which are made to be short (`init/src/memory_functions.rs`).
//!
//! There are no loops, which the compiler might take for what they are, and call memcpy(3).

use core::arch::asm;

/// memcpy(3).
///
/// # Safety
///
/// `from` is readable and `to` writable for `n` bytes, and they do not overlap.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if n > 64 {
        // SAFETY: the caller's contract.
        unsafe { forward(to, from, n) };
    } else {
        // SAFETY: the caller's contract.
        unsafe { few(to, from, n) };
    }
    to
}

/// memmove(3).
///
/// # Safety
///
/// `from` is readable and `to` writable for `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if n <= 64 {
        // SAFETY: the caller's contract.
        unsafe { few(to, from, n) };
    } else if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: the caller's contract; the destination begins before the source or after its end.
        unsafe { forward(to, from, n) };
    } else {
        // SAFETY: the caller's contract.
        unsafe { backward(to, from, n) };
    }
    to
}

/// Copies up to 64 bytes, all of which are read before any is written.
///
/// # Safety
///
/// As [`memmove`].
unsafe fn few(to: *mut u8, from: *const u8, n: usize) {
    match n {
        0 => {}
        // SAFETY: the caller's contract, and the piece is not longer than the whole.
        1 => unsafe { ends::<u8>(to, from, n) },
        // SAFETY: as above.
        2..4 => unsafe { ends::<u16>(to, from, n) },
        // SAFETY: as above.
        4..8 => unsafe { ends::<u32>(to, from, n) },
        // SAFETY: as above.
        8..16 => unsafe { ends::<u64>(to, from, n) },
        // SAFETY: as above.
        16..32 => unsafe { ends::<[u64; 2]>(to, from, n) },
        // SAFETY: as above.
        _ => unsafe { ends::<[u64; 4]>(to, from, n) },
    }
}

/// Copies the first and the last piece.
///
/// # Safety
///
/// As [`memmove`], and `n` is at least the size of a piece, and at most of two.
#[inline]
unsafe fn ends<Piece: Copy>(to: *mut u8, from: *const u8, n: usize) {
    let last = n - size_of::<Piece>();
    let (from, from_last) = (from.cast::<Piece>(), from.wrapping_add(last).cast::<Piece>());
    let (to, to_last) = (to.cast::<Piece>(), to.wrapping_add(last).cast::<Piece>());
    // SAFETY: the piece is within the caller's `n` bytes.
    let first = unsafe { from.read_unaligned() };
    // SAFETY: as above.
    let end = unsafe { from_last.read_unaligned() };
    // SAFETY: as above.
    unsafe { to.write_unaligned(first) };
    // SAFETY: as above.
    unsafe { to_last.write_unaligned(end) };
}

/// Copies from the first byte to the last, eight at a time: not every processor copies single ones as fast.
///
/// # Safety
///
/// As [`memcpy`], but `to` may lie before `from` and overlap it; and `n` is at least 8.
unsafe fn forward(to: *mut u8, from: *const u8, n: usize) {
    let last = n - 8;
    let from_last = from.wrapping_add(last).cast::<[u8; 8]>();
    let to_last = to.wrapping_add(last).cast::<[u8; 8]>();
    // SAFETY: within the caller's `n` bytes.
    let end = unsafe { from_last.read() };
    // SAFETY: the caller's contract; the direction flag is clear by the ABI.
    unsafe {
        asm!("rep movsq", inout("rcx") n / 8 => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    // SAFETY: within the caller's `n` bytes.
    unsafe { to_last.write(end) };
}

/// Copies from the last byte to the first.
///
/// # Safety
///
/// As [`memmove`], and `n` is not 0.
unsafe fn backward(to: *mut u8, from: *const u8, n: usize) {
    let (to, from) = (to.wrapping_add(n - 1), from.wrapping_add(n - 1));
    // SAFETY: the caller's contract; the direction flag is clear again afterwards, as the ABI wants it.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// More than is copied in pieces, and not a multiple of anything.
    const LONGEST: usize = 203;

    fn bytes() -> Vec<u8> {
        (0..2 * LONGEST).map(|n| n as u8 ^ (n >> 8) as u8).collect()
    }

    #[test]
    fn as_many_bytes_are_copied_as_there_are() {
        for n in 0..=LONGEST {
            let (from, mut to) = (bytes(), std::vec![0xee; n + 2]);
            // SAFETY: both are long enough, and apart.
            let returned =
                unsafe { memcpy(to.as_mut_ptr().wrapping_add(1), from.as_ptr().wrapping_add(3), n) };
            assert_eq!(returned, to.as_mut_ptr().wrapping_add(1));
            assert_eq!(to[1..=n], from[3..n + 3], "{n}");
            assert_eq!([to[0], to[n + 1]], [0xee; 2], "{n}");
        }
    }

    #[test]
    fn what_overlaps_is_moved_as_it_was() {
        for n in 0..=LONGEST {
            for (from, to) in [(0, 1), (1, 0), (0, 17), (17, 0), (5, 5), (0, LONGEST), (LONGEST, 0)] {
                let (mut moved, mut right) = (bytes(), bytes());
                right.copy_within(from..from + n, to);
                let all = moved.as_mut_ptr();
                // SAFETY: `from`, `to` and what follows them are within the bytes.
                unsafe { memmove(all.wrapping_add(to), all.wrapping_add(from), n) };
                assert_eq!(moved, right, "{n} from {from} to {to}");
            }
        }
    }
}
