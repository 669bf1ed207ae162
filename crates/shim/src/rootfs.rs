//! The root file system as containerd asks for it: mounted over `rootfs` in the bundle, and taken away again.

mod long;
mod mapped;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::messages::Mount;
use crate::stdio::failed;
use crate::ttrpc::{Code, Failure, Result};

/// The kernel copies one page of options ([mount(2)](https://man7.org/linux/man-pages/man2/mount.2.html)).
const PAGE: usize = 4096;

/// Options that are flags of mount(2): what each sets, and what it clears.
const FLAGS: [(&str, MsFlags, MsFlags); 22] = {
    const NONE: MsFlags = MsFlags::empty();
    [
        ("defaults", NONE, NONE),
        ("rw", NONE, MsFlags::MS_RDONLY),
        ("ro", MsFlags::MS_RDONLY, NONE),
        ("suid", NONE, MsFlags::MS_NOSUID),
        ("nosuid", MsFlags::MS_NOSUID, NONE),
        ("dev", NONE, MsFlags::MS_NODEV),
        ("nodev", MsFlags::MS_NODEV, NONE),
        ("exec", NONE, MsFlags::MS_NOEXEC),
        ("noexec", MsFlags::MS_NOEXEC, NONE),
        ("sync", MsFlags::MS_SYNCHRONOUS, NONE),
        ("async", NONE, MsFlags::MS_SYNCHRONOUS),
        ("dirsync", MsFlags::MS_DIRSYNC, NONE),
        ("atime", NONE, MsFlags::MS_NOATIME),
        ("noatime", MsFlags::MS_NOATIME, NONE),
        ("diratime", NONE, MsFlags::MS_NODIRATIME),
        ("nodiratime", MsFlags::MS_NODIRATIME, NONE),
        ("relatime", MsFlags::MS_RELATIME, NONE),
        ("norelatime", NONE, MsFlags::MS_RELATIME),
        ("strictatime", MsFlags::MS_STRICTATIME, NONE),
        ("nostrictatime", NONE, MsFlags::MS_STRICTATIME),
        ("bind", MsFlags::MS_BIND, NONE),
        ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), NONE),
    ]
};

/// The flags of a mount, and the words that are the file system's own.
fn parse(options: &[String]) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match FLAGS.iter().find(|(name, ..)| name == option) {
            Some((_, set, clear)) => flags = flags.difference(*clear).union(*set),
            None => data.push(option.as_str()),
        }
    }
    (flags, data.join(","))
}

/// Makes the directory and mounts in the order given. What was mounted before a failure is taken away again.
///
/// # Errors
///
/// A mount fails.
pub(crate) fn mount_all(mounts: &[Mount], rootfs: &Path) -> Result<()> {
    if mounts.is_empty() {
        return Ok(());
    }
    match DirBuilder::new().mode(0o711).create(rootfs) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed(format!("make {}", rootfs.display()))(e));
        }
        _ => {}
    }
    mounts.iter().try_for_each(|mount| mount_one(mount, rootfs)).inspect_err(|_| {
        if let Err(e) = unmount_all(rootfs) {
            tracing::warn!("unmount {}: {e}", rootfs.display());
        }
    })
}

fn mount_one(what: &Mount, rootfs: &Path) -> Result<()> {
    let target = rootfs.join(what.target.trim_start_matches('/'));
    let doing = || format!("mount {} at {}", what.source, target.display());
    if !target.starts_with(rootfs) || target.components().any(|part| part.as_os_str() == "..") {
        let why = format!("mount target {:?} is outside of the root file system", what.target);
        return Err(Failure::new(Code::InvalidArgument, why));
    }
    let (maps, options) = mapped::split(&what.options)
        .map_err(|why| Failure::new(Code::InvalidArgument, format!("{}: {why}", doing())))?;
    let (flags, data) = parse(&options);
    match maps {
        Some(maps) => mapped::attach(what, &target, flags, &data, &maps).map_err(failed(doing())),
        None => plain(what, &target, flags, &data),
    }
}

/// Mounts what is not mapped.
fn plain(what: &Mount, target: &Path, mut flags: MsFlags, data: &str) -> Result<()> {
    let doing = || format!("mount {} at {}", what.source, target.display());
    if data.len() >= PAGE && what.kind == "overlay" {
        return long::mount(&what.source, target, flags, data).map_err(failed(doing()));
    }
    if data.len() >= PAGE {
        let why = format!("{}: its options are longer than the kernel takes", doing());
        return Err(Failure::new(Code::InvalidArgument, why));
    }
    if what.kind == "bind" || what.kind == "rbind" {
        flags |= MsFlags::MS_BIND;
    }
    let data = (!data.is_empty()).then_some(data);
    mount(Some(what.source.as_str()), target, Some(what.kind.as_str()), flags, data)
        .map_err(failed(doing()))?;
    // A bind mount has the flags of what it shows; its own take a second call.
    let own = flags.difference(MsFlags::MS_BIND.union(MsFlags::MS_REC));
    if flags.contains(MsFlags::MS_BIND) && !own.is_empty() {
        let again = flags.union(MsFlags::MS_REMOUNT);
        mount(None::<&str>, target, None::<&str>, again, None::<&str>).map_err(failed(doing()))?;
    }
    Ok(())
}

/// Takes away everything that is mounted there. That nothing is, is no error.
///
/// # Errors
///
/// umount2(2) fails.
pub(crate) fn unmount_all(rootfs: &Path) -> io::Result<()> {
    loop {
        match umount2(rootfs, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) | Err(Errno::EINTR) => {}
            // No mount point any more, or never one.
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_the_file_systems_own() {
        let parse = |text: &str| parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>());
        let overlay = parse("ro,nodev,lowerdir=/a:/b,rw,index=off");
        assert_eq!(overlay, (MsFlags::MS_NODEV, "lowerdir=/a:/b,index=off".to_owned()));
        assert_eq!(parse("rbind,ro").0, MsFlags::MS_BIND | MsFlags::MS_REC | MsFlags::MS_RDONLY);
    }
}
