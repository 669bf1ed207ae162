//! An overlay of so many layers that its options are longer than the page that mount(2) copies. It is configured option by
//! option, and layer by layer ([overlayfs](https://docs.kernel.org/filesystems/overlayfs.html)).

use std::ffi::CString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::mount::MsFlags;
use orlop_sys::file::read;
use orlop_sys::mount::{fsconfig, fsconfig_create, fsmount, fsopen, move_mount};
use orlop_sys::{Fd, OwnedFd as Descriptor};

/// Flags of mount(2), and the attributes that they are with fsmount(2).
const ATTRIBUTES: [(MsFlags, u64); 8] = [
    (MsFlags::MS_RDONLY, libc::MOUNT_ATTR_RDONLY),
    (MsFlags::MS_NOSUID, libc::MOUNT_ATTR_NOSUID),
    (MsFlags::MS_NODEV, libc::MOUNT_ATTR_NODEV),
    (MsFlags::MS_NOEXEC, libc::MOUNT_ATTR_NOEXEC),
    (MsFlags::MS_NOATIME, libc::MOUNT_ATTR_NOATIME),
    (MsFlags::MS_STRICTATIME, libc::MOUNT_ATTR_STRICTATIME),
    (MsFlags::MS_NODIRATIME, libc::MOUNT_ATTR_NODIRATIME),
    // The usual thing.
    (MsFlags::MS_RELATIME, 0),
];

/// Mounts it, layer by layer (`lowerdir+`, Linux 6.7); or what the kernel says.
pub(super) fn mount(source: &str, target: &Path, flags: MsFlags, data: &str) -> Result<(), String> {
    let known = ATTRIBUTES.iter().fold(MsFlags::empty(), |all, (flag, _)| all.union(*flag));
    if !known.contains(flags) {
        return Err(format!("{:?} cannot be had with so many layers", flags.difference(known)));
    }
    let options = options(data)?;
    let context = fsopen(c"overlay").map_err(|e| e.to_string())?;
    let set = |(key, value): &(String, Option<String>)| {
        let value = value.as_deref().map(c_string).transpose()?;
        fsconfig(context.fd(), &c_string(key)?, value.as_deref()).map_err(|e| told(&context, key, e))
    };
    set(&("source".to_owned(), Some(source.to_owned())))?;
    options.iter().try_for_each(set)?;
    fsconfig_create(context.fd()).map_err(|e| told(&context, "the file system", e))?;
    let attributes =
        ATTRIBUTES.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, attribute)| attribute);
    let tree = fsmount(context.fd(), attributes.fold(0, |all, one| all | one)).map_err(|e| e.to_string())?;
    let mut open = File::options();
    let place = open.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(target);
    let place = OwnedFd::from(place.map_err(|e| e.to_string())?);
    move_mount(tree.fd(), Fd::of(&place)).map_err(|e| e.to_string())
}

/// One by one; and layers too.
fn options(data: &str) -> Result<Vec<(String, Option<String>)>, String> {
    if data.contains('\\') {
        return Err("so many layers cannot have names with commas or colons".to_owned());
    }
    let mut options = Vec::new();
    for option in data.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("lowerdir", layers)) if layers.contains("::") => {
                return Err("so many layers cannot have some of data only".to_owned());
            }
            Some(("lowerdir", layers)) => {
                let each = layers.split(':').map(|layer| ("lowerdir+".to_owned(), Some(layer.to_owned())));
                options.extend(each);
            }
            Some((key, value)) => options.push((key.to_owned(), Some(value.to_owned()))),
            None => options.push((option.to_owned(), None)),
        }
    }
    Ok(options)
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|e| e.to_string())
}

/// An error, with what the kernel has to say about it.
fn told(context: &Descriptor, what: &str, error: orlop_sys::Error) -> String {
    let mut words = [0; 256];
    let n = read(context.fd(), &mut words).unwrap_or(0);
    let words = String::from_utf8_lossy(&words[..n]);
    format!("{what}: {error} {}", words.trim()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_added_one_by_one() {
        let option = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let expected = [
            option("upperdir", "/u"),
            option("lowerdir+", "/a"),
            option("lowerdir+", "/b"),
            ("userxattr".to_owned(), None),
        ];
        assert_eq!(options("upperdir=/u,lowerdir=/a:/b,userxattr"), Ok(expected.to_vec()));
        assert!(options("lowerdir=/a\\:b").is_err());
        assert!(options("lowerdir=/a::/b").is_err());
    }
}
