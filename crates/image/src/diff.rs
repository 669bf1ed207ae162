//! What is different in a tree since another one was laid over it: the changes of a container.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::fstat;

use crate::error::{Doing as _, Result};
use crate::tree::{Directory, Found, Tree};

/// What has become of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was not there before.
    Added,
    /// It is another one, or has other attributes or, a directory, other things in it.
    Changed,
    /// It is there no more.
    Deleted,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What has happened.
    pub kind: Kind,
    /// To which path, from the root.
    pub path: Vec<u8>,
}

/// What an overlay's upper directory changes in those below, the topmost of which comes first; by path. What has been written
/// and is the same as before counts as changed: it is not looked into files.
///
/// # Errors
///
/// One of the directories is not there, or cannot be read.
pub fn diff(upper: &Path, lowers: &[PathBuf]) -> Result<Vec<Change>> {
    let all: Vec<PathBuf> = std::iter::once(upper.to_owned()).chain(lowers.iter().cloned()).collect();
    let (before, after) = (Tree::layered(lowers)?, Tree::layered(&all)?);
    let mut changes = Vec::new();
    walk(Some(before.root()), after.root(), b"", &mut changes)
        .doing(|| format!("look for changes in {}", upper.display()))?;
    Ok(changes)
}

fn walk(
    before: Option<&Directory>,
    after: &Directory,
    path: &[u8],
    changes: &mut Vec<Change>,
) -> std::result::Result<(), Errno> {
    let mut names: BTreeSet<Vec<u8>> = after.names()?.into_iter().collect();
    if let Some(before) = before {
        // A directory that hides those below has none of their names.
        names.extend(before.names()?);
    }
    for name in names {
        let child = [path, b"/", &name].concat();
        let was = before.map_or(Ok(Found::Nothing), |before| before.look_up(&name))?;
        match (was, after.look_up(&name)?) {
            (Found::Nothing, Found::Nothing) => {}
            (Found::Nothing, now) => {
                changes.push(Change { kind: Kind::Added, path: child.clone() });
                within(&now, &child, changes)?;
            }
            (_, Found::Nothing) => changes.push(Change { kind: Kind::Deleted, path: child }),
            (Found::Directory(was), Found::Directory(now)) if is_of_upper(&now) => {
                let (place, same) = (changes.len(), look_alike(&was, &now)?);
                walk(Some(&was), &now, &child, changes)?;
                if !same || changes.len() > place {
                    changes.insert(place, Change { kind: Kind::Changed, path: child });
                }
            }
            // Not in the upper directory.
            (Found::Directory(_), Found::Directory(_)) | (Found::Other(..), Found::Other(1.., ..)) => {}
            (_, now) => {
                changes.push(Change { kind: Kind::Changed, path: child.clone() });
                within(&now, &child, changes)?;
            }
        }
    }
    Ok(())
}

/// What is in a directory that was none before.
fn within(now: &Found, path: &[u8], changes: &mut Vec<Change>) -> std::result::Result<(), Errno> {
    if let Found::Directory(now) = now { walk(None, now, path, changes) } else { Ok(()) }
}

/// Whether the upper directory has it.
fn is_of_upper(directory: &Directory) -> bool {
    directory.0.first().is_some_and(|(layer, _)| *layer == 0)
}

/// Whether what is seen of two directories themselves is the same: permissions and owner.
fn look_alike(was: &Directory, now: &Directory) -> std::result::Result<bool, Errno> {
    let look = |directory: &Directory| {
        let stat = directory.0.first().map(|(_, dir)| fstat::<&OwnedFd>(dir)).transpose()?;
        Ok::<_, Errno>(stat.map(|stat| (stat.st_mode, stat.st_uid, stat.st_gid)))
    };
    Ok(look(was)? == look(now)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Directories with these files, the topmost first; a name that ends in `/` is a directory.
    fn layers(of: &[&[&str]]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let make = |(number, names): (usize, &&[&str])| {
            let layer = home.path().join(number.to_string());
            fs::create_dir(&layer).expect("a new directory");
            for name in *names {
                let path = layer.join(name.trim_end_matches('/'));
                fs::create_dir_all(path.parent().expect("a parent")).expect("a new directory");
                if name.ends_with('/') {
                    fs::create_dir_all(path).expect("a new directory");
                } else {
                    fs::write(path, name).expect("a new file");
                }
            }
            layer
        };
        let paths = of.iter().enumerate().map(make).collect();
        (home, paths)
    }

    fn shown(layers: &[PathBuf]) -> Vec<String> {
        let letter = |kind| match kind {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
        };
        let changes = diff(&layers[0], &layers[1..]).expect("directories");
        changes.iter().map(|c| format!("{} {}", letter(c.kind), String::from_utf8_lossy(&c.path))).collect()
    }

    #[test]
    fn what_is_new_or_another_is_listed_with_the_directories_above_it() {
        let upper = ["etc/passwd", "new/deep/file", "same/"];
        let (_home, layers) = layers(&[&upper, &["etc/hosts", "same/x"], &["etc/passwd", "bin/sh"]]);
        assert_eq!(shown(&layers), ["C /etc", "C /etc/passwd", "A /new", "A /new/deep", "A /new/deep/file"]);
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_and_the_other_way_round() {
        let (_home, layers) = layers(&[&["a", "b/c"], &["a/x", "b"]]);
        assert_eq!(shown(&layers), ["C /a", "C /b", "A /b/c"]);
    }

    #[test]
    fn what_is_gone_is_listed_once_if_this_user_may_make_whiteouts() {
        let (_home, layers) = layers(&[&["etc/"], &["etc/hosts", "etc/passwd"]]);
        let whiteout = layers[0].join("etc/hosts");
        let kind = nix::sys::stat::SFlag::S_IFCHR;
        match nix::sys::stat::mknod(&whiteout, kind, nix::sys::stat::Mode::empty(), 0) {
            Err(Errno::EPERM) => eprintln!("SKIP: this user may make no whiteouts"),
            made => {
                made.expect("a whiteout");
                assert_eq!(shown(&layers), ["C /etc", "D /etc/hosts"]);
            }
        }
    }
}
