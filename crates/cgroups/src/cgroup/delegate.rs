//! Handing the cgroup to the container's user (OCI runtime-spec, config-linux.md, "Cgroup ownership").

use std::fs;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Gid, Uid, fchown, fchownat};

use super::Cgroup;
use crate::dir::call;
use crate::error::Result;

/// What the kernel lists there at least (cgroup-v2.rst, "Model of Delegation"), for kernels before 4.15 that have no list.
const ALWAYS: &str = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

impl Cgroup {
    /// Makes a cgroup below this one, gives it to the user with the number `uid`, if any, and moves a process there. Limits
    /// stay on this one, and the process can steer what is below without touching them.
    ///
    /// # Errors
    /// [`Error::Sub`](crate::Error::Sub) for a path that does not only go down, and when the kernel does not let us.
    pub fn delegate_below(&self, path: &str, pid: i32, uid: Option<u32>) -> Result<()> {
        let names = super::below::downwards(path)?;
        let sub = names
            .iter()
            .try_fold(self.v2.try_clone()?, |dir, name| dir.child_or_create(name).map(|(child, _)| child))?;
        let value = pid.to_string();
        sub.write("cgroup.procs", &value)
            .map_err(|errno| call("move a process to", sub.path().into(), errno))?;
        let sub = Self {
            location: self.location.clone(),
            v2: sub,
            v1: Vec::new(),
            created: Vec::new(),
            is_new: false,
        };
        uid.map_or(Ok(()), |uid| sub.delegate(uid))
    }

    /// Gives the version 2 directory to the user that is root in the container, with the files that the kernel lists in
    /// `/sys/kernel/cgroup/delegate`, so that the container can make cgroups of its own. Its limits stay ours.
    ///
    /// The spec wants this where the container has a cgroup namespace of its own and `/sys/fs/cgroup` mounted writable.
    /// `uid` is the host's number of that user.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub fn delegate(&self, uid: u32) -> Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(uid)), None::<Gid>);
        fchown(&self.v2, uid, gid).map_err(|e| call("chown", self.v2.path().into(), e))?;
        let list = fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| ALWAYS.into());
        for file in list.lines() {
            match fchownat(&self.v2, file, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW) {
                // Files of controllers that are not enabled here.
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(call("chown", self.v2.join(file), errno)),
            }
        }
        Ok(())
    }
}
