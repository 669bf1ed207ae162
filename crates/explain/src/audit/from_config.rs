//! The facts of a bundle.

use orlop_compile::KNOWN_CAPABILITIES;
use orlop_runtime::Planned;
use orlop_spec::{DeviceKind, IdMapping, Linux, Mount, NamespaceKind as Kind, Spec};
use std::path::{Path, PathBuf};

use super::facts::{DeviceFact, Facts, Guard, MountFact};
use super::from_kernel::{UNKNOWN_DEVICES, UNKNOWN_FILTER};
use crate::filter::Filter;
use crate::inspect::NamespaceKind;

/// Gathers them.
pub(super) fn facts(planned: &Planned) -> Facts {
    let spec = &planned.config.spec;
    let none = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&none);
    let mut facts = Facts {
        filter: Filter::of(planned).map_or(Guard::None, |filter| Guard::Filter(Box::new(filter))),
        ..Facts::default()
    };
    namespaces(linux, &mut facts);
    process(spec, linux, &mut facts);
    facts.mounts = mounts(spec, linux, &planned.bundle);
    devices(linux, planned, &mut facts);
    limits(linux, &mut facts);
    hooks(spec, &mut facts);
    facts
}

/// Adds to the facts of a running container what the kernel does not tell of it; in words.
pub(super) fn complete(planned: &Planned, facts: &mut Facts) -> String {
    facts.unknown.retain(|unknown| ![UNKNOWN_FILTER, UNKNOWN_DEVICES].contains(&unknown.as_str()));
    if matches!(facts.filter, Guard::Unknown) {
        // A filter that the config does not have was put around all of this.
        facts.filter = Filter::of(planned).map_or(Guard::Unknown, |filter| Guard::Filter(Box::new(filter)));
    }
    let none = Linux::default();
    devices(planned.config.spec.linux.as_ref().unwrap_or(&none), planned, facts);
    "its filter and its device rules are those of the config that it was made with".to_owned()
}

fn namespaces(linux: &Linux, facts: &mut Facts) {
    let listed = |kind: NamespaceKind| {
        linux.namespaces.iter().find(|namespace| namespace.kind.as_str() == kind.name())
    };
    facts.shared =
        NamespaceKind::ALL.map(|(kind, _)| kind).into_iter().filter(|kind| listed(*kind).is_none()).collect();
    for (index, namespace) in
        linux.namespaces.iter().enumerate().filter(|(_, namespace)| !namespace.path.is_empty())
    {
        let place = format!("/linux/namespaces/{index}/path");
        facts.joined.push((namespace.kind.as_str().to_owned(), namespace.path.clone(), place));
    }
    let user = linux.namespaces.iter().find(|namespace| namespace.kind == Kind::User);
    // Where one is joined, its mappings are not in the config.
    facts.unprivileged_root =
        user.is_some_and(|user| !user.path.is_empty() || mapped(&linux.uid_mappings, 0) != Some(0));
}

fn mapped(mappings: &[IdMapping], id: u32) -> Option<u64> {
    let range =
        mappings.iter().find(|range| id.checked_sub(range.container_id).is_some_and(|at| at < range.size))?;
    Some(u64::from(range.host_id) + u64::from(id - range.container_id))
}

fn process(spec: &Spec, linux: &Linux, facts: &mut Facts) {
    let Some(process) = &spec.process else { return };
    facts.uid = process.user.uid;
    let own = linux.namespaces.iter().any(|namespace| namespace.kind == Kind::User);
    facts.host_uid = if own { mapped(&linux.uid_mappings, facts.uid) } else { Some(facts.uid.into()) };
    facts.no_new_privileges = process.no_new_privileges;
    facts.oom_score_adj = process.oom_score_adj;
    let labels = [&process.apparmor_profile, &process.selinux_label];
    facts.label = labels.into_iter().find(|label| !label.is_empty()).cloned();
    if let Some(sets) = &process.capabilities {
        let bits = |names: &[String]| {
            let number = |name: &String| {
                KNOWN_CAPABILITIES.iter().position(|known| *known == name.to_ascii_uppercase())
            };
            names.iter().filter_map(number).fold(0, |set, bit| set | 1 << bit)
        };
        facts.bounding = bits(&sets.bounding);
        facts.permitted = bits(&sets.permitted) | bits(&sets.effective);
        facts.ambient = bits(&sets.ambient);
        facts.inheritable = bits(&sets.inheritable);
    }
}

fn mounts(spec: &Spec, linux: &Linux, bundle: &Path) -> Vec<MountFact> {
    let mut all = Vec::new();
    if let Some(root) = &spec.root {
        all.push(MountFact {
            target: "/".into(),
            host: Some(bundle.join(&root.path).components().collect()),
            writable: !root.readonly,
            shared: linux.rootfs_propagation.ends_with("shared"),
            suid: true,
            pointer: Some("/root".into()),
            ..MountFact::default()
        });
    }
    all.extend(spec.mounts.iter().enumerate().map(|(index, mount)| of_mount(index, mount, bundle)));
    let kernel = |path: &String, list: &str, index: usize| MountFact {
        target: path.into(),
        fstype: "proc".into(),
        pointer: Some(format!("/linux/{list}/{index}")),
        ..MountFact::default()
    };
    for (index, path) in linux.readonly_paths.iter().enumerate() {
        all.push(kernel(path, "readonlyPaths", index));
    }
    for (index, path) in linux.masked_paths.iter().enumerate() {
        all.push(MountFact { masks: true, ..kernel(path, "maskedPaths", index) });
    }
    all
}

fn of_mount(index: usize, mount: &Mount, bundle: &Path) -> MountFact {
    let has = |names: &[&str]| mount.options.iter().any(|option| names.contains(&option.as_str()));
    let bind = has(&["bind", "rbind"]) || mount.kind == "bind";
    let target = Path::new("/").join(&mount.destination);
    MountFact {
        target: target.components().collect::<PathBuf>(),
        fstype: if bind { "bind".into() } else { mount.kind.clone() },
        host: bind.then(|| bundle.join(&mount.source).components().collect()),
        writable: !has(&["ro", "rro"]),
        shared: has(&["shared", "rshared"]),
        suid: !has(&["nosuid", "rnosuid"]),
        masks: false,
        pointer: Some(format!("/mounts/{index}")),
    }
}

fn devices(linux: &Linux, planned: &Planned, facts: &mut Facts) {
    facts.devices = linux
        .devices
        .iter()
        .enumerate()
        .filter(|(_, device)| device.kind != DeviceKind::Fifo)
        .map(|(index, device)| DeviceFact {
            path: device.path.clone(),
            block: device.kind == DeviceKind::Block,
            number: (device.major, device.minor),
            pointer: format!("/linux/devices/{index}"),
        })
        .collect();
    let Some(cgroup) = &planned.compiled.launch.cgroup else { return };
    if cgroup.plan.devices.allows_all() {
        let count = linux.resources.as_ref().map_or(0, |resources| resources.devices.len());
        let last = count.checked_sub(1).map(|index| format!("/linux/resources/devices/{index}"));
        facts.all_devices = Some(last.unwrap_or_else(|| "/linux/resources/devices".to_owned()));
    }
}

fn limits(linux: &Linux, facts: &mut Facts) {
    let resources = linux.resources.as_ref();
    let unified = |file: &str| {
        resources
            .and_then(|resources| resources.unified.get(file))
            .is_some_and(|value| !value.starts_with("max"))
    };
    let memory = resources.and_then(|resources| resources.memory.as_ref()).and_then(|memory| memory.limit);
    let pids = resources.and_then(|resources| resources.pids.as_ref()).and_then(|pids| pids.limit);
    let quota = resources.and_then(|resources| resources.cpu.as_ref()).and_then(|cpu| cpu.quota);
    facts.memory_limited = Some(memory.is_some_and(|limit| limit > 0) || unified("memory.max"));
    facts.pids_limited = Some(pids.is_some_and(|limit| limit > 0) || unified("pids.max"));
    facts.cpu_limited = Some(quota.is_some_and(|quota| quota > 0) || unified("cpu.max"));
}

fn hooks(spec: &Spec, facts: &mut Facts) {
    let hooks = &spec.hooks;
    let lists = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, list) in lists {
        let places = list.iter().enumerate();
        facts.hooks.extend(places.map(|(index, hook)| (hook.path.clone(), format!("/hooks/{kind}/{index}"))));
    }
}
