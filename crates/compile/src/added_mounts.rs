//! Mounts for a container that runs, and the removal of some.
//!
//! As with an added process, the launcher has joined the container's namespaces. The program ends where it would wait for
//! the host side: then everything is done, and the host side ends it.

use crate::compiler::Compiler;
use crate::paths::clean;
use crate::{Code, Compiled, Diagnostics, Host, Origin};
use orlop_program::Step;
use orlop_program::message::Point;
use orlop_spec::{Linux, Mount, Pointer, Spec};
use std::path::Path;

/// Compiles mounts that are to be added to the container with the config `spec`. Relative sources start at `bundle`.
///
/// Places in diagnostics are given as if the mounts stood in a config, below `/mounts`.
///
/// # Errors
///
/// Everything that is wrong with the mounts.
pub fn compile_added_mounts(
    spec: &Spec,
    bundle: &Path,
    mounts: &[Mount],
    host: &Host,
) -> Result<Compiled, Diagnostics> {
    let spec = Spec { mounts: mounts.to_vec(), ..spec.clone() };
    in_container(&spec, bundle, host, |compiler| {
        compiler.mounts();
        compiler.read_only_mounts();
    })
}

/// Compiles the removal of what is mounted at the destinations of these mounts, the last first.
///
/// # Errors
///
/// As [`compile_added_mounts`].
pub fn compile_removed_mounts(spec: &Spec, mounts: &[Mount], host: &Host) -> Result<Compiled, Diagnostics> {
    in_container(spec, Path::new("/"), host, |compiler| {
        for (index, mount) in mounts.iter().enumerate().rev() {
            compiler.unmount(index, mount);
        }
    })
}

fn in_container(
    spec: &Spec,
    bundle: &Path,
    host: &Host,
    work: impl FnOnce(&mut Compiler<'_>),
) -> Result<Compiled, Diagnostics> {
    let no_linux = Linux::default();
    let linux = spec.linux.as_ref().unwrap_or(&no_linux);
    let mut compiler = Compiler::new(spec, linux, host, "", bundle);
    compiler.read_namespaces();
    compiler.launch.become_root = compiler.in_user_namespace();
    compiler.joined = true;
    let why = "The caller's terminal and signals stay the caller's.";
    compiler.step(Step::NewSession {}, Origin::Rule("a container has a session of its own"), why);
    compiler.enter_root();
    let origin = Origin::Rule("paths are looked up in the container");
    compiler.step(Step::UseRoot {}, origin, "The container's root is already ours.");
    work(&mut compiler);
    let why = "All is done; the host side ends this process.";
    compiler.sync(Point::Ready, Origin::Rule("the host side knows when"), why);
    compiler.finish()
}

impl Compiler<'_> {
    fn unmount(&mut self, index: usize, mount: &Mount) {
        let pointer = Pointer::new("/mounts/{}/destination").at(index);
        let target = clean(&mount.destination);
        if mount.destination.is_empty() || target == "/" {
            let message = format!("{:?} is no place where something is mounted", mount.destination);
            self.error(Code::MountDestination, pointer, message);
            return;
        }
        let step = Step::Unmount { target: target.as_ref().into() };
        self.step(step, pointer, "Away at once; who still uses it keeps it until then.");
    }
}
