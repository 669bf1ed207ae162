//! The state directory of one container.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, faccessat, unlinkat};
use orlop_compile::Filter;
use orlop_sys::Fd;
use orlop_sys::directory::Entries;

use super::DIRECTORY;
use crate::error::{Doing, Error, Result};
use crate::state::StateFile;

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const START: &str = "start.sock";
const FILTER: &str = "filter";
/// A directory, as the container sees what is in it.
pub(crate) const NOTIFY: &str = "notify";

/// The state directory of one container.
#[derive(Debug)]
pub struct StateDir {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) id: String,
}

/// A state that was written.
#[derive(Debug)]
pub struct Written(std::fs::File);

impl Written {
    /// Whether nobody has written another one since then, or removed it.
    pub fn is_current(&self) -> bool {
        fstat(&self.0).is_ok_and(|stat| stat.st_nlink > 0)
    }
}

impl StateDir {
    /// Where it is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same by another descriptor, if there are any left.
    pub(crate) fn duplicate(&self) -> Option<Self> {
        let fd = self.fd.try_clone().ok()?;
        Some(Self { fd, path: self.path.clone(), id: self.id.clone() })
    }

    /// The directory itself.
    pub const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Saves the state: readers see the old one or the new one, never a part.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn write_state(&self, state: &StateFile) -> Result<()> {
        self.write(STATE, &self.text(state)?).map(drop)
    }

    /// The same for the first state, by which the directory is claimed: as [`StateDir::write_new`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn write_first_state(&self, state: &StateFile) -> Result<()> {
        self.write_new(STATE, &self.text(state)?)
    }

    fn text(&self, state: &StateFile) -> Result<Vec<u8>> {
        serde_json::to_vec(state)
            .map_err(|e| Error::State { path: self.path.join(STATE), why: e.to_string() })
    }

    /// Saves the state of a container that has a process from now on, unless somebody deletes it, and has not seen that. The result
    /// tells later whether it is [the state still](Written::is_current).
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: [`StateDir::doom`] was called. [`Error::Kernel`].
    pub fn write_made(&self, state: &StateFile) -> Result<Written> {
        let written = self.write(STATE, &self.text(state)?)?;
        let stat = fstat(&self.fd).doing(|| format!("look at {}", self.path.display()))?;
        let doomed = stat.st_nlink == 0 || Mode::from_bits_truncate(stat.st_mode).contains(Mode::S_ISVTX);
        if doomed { Err(self.not_exist()) } else { Ok(Written(written)) }
    }

    /// Keeps a container that is being made from having a process, from now on: whoever deletes it looks after this once more
    /// whether it has one. Whoever makes it saves that and then looks for this; so one of the two sees the other.
    ///
    /// The mark is the directory's sticky bit, which means nothing else there and is set at once.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn doom(&self) -> Result<()> {
        fchmod(&self.fd, Mode::S_IRWXU | Mode::S_ISVTX).doing(|| format!("mark {}", self.path.display()))
    }

    /// Reads the state back.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: there is none, because `create` was killed early or `delete` is at work. [`Error::State`]: it
    /// is not ours.
    pub fn read_state(&self) -> Result<StateFile> {
        let text = self.read(STATE)?.ok_or_else(|| self.not_exist())?;
        let bad = |why: String| Error::State { path: self.path.join(STATE), why };
        let state: StateFile = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        if state.format == StateFile::FORMAT {
            Ok(state)
        } else {
            Err(bad(format!(
                "format {} of another version of orlop (this one has {})",
                state.format,
                StateFile::FORMAT
            )))
        }
    }

    /// Saves a copy of the config.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn write_config(&self, text: &[u8]) -> Result<()> {
        self.write(CONFIG, text).map(drop)
    }

    /// The same, where there is usually none yet: only a container that a supervisor runs again has one.
    ///
    /// # Errors
    ///
    /// As [`StateDir::write_config`].
    pub fn write_first_config(&self, text: &[u8]) -> Result<()> {
        self.write_first(CONFIG, text)
    }

    fn write_first(&self, name: &str, text: &[u8]) -> Result<()> {
        match self.write_new(name, text) {
            Err(Error::Exists { .. }) => self.write(name, text).map(drop),
            written => written,
        }
    }

    /// Reads the copy of the config.
    ///
    /// # Errors
    ///
    /// [`Error::NotExist`]: there is none, as with [`StateDir::read_state`].
    pub fn read_config(&self) -> Result<Vec<u8>> {
        self.read(CONFIG)?.ok_or_else(|| self.not_exist())
    }

    /// Where the copy of the config is, for messages.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Saves the filter of the container's system calls, where there is usually none yet.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn write_filter(&self, filter: &Filter) -> Result<()> {
        self.write_first(FILTER, &filter.to_bytes())
    }

    /// Reads it back; `None` if there is none, or none that this version of orlop knows.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn read_filter(&self) -> Result<Option<Filter>> {
        Ok(self.read(FILTER)?.as_deref().and_then(Filter::from_bytes))
    }

    /// Removes it; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn remove_filter(&self) -> Result<()> {
        self.remove_file(FILTER)
    }

    /// Makes the socket on which a created container waits for `start`
    /// ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), packets, listening, close-on-exec).
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn listen_start(&self) -> Result<OwnedFd> {
        let doing = || format!("listen on {}", self.path.join(START).display());
        let listener = packets().doing(doing)?;
        bind(listener.as_raw_fd(), &self.start_address().doing(doing)?).doing(doing)?;
        listen(&listener, Backlog::new(1).doing(doing)?).doing(doing)?;
        Ok(listener)
    }

    /// Connects to the created container, or `None` if nothing waits for `start` any more.
    ///
    /// Who connects unlinks the socket with [`StateDir::remove_start`] before letting the container go, so that nobody
    /// takes a running container for a created one even if this process is killed in between.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn connect_start(&self) -> Result<Option<OwnedFd>> {
        let doing = || format!("connect to {}", self.path.join(START).display());
        let stream = packets().doing(doing)?;
        match connect(stream.as_raw_fd(), &self.start_address().doing(doing)?) {
            Ok(()) => Ok(Some(stream)),
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(None),
            Err(e) => Err(e).doing(doing),
        }
    }

    /// Whether the container has not been started yet: its socket exists.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn is_created(&self) -> Result<bool> {
        match faccessat(&self.fd, START, AccessFlags::F_OK, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(e).doing(|| format!("look at {}", self.path.join(START).display())),
        }
    }

    /// Removes the socket; one that is gone is no error.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn remove_start(&self) -> Result<()> {
        self.unlink(OsStr::new(START), UnlinkatFlags::NoRemoveDir)
    }

    /// Makes the directory for the container's `NOTIFY_SOCKET`, which it will see.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn make_notify(&self) -> Result<()> {
        let doing = || format!("make {}", self.path.join(NOTIFY).display());
        mkdirat(&self.fd, NOTIFY, Mode::from_bits_truncate(0o755)).doing(doing)
    }

    /// Whether there is one.
    pub(crate) fn has_notify(&self) -> bool {
        faccessat(&self.fd, NOTIFY, AccessFlags::F_OK, AtFlags::empty()).is_ok()
    }

    /// Makes the socket in it, to which any user of the container may write.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub(crate) fn listen_notify(&self, name: &str) -> Result<UnixDatagram> {
        let doing = || format!("listen on {}", self.path.join(NOTIFY).join(name).display());
        let path = format!("/proc/self/fd/{}/{NOTIFY}/{name}", self.fd.as_raw_fd());
        let socket = UnixDatagram::bind(&path).doing(doing)?;
        let everybody = Mode::from_bits_truncate(0o777);
        fchmodat(&self.fd, format!("{NOTIFY}/{name}").as_str(), everybody, FchmodatFlags::FollowSymlink)
            .doing(doing)?;
        Ok(socket)
    }

    /// Removes the directory and what is in it, the state last but one and the directory last. Repeating it, or doing it
    /// twice at once, does no harm: a container that was made with the same id since then is not touched.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`].
    pub fn remove(&self) -> Result<()> {
        let lock = match self.lock_for_removal() {
            Ok(lock) => lock,
            Err(Error::NotExist { .. }) => return Ok(()),
            Err(e) => return Err(e),
        };
        let mut tries = 0;
        loop {
            self.clear()?;
            // While our directory exists its name cannot mean another, and the lock keeps others from removing ours.
            if lock.is_none() && self.is_removed()? {
                return Ok(());
            }
            match unlinkat(AT_FDCWD, &self.path, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                // Somebody was just changing the container.
                Err(Errno::ENOTEMPTY) if tries < 100 => tries += 1,
                Err(e) => return Err(e).doing(|| format!("remove {}", self.path.display())),
            }
        }
    }

    /// Removes what is in the directory, the state last.
    fn clear(&self) -> Result<()> {
        let doing = || format!("remove {}", self.path.display());
        let mut entries = Entries::of(Fd::of(&self.fd)).doing(doing)?;
        while let Some(name) = entries.next().doing(doing)? {
            let name = OsStr::from_bytes(name.to_bytes());
            if name == NOTIFY {
                self.remove_notify()?;
            } else if name != STATE {
                self.unlink(name, UnlinkatFlags::NoRemoveDir)?;
            }
        }
        self.unlink(OsStr::new(STATE), UnlinkatFlags::NoRemoveDir)
    }

    fn remove_notify(&self) -> Result<()> {
        let doing = || format!("remove {}", self.path.join(NOTIFY).display());
        match Dir::openat(&self.fd, NOTIFY, DIRECTORY, Mode::empty()) {
            Ok(mut dir) => {
                for entry in dir.iter() {
                    let name = entry.doing(doing)?.file_name().to_owned();
                    if name.as_c_str() != c"." && name.as_c_str() != c".." {
                        let path = Path::new(NOTIFY).join(OsStr::from_bytes(name.to_bytes()));
                        self.unlink(path.as_os_str(), UnlinkatFlags::NoRemoveDir)?;
                    }
                }
                self.unlink(OsStr::new(NOTIFY), UnlinkatFlags::RemoveDir)
            }
            Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).doing(doing),
        }
    }

    /// Removes a file; one that is gone is no error.
    pub(crate) fn remove_file(&self, name: &str) -> Result<()> {
        self.unlink(OsStr::new(name), UnlinkatFlags::NoRemoveDir)
    }

    /// Opens a file, or makes one that only its owner can read.
    pub(crate) fn open(&self, name: &str, flags: OFlag) -> Result<std::fs::File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map(std::fs::File::from)
            .doing(|| format!("open {}", self.path.join(name).display()))
    }

    /// Gives a file another name, whose file goes; one that is not there is no error.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        match renameat(&self.fd, from, &self.fd, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).doing(|| format!("rename {}", self.path.join(from).display())),
        }
    }

    fn unlink(&self, name: &OsStr, how: UnlinkatFlags) -> Result<()> {
        match unlinkat(&self.fd, name, how) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).doing(|| format!("remove {}", self.path.join(name).display())),
        }
    }

    /// A socket address holds 107 bytes of a path; through our descriptor any directory fits.
    fn start_address(&self) -> nix::Result<UnixAddr> {
        UnixAddr::new(format!("/proc/self/fd/{}/{START}", self.fd.as_raw_fd()).as_str())
    }

    pub(crate) fn not_exist(&self) -> Error {
        Error::NotExist { id: self.id.clone() }
    }
}

impl AsFd for StateDir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn packets() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}
