//! An allocator for programs that end soon: memory is handed out in a row and hardly ever taken back.
//!
//! A general allocator keeps lists to find free memory again, which costs a short program more than it gains: with musl's,
//! a hundred small blocks cost dozens of system calls. Here a block costs an addition. Only the newest block can grow in
//! place, which is what building a string or a list does. Of what is given back, the largest piece is used again: each page
//! that is never touched saves a page fault.
//!
//! For the one-shot command only: a program that lives on would grow for ever. One that finds out that it will says so
//! ([`Arena::live_on`]), and has the C library's allocator from then on.

use crate::raw::call;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::hint;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "std")]
use std::alloc::System;

/// Memory is asked for in pieces of this size, or larger where a block is; in bytes.
const CHUNK: usize = 256 * 1024;

/// The allocator; make it the `#[global_allocator]`.
#[derive(Debug)]
pub struct Arena {
    busy: AtomicBool,
    /// Only touched by who has set `busy`.
    free: UnsafeCell<Free>,
    /// New blocks are the C library's.
    #[cfg(feature = "std")]
    living: AtomicBool,
}

/// The unused rest of the newest chunk, as addresses.
#[derive(Clone, Copy, Debug)]
struct Free {
    start: usize,
    end: usize,
    /// Where the newest range begins, or 0.
    newest: usize,
    /// Memory that was given back, from and to.
    hole: (usize, usize),
}

/// What a range of memory begins with, which is one chunk, or several in a row: then all of it can be found again.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// Where the range before it begins, or 0.
    older: usize,
    /// Where this one ends.
    end: usize,
}

// SAFETY: `free` is only reached through `with`, which lets one thread in at a time.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena that has no memory yet.
    pub const fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            free: UnsafeCell::new(Free { start: 0, end: 0, newest: 0, hole: (0, 0) }),
            #[cfg(feature = "std")]
            living: AtomicBool::new(false),
        }
    }

    /// This program lives on: from now on memory comes from the C library's allocator, which takes it back. What was handed
    /// out before stays where it is.
    #[cfg(feature = "std")]
    pub fn live_on(&self) {
        self.living.store(true, Ordering::Relaxed);
    }

    /// Whether a block is the C library's.
    #[cfg(feature = "std")]
    #[inline]
    fn is_foreign(&self, block: *mut u8) -> bool {
        self.living.load(Ordering::Relaxed) && !self.has_made(block)
    }

    #[cfg(feature = "std")]
    #[cold]
    fn has_made(&self, block: *mut u8) -> bool {
        self.with(|free| free.owns(block.expose_provenance()))
    }

    /// Calls `f` with the free memory, one thread at a time. There is next to never more than one thread.
    fn with<T>(&self, f: impl FnOnce(&mut Free) -> T) -> T {
        while self.busy.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            hint::spin_loop();
        }
        // SAFETY: `busy` was free and is ours now, so nobody else has a reference; `f` does not call back.
        let result = f(unsafe { &mut *self.free.get() });
        self.busy.store(false, Ordering::Release);
        result
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Free {
    /// The address of a new block, or 0.
    fn take(&mut self, layout: Layout) -> usize {
        if let Some(block) = self.fill(layout).or_else(|| self.carve(layout)) {
            return block;
        }
        let len = layout.size().checked_add(layout.align() + size_of::<Range>()).map(|len| len.max(CHUNK));
        let Some((chunk, len)) = len.and_then(|len| Some((map(len)?, len))) else { return 0 };
        if chunk == self.end {
            // Where the kernel put the new chunk right behind the old one they are one range.
            let range = Range { end: chunk + len, ..range(self.newest) };
            set_range(self.newest, range);
        } else {
            set_range(chunk, Range { older: self.newest, end: chunk + len });
            self.newest = chunk;
            self.start = chunk + size_of::<Range>();
        }
        self.end = chunk + len;
        self.carve(layout).unwrap_or(0)
    }

    /// Whether this is a block of ours.
    #[cfg(feature = "std")]
    fn owns(&self, block: usize) -> bool {
        let mut at = self.newest;
        while at != 0 {
            let range = range(at);
            if (at..range.end).contains(&block) {
                return true;
            }
            at = range.older;
        }
        false
    }

    fn carve(&mut self, layout: Layout) -> Option<usize> {
        let block = self.start.checked_next_multiple_of(layout.align())?;
        let end = block.checked_add(layout.size())?;
        (block != 0 && end <= self.end).then(|| {
            self.start = end;
            block
        })
    }

    /// A block where one was given back.
    fn fill(&mut self, layout: Layout) -> Option<usize> {
        let block = self.hole.0.checked_next_multiple_of(layout.align())?;
        let end = block.checked_add(layout.size())?;
        (block != 0 && end <= self.hole.1).then(|| {
            self.hole.0 = end;
            block
        })
    }

    /// Takes a block back. One that is neither the newest nor beside the hole is lost, or the hole if that is smaller.
    fn give(&mut self, block: usize, len: usize) {
        let end = block + len;
        if end == self.start {
            self.start = block;
            if self.hole.1 == block {
                self.start = self.hole.0;
                self.hole = (0, 0);
            }
        } else if end == self.hole.0 {
            self.hole.0 = block;
        } else if block == self.hole.1 {
            self.hole.1 = end;
        } else if len > self.hole.1 - self.hole.0 {
            self.hole = (block, end);
        }
    }

    /// Gives the newest block another size in place; whether that could be done.
    fn resize(&mut self, block: usize, old: usize, new: usize) -> bool {
        let fits = block + old == self.start && block.checked_add(new).is_some_and(|end| end <= self.end);
        if fits {
            self.start = block + new;
        }
        fits
    }
}

/// A block of the C library's. Apart, so that the usual way stays short enough to be put where it is called.
///
/// # Safety
///
/// As of `GlobalAlloc::alloc`.
#[cfg(feature = "std")]
#[cold]
unsafe fn foreign_alloc(layout: Layout) -> *mut u8 {
    // SAFETY: the caller's contract is the same.
    unsafe { System.alloc(layout) }
}

/// What a range begins with, by its address: one that [`set_range`] was called for.
fn range(at: usize) -> Range {
    let range: *const Range = ptr::with_exposed_provenance(at);
    // SAFETY: `Free` has addresses of ranges only that it has mapped and written, and no block lies over their beginning.
    unsafe { range.read() }
}

/// Writes what a range begins with. `at`: the beginning of memory that was mapped for it.
fn set_range(at: usize, range: Range) {
    let place: *mut Range = ptr::with_exposed_provenance_mut(at);
    // SAFETY: a mapping is aligned to pages and longer than this; no block lies over its beginning.
    unsafe { place.write(range) };
}

/// New memory, zeroed ([mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html), `MAP_ANONYMOUS`).
fn map(len: usize) -> Option<usize> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses a free address; no file is involved.
    unsafe { call(libc::SYS_mmap, [0, len, prot as usize, flags as usize, usize::MAX, 0]) }.ok()
}

// SAFETY: blocks come from mapped memory that is never unmapped, are aligned as asked, and do not overlap: `start` only
// moves back over the newest block, when that is given back or shrunk by its owner. Nothing here panics or unwinds.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "std")]
        if self.living.load(Ordering::Relaxed) {
            // SAFETY: the caller's contract is the same.
            return unsafe { foreign_alloc(layout) };
        }
        ptr::with_exposed_provenance_mut(self.with(|free| free.take(layout)))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        #[cfg(feature = "std")]
        if self.is_foreign(block) {
            // SAFETY: what is not of ours was made by it, with this layout.
            return unsafe { System.dealloc(block, layout) };
        }
        self.with(|free| free.give(block.expose_provenance(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        #[cfg(feature = "std")]
        if self.is_foreign(block) {
            // SAFETY: what is not of ours was made by it, with this layout.
            return unsafe { System.realloc(block, layout, new) };
        }
        if self.with(|free| free.resize(block.expose_provenance(), layout.size(), new)) {
            return block;
        }
        if new <= layout.size() {
            return block;
        }
        // SAFETY: the caller says that `new`, rounded up to the alignment, does not overflow.
        let larger = unsafe { Layout::from_size_align_unchecked(new, layout.align()) };
        // SAFETY: `new` is larger than the old size, so it is not zero.
        let moved = unsafe { self.alloc(larger) };
        if !moved.is_null() {
            // SAFETY: the old block is `layout.size()` long, the new one longer, and they do not overlap.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size()) };
            self.with(|free| free.give(block.expose_provenance(), layout.size()));
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn alloc(arena: &Arena, layout: Layout) -> *mut u8 {
        // SAFETY: the tests ask for no empty blocks.
        let block = unsafe { arena.alloc(layout) };
        assert!(!block.is_null());
        assert_eq!(block as usize % layout.align(), 0);
        block
    }

    #[test]
    fn blocks_are_aligned_writable_and_apart() {
        let arena = Arena::new();
        let mut blocks = Vec::new();
        for (index, size) in [1, 3, 8, 100, 4096, 300_000, 2_000_000, 5].into_iter().enumerate() {
            let block = alloc(&arena, layout(size, 1 << (index % 7)));
            // SAFETY: the block is `size` bytes long.
            unsafe { block.write_bytes(index as u8 + 1, size) };
            blocks.push((block, size));
        }
        for (index, (block, size)) in blocks.into_iter().enumerate() {
            // SAFETY: as above, and written.
            let bytes = unsafe { core::slice::from_raw_parts(block, size) };
            assert!(bytes.iter().all(|byte| *byte == index as u8 + 1));
        }
    }

    #[test]
    fn the_newest_block_grows_shrinks_and_returns_in_place() {
        let arena = Arena::new();
        let first = alloc(&arena, layout(10, 1));
        let second = alloc(&arena, layout(10, 1));
        // SAFETY: the block is of this arena and this layout.
        assert_eq!(unsafe { arena.realloc(second, layout(10, 1), 1000) }, second);
        // SAFETY: as above.
        assert_eq!(unsafe { arena.realloc(second, layout(1000, 1), 20) }, second);
        // SAFETY: as above.
        unsafe { arena.dealloc(second, layout(20, 1)) };
        assert_eq!(alloc(&arena, layout(5, 1)), second);
        // SAFETY: as above; it is no longer the newest.
        unsafe { first.write_bytes(7, 10) };
        // SAFETY: as above.
        let moved = unsafe { arena.realloc(first, layout(10, 1), 20) };
        assert_ne!(moved, first);
        // SAFETY: the content has moved along.
        assert_eq!(unsafe { core::slice::from_raw_parts(moved, 10) }, [7; 10]);
        // SAFETY: as above.
        assert_eq!(unsafe { arena.realloc(moved, layout(20, 1), 5) }, moved);
    }

    #[test]
    fn what_was_given_back_is_used_again() {
        let arena = Arena::new();
        let (old, _newest) = (alloc(&arena, layout(100, 8)), alloc(&arena, layout(10, 1)));
        // SAFETY: the block is of this arena and this layout.
        unsafe { arena.dealloc(old, layout(100, 8)) };
        assert_eq!(alloc(&arena, layout(40, 8)), old);
        assert_eq!(alloc(&arena, layout(60, 1)), old.wrapping_add(40));
        assert!(alloc(&arena, layout(1, 1)) > old.wrapping_add(100));
    }

    #[test]
    fn whatever_the_order_no_block_lies_over_another() {
        let arena = Arena::new();
        let mut blocks: Vec<(*mut u8, usize, u8)> = Vec::new();
        let mut seed = 1_u64;
        let mut any = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let is_whole = |(block, size, mark): (*mut u8, usize, u8)| {
            // SAFETY: the block was written, and is that long.
            unsafe { core::slice::from_raw_parts(block, size) }.iter().all(|byte| *byte == mark)
        };
        for round in 0..20_000 {
            let (mark, size) = (round as u8, 1 + any(300));
            let mut last = match (any(5), blocks.len()) {
                (0 | 1, 1..) => blocks.swap_remove(any(blocks.len())),
                (2, 1..) => blocks.pop().expect("there is one"),
                _ => (alloc(&arena, layout(size, 8)), size, mark),
            };
            if last.2 != mark {
                assert!(is_whole(last), "{round}");
                if any(2) == 0 {
                    // SAFETY: the block is of this arena and this layout.
                    unsafe { arena.dealloc(last.0, layout(last.1, 8)) };
                    continue;
                }
                // SAFETY: as above.
                last.0 = unsafe { arena.realloc(last.0, layout(last.1, 8), size) };
                last = (last.0, size, mark);
            }
            // SAFETY: the block is that long.
            unsafe { last.0.write_bytes(mark, last.1) };
            blocks.push(last);
        }
        assert!(blocks.into_iter().all(is_whole));
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_program_that_lives_on_has_memory_that_is_taken_back() {
        let arena = Arena::new();
        let before = [10, 300_000, 2_000_000, 20].map(|size| (alloc(&arena, layout(size, 8)), size));
        arena.live_on();
        let after = alloc(&arena, layout(10, 8));
        assert!(before.iter().all(|(block, _)| !arena.is_foreign(*block)) && arena.is_foreign(after));
        // SAFETY: the block is 10 bytes long.
        unsafe { after.write_bytes(7, 10) };
        // SAFETY: the block is of this arena and this layout.
        let after = unsafe { arena.realloc(after, layout(10, 8), 5000) };
        // SAFETY: it is 5000 bytes long, of which 10 are written.
        assert_eq!(unsafe { core::slice::from_raw_parts(after, 10) }, [7; 10]);
        // SAFETY: as above.
        unsafe { arena.dealloc(after, layout(5000, 8)) };
        for (block, size) in before {
            // SAFETY: the block is of this arena and this layout.
            let moved = unsafe { arena.realloc(block, layout(size, 8), size + 1_000_000) };
            assert!(arena.is_foreign(moved));
            // SAFETY: as above.
            unsafe { arena.dealloc(moved, layout(size + 1_000_000, 8)) };
        }
    }

    #[test]
    fn what_cannot_be_had_is_null() {
        // SAFETY: not an empty block.
        assert!(unsafe { Arena::new().alloc(layout(isize::MAX as usize - 64, 8)) }.is_null());
    }

    #[test]
    fn threads_do_not_get_the_same_block() {
        static ARENA: Arena = Arena::new();
        let work = || (0..1000).map(|_| alloc(&ARENA, layout(24, 8)) as usize).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
        let mut all: Vec<usize> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] + 24 <= pair[1]));
    }
}
