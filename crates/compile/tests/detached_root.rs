//! A root that is put together before there is a mount namespace: when, and when not.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{load, options, root, show, user};
use orlop_compile::{Host, OVERLAY, Options, compile};
use orlop_spec::default::default_spec;
use orlop_spec::{Hook, Mount, Spec};

/// The first kernel that makes a mount namespace of a tree.
fn new_host() -> Host {
    Host { kernel: (7, 0), ..root() }
}

#[test]
fn a_config_like_that_of_kubernetes() {
    let mut spec = load("k8s");
    spec.hooks.prestart.clear();
    insta::assert_snapshot!(show(&compile(&spec, &new_host(), &options()).unwrap()));
}

/// The names of the steps that are about the root, and whether the process is born in a new mount namespace.
fn root_steps(spec: &Spec, host: &Host, options: &Options<'_>) -> (Vec<&'static str>, bool) {
    let compiled = compile(spec, host, options).unwrap();
    let about_root = [
        "HostPropagation",
        "BindRoot",
        "OverlayRoot",
        "DetachedRoot",
        "PivotRoot",
        "MoveRoot",
        "EnterRoot",
        "Propagation",
    ];
    let steps = compiled.program.steps().map(|step| step.unwrap().name());
    let steps = steps.filter(|name| about_root.contains(name)).collect();
    (steps, compiled.launch.namespaces & libc::CLONE_NEWNS as u64 != 0)
}

fn is_detached(spec: &Spec, host: &Host, options: &Options<'_>) -> bool {
    let (steps, born_in_it) = root_steps(spec, host, options);
    let detached = steps.contains(&"DetachedRoot");
    assert_eq!(detached, !born_in_it, "{steps:?}");
    assert_eq!(detached, steps == ["DetachedRoot", "EnterRoot"], "{steps:?}");
    detached
}

fn with(change: impl FnOnce(&mut Spec)) -> Spec {
    let mut spec = default_spec(false);
    change(&mut spec);
    spec
}

fn mounting(kind: &str, source: &str, options: &[&str]) -> Spec {
    let options = options.iter().map(ToString::to_string).collect();
    let mount = Mount {
        destination: "/mnt".into(),
        kind: kind.into(),
        source: source.into(),
        options,
        ..Mount::default()
    };
    with(|spec| spec.mounts.push(mount))
}

#[test]
fn the_kernel_decides() {
    let spec = default_spec(false);
    assert!(!is_detached(&spec, &Host { kernel: (6, 19), ..root() }, &options()));
    assert!(is_detached(&spec, &new_host(), &options()));
    assert!(is_detached(&spec, &Host { kernel: (7, 2), ..root() }, &options()));
}

#[test]
fn who_may_not_or_needs_the_hosts_tree_does_without() {
    let hook = || vec![Hook { path: "/hook".into(), ..Hook::default() }];
    let spec = default_spec(false);
    assert!(!is_detached(&spec, &new_host(), &Options { no_pivot: true, ..options() }));
    assert!(!is_detached(&spec, &Host { privileged: false, ..new_host() }, &options()));
    assert!(!is_detached(&load("podman"), &new_host(), &options()), "a user namespace");
    assert!(!is_detached(&default_spec(true), &Host { kernel: (7, 0), ..user() }, &options()));
    let overlaid = with(|spec| drop(spec.annotations.insert(OVERLAY.into(), "tmpfs".into())));
    assert!(!is_detached(&overlaid, &new_host(), &options()));
    assert!(!is_detached(&with(|spec| spec.hooks.prestart = hook()), &new_host(), &options()));
    assert!(!is_detached(&with(|spec| spec.hooks.create_runtime = hook()), &new_host(), &options()));
    assert!(!is_detached(&with(|spec| spec.hooks.create_container = hook()), &new_host(), &options()));
    assert!(is_detached(&with(|spec| spec.hooks.start_container = hook()), &new_host(), &options()));
    assert!(is_detached(&with(|spec| spec.hooks.poststop = hook()), &new_host(), &options()));
}

#[test]
fn propagation_decides_too() {
    let wish = |wish: &str| with(|spec| spec.linux.as_mut().unwrap().rootfs_propagation = wish.into());
    let detached = |spec: &Spec| root_steps(spec, &new_host(), &options()).0[0] == "DetachedRoot";
    for (name, expected) in
        [("rslave", true), ("private", true), ("runbindable", true), ("shared", false), ("rshared", false)]
    {
        assert_eq!(detached(&wish(name)), expected, "{name}");
    }
    for (options, expected) in [
        (&["rbind", "rprivate"][..], true),
        (&["rbind", "rslave", "ro"], true),
        (&["rbind", "rshared"], false),
        (&["rbind", "rslave", "rshared"], false),
        (&["bind", "unbindable"], false),
        (&["remount", "bind", "ro"], true),
    ] {
        assert_eq!(detached(&mounting("bind", "/data", options)), expected, "{options:?}");
    }
    assert!(detached(&mounting("tmpfs", "tmpfs", &["rprivate", "ro"])));
    assert!(!detached(&mounting("cgroup", "cgroup", &["rprivate"])));
    assert!(!detached(&mounting("none", "", &["remount", "ro"])));
}

#[test]
fn sources_in_the_root_may_be_meant_as_they_are_mounted() {
    let detached = |source: &str| is_detached(&mounting("bind", source, &["rbind"]), &new_host(), &options());
    assert!(!detached("rootfs/dev"));
    assert!(!detached("/bundle/rootfs"));
    assert!(detached("data"));
    assert!(detached("/bundle/rootfs2"));
}
