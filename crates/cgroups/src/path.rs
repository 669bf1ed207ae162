//! `linux.cgroupsPath`, validated (OCI runtime-spec, config-linux.md, "Cgroups Path").

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::layout::{Layout, Location, Place, V1Mount};

/// Where a container's cgroup shall be, before it is known where the hierarchies are mounted.
///
/// The rules are those of runc's cgroupfs driver:
///
/// | `cgroupsPath` | version 2 | version 1 |
/// |---|---|---|
/// | `/a/b` | `MOUNT/a/b` | `MOUNT/a/b` |
/// | `a/b` | `a/b` in the **parent** of our own cgroup | `a/b` in our own cgroup |
/// | absent or empty | as if it were the container's id | likewise |
///
/// In version 2 it is the parent because our own cgroup has processes (us), and such a cgroup cannot give controllers to
/// children (cgroup-v2.rst, "No Internal Process Constraint"). `.` and doubled slashes are dropped. Other than in runc,
/// which resolves it lexically, `..` is refused: nobody who writes it means what he would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPath {
    absolute: bool,
    inner: PathBuf,
}

/// Why a `cgroupsPath` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It contains `..`.
    #[error("cgroupsPath {0:?} contains \"..\"; a cgroup path only goes down")]
    Parent(String),
    /// It contains a NUL or a newline, which no cgroup may have in its name.
    #[error("cgroupsPath {0:?} contains a NUL or newline character")]
    Character(String),
    /// It names the root of the hierarchy, which belongs to the host.
    #[error("cgroupsPath {0:?} is the root cgroup; name a directory below it")]
    Root(String),
    /// A component is longer than a file name may be.
    #[error("cgroupsPath {0:?} has a component longer than 255 bytes")]
    TooLong(String),
    /// It has the form `slice:prefix:name` of the systemd driver.
    #[error(
        "cgroupsPath {slice}:{prefix}:{name} is meant for the systemd cgroup driver, and --systemd-cgroup is not given"
    )]
    Systemd {
        /// The slice unit, such as `system.slice`; empty for the default.
        slice: String,
        /// The prefix of the scope unit, such as `docker`.
        prefix: String,
        /// The rest of the scope unit's name, usually the container's id.
        name: String,
    },
}

impl CgroupPath {
    /// Checks the `linux.cgroupsPath` of a container with the id `id`.
    ///
    /// # Errors
    /// A [`PathProblem`] that quotes the path.
    pub fn new(cgroups_path: Option<&str>, id: &str) -> std::result::Result<Self, PathProblem> {
        let text = cgroups_path.filter(|p| !p.is_empty()).unwrap_or(id);
        if let Some(systemd) = systemd(text) {
            return Err(systemd);
        }
        let inner = components(text)?;
        if inner.as_os_str().is_empty() {
            return Err(PathProblem::Root(text.into()));
        }
        Ok(Self { absolute: text.starts_with('/'), inner })
    }

    /// The directories in all hierarchies of `layout`.
    ///
    /// # Errors
    /// [`Error::NoUnified`] where no version 2 hierarchy is mounted.
    pub fn locate(&self, layout: &Layout) -> Result<Location> {
        let Some(unified) = &layout.unified else {
            return Err(Error::NoUnified { looked: "/sys/fs/cgroup".into() });
        };
        let parent = unified.own.parent().unwrap_or(Path::new(""));
        let v2 = Place { mount: unified.mount.clone(), inner: self.below(parent) };
        let v1 = layout.v1.iter().map(|mount| (mount.controllers, self.place_v1(mount)));
        Ok(Location { v2, v1: v1.collect() })
    }

    /// The directory in one version 1 hierarchy.
    pub fn place_v1(&self, mount: &V1Mount) -> Place {
        Place { mount: mount.mount.clone(), inner: self.below(&mount.own) }
    }

    fn below(&self, own: &Path) -> PathBuf {
        if self.absolute { self.inner.clone() } else { own.join(&self.inner) }
    }

    /// The path without a leading slash.
    pub fn inner(&self) -> &Path {
        &self.inner
    }

    /// The last component: the name of the container's own directory.
    pub fn name(&self) -> &OsStr {
        self.inner.file_name().unwrap_or_default()
    }
}

/// The components of a path that only goes down.
pub(crate) fn components(text: &str) -> std::result::Result<PathBuf, PathProblem> {
    if text.contains(['\0', '\n']) {
        return Err(PathProblem::Character(text.into()));
    }
    let mut inner = PathBuf::new();
    for component in text.split('/').filter(|c| !matches!(*c, "" | ".")) {
        if component == ".." {
            return Err(PathProblem::Parent(text.into()));
        }
        if component.len() > 255 {
            return Err(PathProblem::TooLong(text.into()));
        }
        inner.push(component);
    }
    Ok(inner)
}

/// Recognises `slice:prefix:name`. Colons alone do not make one: they are legal in cgroup names.
fn systemd(text: &str) -> Option<PathProblem> {
    let mut parts = text.split(':');
    let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_slice = slice.is_empty() || slice.strip_suffix(".slice").is_some_and(|name| !name.is_empty());
    if parts.next().is_some() || !is_slice || text.contains('/') {
        return None;
    }
    Some(PathProblem::Systemd { slice: slice.into(), prefix: prefix.into(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::{CgroupPath, Path, PathProblem};
    use crate::controller::Controllers;
    use crate::error::Error;
    use crate::layout::{Layout, Unified, V1Mount};

    fn hybrid() -> Layout {
        let memory = V1Mount {
            mount: "/sys/fs/cgroup/memory".into(),
            own: "jobs/7".into(),
            controllers: Controllers::parse("memory"),
        };
        let unified = Unified {
            mount: "/sys/fs/cgroup/unified".into(),
            own: "user.slice/session-1.scope".into(),
            controllers: Controllers::NONE,
        };
        Layout { unified: Some(unified), v1: vec![memory] }
    }

    #[test]
    fn absolute_relative_and_absent_paths_go_where_runc_puts_them() {
        for (path, v2, v1) in [
            (Some("/a/b"), "a/b", "a/b"),
            (Some("//a/./b/"), "a/b", "a/b"),
            (Some("a/b"), "user.slice/a/b", "jobs/7/a/b"),
            (None, "user.slice/c1", "jobs/7/c1"),
            (Some(""), "user.slice/c1", "jobs/7/c1"),
            (Some("/a:b:c"), "a:b:c", "a:b:c"),
            (Some("a:b:c"), "user.slice/a:b:c", "jobs/7/a:b:c"),
        ] {
            let path = CgroupPath::new(path, "c1").unwrap();
            let found = path.locate(&hybrid()).unwrap();
            assert_eq!(found.v2.inner.to_str(), Some(v2));
            assert_eq!(found.v1[0].1.inner.to_str(), Some(v1));
            assert_eq!(found.v1[0].0, Controllers::parse("memory"));
        }
    }

    #[test]
    fn every_hierarchy_has_a_directory_and_without_version_2_there_is_none() {
        let path = CgroupPath::new(Some("/a"), "c1").unwrap();
        let mut layout = hybrid();
        let services = V1Mount {
            mount: "/sys/fs/cgroup/systemd".into(),
            own: "".into(),
            controllers: Controllers::parse("name=systemd"),
        };
        layout.v1.push(services);
        let found = path.locate(&layout).unwrap();
        let paths: Vec<_> = found.v1.iter().map(|(_, place)| place.path()).collect();
        assert_eq!(paths, [Path::new("/sys/fs/cgroup/memory/a"), Path::new("/sys/fs/cgroup/systemd/a")]);
        assert!(found.has_v1_controllers());
        layout.v1.remove(0);
        assert!(!path.locate(&layout).unwrap().has_v1_controllers());
        layout.unified = None;
        assert!(matches!(path.locate(&layout), Err(Error::NoUnified { .. })));
    }

    #[test]
    fn dangerous_paths_are_refused() {
        type Want = fn(&PathProblem) -> bool;
        let cases: [(&str, Want); 8] = [
            ("/../../x", |p| matches!(p, PathProblem::Parent(_))),
            ("a/../b", |p| matches!(p, PathProblem::Parent(_))),
            ("a\nb", |p| matches!(p, PathProblem::Character(_))),
            ("a\0b", |p| matches!(p, PathProblem::Character(_))),
            ("/", |p| matches!(p, PathProblem::Root(_))),
            ("./.", |p| matches!(p, PathProblem::Root(_))),
            ("system.slice:docker:abc", |p| matches!(p, PathProblem::Systemd { .. })),
            (":docker:abc", |p| matches!(p, PathProblem::Systemd { .. })),
        ];
        for (path, want) in cases {
            let problem = CgroupPath::new(Some(path), "c1").unwrap_err();
            assert!(want(&problem), "{path:?} gave {problem:?}");
        }
        let long = CgroupPath::new(Some(&"x".repeat(256)), "c1").unwrap_err();
        assert!(matches!(long, PathProblem::TooLong(_)));
    }
}
