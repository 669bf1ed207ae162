//! `containerd-shim-orlop-v2`; read the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    orlop_shim::main()
}
