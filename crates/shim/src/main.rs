//! `containerd-shim-orlop-v2`; read the library.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_main)]

#[cfg(not(test))]
orlop_sys::entry!(orlop_shim::main);
