//! One open directory of a cgroup hierarchy. Everything goes through its file descriptor: no path is walked twice.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::{Dir as Listing, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Error, Result};

/// A directory held by a file descriptor, with the path it was opened by for messages.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

impl Dir {
    /// Opens a directory by its path.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fd = open(path, DIRECTORY, Mode::empty()).map_err(|errno| call("open", path.into(), errno))?;
        Ok(Self { fd, path: path.into() })
    }

    /// Opens a child, or the parent where `name` is `..`.
    pub(crate) fn child(&self, name: &OsStr) -> Result<Self> {
        let path = self.join(name);
        match openat(&self.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path }),
            Err(errno) => Err(call("open", path, errno)),
        }
    }

    /// Opens a child and makes it first where it is missing; the flag says whether it was made.
    pub(crate) fn child_or_create(&self, name: &OsStr) -> Result<(Self, bool)> {
        let created = match mkdirat(&self.fd, name, Mode::from_bits_truncate(0o755)) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(call("mkdir", self.join(name), errno)),
        };
        let child = self.child(name).inspect_err(|_| {
            // Nobody but us knows of it.
            if created {
                self.remove_child(name).ok();
            }
        })?;
        Ok((child, created))
    }

    /// Whether the directory is gone, and only we still hold it: it has none of its files any more.
    pub(crate) fn is_removed(&self) -> bool {
        matches!(self.open_file("cgroup.procs"), Err(Errno::ENOENT | Errno::ENODEV))
    }

    /// The path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in this directory, for messages.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        if name.as_ref() == Path::new("..") {
            return self.path.parent().unwrap_or(&self.path).into();
        }
        self.path.join(name)
    }

    /// Opens a file of this directory for reading.
    pub(crate) fn open_file(&self, name: &str) -> std::result::Result<File, Errno> {
        self.open_with(name, OFlag::O_RDONLY)
    }

    fn open_with(&self, name: &str, mode: OFlag) -> std::result::Result<File, Errno> {
        openat(&self.fd, name, mode | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW, Mode::empty()).map(File::from)
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        self.try_read(name).map_err(|errno| call("read", self.join(name), errno))
    }

    /// Reads a whole file; `None` where it does not exist or its accounting is off.
    pub(crate) fn read_if_there(&self, name: &str) -> Result<Option<String>> {
        match self.try_read(name) {
            Ok(text) => Ok(Some(text)),
            // ENODEV: the cgroup was removed after it was opened; EOPNOTSUPP: PSI is built in but off.
            Err(Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => Ok(None),
            Err(errno) => Err(call("read", self.join(name), errno)),
        }
    }

    fn try_read(&self, name: &str) -> std::result::Result<String, Errno> {
        whole(self.open_file(name)?)
    }

    /// Writes `value` with one write(2), as the kernel wants it.
    pub(crate) fn write(&self, name: &str, value: &str) -> std::result::Result<(), Errno> {
        let mut file = self.open_with(name, OFlag::O_WRONLY)?;
        file.write_all(value.as_bytes()).map_err(|e| errno_of(&e))
    }

    /// The names of the child directories.
    pub(crate) fn children(&self) -> Result<Vec<OsString>> {
        let failed = |errno| call("list", self.path.clone(), errno);
        let mut names = Vec::new();
        for entry in Listing::openat(&self.fd, c".", DIRECTORY, Mode::empty()).map_err(failed)?.iter() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if entry.file_type() == Some(Type::Directory) && name != c"." && name != c".." {
                names.push(os_string(name));
            }
        }
        Ok(names)
    }

    /// The same; none of a directory that has been removed meanwhile.
    pub(crate) fn children_if_there(&self) -> Result<Vec<OsString>> {
        match self.children() {
            Err(e) if crate::tree::is_gone(&e) => Ok(Vec::new()),
            other => other,
        }
    }

    /// The names of the files that begin with `prefix`.
    pub(crate) fn files(&self, prefix: &str) -> Result<Vec<String>> {
        let failed = |errno| call("list", self.path.clone(), errno);
        let mut names = Vec::new();
        for entry in Listing::openat(&self.fd, c".", DIRECTORY, Mode::empty()).map_err(failed)?.iter() {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && name.starts_with(prefix)
            {
                names.push(name.into());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a child directory. Removing what is not there succeeds.
    pub(crate) fn remove_child(&self, name: &OsStr) -> std::result::Result<(), Errno> {
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// A second descriptor of the same directory.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|e| call("dup", self.path.clone(), errno_of(&e)))?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// The processes in this directory, not below it.
    ///
    /// Zero stands for a process that our pid namespace does not see; such ones are left out.
    pub(crate) fn procs(&self) -> Result<Vec<i32>> {
        let text = match self.try_read("cgroup.procs") {
            // A threaded cgroup has no cgroup.procs to read (cgroup-v2.rst, "Threads").
            Err(Errno::EOPNOTSUPP) => self.read("cgroup.threads")?,
            Err(Errno::ENODEV | Errno::ENOENT) => String::new(),
            Err(errno) => return Err(call("read", self.join("cgroup.procs"), errno)),
            Ok(text) => text,
        };
        let path = || self.join("cgroup.procs");
        let pid = |l: &str| l.parse().map_err(|_| Error::Parse { path: path(), text: l.into() });
        let mut pids: Vec<i32> = text.lines().map(pid).collect::<Result<_>>()?;
        pids.retain(|pid| *pid != 0);
        Ok(pids)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The error of a call on a path.
pub(crate) fn call(call: &'static str, path: PathBuf, errno: Errno) -> Error {
    let hint = match (call, errno) {
        (_, Errno::EACCES | Errno::EPERM) => "run as root, or in a cgroup that is delegated to you",
        (_, Errno::EROFS) => "the cgroup file system is mounted read-only here",
        ("mkdir", Errno::EAGAIN) => "cgroup.max.descendants or cgroup.max.depth of a parent is reached",
        ("mkdir", Errno::EBUSY) => "the cgroup is being removed, or its parent is threaded",
        ("mkdir", Errno::ENOSPC) => {
            "the number of cgroups is at its limit, or a cpuset parent is not initialised"
        }
        _ => "",
    };
    Error::Call { call, path, errno, hint }
}

/// The errno of an I/O error.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn os_string(name: &CStr) -> OsString {
    OsString::from_vec(CString::from(name).into_bytes())
}

/// Whether a name is one component: not empty, no slash, not `.` or `..`, no NUL.
pub(crate) fn is_component(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

/// The text of a file that the kernel makes as it is read. Not `read_to_string()`: that asks for the size first, of which these
/// files say 0, and then begins with a few bytes.
pub(crate) fn whole(mut file: File) -> std::result::Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(e) => return Err(errno_of(&e)),
        }
    }
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}
