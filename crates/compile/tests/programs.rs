//! Whole programs, as they are written for configs of the usual kinds.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod common;

use common::{create, load, options, root, show, user};
use orlop_compile::{ExecOptions, Host, Mode, OVERLAY, OVERLAY_LOWER, Options, compile, compile_exec};
use orlop_spec::default::default_spec;
use orlop_spec::{Process, Spec, User};

#[test]
fn the_default_config() {
    insta::assert_snapshot!(show(&create(&default_spec(false), &root()).unwrap()));
}

#[test]
fn the_default_rootless_config() {
    let mut spec = default_spec(true);
    let linux = spec.linux.as_mut().unwrap();
    linux.uid_mappings[0].host_id = 1000;
    linux.gid_mappings[0].host_id = 1000;
    insta::assert_snapshot!(show(&create(&spec, &user()).unwrap()));
}

#[test]
fn a_config_like_dockers() {
    insta::assert_snapshot!(show(&create(&load("docker"), &root()).unwrap()));
}

#[test]
fn a_config_like_that_of_kubernetes() {
    insta::assert_snapshot!(show(&create(&load("k8s"), &root()).unwrap()));
}

#[test]
fn a_config_like_podmans_with_a_user_namespace() {
    insta::assert_snapshot!(show(&create(&load("podman"), &root()).unwrap()));
}

#[test]
fn run_by_a_user_who_is_root_in_a_namespace_already() {
    let mut spec = default_spec(false);
    spec.process.as_mut().unwrap().terminal = false;
    let kernel_views = ["/proc", "/sys", "/bundle/rootfs/proc", "/proc"].map(Into::into).into();
    let host = Host { privileged: false, setgroups_denied: true, kernel_views, ..root() };
    let options = Options { mode: Mode::Run, preserve_fds: 2, listen_fds: 1, no_pivot: true, ..options() };
    insta::assert_snapshot!(show(&compile(&spec, &host, &options).unwrap()));
}

/// As late as may be: before what shows it or may talk over it, and before hooks.
#[test]
fn the_new_network_namespace_is_entered_before_what_depends_on_it() {
    let order = |types: &[&str]| {
        let mut spec = default_spec(false);
        let kept: Vec<_> = types
            .iter()
            .filter_map(|kind| spec.mounts.iter().find(|mount| mount.kind == *kind).cloned())
            .collect();
        assert_eq!(kept.len(), types.len());
        spec.mounts = kept;
        spec.hooks.prestart.push(orlop_spec::Hook { path: "/hook".into(), ..Default::default() });
        let compiled = create(&spec, &root()).unwrap();
        let names: Vec<_> = compiled.program.steps().map(|step| step.unwrap().name()).collect();
        let kept = |name: &&str| ["Mount", "Network", "Sync"].contains(name);
        names.into_iter().filter(kept).take(types.len() + 2).collect::<Vec<_>>()
    };
    assert_eq!(order(&["proc", "tmpfs"]), ["Mount", "Mount", "Network", "Sync"]);
    assert_eq!(order(&["proc", "sysfs", "tmpfs"]), ["Mount", "Network", "Mount", "Mount", "Sync"]);
    assert_eq!(order(&["sysfs"]), ["Network", "Mount", "Sync"]);
}

#[test]
fn an_init_that_stays_comes_right_before_exec() {
    let compile = |spec: &Spec| compile(spec, &root(), &Options { stay: true, ..options() });
    let compiled = compile(&default_spec(false)).unwrap();
    let steps: Vec<_> = compiled.program.steps().map(Result::unwrap).collect();
    let [.., stay, exec] = steps[..] else { panic!() };
    assert_eq!(stay, orlop_program::Step::Stay { terminal: true, subreaper: false });
    assert_eq!(exec.name(), "Exec");
    let mut spec = default_spec(false);
    spec.process.as_mut().unwrap().apparmor_profile = "some".into();
    let host = Host { apparmor: true, ..root() };
    let refused = orlop_compile::compile(&spec, &host, &Options { stay: true, ..options() }).unwrap_err();
    assert!(refused.to_string().contains("together with --init"), "{refused}");
}

#[test]
fn an_overlay_instead_of_the_root() {
    let overlaid = |upper: &str, lower: Option<&str>, mut spec: Spec, host: &Host| {
        spec.annotations.insert(OVERLAY.into(), upper.into());
        spec.annotations.extend(lower.map(|lower| (OVERLAY_LOWER.into(), lower.into())));
        let options = Options { no_new_keyring: true, ..options() };
        let compiled = compile(&spec, host, &options).unwrap();
        show(&compiled).lines().filter(|line| line.contains("Overlay")).collect::<Vec<_>>().join("\n")
    };
    let plain = overlaid("tmpfs,size=64m,noswap", None, default_spec(false), &root());
    let layers = overlaid("changes", Some("/layers/b:/layers/a"), default_spec(false), &root());
    let mut in_user_namespace = load("podman");
    in_user_namespace.hooks.create_container.clear();
    let mapped = overlaid("tmpfs", None, in_user_namespace, &root());
    insta::assert_snapshot!(format!("{plain}\n{layers}\n{mapped}"));
}

#[test]
fn a_process_added_to_a_container() {
    let process = Process {
        args: vec!["id".into()],
        env: vec!["PATH=/bin:relative:/usr/bin/".into()],
        cwd: "/tmp".into(),
        user: User { uid: 1, gid: 2, additional_gids: vec![3], ..User::default() },
        ..Process::default()
    };
    let options = ExecOptions { id: "c1", no_new_keyring: false, preserve_fds: 1, filter: None };
    let docker = show(&compile_exec(&load("docker"), &process, &root(), &options).unwrap());
    let podman = show(&compile_exec(&load("podman"), &process, &root(), &options).unwrap());
    insta::assert_snapshot!(format!("{docker}\n--- in a user namespace ---\n{podman}"));
}

/// Printed, not asserted: run it with `--release -- --nocapture`.
#[test]
fn how_long_it_takes() {
    for (name, spec) in
        [("default", default_spec(false)), ("podman", load("podman")), ("docker", load("docker"))]
    {
        let mut times: Vec<_> = (0..200)
            .map(|_| {
                let start = std::time::Instant::now();
                let compiled = create(&spec, &root()).unwrap();
                let time = start.elapsed();
                drop(compiled);
                time
            })
            .collect();
        times.sort_unstable();
        println!("{name}: median {:?}, fastest {:?}", times[100], times[0]);
    }
}
