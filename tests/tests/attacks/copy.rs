//! `orlop cp`: paths that a process in the container exchanges while files go in and out.
use std::fs;
use std::os::unix::fs::symlink;

use crate::stage::{Attack, Swap, Victim, rounds};

#[test]
fn cve_2018_15664_what_is_copied_follows_no_link_out_of_the_root() {
    let attack = Attack::new(
        "CVE-2018-15664",
        "files are copied into and out of a directory that the container exchanges for a link to the host's",
        "paths are looked up by openat2 from the container's root, in `orlop cp` as elsewhere (`image/src/copy.rs`)",
    );
    if !attack.applies_to_orlop("it copies no files") {
        return;
    }
    let mut container = Attack::lasting();
    container.set("/root/readonly", false);
    let victim = Victim::of(&container);
    let volume = container.bundle.rootfs().join("vol");
    fs::create_dir_all(volume.join("swap")).expect("new directories");
    fs::write(volume.join("swap/ptmx"), "the container's").expect("a new file");
    symlink(&victim.path, volume.join("link")).expect("a new link");
    container.up();
    let (source, copy) = (container.home().join("source"), container.home().join("copy"));
    fs::write(&source, "overwritten").expect("a new file");
    let (source, out) = (source.to_string_lossy().into_owned(), copy.to_string_lossy().into_owned());
    let inside = |name: &str| format!("{}:/vol/swap/{name}", container.id);
    let cp = |from: &str, to: &str| container.runtime().args(["cp", from, to]).output();
    // Without an attacker, to see that it works at all.
    cp(&source, &inside("new")).ok();
    cp(&inside("ptmx"), &out).ok();
    let attacker = Swap::of(&volume.join("swap"), &volume.join("link"));
    let (all, mut well) = (rounds().div_ceil(4), 0);
    for number in 0..all {
        fs::remove_file(&copy).ok();
        let name = if number.is_multiple_of(2) { "ptmx" } else { "made" };
        let copied = [cp(&source, &inside(name)), cp(&inside("ptmx"), &out)];
        well += copied.iter().filter(|out| out.code == 0).count();
        let harm = victim.harm();
        attack.succeeds_if(!harm.is_empty(), format!("{harm:?} on the host, after {number}: {}", copied[0]));
        let read = fs::read_to_string(&copy).unwrap_or_default();
        attack.succeeds_if(read == "precious", format!("the host's file was read, after {number}"));
    }
    drop(attacker);
    attack.held(format!("{well} of {} copies were made", 2 * all));
}
