//! The store of images while commands on it are killed at any moment, and while several work on it at once.
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use orlop_tests::images::Place;
use orlop_tests::layout::Layout;
use orlop_tests::random::Random;
use orlop_tests::{need, runtime};
use rustix::process::Signal;
use serde_json::json;

/// How many commands are killed; `ORLOP_KILLS` says another number.
const KILLS: u64 = 20;

/// An image of three layers with some hundred files.
fn image(place: &Place, name: &str) -> String {
    let mut layout = Layout::new(&place.path(name));
    for layer in 0..3 {
        let tree = place.path(&format!("{name}-{layer}"));
        for number in 0..100 {
            let directory = tree.join(format!("{name}/{}", number % 7));
            fs::create_dir_all(&directory).expect("a new directory");
            fs::write(directory.join(format!("{layer}-{number}")), "x".repeat(1000 * number))
                .expect("a new file");
        }
        layout.layer(&tree);
    }
    layout.finish(&json!({}))
}

/// Every layer of a store with what is in it: names, lengths and what there is of blocks.
fn layers(place: &Place) -> BTreeMap<String, Vec<String>> {
    fn walk(path: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            let m = entry.metadata().expect("it is there");
            found.push(format!("{} {}", entry.path().display(), if m.is_dir() { 0 } else { m.len() }));
            if m.is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let of = |entry: fs::DirEntry| {
        let mut found = Vec::new();
        walk(&entry.path(), &mut found);
        found.sort();
        (entry.file_name().to_string_lossy().into_owned(), found)
    };
    fs::read_dir(place.path("store/layers")).expect("a store").flatten().map(of).collect()
}

/// What is in one of the directories of a store.
fn count(place: &Place, directory: &str) -> usize {
    fs::read_dir(place.path("store").join(directory)).expect("a store").count()
}

/// What there may be after any command, killed or not: layers that are whole, and names that lead to all they stand for.
#[track_caller]
fn is_consistent(place: &Place, whole: &BTreeMap<String, Vec<String>>, what: &str) {
    for (name, found) in layers(place) {
        assert_eq!(whole.get(&name), Some(&found), "{what}: layer {name}");
    }
    for name in place.orlop(&["image", "list", "--quiet"]).ok().lines() {
        place.orlop(&["image", "inspect", name]).ok();
    }
    assert!(place.orlop(&["image", "inspect", "kept:1"]).output().code == 0, "{what}");
}

#[test]
fn whatever_is_killed_leaves_a_store_that_works_and_gc_removes_the_rest() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    need!(!need::in_vm(), "nothing of it depends on the kernel, and the guest is slow");
    let place = Place::new();
    let (kept, other) = (image(&place, "kept"), image(&place, "other"));
    place.orlop(&["image", "import", "--quiet", &kept, "kept:1"]).ok();
    place.run(&["--name", "ot-kills"], &["sh", "-c", "for i in $(seq 300); do echo $i >/srv/$i; done"]).ok();
    let commands: [&[&str]; 5] = [
        &["image", "import", "--quiet", &other, "other:1"],
        &["commit", "--quiet", "ot-kills", "made:1"],
        &["image", "save", "kept:1", "-o", &place.path("saved.tar").display().to_string()],
        &["image", "gc"],
        &["image", "remove", "other:1", "made:1"],
    ];
    // Each once to its end: how long that takes, and what the layers are like.
    let mut whole = BTreeMap::new();
    let mut took = Vec::new();
    for command in &commands {
        let begun = Instant::now();
        place.orlop(command).ok();
        took.push(begun.elapsed());
        whole.extend(layers(&place));
    }
    let kills = std::env::var("ORLOP_KILLS").map_or(KILLS, |text| text.parse().expect("a number"));
    let mut chance = Random::seeded();
    for number in 0..kills {
        let which = (number % commands.len() as u64) as usize;
        let running = place.orlop(commands[which]).spawn();
        let moment = Duration::from_micros(chance.number() % (took[which].as_micros() as u64 + 1));
        let what =
            format!("{:?}, killed after {moment:?} (kill {number}, seed {})", commands[which], chance.seed);
        if !running.ends_within(moment) {
            running.signal(Signal::KILL);
        }
        running.wait();
        is_consistent(&place, &whole, &what);
        if which == 0 {
            // What was killed can be done again beside what it has left.
            place.orlop(commands[0]).ok();
            is_consistent(&place, &whole, &what);
        }
    }
    place.orlop(&["delete", "ot-kills"]).ok();
    for name in place.orlop(&["image", "list", "--quiet"]).ok().lines() {
        place.orlop(&["image", "remove", name]).ok();
    }
    place.orlop(&["image", "gc"]).ok();
    for directory in ["layers", "blobs", "images", "pins", "locks", "tmp"] {
        assert_eq!(count(&place, directory), 0, "{directory}");
    }
    place.is_clean("ot-kills");
}

#[test]
fn a_container_that_is_killed_in_the_making_is_swept() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    need!(!need::in_vm(), "nothing of it depends on the kernel, and the guest is slow");
    let place = Place::new();
    place.orlop(&["image", "import", "--quiet", &place.image.clone(), "busy:1"]).ok();
    let begun = Instant::now();
    place.orlop(&["run", "--rm", "busy:1", "true"]).ok();
    let (took, mut chance) = (begun.elapsed(), Random::seeded());
    for number in 0..10 {
        let id = format!("ot-swept-{number}");
        let running = place.orlop(&["run", "--rm", "--name", &id, "busy:1", "true"]).spawn();
        if !running.ends_within(Duration::from_micros(chance.number() % (took.as_micros() as u64 + 1))) {
            running.signal(Signal::KILL);
        }
        running.wait();
        // What the runtime knows is deleted as any container is.
        place.orlop(&["delete", "--force", &id]).output();
        place.orlop(&["gc"]).output();
        place.orlop(&["image", "gc", "--containers"]).ok();
        assert_eq!(place.homes(), Vec::<String>::new(), "{id}");
        place.is_clean(&id);
    }
}

#[test]
fn several_import_one_image_at_once_and_others_collect_garbage() {
    need!(runtime::is_orlop(), "other runtimes have no images");
    need!(!need::in_vm(), "nothing of it depends on the kernel, and the guest is slow");
    let place = Place::new();
    let kept = image(&place, "kept");
    place.orlop(&["image", "import", "--quiet", &kept, "kept:1"]).ok();
    let whole = layers(&place);
    place.orlop(&["image", "remove", "kept:1"]).ok();
    assert_eq!(count(&place, "layers"), 0);
    let import = |name: &str| place.orlop(&["image", "import", "--quiet", &kept, name]).spawn();
    let running: Vec<_> = (0..4)
        .flat_map(|number| [import(&format!("n{number}:1")), place.orlop(&["image", "gc"]).spawn()])
        .chain([import("kept:1"), import("kept:1")])
        .collect();
    for one in running {
        one.wait().ok();
    }
    is_consistent(&place, &whole, "several at once");
    assert_eq!(layers(&place), whole);
    assert_eq!((count(&place, "images"), count(&place, "tmp")), (5, 0));
}
