//! Owner, mode, extended attributes and times: what an archive says of a file besides its content.
//!
//! The order matters: a change of owner takes away set-user-id bits and capabilities, and everything changes times.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmod, fchmodat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};
use orlop_sys::{Fd, file, xattr};

use super::{Options, Owners, Warnings};
use crate::error::{Doing as _, Error, Result, shown};
use crate::tar::{Entry, Time};

/// What is said of a file besides its content.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) extended: Vec<(CString, Vec<u8>)>,
}

/// What an attribute is in overlayfs's own names: it changes what is seen of a tree.
const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// Capabilities of a program (`capabilities(7)`).
const CAPABILITY: &[u8] = b"security.capability";

impl Attributes {
    /// What an entry says, as far as these options take it over.
    pub(crate) fn of(entry: &mut Entry, options: &Options, warnings: &mut Warnings) -> Result<Self> {
        let mut extended = Vec::new();
        for (name, value) in std::mem::take(&mut entry.attributes) {
            if OVERLAY.iter().any(|prefix| name.starts_with(prefix)) {
                let why = format!("the attribute {} would change what overlayfs shows", shown(&name));
                return Err(Error::archive(&entry.path, why));
            }
            let security = name.starts_with(b"security.");
            if security && name != CAPABILITY {
                warnings.note("labels of security modules are the host's to give, and left out");
                continue;
            }
            if (security || name.starts_with(b"trusted.")) && options.owners == Owners::Caller {
                warnings.note("capabilities of files are left out: only root can give them");
                continue;
            }
            let c_name = CString::new(name)
                .map_err(|_| Error::archive(&entry.path, "there is a NUL in the name of an attribute"))?;
            extended.push((c_name, value));
        }
        if options.owners == Owners::Caller && (entry.uid, entry.gid) != (0, 0) {
            warnings.note(
                "files of other owners than root belong to the caller here: only root can give files away",
            );
        }
        Ok(Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, extended })
    }

    /// Sets them on an open regular file or directory. `created` is the mode it was made with.
    pub(crate) fn set(&self, file: &impl AsFd, created: u32, by: &Setter<'_>, what: &[u8]) -> Result<()> {
        if by.chowns(self.uid, self.gid) {
            fchown(file, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
                .map_err(|errno| Setter::not_given(self, what, errno))?;
        }
        if created != self.mode {
            fchmod(file, Mode::from_bits_truncate(self.mode))
                .doing(|| format!("set the mode of {}", shown(what)))?;
        }
        for (name, value) in &self.extended {
            let set = file::set_attribute(Fd::of(file), name, value);
            by.judge(name, set, what)?;
        }
        let time = timespec(self.mtime);
        futimens(file, &time, &time).doing(|| format!("set the times of {}", shown(what)))
    }

    /// The same for what must not be opened, by its name in a verified parent: links, devices, FIFOs.
    pub(crate) fn set_at(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        is_link: bool,
        by: &Setter<'_>,
        what: &[u8],
    ) -> Result<()> {
        if by.chowns(self.uid, self.gid) {
            let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
            fchownat(parent, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|errno| Setter::not_given(self, what, errno))?;
        }
        if !is_link {
            let mode = Mode::from_bits_truncate(self.mode);
            fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink)
                .doing(|| format!("set the mode of {}", shown(what)))?;
        }
        if !self.extended.is_empty() {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let file =
                openat(parent, name, flags, Mode::empty()).doing(|| format!("look at {}", shown(what)))?;
            for (name, value) in &self.extended {
                let set = xattr::set(Fd::of(&file), name, value);
                by.judge(name, set, what)?;
            }
        }
        let time = timespec(self.mtime);
        utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink)
            .doing(|| format!("set the times of {}", shown(what)))
    }
}

/// Who sets attributes, and what that allows.
pub(crate) struct Setter<'a> {
    pub(crate) owners: Owners,
    /// Our own ids, which new files have anyway.
    pub(crate) ids: (u32, u32),
    pub(crate) warnings: &'a std::cell::RefCell<Warnings>,
}

impl Setter<'_> {
    fn chowns(&self, uid: u32, gid: u32) -> bool {
        self.owners == Owners::Keep && self.ids != (uid, gid)
    }

    fn not_given(attributes: &Attributes, what: &[u8], errno: Errno) -> Error {
        let Attributes { uid, gid, .. } = attributes;
        let doing = format!("give {} to {uid}:{gid}", shown(what));
        let hint = match errno {
            Errno::EINVAL => "the user namespace that orlop runs in does not map this id",
            Errno::EPERM => "orlop runs as root, but without CAP_CHOWN",
            _ => "",
        };
        Error::Kernel { doing, call: "fchown", errno, hint }
    }

    /// What becomes of an attribute that could not be set.
    fn judge(&self, name: &std::ffi::CStr, set: orlop_sys::Result<()>, what: &[u8]) -> Result<()> {
        let bytes = name.to_bytes();
        let tolerable = !bytes.starts_with(b"security.");
        match set {
            Err(e) if tolerable && (e.is(libc::EPERM) || e.is(libc::EOPNOTSUPP)) => {
                let text = "extended attributes that this file system or user cannot have are left out";
                self.warnings.borrow_mut().note(text);
                Ok(())
            }
            set => set.doing(|| format!("set the attribute {} of {}", shown(bytes), shown(what))),
        }
    }
}

const fn timespec(time: Time) -> TimeSpec {
    TimeSpec::new(time.seconds, time.nanoseconds as i64)
}
