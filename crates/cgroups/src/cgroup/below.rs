//! The cgroups that a container made below its own, for a further process that shall be born in one of them.

use std::path::PathBuf;

use super::{Cgroup, V1};
use crate::controller::Controller;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::path::components;

/// Which of them: `exec --cgroup` of runc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Below {
    /// One path for all hierarchies.
    Everywhere(String),
    /// Paths by controller; the hierarchies of others are not concerned.
    Each(Vec<(String, String)>),
}

impl Below {
    /// Reads `PATH`, or any number of `CONTROLLER[,CONTROLLER]:PATH`; `None` of nothing.
    ///
    /// # Errors
    /// A sentence that quotes what is wrong, in words of runc.
    pub fn parse(arguments: &[String]) -> std::result::Result<Option<Self>, String> {
        let mut each: Vec<(String, String)> = Vec::new();
        for argument in arguments {
            let Some((controllers, path)) = argument.split_once(':') else {
                return match arguments {
                    [path] => Ok(Some(Self::Everywhere(path.clone()))),
                    _ => Err(format!("invalid --cgroup argument: {argument} (missing <controller>: prefix)")),
                };
            };
            for controller in controllers.split(',') {
                if controller.is_empty() {
                    return Err(format!("invalid --cgroup argument: {argument} (empty <controller> prefix)"));
                }
                if each.iter().any(|(known, _)| known == controller) {
                    return Err(format!(
                        "invalid --cgroup argument(s): controller {controller} specified multiple times"
                    ));
                }
                each.push((controller.to_owned(), path.to_owned()));
            }
        }
        Ok((!each.is_empty()).then_some(Self::Each(each)))
    }
}

impl Cgroup {
    /// This cgroup with directories below its own in the place of these. The empty path and `/` are its own.
    ///
    /// One path for all hierarchies must be there in version 2; in those of version 1 the process stays in the container's own
    /// directory where they do not have it.
    ///
    /// # Errors
    /// [`Error::Sub`] for a path that does not only go down, or a controller that is not in use; [`Error::Call`] where
    /// there is no such cgroup.
    pub fn below(&self, which: &Below) -> Result<Self> {
        let mut v1 = self
            .v1
            .iter()
            .map(|v1| Ok(V1 { dir: v1.dir.try_clone()?, ..*v1 }))
            .collect::<Result<Vec<_>>>()?;
        let mut v2 = self.v2.try_clone()?;
        match which {
            Below::Everywhere(path) => {
                v2 = descend(&self.v2, path)?;
                for v1 in &mut v1 {
                    v1.dir = match descend(&v1.dir, path) {
                        Err(e) if e.errno() == Some(nix::errno::Errno::ENOENT) => continue,
                        found => found?,
                    };
                }
            }
            Below::Each(paths) => {
                for (name, path) in paths {
                    let controller = Controller::from_v1_name(name).or_else(|| Controller::from_name(name));
                    let mine = |v1: &&mut V1| controller.is_some_and(|c| v1.controllers.contains(c));
                    match v1.iter_mut().find(mine) {
                        Some(v1) => v1.dir = descend(&v1.dir, path)?,
                        None if self.has_on_v2(name)? => v2 = descend(&self.v2, path)?,
                        None => {
                            return Err(Error::Sub {
                                path: path.into(),
                                why: format!("unknown controller {name}"),
                            });
                        }
                    }
                }
            }
        }
        Ok(Self { location: self.location.clone(), v2, v1, created: Vec::new(), is_new: false })
    }

    fn has_on_v2(&self, controller: &str) -> Result<bool> {
        Ok(self.v2.read("cgroup.controllers")?.split_ascii_whitespace().any(|name| name == controller))
    }
}

/// The names of a path that only goes down.
pub(super) fn downwards(path: &str) -> Result<PathBuf> {
    components(path).map_err(|_| Error::Sub { path: path.into(), why: "a cgroup path only goes down".into() })
}

fn descend(dir: &Dir, path: &str) -> Result<Dir> {
    downwards(path)?.iter().try_fold(dir.try_clone()?, |dir, name| dir.child(name))
}

#[cfg(test)]
mod tests {
    use super::Below;

    fn parse(arguments: &[&str]) -> Result<Option<Below>, String> {
        Below::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn one_path_or_one_for_each_controller() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["/a"]), Ok(Some(Below::Everywhere("/a".into()))));
        let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        let each = vec![pair("memory", "a"), pair("cpu", "b"), pair("cpuacct", "b")];
        assert_eq!(parse(&["memory:a", "cpu,cpuacct:b"]), Ok(Some(Below::Each(each))));
        for (wrong, why) in [
            (&["a", "b"][..], "missing <controller>: prefix"),
            (&["cpu:a", "b"], "missing <controller>: prefix"),
            (&[":a"], "empty <controller> prefix"),
            (&["cpu,:a"], "empty <controller> prefix"),
            (&["cpu:a", "cpu:b"], "controller cpu specified multiple times"),
        ] {
            assert!(parse(wrong).unwrap_err().contains(why), "{wrong:?}");
        }
    }
}
