//! Taking over a cgroup that somebody else has made: systemd, which put the container's first process into it, or the
//! container itself, which has gone there.

use std::path::{Path, PathBuf};

use super::Cgroup;
use super::create::{descend, enable};
use super::undo::Undo;
use crate::dir::{Dir, call, errno_of};
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout, Location, Place};
use crate::plan::Plan;

impl Cgroup {
    /// Takes over the version 2 cgroup that a process is in, and writes the plan into it: limits that its maker does not
    /// know, controllers that it did not enable, and the device program in place of its own.
    ///
    /// `below` is a path below that cgroup; if it is not empty, the process is moved there, and that is the container's.
    ///
    /// # Errors
    /// As [`Cgroup::create`]; [`Error::NoUnified`] where no version 2 hierarchy is mounted.
    pub fn adopt(layout: &Layout, pid: i32, below: &Path, plan: &Plan) -> Result<Self> {
        let Some(unified) = &layout.unified else {
            return Err(Error::NoUnified { looked: "/sys/fs/cgroup".into() });
        };
        let mut inner = of_process(pid)?;
        inner.extend(below);
        let place = Place { mount: unified.mount.clone(), inner };
        // What is made here goes with the cgroup that it is in.
        let mut undo = Undo::default();
        let mut made = Vec::new();
        if below != Path::new("") {
            let (sub, _) = descend(&place, &mut undo, |_, _| Ok(()))?;
            // Before controllers are enabled: those go to children of cgroups without processes only.
            sub.write("cgroup.procs", &pid.to_string())
                .map_err(|errno| call("move the container's process to", sub.path().into(), errno))?;
            made.push(sub.path().to_path_buf());
        }
        let needed = Plan::controllers(&plan.settings, Hierarchy::V2);
        let (v2, _) = descend(&place, &mut undo, |dir, undo| enable(dir, needed, undo))?;
        let cgroup = Self {
            location: Location { v2: place, v1: Vec::new() },
            v2,
            v1: Vec::new(),
            created: made,
            is_new: false,
        };
        cgroup.apply(&plan.settings)?;
        if !plan.devices.allows_all() {
            plan.devices.replace(&cgroup.v2)?;
        }
        undo.keep();
        Ok(cgroup)
    }

    /// The cgroup of a container that may have left its own of version 2, for a process that shall be where its first process
    /// is now. In version 1 that is the container's own, as with runc.
    ///
    /// # Errors
    /// When the process is gone, or in a cgroup that cannot be reached.
    pub fn followed(location: &Location, pid: i32) -> Result<Self> {
        let place = Place { mount: location.v2.mount.clone(), inner: of_process(pid)? };
        let v2 = Dir::open(&place.path())?;
        Self::with_v1(&Location { v2: place, v1: location.v1.clone() }, v2)
    }
}

/// The version 2 cgroup of a process, below the mount point (cgroups(7), `/proc/pid/cgroup`).
fn of_process(pid: i32) -> Result<PathBuf> {
    let file = PathBuf::from(format!("/proc/{pid}/cgroup"));
    let text = std::fs::read_to_string(&file).map_err(|e| call("read", file.clone(), errno_of(&e)))?;
    let inner = text.lines().find_map(|line| line.strip_prefix("0::/"));
    // One outside our cgroup namespace is shown as /.., and cannot be reached.
    match inner.map(crate::path::components) {
        Some(Ok(inner)) => Ok(inner),
        _ => Err(Error::Parse { path: file, text }),
    }
}
