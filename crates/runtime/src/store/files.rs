//! The files of a state directory: whole or not at all.

use std::ffi::{CStr, CString};
use std::io::{Read as _, Write as _};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use orlop_sys::Fd;
use orlop_sys::file::{exchange, rename_new};

use super::StateDir;
use crate::error::{Doing, Error, Result};

impl StateDir {
    /// Writes a file: readers see the old one or the new one, never a part.
    ///
    /// The result is the file, which has no name any more once another one is written.
    pub(crate) fn write(&self, name: &str, text: &[u8]) -> Result<std::fs::File> {
        self.draft(name, text, |draft, name| self.replace(draft, name))
            .doing(|| format!("write {}", self.path.join(name).display()))
    }

    /// Writes a file that is not there yet.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`]: another one has. [`Error::NotExist`]: the directory is gone. [`Error::Kernel`]; then it is as it was
    /// before.
    pub(crate) fn write_new(&self, name: &str, text: &[u8]) -> Result<()> {
        match self.draft(name, text, |draft, name| self.name(draft, name)) {
            Err(Errno::EEXIST) => Err(Error::Exists { id: self.id.clone() }),
            Err(Errno::ENOENT) => Err(self.not_exist()),
            written => written.map(drop).doing(|| format!("write {}", self.path.join(name).display())),
        }
    }

    /// Writes a file under another name, before it is given its own.
    fn draft(
        &self,
        name: &str,
        text: &[u8],
        finish: impl FnOnce(&CStr, &CStr) -> nix::Result<()>,
    ) -> nix::Result<std::fs::File> {
        // Another process writes under another name; what a killed one left behind goes with the directory.
        let [draft, name] = [format!(".{name}.{}", std::process::id()), name.to_owned()]
            .map(|name| CString::new(name).unwrap_or_default());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, draft.as_c_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut file = std::fs::File::from(fd);
        let written = file.write_all(text);
        let written = written.map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)));
        written.and_then(|()| finish(&draft, &name)).map(|()| file).inspect_err(|_| {
            unlinkat(&self.fd, draft.as_c_str(), UnlinkatFlags::NoRemoveDir).ok();
        })
    }

    /// Gives a draft its name, which nobody has.
    fn name(&self, draft: &CStr, name: &CStr) -> nix::Result<()> {
        match rename_new(Fd::of(&self.fd), draft, name) {
            // The file system does not know how.
            Err(e) if e.is(libc::EINVAL) => {
                linkat(&self.fd, draft, &self.fd, name, AtFlags::empty())?;
                // It has its name; another one that stays goes with the directory.
                unlinkat(&self.fd, draft, UnlinkatFlags::NoRemoveDir).ok();
                Ok(())
            }
            named => named.map_err(|e| Errno::from_raw(e.errno())),
        }
    }

    /// Gives a draft its name, whoever has it now.
    ///
    /// To rename over a file makes ext4 find blocks for the new one at once, and free them again soon after, to keep what is
    /// in it over a crash of the machine, which no container survives. To change places with it does not.
    fn replace(&self, draft: &CStr, name: &CStr) -> nix::Result<()> {
        match exchange(Fd::of(&self.fd), draft, name) {
            Ok(()) => unlinkat(&self.fd, draft, UnlinkatFlags::NoRemoveDir),
            // There was none, or the file system does not know how.
            Err(e) if e.is(libc::ENOENT) || e.is(libc::EINVAL) => renameat(&self.fd, draft, &self.fd, name),
            Err(e) => Err(Errno::from_raw(e.errno())),
        }
    }

    /// The content of a file, or `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let doing = || format!("read {}", self.path.join(name).display());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(e).doing(doing),
        };
        let mut text = Vec::new();
        std::fs::File::from(fd).read_to_end(&mut text).doing(doing)?;
        Ok(Some(text))
    }
}
