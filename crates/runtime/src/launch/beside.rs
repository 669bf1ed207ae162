//! What the host side makes while init is at work: file systems that are the same whoever makes them, and what is in `/dev`.
//!
//! Init is who is waited for, and has most to do. So steps of its program are taken from it: it finds the file systems in its
//! socket, one after the other, when it comes to where they are mounted, and then a word that `/dev` has what belongs in it.
//!
//! What the kernel needs of memory for them, some kilobytes, is the caller's cgroup's; what the container writes there is its own.

use std::ffi::CString;

use nix::sched::{CloneFlags, unshare};
use orlop_compile::{Beside, Compiled};
use orlop_init::devices::{self, Node};
use orlop_init::mounts;
use orlop_init::report::{Fault, WORDS};
use orlop_program::Step;
use orlop_sys::{Fd, OwnedFd, file};

use super::blame::{self, Words};
use super::session::Session;
use crate::error::{Doing, Result};

/// Makes what the compiler says, and sends it to init, which tells when the root is made.
///
/// # Errors
///
/// As if init had failed in one of these steps; or that it has failed.
pub(crate) fn make_beside(compiled: &Compiled, session: &mut Session<'_>, words: &Words<'_>) -> Result<()> {
    let Beside { steps, dev, .. } = compiled.launch.beside;
    let _umask = NoUmask::begin()?;
    let mut root_is_made = false;
    let mut in_dev: Option<OwnedFd> = None;
    let all = compiled.program.steps().map_while(std::result::Result::ok).enumerate();
    for (index, step) in all.filter(|(_, step)| step.is_beside()).take(steps) {
        let failed = |fault: Fault| blame::failed(&fault.told(index as u32, &mut [0; WORDS]), words);
        if let Step::Mount { fstype, options, attributes, .. } = step {
            let context = mounts::begin(fstype.c_str(), options.iter()).map_err(failed)?;
            if !std::mem::replace(&mut root_is_made, true) {
                session.await_root()?;
            }
            let made = mounts::complete(context, attributes).map_err(failed)?;
            if dev == Some(index) {
                make_mount_points(made.fd(), index, compiled);
            }
            session.give(made.fd())?;
            in_dev = if dev == Some(index) { Some(made) } else { in_dev };
        } else if let Some(dev) = &in_dev {
            make_in(dev.fd(), &step).map_err(failed)?;
        }
    }
    if !root_is_made {
        session.await_root()?;
    }
    // Init has it by now, and waits for the word before it needs what is in it.
    in_dev.map_or(Ok(()), |_| session.proceed())
}

/// Makes the directories where the file systems after this one are mounted in it. Init would make them, and wait for each device
/// that is being made in the same directory. Where this fails, init will fail too, and say why.
fn make_mount_points(dev: Fd, index: usize, compiled: &Compiled) {
    let mut covered = Vec::new();
    for step in compiled.program.steps().map_while(std::result::Result::ok).skip(index + 1) {
        match step {
            // It tells something that there is none.
            Step::OpenCovered { path, .. } => covered.push(path),
            Step::Mount { target, .. } if !covered.contains(&target) => {
                let name = target.bytes().strip_prefix(b"/dev/").filter(|name| !name.contains(&b'/'));
                if let Some(Ok(name)) = name.map(CString::new) {
                    file::mkdirat(dev, &name, mounts::MOUNT_POINT).ok();
                }
            }
            _ => {}
        }
    }
}

/// Makes a device or a link.
fn make_in(dev: Fd, step: &Step<'_>) -> std::result::Result<(), Fault> {
    match *step {
        Step::Device { name, mode, device, uid, gid, .. } => {
            devices::node(dev, name.c_str(), &Node { mode, device, uid, gid })
        }
        Step::Symlink { name, target, replace, .. } => {
            devices::symlink(dev, name.c_str(), target.c_str(), replace)
        }
        _ => Ok(()),
    }
}

/// This thread's file mode creation mask is empty, as init's is, until this is dropped. Other threads keep theirs.
struct NoUmask(u32);

impl NoUmask {
    fn begin() -> Result<Self> {
        unshare(CloneFlags::CLONE_FS).doing(|| "part with other threads' umask".to_owned())?;
        Ok(Self(file::umask(0)))
    }
}

impl Drop for NoUmask {
    fn drop(&mut self) {
        file::umask(self.0);
    }
}
