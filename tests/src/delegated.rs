//! A cgroup that belongs to a user, as systemd delegates them (cgroup-v2.rst, "Delegation").
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cgroup;
use crate::events::when_file;

/// The cgroup, and one in it for the user's processes: where there are processes, no controllers can be given on. It lies in
/// one of root's, which gives on just the controllers that the user shall have. All are removed when this value is dropped.
#[derive(Debug)]
pub struct Delegated {
    mount: PathBuf,
    directory: PathBuf,
}

impl Delegated {
    /// Makes it in the unified hierarchy, for a user and group, with these controllers.
    pub fn to(user: u32, controllers: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mount =
            cgroup::hierarchies().into_iter().find(|h| h.unified).expect("version 2 is mounted").mount;
        let name = format!("delegated-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let of_root = mount.join(name);
        fs::create_dir(&of_root).expect("a new cgroup");
        for place in [&mount, &of_root] {
            for controller in controllers {
                let given = fs::write(place.join("cgroup.subtree_control"), format!("+{controller}"));
                given.unwrap_or_else(|e| panic!("{controller} in {}: {e}", place.display()));
            }
        }
        let directory = of_root.join("user");
        fs::create_dir_all(directory.join("own")).expect("a new cgroup");
        for place in [directory.clone(), directory.join("own")] {
            chown(&place, Some(user), Some(user)).expect("root may give cgroups away");
            for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
                chown(place.join(file), Some(user), Some(user)).expect("root may give files away");
            }
        }
        Self { mount, directory }
    }

    /// The cgroup itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its path below the mount point, as `/proc/PID/cgroup` has it.
    pub fn name(&self) -> String {
        let path = self.directory.strip_prefix(&self.mount).expect("it is in the hierarchy");
        format!("/{}", path.display())
    }

    /// The file by which a process enters the user's own cgroup.
    pub fn procs(&self) -> PathBuf {
        self.directory.join("own/cgroup.procs")
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        // A panic while panicking would hide the first one.
        if !std::thread::panicking() {
            when_file(&self.directory.join("cgroup.events"), |text| text.contains("populated 0"));
        }
        for place in [&*self.directory.join("own"), &self.directory, self.directory.parent().expect("root's")]
        {
            let removed = fs::remove_dir(place);
            assert!(removed.is_ok() || std::thread::panicking(), "{}: {removed:?}", place.display());
        }
    }
}
