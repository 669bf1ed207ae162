//! Links `orlop-init` without a C library or its start-up code, and without what only those need.
//!
//! The linker is called directly (orlop-runtime's build script chooses it), so the arguments are ld's own.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_MACHINE").is_some() {
        for argument in [
            "-static",
            "--no-dynamic-linker",
            "--build-id=none",
            "-znoexecstack",
            "-znorelro",
            "-znosectionheader",
            "--no-eh-frame-hdr",
            "--gc-sections",
        ] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
