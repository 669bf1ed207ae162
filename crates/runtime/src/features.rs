//! What works, as `features.md` of the specification describes it. What is not listed is refused.

use orlop_seccomp::Arch;
use orlop_spec::features::{
    CgroupFeatures, Enabled, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures, MountExtensions,
    SeccompFeatures,
};
use orlop_spec::{Features, MemoryPolicyMode, NamespaceKind};

use crate::hooks::Kind;

/// Whoever may set these chooses filters, files, cgroups, properties of units, and how CRIU works.
const ANNOTATIONS: [&str; 4] = ["org.criu.config", "org.systemd.property.", "run.oci.", "run.orlop."];

/// The features of this version.
pub fn features() -> Features {
    let mut annotations = vec![
        ("org.opencontainers.orlop.version", env!("CARGO_PKG_VERSION")),
        ("org.opencontainers.orlop.commit", option_env!("ORLOP_COMMIT").unwrap_or("unknown")),
    ];
    if is_supported(WITH_NOTIFY) {
        annotations.push(("run.orlop.seccomp.flags-with-notify", WITH_NOTIFY));
    }
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: orlop_spec::VERSION.to_owned(),
        hooks: Some(names(Kind::ALL.map(Kind::name))),
        mount_options: Some(names(orlop_compile::known_mount_options())),
        linux: Some(linux()),
        annotations: annotations.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        potentially_unsafe_config_annotations: Some(names(ANNOTATIONS)),
    }
}

fn linux() -> LinuxFeatures {
    let yes = Some(true);
    let enabled = |value| Some(Enabled { enabled: Some(value) });
    LinuxFeatures {
        namespaces: Some(names(NamespaceKind::KNOWN.iter().map(NamespaceKind::as_str))),
        capabilities: Some(names(orlop_compile::KNOWN_CAPABILITIES)),
        cgroup: Some(CgroupFeatures { v1: yes, v2: yes, systemd: yes, systemd_user: yes, rdma: yes }),
        seccomp: Some(seccomp()),
        apparmor: enabled(true),
        selinux: enabled(true),
        intel_rdt: Some(IntelRdtFeatures { enabled: yes, schemata: yes, monitoring: yes }),
        memory_policy: Some(MemoryPolicyFeatures {
            modes: Some(names(MemoryPolicyMode::KNOWN.iter().map(MemoryPolicyMode::as_str))),
            flags: Some(names(orlop_compile::memory_policy_flags())),
        }),
        mount_extensions: Some(MountExtensions { idmap: enabled(true) }),
        net_devices: enabled(true),
    }
}

fn seccomp() -> SeccompFeatures {
    SeccompFeatures {
        enabled: Some(Arch::host().is_some()),
        actions: Some(names(ACTIONS)),
        operators: Some(names(OPERATORS)),
        archs: Some(Arch::all().map(|arch| format!("SCMP_ARCH_{}", arch.name())).collect()),
        known_flags: Some(names(FLAGS)),
        supported_flags: Some(names(
            // Who reads this takes it that each goes with every profile.
            FLAGS.iter().filter(|name| **name != WITH_NOTIFY && is_supported(name)),
        )),
    }
}

/// Whether this kernel takes a flag.
fn is_supported(name: &str) -> bool {
    orlop_seccomp::flag(name).is_some_and(|flag| orlop_sys::seccomp::has_flags(flag.into()))
}

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// The flag that the kernel takes only together with a listener.
const WITH_NOTIFY: &str = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";

const FLAGS: [&str; 4] =
    ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC", WITH_NOTIFY];

fn names<'a>(all: impl IntoIterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>) -> Vec<String> {
    all.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_seccomp::{Options, compile};
    use orlop_spec::Seccomp;

    fn works(profile: &str) {
        let profile: Seccomp = serde_json::from_str(profile).unwrap();
        let Some(host) = Arch::host() else { return };
        let filter = compile(&profile, &Options::new(host)).unwrap();
        assert!(filter.warnings.is_empty(), "{profile:?}: {:?}", filter.warnings);
    }

    #[test]
    fn what_is_listed_for_seccomp_compiles() {
        for action in ACTIONS {
            works(&format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","listenerPath":"{}","syscalls":[{{"names":["mkdir"],"action":"{action}"}}]}}"#,
                if action == "SCMP_ACT_NOTIFY" { "/run/agent" } else { "" }
            ));
        }
        for op in OPERATORS {
            works(&format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["mkdir"],"action":"SCMP_ACT_ALLOW",
                "args":[{{"index":1,"value":3,"valueTwo":3,"op":"{op}"}}]}}]}}"#
            ));
        }
        for flag in FLAGS {
            works(&format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW","flags":["{flag}"],"listenerPath":"/run/agent",
                "syscalls":[{{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}}]}}"#
            ));
        }
    }

    #[test]
    fn flags_that_this_kernel_takes_are_among_those_known() {
        // All but the newest are older than the oldest kernel that orlop runs on.
        let supported = seccomp().supported_flags.unwrap();
        assert_eq!(supported, FLAGS[..3]);
        let of_notify = features().annotations.get("run.orlop.seccomp.flags-with-notify").cloned();
        assert_eq!(of_notify.is_some(), is_supported(WITH_NOTIFY));
        assert!(!is_supported("SECCOMP_FILTER_FLAG_OF_TOMORROW") && !orlop_sys::seccomp::has_flags(1 << 31));
    }

    #[test]
    fn lists_are_complete_enough_to_be_useful() {
        let features = features();
        assert!(features.mount_options.unwrap().len() > 40);
        let linux = features.linux.unwrap();
        assert_eq!(linux.namespaces.unwrap().len(), 8);
        assert_eq!(linux.capabilities.unwrap().len(), 41);
    }
}
