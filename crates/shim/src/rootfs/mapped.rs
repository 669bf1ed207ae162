//! A root file system whose ids are mapped, for a container in a user namespace: containerd's snapshots then have the options
//! `uidmap` and `gidmap`. What the overlay lies over is mapped, as an overlay itself cannot be; what changes in it belongs to
//! the mapped users already.
//!
//! Directories have to be mounted somewhere to be layers. That is in a mount namespace that a thread has for as long as it
//! takes, so that nobody sees it and nothing is left of it, whenever this process is killed.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use orlop_spec::IdMapping;
use orlop_sys::mount::{Attributes, clone_tree, mount_setattr, move_mount};
use orlop_sys::process::unshare;
use orlop_sys::{Fd, OwnedFd as Descriptor};

use super::plain;
use crate::messages::Mount;

/// Mappings of users and of groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Maps {
    uid: Vec<IdMapping>,
    gid: Vec<IdMapping>,
}

/// The mappings among a mount's options, if there are some, and the other options.
///
/// # Errors
///
/// Only users or only groups are mapped, or a mapping is none.
pub(super) fn split(options: &[String]) -> Result<(Option<Maps>, Vec<String>), String> {
    let (mut maps, mut others) = (Maps::default(), Vec::new());
    for option in options {
        match option.split_once('=') {
            Some(("uidmap", text)) => maps.uid = read(text)?,
            Some(("gidmap", text)) => maps.gid = read(text)?,
            _ => others.push(option.clone()),
        }
    }
    match (maps.uid.is_empty(), maps.gid.is_empty()) {
        (true, true) => Ok((None, others)),
        (false, false) => Ok((Some(maps), others)),
        _ => Err("uidmap and gidmap belong together".to_owned()),
    }
}

/// `CONTAINER:HOST:SIZE`, with commas between several.
fn read(text: &str) -> Result<Vec<IdMapping>, String> {
    let one =
        |part: &str| IdMapping::parse(part, ':').ok_or_else(|| format!("{part:?} is no mapping of ids"));
    text.split(',').map(one).collect()
}

/// Mounts it; or what went wrong.
pub(super) fn attach(
    what: &Mount,
    target: &Path,
    flags: MsFlags,
    data: &str,
    maps: &Maps,
) -> Result<(), String> {
    let userns = orlop_runtime::user_namespace(&maps.uid, &maps.gid).map_err(|e| e.to_string())?;
    let make = || apart().and_then(|()| made(what, target, flags, data, &userns));
    let tree = std::thread::scope(|scope| scope.spawn(make).join());
    let tree = tree.map_err(|_| "the thread for it has failed".to_owned())??;
    move_mount(tree.fd(), Fd::of(&directory(target)?)).map_err(|e| e.to_string())
}

/// Leaves the mount namespace of the process's other threads.
fn apart() -> Result<(), String> {
    unshare(libc::CLONE_NEWNS).map_err(|e| e.to_string())?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|e| e.to_string())
}

/// The mount, attached to nothing.
fn made(
    what: &Mount,
    target: &Path,
    flags: MsFlags,
    data: &str,
    userns: &OwnedFd,
) -> Result<Descriptor, String> {
    if what.kind != "overlay" {
        plain(what, target, flags, data).map_err(|failure| failure.message)?;
        return tree(target).and_then(|tree| map(tree, userns, 0));
    }
    let (layers, rest) = layers(data)?;
    let mapped = layers.iter().map(|layer| {
        let mapped = tree(Path::new(layer)).and_then(|tree| map(tree, userns, libc::MOUNT_ATTR_RDONLY));
        mapped.map_err(|e| format!("map the ids of {layer}: {e}"))
    });
    let mapped: Vec<Descriptor> = mapped.collect::<Result<_, _>>()?;
    // Over the place itself: nothing of the overlay is below that. Its own names are short, so that many fit into a page.
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some("mode=700"))
        .map_err(|e| e.to_string())?;
    // This thread's directory only, as its mounts are.
    std::env::set_current_dir(target).map_err(|e| e.to_string())?;
    for (number, layer) in mapped.iter().enumerate() {
        let place = number.to_string();
        fs::create_dir(&place).map_err(|e| e.to_string())?;
        move_mount(layer.fd(), Fd::of(&directory(Path::new(&place))?)).map_err(|e| e.to_string())?;
    }
    let numbers: Vec<String> = (0..layers.len()).map(|number| number.to_string()).collect();
    let data = format!("lowerdir={}{rest}", numbers.join(":"));
    fs::create_dir("root").map_err(|e| e.to_string())?;
    mount(Some(what.source.as_str()), "root", Some("overlay"), flags, Some(data.as_str()))
        .map_err(|e| e.to_string())?;
    tree(Path::new("root"))
}

/// The layers of an overlay, and its other options, with a comma before each.
fn layers(data: &str) -> Result<(Vec<&str>, String), String> {
    if data.contains('\\') || data.contains("::") {
        return Err(
            "layers that are mapped cannot have names with commas or colons, or be of data only".to_owned()
        );
    }
    let (mut layers, mut rest) = (Vec::new(), String::new());
    for option in data.split(',').filter(|option| !option.is_empty()) {
        match option.strip_prefix("lowerdir=") {
            Some(text) => layers.extend(text.split(':')),
            None => rest.extend([",", option]),
        }
    }
    if layers.is_empty() { Err("an overlay over nothing".to_owned()) } else { Ok((layers, rest)) }
}

fn tree(path: &Path) -> Result<Descriptor, String> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    clone_tree(Fd::CWD, &path, false).map_err(|e| e.to_string())
}

/// Maps the ids of a mount that is attached to nothing yet.
fn map(tree: Descriptor, userns: &OwnedFd, more: u64) -> Result<Descriptor, String> {
    let userns = Fd::of(userns).raw() as u64;
    let change = Attributes { set: libc::MOUNT_ATTR_IDMAP | more, userns, ..Attributes::default() };
    mount_setattr(tree.fd(), c"", false, &change).map_err(|e| e.to_string())?;
    Ok(tree)
}

fn directory(path: &Path) -> Result<OwnedFd, String> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = fs::File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path);
    opened.map(OwnedFd::from).map_err(|e| format!("open {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_taken_out_of_the_options() {
        let split = |text: &str| split(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let one = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        let (maps, rest) = split("lowerdir=/a:/b uidmap=0:1000:10,10:5000:5 gidmap=0:1000:15 ro").unwrap();
        let expected = Maps { uid: vec![one(0, 1000, 10), one(10, 5000, 5)], gid: vec![one(0, 1000, 15)] };
        assert_eq!((maps, rest.join(" ").as_str()), (Some(expected), "lowerdir=/a:/b ro"));
        assert_eq!(split("ro").unwrap().0, None);
        for wrong in ["uidmap=0:1:2", "uidmap=0:1 gidmap=0:1", "uidmap= gidmap=", "uidmap=0:1:x gidmap=0:1:2"]
        {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn layers_are_found_among_the_options() {
        let (found, rest) = layers("index=off,lowerdir=/a:/b,upperdir=/u").unwrap();
        assert_eq!((found, rest.as_str()), (vec!["/a", "/b"], ",index=off,upperdir=/u"));
        assert!(layers("upperdir=/u").is_err() && layers("lowerdir=/a\\:b").is_err());
    }
}
