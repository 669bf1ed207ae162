//! Has the binary linked again when the list of functions that are to lie together has changed (hack/build.sh).
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=hot-functions.ld");
}
