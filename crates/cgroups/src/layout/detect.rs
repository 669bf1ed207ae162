//! Finding out: one statfs(2) where there is only version 2, `/proc/self/mountinfo` on a hybrid host.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::{Layout, Unified, V1Mount, below};
use crate::controller::{Controller, Controllers};
use crate::dir::{call, errno_of, whole};
use crate::error::Result;

const USUAL: &str = "/sys/fs/cgroup";

impl Layout {
    /// Finds the hierarchies of this host.
    ///
    /// Where `/sys/fs/cgroup` itself is of version 2, three system calls on three files suffice, and no mount table is
    /// parsed. A host without any cgroup file system gives an empty layout, which is no error here.
    ///
    /// # Errors
    /// When `/proc/self/cgroup`, `/proc/self/mountinfo` or `cgroup.controllers` cannot be read.
    pub fn detect() -> Result<Self> {
        let own = read("/proc/self/cgroup".as_ref())?;
        let mut layout = match statfs(USUAL) {
            Ok(fs) if fs.filesystem_type() == CGROUP2_SUPER_MAGIC => {
                let unified = Mount { point: USUAL.into(), root: "/".into(), kind: Kind::V2 };
                Self::from_mounts(&[unified], &own)
            }
            Ok(_) | Err(Errno::ENOENT) => {
                Self::from_mounts(&mounts(&read("/proc/self/mountinfo".as_ref())?), &own)
            }
            Err(errno) => return Err(call("statfs", USUAL.into(), errno)),
        };
        if let Some(unified) = &mut layout.unified {
            unified.controllers = Controllers::parse(&read(&unified.mount.join("cgroup.controllers"))?);
        }
        Ok(layout)
    }

    /// The layout of a mount table; `own` is the text of `/proc/self/cgroup`.
    fn from_mounts(mounts: &[Mount], own: &str) -> Self {
        let mut layout = Self::default();
        for mount in mounts {
            match &mount.kind {
                Kind::V2 if layout.unified.is_none() => {
                    let own = below(&own_path(own, ""), &mount.root);
                    let controllers = Controllers::NONE;
                    layout.unified = Some(Unified { mount: mount.point.clone(), own, controllers });
                }
                Kind::V1(names) => {
                    let controllers: Controllers =
                        names.iter().filter_map(|n| Controller::from_v1_name(n)).collect();
                    let known = layout.v1.iter().any(|m| m.controllers == controllers);
                    if controllers.is_empty() || known {
                        continue;
                    }
                    let name = controllers.iter().next().map_or("", Controller::v1_name);
                    let own = below(&own_path(own, name), &mount.root);
                    layout.v1.push(V1Mount { mount: mount.point.clone(), own, controllers });
                }
                Kind::V2 => {}
            }
        }
        layout
    }

    /// The layout that two files of `/proc/self` describe; for tests of other hosts' layouts.
    #[cfg(test)]
    pub(super) fn from_texts(mountinfo: &str, own: &str) -> Self {
        Self::from_mounts(&mounts(mountinfo), own)
    }
}

struct Mount {
    point: PathBuf,
    root: PathBuf,
    kind: Kind,
}

enum Kind {
    V2,
    V1(Vec<String>),
}

/// The cgroup mounts of a mount table (proc_pid_mountinfo(5)), those below `/sys/fs/cgroup` first: other programs
/// mount private copies elsewhere, such as `/run/cilium/cgroupv2`.
fn mounts(mountinfo: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = mountinfo.lines().filter_map(mount).collect();
    found.sort_by_key(|m| !m.point.starts_with(USUAL));
    found
}

fn mount(line: &str) -> Option<Mount> {
    let MountLine { root, point, fstype, options } = MountLine::parse(line)?;
    let kind = match fstype {
        "cgroup2" => Kind::V2,
        "cgroup" => Kind::V1(options.split(',').map(String::from).collect()),
        _ => return None,
    };
    Some(Mount { point: unescape(point), root: unescape(root), kind })
}

/// A line of a mount table (proc_pid_mountinfo(5)), as it stands there: see [`unescape`] for its paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountLine<'a> {
    /// What of the file system is mounted.
    pub root: &'a str,
    /// Where.
    pub point: &'a str,
    /// The file system's type.
    pub fstype: &'a str,
    /// Options of the file system itself.
    pub options: &'a str,
}

impl<'a> MountLine<'a> {
    /// The parts of a line; `None` if it is none.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let mut file_system = file_system.split(' ');
        Some(Self {
            root: mount.next()?,
            point: mount.next()?,
            fstype: file_system.next()?,
            options: file_system.nth(1)?,
        })
    }
}

/// Undoes the octal escapes of the mount table.
#[must_use]
pub fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|d| str::from_utf8(d).ok());
        if let Some(byte) = octal.and_then(|d| u8::from_str_radix(d, 8).ok()) {
            bytes.push(byte);
            rest = &tail[3..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    OsString::from_vec(bytes).into()
}

/// Our path in one hierarchy (cgroups(7), `/proc/pid/cgroup`); the empty name is version 2.
fn own_path(text: &str, name: &str) -> PathBuf {
    let in_hierarchy =
        |line: &&str| line.split(':').nth(1).is_some_and(|names| names.split(',').any(|n| n == name));
    let line = text.lines().find(in_hierarchy);
    line.and_then(|l| l.splitn(3, ':').nth(2)).unwrap_or("/").into()
}

fn read(path: &Path) -> Result<String> {
    let failed = |errno| call("read", path.into(), errno);
    whole(File::open(path).map_err(|e| failed(errno_of(&e)))?).map_err(failed)
}
