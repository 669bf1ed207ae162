//! `orlop features`: what works, as `features.md` of the specification describes it. What is not listed is refused.

use orlop_spec::features::{CgroupFeatures, Enabled, IntelRdtFeatures, LinuxFeatures, MountExtensions};
use orlop_spec::{Features, NamespaceKind};

use super::{Entry, PLAIN};
use crate::output;

pub(super) const ENTRY: Entry = Entry {
    name: "features",
    about: "Print as JSON what works",
    run: |_, _| {
        output::json(&features(), Some("    "))?;
        Ok(0)
    },
    ..PLAIN
};

fn features() -> Features {
    let annotations = [
        ("org.opencontainers.orlop.version", env!("CARGO_PKG_VERSION")),
        ("org.opencontainers.orlop.commit", option_env!("ORLOP_COMMIT").unwrap_or("unknown")),
    ];
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: orlop_spec::VERSION.to_owned(),
        hooks: Some(names(&[
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ])),
        mount_options: None,
        linux: Some(linux()),
        annotations: annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        potentially_unsafe_config_annotations: Some(Vec::new()),
    }
}

fn linux() -> LinuxFeatures {
    let (yes, no) = (Some(true), Some(false));
    let namespaces = NamespaceKind::KNOWN.iter().map(|kind| kind.as_str().to_owned());
    LinuxFeatures {
        namespaces: Some(namespaces.collect()),
        capabilities: None,
        cgroup: Some(CgroupFeatures { v1: yes, v2: yes, systemd: no, systemd_user: no, rdma: no }),
        seccomp: None,
        apparmor: Some(Enabled { enabled: no }),
        selinux: Some(Enabled { enabled: no }),
        intel_rdt: Some(IntelRdtFeatures { enabled: no, schemata: no, monitoring: no }),
        memory_policy: None,
        mount_extensions: Some(MountExtensions { idmap: Some(Enabled { enabled: no }) }),
        net_devices: Some(Enabled { enabled: no }),
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}
