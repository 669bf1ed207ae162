//! What the host side makes while init is at work: both know the same of it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{both_sides_agree, options, root};
use orlop_compile::{Beside, Compiled, compile};
use orlop_spec::Document;
use serde_json::{Value, json};

/// A new tmpfs, with all options that the host side needs for it.
fn tmpfs(place: &str) -> Value {
    json!({"destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["mode=755", "size=64k"]})
}

fn compiled(mounts: &[Value], linux: &Value) -> Compiled {
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {"args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": linux
    });
    let compiled = compile(&Document::parse(config.to_string()).unwrap().spec, &root(), &options()).unwrap();
    both_sides_agree(&compiled);
    compiled
}

#[test]
fn dev_is_filled_beside_unless_a_mount_lies_on_it_or_in_its_way() {
    let bind = |place| json!({"destination": place, "source": "/srv", "options": ["bind"]});
    let remount = json!({"destination": "/dev", "options": ["remount", "ro"]});
    let bare = json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs"});
    for (after, filled) in [
        (vec![], true),
        (vec![tmpfs("/dev/shm"), bind("/dev/mine")], true),
        (vec![tmpfs("/dev")], true),
        (vec![bare], false),
        (vec![bind("/dev")], false),
        (vec![remount], false),
        (vec![bind("/dev/null")], false),
        (vec![tmpfs("/dev/fd/x")], false),
    ] {
        let mounts: Vec<_> = [tmpfs("/dev")].into_iter().chain(after).collect();
        let beside = compiled(&mounts, &json!({"namespaces": [{"type": "mount"}]})).launch.beside;
        assert_eq!((beside.told, beside.dev.is_some()), (true, filled), "{mounts:?}");
    }
}

#[test]
fn in_a_user_namespace_init_makes_everything_itself() {
    let maps = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    let namespaces = json!([{"type": "mount"}, {"type": "user"}]);
    let linux = json!({"namespaces": namespaces, "uidMappings": maps, "gidMappings": maps});
    assert_eq!(compiled(&[tmpfs("/dev")], &linux).launch.beside, Beside::default());
}
