//! The new network namespace, made beside all else.
//!
//! The kernel takes longer for it than for any other part of a container: half a millisecond on a fast machine. A thread makes
//! it while the bundle is compiled and the cgroup is made, and the container's process joins it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::unistd::geteuid;
use orlop_spec::{NamespaceKind, Spec};
use orlop_sys::{process, sched};

/// The thread makes two system calls, and its own start and end.
const STACK: usize = 64 * 1024;

/// A network namespace that is being made.
pub(crate) struct NewNetwork {
    taken: Arc<AtomicBool>,
    thread: JoinHandle<Option<OwnedFd>>,
}

impl NewNetwork {
    /// Begins to make the one that a config asks for; `None` if it asks for none, if it has to belong to the container's user
    /// namespace, or if there is no other CPU that could do it meanwhile.
    pub(crate) fn begin(spec: &Spec) -> Option<Self> {
        let namespaces = &spec.linux.as_ref()?.namespaces;
        let is_new = namespaces.iter().any(|n| n.kind == NamespaceKind::Network && n.path.is_empty());
        let is_users = namespaces.iter().any(|n| n.kind == NamespaceKind::User);
        if !is_new || is_users || !geteuid().is_root() || !has_other_cpus() {
            return None;
        }
        let taken = Arc::new(AtomicBool::new(false));
        let work = {
            let taken = Arc::clone(&taken);
            move || (!taken.swap(true, Ordering::AcqRel)).then(make).flatten()
        };
        let thread = std::thread::Builder::new().name("network".into()).stack_size(STACK).spawn(work).ok()?;
        Some(Self { taken, thread })
    }

    /// The namespace. `None` if the thread has not even begun, as all CPUs are busy, or if it failed: then the container's
    /// process is born in a new one as in all its other namespaces, or says why that cannot be.
    pub(crate) fn take(self) -> Option<OwnedFd> {
        if self.taken.swap(true, Ordering::AcqRel) { self.thread.join().ok().flatten() } else { None }
    }
}

/// Puts this thread into a new network namespace.
fn make() -> Option<OwnedFd> {
    process::unshare(libc::CLONE_NEWNET).ok()?;
    File::open("/proc/thread-self/ns/net").ok().map(OwnedFd::from)
}

fn has_other_cpus() -> bool {
    let mut cpus = [0; 1024];
    let filled = sched::affinity(&mut cpus).unwrap_or_default();
    cpus[..filled].iter().map(|byte| byte.count_ones()).sum::<u32>() > 1
}

#[cfg(test)]
mod tests {
    use super::{NewNetwork, make};
    use orlop_spec::Spec;
    use std::os::unix::fs::MetadataExt as _;

    fn config(namespaces: &str) -> Spec {
        serde_json::from_str(&format!(r#"{{"ociVersion":"1.0.2","linux":{{"namespaces":[{namespaces}]}}}}"#))
            .unwrap()
    }

    #[test]
    fn only_what_belongs_to_nobody_else_is_made_ahead() {
        for other in [
            "",
            r#"{"type":"network","path":"/proc/1/ns/net"}"#,
            r#"{"type":"network"},{"type":"user"}"#,
            r#"{"type":"network"},{"type":"user","path":"/x"}"#,
        ] {
            assert!(NewNetwork::begin(&config(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn it_is_another_than_ours() {
        // Without the right to it there is none, nor is there one if the thread did not come to it.
        let Some(made) = std::thread::spawn(make).join().unwrap() else { return };
        let ours = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert_ne!(std::fs::File::from(made).metadata().unwrap().ino(), ours);
    }
}
