//! The pages of `docs/labs/`, typed as they stand there (`tests/src/lab.rs` has the rules).
//!
//! In the test VM, those that need controllers of version 2 are.
use std::fs;
use std::path::PathBuf;

use orlop_tests::lab::Lab;
use orlop_tests::{cgroup, need, runtime};

/// Makes a test for each page: its name, and the name of its file.
macro_rules! labs {
    ($($name:ident $page:literal)+) => {
        $(#[test] fn $name() { check($page); })+
        const PAGES: &[&str] = &[$($page),+];
    };
}

labs! {
    first_look "01-first-look"
    namespaces "02-namespaces"
    mounts "03-mounts"
    root "04-root"
    overlay "05-overlay"
    user_namespaces "06-user-namespaces"
    capabilities "07-capabilities"
    seccomp "08-seccomp"
    network "09-network"
    limits "10-limits"
    freezer "11-freezer"
    by_hand "12-by-hand"
    escapes "13-escapes"
}

fn directory() -> PathBuf {
    runtime::workspace().join("docs/labs")
}

#[track_caller]
fn check(page: &str) {
    let lab = Lab::read(&directory().join(format!("{page}.md")));
    need!(need::root(), "the labs are for root");
    need!(runtime::is_orlop(), "the labs show orlop's own output");
    let twice = need::in_vm() && lab.needs("controllers").is_empty();
    need!(
        !twice || std::env::var_os("ORLOP_LABS").is_some(),
        "typed on the host; with ORLOP_LABS=all here, too"
    );
    need!(cgroup::hierarchies().iter().any(|tree| tree.unified), "cgroups of version 2 are not mounted here");
    for program in lab.needs("programs") {
        need!(need::program(program), "{program} is not installed");
    }
    for arch in lab.needs("arch") {
        need!(arch == std::env::consts::ARCH, "its numbers are those of {arch}");
    }
    for controller in lab.needs("controllers") {
        let here = cgroup::controller(controller);
        let unified = here.is_some_and(|(version, _)| version == cgroup::Version::V2);
        need!(unified, "the {controller} controller is not on version 2 here");
    }
    lab.check();
}

#[test]
fn the_guide_for_users() {
    check("../guides/rootless");
}

#[test]
fn the_page_about_running_images() {
    check("../run");
}

#[test]
fn the_page_about_looking_at_containers() {
    check("../instruments");
}

#[test]
fn every_page_is_typed() {
    let entries = fs::read_dir(directory()).expect("the labs are there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned)).collect();
    pages.retain(|name| name != "README");
    pages.sort();
    assert_eq!(pages, PAGES);
}
