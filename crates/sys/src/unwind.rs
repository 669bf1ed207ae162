//! In the place of an unwinder, for programs that have nothing to unwind by.
//!
//! A panic ends the programs of a release, and the tables by which a stack is unwound are left out of them
//! (`runtime/no-unwind-tables.ld`). The standard library has an unwinder linked all the same, and what gives names to the
//! places that it finds: 250 kB of code that can find none. With the functions here the linker sees as much, and leaves it out.
//! They are those of the
//! [C++ ABI](https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html) that the standard library calls.

use core::ffi::{c_int, c_void};
use core::ptr;

/// `_URC_END_OF_STACK`: that was all.
const END_OF_STACK: c_int = 5;

/// Calls `trace` for each function on the stack that there are tables of: for none.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(
    _trace: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    _argument: *mut c_void,
) -> c_int {
    END_OF_STACK
}

/// Goes on unwinding after a landing pad, which nothing comes to here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    // SAFETY: abort(3) is always allowed.
    unsafe { libc::abort() }
}

// What there is to ask about a function on the stack: nothing asks, as there is no such function.

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIP(_context: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(_context: *mut c_void, _before: *mut c_int) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetRegionStart(_context: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetTextRelBase(_context: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetDataRelBase(_context: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetLanguageSpecificData(_context: *mut c_void) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(_context: *mut c_void, _register: c_int, _value: usize) {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(_context: *mut c_void, _address: usize) {}
