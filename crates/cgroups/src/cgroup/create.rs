//! Making a cgroup: directories, controllers, checks.

use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use super::events::Events;
use super::undo::Undo;
use super::{Cgroup, Claim, V1, freeze, owner, procs, tree};
use crate::controller::{Controller, Controllers};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout, Location, Place};
use crate::path::CgroupPath;
use crate::plan::Plan;

impl Cgroup {
    /// Makes the container's cgroup in every hierarchy, marks it, and writes the plan into it.
    ///
    /// Directories that exist are used. Controllers are enabled in the parents: those that the plan needs, and as many others
    /// as can be had; in version 1, hierarchies that the plan does not need and the caller has no right to are left out. If
    /// anything fails, all that was made or enabled is taken back.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::Claimed`] and [`Error::Frozen`] where the cgroup exists and somebody uses it; [`Error::NoController`] where a parent
    /// cannot give a controller; [`Error::Write`] where the kernel refuses a value.
    pub fn create(layout: &Layout, path: &CgroupPath, plan: &Plan, claim: Claim<'_>) -> Result<Self> {
        Self::make(layout, path, plan, claim, Self::confine)
    }

    /// The same, but without the device program, which takes the kernel as long as all the rest: whoever starts a process in
    /// the cgroup can have that done meanwhile ([`Cgroup::confine`]), before anything runs that it is to hold for.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_unconfined(
        layout: &Layout,
        path: &CgroupPath,
        plan: &Plan,
        claim: Claim<'_>,
    ) -> Result<Self> {
        Self::make(layout, path, plan, claim, |_, _| Ok(()))
    }

    /// Attaches the plan's device program to a cgroup that was just made.
    ///
    /// # Errors
    /// [`Error::Device`], with the verifier's log.
    pub fn confine(&self, plan: &Plan) -> Result<()> {
        match self.is_new {
            // It may have one of somebody else's.
            false => plan.devices.replace(&self.v2),
            true if plan.devices.allows_all() => Ok(()),
            true => plan.devices.attach(&self.v2),
        }
    }

    fn make(
        layout: &Layout,
        path: &CgroupPath,
        plan: &Plan,
        claim: Claim<'_>,
        confine: impl FnOnce(&Self, &Plan) -> Result<()>,
    ) -> Result<Self> {
        let mut location = path.locate(layout)?;
        let mut undo = Undo::default();
        let needed = Plan::controllers(&plan.settings, Hierarchy::V2);
        let (v2, is_new) = descend(&location.v2, &mut undo, |dir, undo| enable_all(dir, needed, undo))?;
        check_usable(&v2)?;
        owner::mark(&v2, claim)?;
        let v1 = create_all_v1(&mut location, Plan::controllers(&plan.settings, Hierarchy::V1), &mut undo)?;
        v1.iter().try_for_each(|v1| owner::mark(&v1.dir, claim))?;
        let mut cgroup = Self { location, v2, v1, created: Vec::new(), is_new };
        cgroup.apply(&plan.settings)?;
        confine(&cgroup, plan)?;
        cgroup.created = undo.keep();
        Ok(cgroup)
    }

    /// Makes sure that a cgroup which somebody else is to make is not there and in use already. In version 2 only.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::Frozen`].
    pub fn check_unused(layout: &Layout, path: &CgroupPath) -> Result<()> {
        match Dir::open(&path.locate(layout)?.v2.path()) {
            Ok(dir) => check_usable(&dir),
            Err(e) if tree::is_gone(&e) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Enables controllers of version 2 in the parents of an existing cgroup.
    pub(super) fn enable_v2(&self, controllers: Controllers) -> Result<()> {
        if by_name(controllers).is_empty() {
            return Ok(());
        }
        let mut undo = Undo::default();
        let mut here = Dir::open(&self.location.v2.mount)?;
        for name in &self.location.v2.inner {
            enable(&here, controllers, &mut undo)?;
            here = here.child(name)?;
        }
        undo.keep();
        Ok(())
    }
}

/// Walks from the mount point down to a place and makes what is missing. `prepare` sees every directory on the way, but
/// not the last. The flag says whether the last one was made.
pub(super) fn descend(
    place: &Place,
    undo: &mut Undo,
    mut prepare: impl FnMut(&Dir, &mut Undo) -> Result<()>,
) -> Result<(Dir, bool)> {
    let mut here = Dir::open(&place.mount)?;
    let mut is_new = false;
    for name in &place.inner {
        debug_assert!(crate::dir::is_component(name), "{:?}", name.as_bytes());
        prepare(&here, undo)?;
        let (child, created) = here.child_or_create(name)?;
        let parent = std::mem::replace(&mut here, child);
        is_new = created;
        if created {
            undo.made(parent, name);
        }
    }
    Ok((here, is_new))
}

/// The controllers that the children of a cgroup have.
const SUBTREE: &str = "cgroup.subtree_control";

/// Enables those of `needed` that are not enabled yet for the children of `dir`.
pub(super) fn enable(dir: &Dir, needed: Controllers, undo: &mut Undo) -> Result<()> {
    let needed = by_name(needed);
    if needed.is_empty() {
        return Ok(());
    }
    give(dir, needed.without(Controllers::parse(&dir.read(SUBTREE)?)), undo)
}

/// Enables `needed`, and what a container should have without asking, as with runc: its usage can be read, limits can be
/// set later, and it can give its own cgroups the same. Where one cannot be had, nobody has asked for it.
///
/// A cgroup with processes gives only what is needed. It could give threaded controllers, such as that of CPU time, and would
/// thereby make the cgroups below it unfit for processes (cgroup-v2.rst, "Threads"). Only the root of the hierarchy, which has
/// no type, may have both.
fn enable_all(dir: &Dir, needed: Controllers, undo: &mut Undo) -> Result<()> {
    let enabled = Controllers::parse(&dir.read(SUBTREE)?);
    let needed = by_name(needed).without(enabled);
    give(dir, needed, undo)?;
    let others = Controllers::parse(&dir.read("cgroup.controllers")?).without(enabled).without(needed);
    let is_empty = || dir.read("cgroup.procs").is_ok_and(|processes| processes.is_empty());
    if others.is_empty() || (dir.read_if_there("cgroup.type")?.is_some() && !is_empty()) {
        return Ok(());
    }
    for controller in others.iter() {
        if dir.write(SUBTREE, &format!("+{controller}")).is_ok() {
            undo.enabled(dir, [controller].into_iter().collect())?;
        }
    }
    Ok(())
}

/// Those that are enabled by name: the files of every cgroup are not.
fn by_name(controllers: Controllers) -> Controllers {
    controllers.iter().filter(|c| *c != Controller::Core).collect()
}

/// Enables controllers that are not enabled.
fn give(dir: &Dir, missing: Controllers, undo: &mut Undo) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = missing.iter().map(|c| format!("+{c}")).collect();
    let value = words.join(" ");
    match dir.write(SUBTREE, &value) {
        Ok(()) => undo.enabled(dir, missing),
        Err(errno) => Err(not_enabled(dir, missing, value, errno)),
    }
}

/// Why controllers cannot be enabled: what the errno means (cgroup-v2.rst, "Enabling and Disabling").
fn not_enabled(dir: &Dir, missing: Controllers, value: String, errno: Errno) -> Error {
    let path = dir.path().to_path_buf();
    let text = |file| dir.read(file).unwrap_or_default();
    let available = Controllers::parse(&text("cgroup.controllers"));
    let absent = missing.without(available);
    if !absent.is_empty() {
        return Error::NoController { path, missing: absent, available };
    }
    let kind = text("cgroup.type").trim().to_owned();
    if matches!(errno, Errno::EACCES | Errno::EPERM) {
        return Error::NotDelegated { path, missing, errno };
    }
    if errno == Errno::EOPNOTSUPP {
        return Error::NotADomain { path, kind, needed: missing };
    }
    let hint = match errno {
        Errno::EBUSY => {
            "this cgroup has processes of its own, and then cgroup v2 gives no controllers to its children; \
             choose a linux.cgroupsPath in a cgroup without processes"
        }
        Errno::EROFS => "the cgroup file system is mounted read-only here",
        _ => "",
    };
    Error::Write { path: dir.join("cgroup.subtree_control"), value, errno, origin: String::new(), hint }
}

/// Refuses a cgroup in which a container could not live: one that has processes, one that is frozen, itself or
/// through a parent (its first process would never run), and one that processes cannot enter.
fn check_usable(dir: &Dir) -> Result<()> {
    let state = Events::open(dir)?.state()?;
    let path = dir.path().to_path_buf();
    if state.populated {
        return Err(Error::NotEmpty { path, pids: procs(dir)? });
    }
    if state.frozen {
        return Err(Error::Frozen { path });
    }
    let kind = dir.read_if_there("cgroup.type")?.unwrap_or_default();
    match kind.trim() {
        "domain invalid" => {
            Err(Error::NotADomain { path, kind: kind.trim().into(), needed: Controllers::NONE })
        }
        _ => Ok(()),
    }
}

/// Makes the directories in version 1 hierarchies. Where we may not make one, or something else covers the mount, the location
/// has none, unless it is `needed`.
fn create_all_v1(location: &mut Location, needed: Controllers, undo: &mut Undo) -> Result<Vec<V1>> {
    let mut made = Vec::new();
    for (controllers, place) in std::mem::take(&mut location.v1) {
        match create_v1(&place, controllers, undo) {
            Ok(dir) => {
                made.push(V1 { controllers, dir });
                location.v1.push((controllers, place));
            }
            Err(e) if needed.iter().any(|c| controllers.contains(c)) => return Err(e),
            Err(e) if e.is_denial() || is_covered(&e, &place) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(made)
}

/// Whether there is no such mount point.
fn is_covered(error: &Error, place: &Place) -> bool {
    matches!(error, Error::Call { path, errno: Errno::ENOENT, .. } if *path == place.mount)
}

/// Makes the directory in a version 1 hierarchy.
pub(super) fn create_v1(place: &Place, controllers: Controllers, undo: &mut Undo) -> Result<Dir> {
    let mut made = Undo::default();
    let dir = make_v1(place, controllers, &mut made)?;
    undo.add(made);
    Ok(dir)
}

fn make_v1(place: &Place, controllers: Controllers, undo: &mut Undo) -> Result<Dir> {
    let is_cpuset = controllers.contains(Controller::Cpuset);
    let mut parent: Option<Dir> = None;
    let mut inherit = |dir: &Dir| {
        if !is_cpuset {
            return Ok(());
        }
        parent.replace(dir.try_clone()?).map_or(Ok(()), |parent| inherit_cpuset(&parent, dir))
    };
    let (dir, is_new) = descend(place, undo, |dir, _| inherit(dir))?;
    inherit(&dir)?;
    let pids = if is_new { Vec::new() } else { procs(&dir)? };
    if !pids.is_empty() {
        return Err(Error::NotEmpty { path: dir.path().into(), pids });
    }
    if controllers.contains(Controller::Freezer) && freeze::is_frozen_v1(&dir)? {
        return Err(Error::Frozen { path: dir.path().into() });
    }
    Ok(dir)
}

/// Copies what is empty: in version 1, a cpuset begins with no CPUs and no memory nodes, and nobody may enter it until
/// it has both (cgroup-v1/cpusets.rst, section 2.1).
fn inherit_cpuset(parent: &Dir, dir: &Dir) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if !dir.read(file)?.trim().is_empty() {
            continue;
        }
        let value = parent.read(file)?.trim().to_owned();
        if let Err(errno) = dir.write(file, &value) {
            let path = dir.join(file);
            return Err(Error::Write { path, value, errno, origin: String::new(), hint: "" });
        }
    }
    Ok(())
}
