//! Kernel parameters. Only those of a namespace of the container: others would change the host.

use crate::Code;
use crate::compiler::Compiler;
use orlop_program::Step;
use orlop_spec::{NamespaceKind, Pointer};

/// Parameters of the IPC namespace (ipc_namespaces(7)), besides `fs.mqueue`.
const OF_IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

impl Compiler<'_> {
    /// All parameters, in the order of their names.
    pub(crate) fn sysctls(&mut self) {
        for (name, value) in &self.linux.sysctl {
            let pointer = Pointer::new("/linux/sysctl/{}").key(name.as_str());
            let path = path(name);
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                let message = format!("{name:?} is no name of a kernel parameter");
                self.error(Code::Sysctl, pointer, message).hint("write it as net.ipv4.ip_forward");
                continue;
            }
            if self.sysctl_is_own(name, &path, &pointer) {
                let step = Step::Sysctl { path: path.as_str().into(), value: value.into() };
                self.step(step, pointer, "A parameter of the container's own namespace.");
            }
        }
    }

    fn sysctl_is_own(&mut self, name: &str, path: &str, pointer: &Pointer) -> bool {
        let what = format!("kernel parameter {name:?}");
        let kind = match path {
            "kernel/hostname" => {
                let message = format!("{what} has a field of its own");
                self.error(Code::Sysctl, pointer.clone(), message).hint("set \"hostname\" instead");
                return false;
            }
            "kernel/domainname" => NamespaceKind::Uts,
            _ if OF_IPC.contains(&path) || path.starts_with("fs/mqueue/") => NamespaceKind::Ipc,
            _ if path.starts_with("net/") => NamespaceKind::Network,
            _ if path.starts_with("user/") => NamespaceKind::User,
            _ => {
                let message = format!("{what} belongs to no namespace: setting it would change the host");
                self.error(Code::Sysctl, pointer.clone(), message)
                    .hint("set it on the host, or leave it out");
                return false;
            }
        };
        self.needs_own(&kind, pointer, &what)
    }
}

/// A parameter's path below `/proc/sys`. Its name divides by dots, or by slashes if the first divider is one; the other
/// character then stands for itself (sysctl.d(5)): `net.ipv4.conf.eno2/100.rp_filter`.
fn path(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'.') => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn both_ways_of_writing_a_name() {
        for (name, expected) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
            ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
            ("plain", "plain"),
        ] {
            assert_eq!(path(name), expected);
        }
    }
}
