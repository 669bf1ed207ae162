//! Links `orlop-init` without a C library or its start-up code, and without what only those need.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_MACHINE").is_some() {
        let link = [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none",
            "-Wl,-z,noexecstack",
            "-Wl,--gc-sections",
            "-Wl,-z,norelro",
            "-Wl,--no-eh-frame-hdr",
        ];
        for argument in link {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
