//! Changing the limits of a running container.

use nix::errno::Errno;

use super::create::create_v1;
use super::undo::Undo;
use super::{Cgroup, V1};
use crate::controller::Controllers;
use crate::dir::call;
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout, Location, Place, V1Mount};
use crate::plan::Plan;
use crate::setting::{Absent, Setting};

/// How often processes that were forked meanwhile are moved after the others.
const ROUNDS: u32 = 100;

impl Cgroup {
    /// Changes the limits of a running container. If one is refused, those that were written are taken back as far as
    /// their files hold a single value.
    ///
    /// Controllers that were not needed so far are enabled. If whoever made the container had no right to a hierarchy of
    /// version 1, that means a new directory, into which all processes are moved: [`Cgroup::location_with`] is to be stored before.
    ///
    /// # Errors
    /// [`Error::Write`] names file, value and the place in the config; [`Error::BelowUsage`] with `checkBeforeUpdate`.
    pub fn update(&mut self, layout: &Layout, settings: &[Setting]) -> Result<()> {
        self.enable_v2(Plan::controllers(settings, Hierarchy::V2))?;
        let needed = Plan::controllers(settings, Hierarchy::V1);
        self.use_v1(layout, needed, |cgroup| cgroup.write_or_restore(settings))
    }

    /// Where it will be once these settings are made.
    pub fn location_with(&self, layout: &Layout, settings: &[Setting]) -> Location {
        let mut location = self.location.clone();
        let needed = Plan::controllers(settings, Hierarchy::V1);
        location.v1.extend(missing_v1(&location, layout, needed).collect::<Vec<_>>());
        location
    }

    /// Has controllers work on the cgroup though nothing is limited, so that usage is accounted: see [`Cgroup::stats`].
    ///
    /// As with [`Cgroup::update`], [`Cgroup::location`] has to be stored again afterwards.
    ///
    /// # Errors
    /// [`Error::NoController`] for one that this host does not have ([`Layout::hierarchy_of`] tells before), and as
    /// [`Cgroup::create`].
    pub fn enable(&mut self, layout: &Layout, controllers: Controllers) -> Result<()> {
        let on = |wanted: Option<Hierarchy>| -> Controllers {
            controllers.iter().filter(|c| layout.hierarchy_of(*c) == wanted).collect()
        };
        let missing = on(None);
        if !missing.is_empty() {
            let available = layout.unified.as_ref().map_or(Controllers::NONE, |u| u.controllers);
            return Err(Error::NoController { path: self.location.v2.mount.clone(), missing, available });
        }
        self.enable_v2(on(Some(Hierarchy::V2)))?;
        self.use_v1(layout, on(Some(Hierarchy::V1)), |_| Ok(()))
    }

    /// Makes what is missing in version 1 hierarchies, does `work`, and moves the processes there. If `work` fails,
    /// the directories are removed again.
    fn use_v1(
        &mut self,
        layout: &Layout,
        needed: Controllers,
        work: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let mut undo = Undo::default();
        let known = self.v1.len();
        let there = |cgroup: &Self| {
            let gone = || Err(call("look at", cgroup.v2.path().into(), Errno::ENODEV));
            if cgroup.v2.is_removed() { gone() } else { Ok(()) }
        };
        let done =
            self.add_v1(layout, needed, &mut undo).and_then(|()| there(self)).and_then(|()| work(self));
        if done.is_err() {
            self.v1.truncate(known);
            self.location.v1.truncate(known);
            return done; // Dropping `undo` removes the directories.
        }
        // From here on they have processes, and belong to the cgroup even if one of them cannot be moved.
        undo.keep();
        self.v1[known..].iter().try_for_each(|v1| self.move_all(v1))
    }

    /// Makes directories in version 1 hierarchies that the container has none in, under the same path as in version 2.
    fn add_v1(&mut self, layout: &Layout, needed: Controllers, undo: &mut Undo) -> Result<()> {
        for (controllers, place) in missing_v1(&self.location.clone(), layout, needed) {
            let dir = create_v1(&place, controllers, undo)?;
            self.v1.push(V1 { controllers, dir });
            self.location.v1.push((controllers, place));
        }
        Ok(())
    }

    /// Moves all processes of the cgroup into a version 1 directory, and again until nobody was forked meanwhile.
    fn move_all(&self, v1: &V1) -> Result<()> {
        for _ in 0..ROUNDS {
            let inside = super::procs(&v1.dir)?;
            let outside: Vec<i32> = self.procs()?.into_iter().filter(|pid| !inside.contains(pid)).collect();
            if outside.is_empty() {
                break;
            }
            for pid in outside {
                match v1.attach(pid) {
                    Err(e) if e.errno() == Some(Errno::ESRCH) => {}
                    other => other?,
                }
            }
        }
        Ok(())
    }

    /// Writes settings; if one is refused, puts back what was there.
    fn write_or_restore(&self, settings: &[Setting]) -> Result<()> {
        let mut before = Vec::new();
        for setting in settings {
            let dir = self.dir_of(setting)?;
            for file in files_of(setting) {
                let text = dir.read_if_there(file)?.unwrap_or_default();
                let line = text.trim_end();
                // Several lines, or none, are a table by device; only single values can be put back.
                if !line.is_empty() && !line.contains('\n') && !line.contains(':') {
                    before.push((dir, file, line.to_owned()));
                }
            }
        }
        self.apply(settings).inspect_err(|_| {
            // Twice, since values depend on each other; the error to report is the first.
            for (dir, file, line) in before.iter().chain(&before) {
                dir.write(file, line).ok();
            }
        })
    }
}

/// The places that a location lacks in the version 1 hierarchies of some controllers.
fn missing_v1<'a>(
    location: &'a Location,
    layout: &'a Layout,
    needed: Controllers,
) -> impl Iterator<Item = (Controllers, Place)> + 'a {
    let is_known = |mount: &V1Mount| location.v1.iter().any(|(_, known)| known.mount == mount.mount);
    let is_needed = move |mount: &V1Mount| needed.iter().any(|c| mount.controllers.contains(c));
    layout.v1.iter().filter(move |mount| is_needed(mount) && !is_known(mount)).map(|mount| {
        (mount.controllers, Place { mount: mount.mount.clone(), inner: location.v2.inner.clone() })
    })
}

fn files_of(setting: &Setting) -> impl Iterator<Item = &str> {
    let other = match &setting.absent {
        Absent::Instead { file, .. } => Some(*file),
        _ => None,
    };
    std::iter::once(&*setting.file).chain(other)
}
