use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use nix::sys::socket::{MsgFlags, accept, recv, send};
use orlop_spec::Status;

use super::*;
use crate::liveness::{self, Process};
use crate::state::{CgroupPaths, StateFile, Unit};

fn id(name: &str) -> ContainerId {
    ContainerId::new(name).unwrap()
}

/// What a directory is claimed with here.
fn nothing(dir: &StateDir) -> Result<()> {
    dir.write_new("nothing", b"")
}

fn state(name: &str) -> StateFile {
    StateFile {
        format: StateFile::FORMAT,
        oci_version: "1.3.0".into(),
        id: name.into(),
        process: Some(Process::of(std::process::id() as i32).unwrap()),
        status: Status::Created,
        bundle: "/b".into(),
        rootfs: "/b/rootfs".into(),
        created: crate::state::now(),
        owner: 0,
        annotations: [("k".into(), "v".into())].into(),
        rdt: None,
        cgroups: CgroupPaths {
            v2: Some(("/sys/fs/cgroup".into(), "/x".into())),
            v1: vec![("pids".into(), "/sys/fs/cgroup/pids".into(), "/x".into())],
            unit: Some(Unit { name: "orlop-web.scope".into(), user: false }),
        },
        rootless: false,
        terminal: true,
        descriptors: Vec::new(),
        own_clocks: false,
        host_mounts: None,
        supervised: false,
    }
}

#[test]
fn an_id_is_taken_once_and_free_again_after_removal() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("made/by/us");
    let store = Store::open(Some(&root)).unwrap();
    assert!(matches!(store.find(&id("web")), Err(Error::NotExist { .. })));
    let dir = store.claim(&id("web"), nothing).unwrap();
    for made in [&root, dir.path()] {
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    }
    assert!(matches!(store.claim(&id("web"), nothing), Err(Error::Exists { .. })));
    assert_eq!(store.list().unwrap(), [id("web")]);
    dir.write_config(b"{}").unwrap();
    dir.remove().unwrap();
    dir.remove().unwrap();
    assert!(store.list().unwrap().is_empty());
    store.claim(&id("web"), nothing).unwrap();
    dir.remove().unwrap();
    assert_eq!(store.list().unwrap(), [id("web")], "the old directory's owner does not remove the new one");
}

#[test]
fn who_finds_anothers_directory_where_its_own_was_has_not_claimed_it() {
    let temporary = tempfile::tempdir().unwrap();
    let store = Store::open(Some(temporary.path())).unwrap();
    // Between making the directory and opening it, somebody removes it and a third one makes it anew.
    let claimed = store.claim(&id("web"), |dir| {
        dir.remove()?;
        let others = store.claim(&id("web"), nothing)?;
        nothing(&others)
    });
    assert!(matches!(claimed, Err(Error::Exists { .. })), "{claimed:?}");
    nothing(&store.find(&id("web")).unwrap()).expect_err("the other one has it still");
    // One that is removed at once, by who finds nothing in it, is made anew.
    let tries = std::cell::Cell::new(0);
    let claimed = store.claim(&id("db"), |dir| {
        tries.set(tries.get() + 1);
        if tries.get() < 3 {
            dir.remove()?;
        }
        nothing(dir)
    });
    assert_eq!((claimed.unwrap().path(), tries.get()), (temporary.path().join("db").as_path(), 3));
}

#[test]
fn who_deletes_and_who_makes_a_container_see_each_other() {
    let temporary = tempfile::tempdir().unwrap();
    let store = Store::open(Some(temporary.path())).unwrap();
    let dir = store.claim(&id("web"), |dir| dir.write_first_state(&state("web"))).unwrap();
    dir.write_made(&state("web")).unwrap();
    store.find(&id("web")).unwrap().doom().unwrap();
    assert!(matches!(dir.write_made(&state("web")), Err(Error::NotExist { .. })));
    assert_eq!(dir.read_state().unwrap().id, "web", "whoever deletes it finds the process");
}

#[test]
fn a_state_is_current_until_another_is_saved_or_it_is_removed() {
    let temporary = tempfile::tempdir().unwrap();
    let store = Store::open(Some(temporary.path())).unwrap();
    let dir = store.claim(&id("web"), |dir| dir.write_first_state(&state("web"))).unwrap();
    let first = dir.write_made(&state("web")).unwrap();
    assert!(first.is_current());
    dir.write_state(&state("web")).unwrap();
    assert!(!first.is_current());
    let again = dir.duplicate().unwrap().write_made(&state("web")).unwrap();
    assert!(again.is_current());
    dir.remove().unwrap();
    assert!(!again.is_current());
}

#[test]
fn what_is_saved_is_read_back() {
    let temporary = tempfile::tempdir().unwrap();
    let store = Store::open(Some(temporary.path())).unwrap();
    let dir = store.claim(&id("web"), nothing).unwrap();
    assert!(matches!(dir.read_state(), Err(Error::NotExist { .. })));
    let saved = state("web");
    dir.write_state(&saved).unwrap();
    dir.write_state(&saved).unwrap();
    assert_eq!(store.find(&id("web")).unwrap().read_state().unwrap(), saved);
    dir.write_config(b"{\"a\":1}").unwrap();
    assert_eq!(dir.read_config().unwrap(), b"{\"a\":1}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no drafts are left");
}

#[test]
fn a_state_of_another_version_or_no_json_is_told_with_its_path() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = Store::open(Some(temporary.path())).unwrap().claim(&id("web"), nothing).unwrap();
    for text in ["", "{", "[]", &serde_json::to_string(&StateFile { format: 2, ..state("web") }).unwrap()] {
        std::fs::write(dir.path().join("state.json"), text).unwrap();
        let error = dir.read_state().unwrap_err();
        assert!(matches!(error, Error::State { .. }), "{error}");
        assert!(error.to_string().contains("web/state.json: "), "{error}");
    }
}

#[test]
fn start_meets_the_waiting_container_below_any_path() {
    let temporary = tempfile::tempdir().unwrap();
    let long = temporary.path().join("x".repeat(120)).join("y".repeat(120));
    let dir = Store::open(Some(&long)).unwrap().claim(&id("web"), nothing).unwrap();
    let saved = state("web");
    assert!(dir.connect_start().unwrap().is_none());
    let listener = dir.listen_start().unwrap();
    assert_eq!(liveness::status(&saved, &dir).unwrap(), Status::Created);
    let ours = dir.connect_start().unwrap().unwrap();
    let theirs = accept(listener.as_raw_fd()).unwrap();
    send(ours.as_raw_fd(), b"x", MsgFlags::empty()).unwrap();
    assert_eq!(recv(theirs, &mut [0; 8], MsgFlags::empty()).unwrap(), 1);
    dir.remove_start().unwrap();
    assert_eq!(liveness::status(&saved, &dir).unwrap(), Status::Running);
    drop(listener);
    assert!(dir.connect_start().unwrap().is_none());
}

#[test]
fn nobody_listens_any_more_is_not_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = Store::open(Some(temporary.path())).unwrap().claim(&id("web"), nothing).unwrap();
    drop(dir.listen_start().unwrap());
    assert!(dir.is_created().unwrap());
    assert!(dir.connect_start().unwrap().is_none());
}

#[test]
fn the_root_is_not_the_whole_file_system() {
    for root in ["/", "", "/..", "/a/..", "/./"] {
        assert!(matches!(Store::open(Some(Path::new(root))), Err(Error::Usage { .. })), "{root:?}");
    }
    assert_eq!(Store::open(Some(Path::new("/a/../b/./c"))).unwrap().root(), Path::new("/b/c"));
}

#[test]
fn a_given_root_must_exist_to_be_listed() {
    let temporary = tempfile::tempdir().unwrap();
    let store = Store::open(Some(&temporary.path().join("none"))).unwrap();
    assert_eq!(store.list().unwrap_err().errno(), Some(libc::ENOENT));
    std::fs::write(temporary.path().join("file"), "").unwrap();
    std::fs::create_dir(temporary.path().join("not an id")).unwrap();
    assert!(Store::open(Some(temporary.path())).unwrap().list().unwrap().is_empty());
}
