//! Builds `orlop-init` and embeds it: the machine travels inside the runtime.
//!
//! It is another program for the same processor, with its own profile and link arguments, so cargo is called again, in a
//! target directory of its own. It needs no C library and hence no C compiler: the linker that comes with Rust is enough,
//! which also makes it buildable for other processors.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let var = |name: &str| env::var_os(name).map_or_else(|| panic!("cargo sets {name}"), PathBuf::from);
    let (out, crates) = (var("OUT_DIR"), var("CARGO_MANIFEST_DIR").join(".."));
    for watched in ["init", "sys", "program", "../Cargo.lock", "../Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", crates.join(watched).display());
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let built = build(&var("CARGO"), &crates, &out, &target);
    let machine = fs::read(built).expect("the machine was just built");
    fs::write(out.join("orlop-init"), segment(&machine)).expect("OUT_DIR is writable");
}

/// The file up to the end of its only segment: linkers leave room for a table of sections that it has not.
fn segment(machine: &[u8]) -> &[u8] {
    let size = machine.get(64 + 32..).and_then(|rest| rest.first_chunk());
    let size = u64::from_le_bytes(*size.expect("the machine has a program header"));
    machine.get(..size as usize).expect("the machine's segment is in its file")
}

/// Builds the machine; the path of the result.
fn build(cargo: &Path, crates: &Path, out: &Path, target: &str) -> PathBuf {
    let target_dir = out.join("machine");
    let libraries = no_libraries(out);
    let flags = [
        "-Crelocation-model=static",
        "-Clinker=rust-lld",
        "-Clinker-flavor=ld.lld",
        "-Clink-self-contained=no",
        &format!("-Lnative={}", libraries.display()),
        &format!("-Clink-arg=-T{}", crates.join("init/link.ld").display()),
    ]
    .join("\u{1f}");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--offline", "--profile", "init", "--bin", "orlop-init"])
        .args(["--features", "machine", "--target", target, "--manifest-path"])
        .arg(crates.join("init/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        // What the outer build was told is not meant for the machine: flags, and clippy as the compiler.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET")
        .status();
    assert!(status.is_ok_and(|s| s.success()), "orlop-init could not be built; the reason is above");
    target_dir.join(target).join("init/orlop-init")
}

/// Empty archives under the names of the C library's, which the `libc` crate asks the linker for: init takes constants
/// and types from it, and no code.
fn no_libraries(out: &Path) -> PathBuf {
    let dir = out.join("no-libraries");
    fs::create_dir_all(&dir).expect("OUT_DIR is writable");
    for name in ["c", "m", "rt", "pthread", "util", "dl", "gcc_eh", "gcc", "unwind"] {
        fs::write(dir.join(format!("lib{name}.a")), "!<arch>\n").expect("OUT_DIR is writable");
    }
    dir
}
