//! Commands of others while `create` stands still.
use orlop_tests::Container;
use orlop_tests::campaign::{Extent, Others};
use orlop_tests::{need, runtime};

use crate::words;

/// What is done in `create`'s way, while it stands still at so many of its calls.
fn others(name: &str, commands: &[&'static [&'static str]], extent: Extent) {
    need!(runtime::is_orlop(), "the words are ours");
    let container = Container::lasting();
    container.bundle.save();
    let mut create = words(&container, &["create", "--bundle"]);
    create.extend([container.bundle.path().into(), "--pid-file".into(), container.pid_file().into()]);
    create.push(container.id.clone().into());
    Others { name, container: &container, create, commands }.run(extent);
}

#[test]
fn commands_of_others_while_create_stands_still() {
    let commands: [&[&str]; 11] = [
        &["state", "ID"],
        &["ps", "ID"],
        &["start", "ID"],
        &["exec", "ID", "true"],
        &["pause", "ID"],
        &["resume", "ID"],
        &["update", "--pids-limit", "100", "ID"],
        &["kill", "ID", "TERM"],
        &["kill", "ID", "KILL"],
        &["delete", "ID"],
        &["delete", "--force", "ID"],
    ];
    others("others", &commands, Extent::of_slow(44));
}

#[test]
fn start_does_not_wait_for_a_create_that_has_told_of_its_container() {
    let calls = if need::in_vm() { 6 } else { 24 };
    others("others at its end", &[&["start", "ID"]], Extent::Last(calls));
}
