//! Copying between two trees, one of which may be a container's, whose processes can change it meanwhile: everything is found
//! from a root's descriptor and stays inside, what is written takes the place of what was there, and no link is written
//! through.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstatat, futimens, mkdirat, mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};
use orlop_sys::Fd;
use orlop_sys::file::{How, IN_ROOT, openat2};

use crate::error::{Answer, Doing as _, Error, Result, shown};
use crate::file;
use crate::pack::{archive_directory, archive_file};
use crate::tar::Input;
use crate::unpack::{Limits, OpaqueMark, Options, Owners, unpack};

/// A path in a tree.
#[derive(Debug)]
pub struct Place<'a> {
    /// The tree's root, as `O_PATH`.
    pub root: &'a OwnedFd,
    /// Where in it, through whatever links, which stay inside.
    pub path: &'a str,
}

/// Whose what is copied becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever copies.
    Caller,
    /// This user and group.
    Ids(u32, u32),
    /// As it is.
    Same,
}

/// A name in a directory.
struct Entry {
    dir: OwnedFd,
    name: Vec<u8>,
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Copies a file or a directory, with what is in it, as `docker cp` does: into a directory that is there, else under the name
/// that is given; of a directory whose path ends in `/.`, only what is in it.
///
/// # Errors
///
/// One of them is not there, or a directory would have to become something else or the other way round; the kernel's answer.
pub fn copy(from: &Place<'_>, to: &Place<'_>, owner: Owner) -> Result<()> {
    let contents = from.path.ends_with("/.") || from.path == ".";
    let source = entry(from).doing(|| format!("find {}", from.path))?;
    let stat = look(&source).doing(|| format!("look at {}", from.path))?;
    let is_directory = kind(&stat) == SFlag::S_IFDIR;
    if contents && !is_directory {
        return Err(Error::usage(from.path, "it is no directory"));
    }
    let writing = || format!("write {}", to.path);
    let target = match directory(to) {
        Ok(dir) if contents => return inside(&open(&source).doing(writing)?, &dir, owner, b""),
        Ok(dir) => Entry { dir, name: source.name.clone() },
        Err(Errno::ENOENT | Errno::ENOTDIR) if to.path.ends_with('/') => {
            return Err(Error::usage(to.path, "there is no such directory"));
        }
        Err(Errno::ENOENT | Errno::ENOTDIR) => entry(to).doing(writing)?,
        Err(e) => return Err(e).doing(writing),
    };
    if target.name.is_empty() {
        return Err(Error::usage(from.path, "the root has no name to be copied under: /. is what is in it"));
    }
    one(&source, &stat, &target, owner, from.path.as_bytes())
}

/// Writes an archive of a file or a directory: called as it is, or, where the path ends in `/.`, of what is in the directory.
///
/// # Errors
///
/// It is not there, changes while it is read, or the archive cannot be written.
pub fn copy_out(from: &Place<'_>, to: &mut dyn Write) -> Result<()> {
    let source = entry(from).doing(|| format!("find {}", from.path))?;
    let stat = look(&source).doing(|| format!("look at {}", from.path))?;
    let contents = source.name.is_empty() || from.path.ends_with("/.");
    if kind(&stat) == SFlag::S_IFDIR {
        let dir = open(&source).doing(|| format!("open {}", from.path))?;
        return archive_directory(dir, if contents { b"" } else { &source.name }, to);
    }
    if contents {
        return Err(Error::usage(from.path, "it is no directory"));
    }
    archive_file(&source.dir, &source.name, to)
}

/// Unpacks an archive into a directory that is there: first where nobody else is, refusing what layers are refused for, and
/// from there as [`copy`] does.
///
/// # Errors
///
/// The archive is refused, there is no such directory, or the kernel's answer.
pub fn copy_in(from: impl BufRead, to: &Place<'_>, owner: Owner) -> Result<()> {
    directory(to).doing(|| format!("open the directory {}", to.path))?;
    let doing = || "make a directory to unpack in".to_owned();
    let own = Temporary::make().doing(doing)?;
    let root = nix::fcntl::open(&own.0, DIRECTORY, Mode::empty()).doing(doing)?;
    let owners = if nix::unistd::geteuid().is_root() { Owners::Keep } else { Owners::Caller };
    let options = Options { limits: Limits::default(), owners, mark: OpaqueMark::Trusted, whiteouts: false };
    unpack(Plain(from), root.try_clone().doing(doing)?, &options)?;
    copy(&Place { root: &root, path: "/." }, to, owner)
}

/// An archive that no layer is.
struct Plain<R>(R);

impl<R: BufRead> Read for Plain<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R: BufRead> BufRead for Plain<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl<R: BufRead> Input for Plain<R> {}

/// A directory that nobody else may enter, and that goes with this.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("orlop-cp-{}", file::free_name()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whether it could be copied is what counts.
        file::remove_tree(&self.0).ok();
    }
}

/// The directory at a path.
fn directory(place: &Place<'_>) -> std::result::Result<OwnedFd, Errno> {
    look_up(place.root, place.path.as_bytes(), libc::O_RDONLY | libc::O_DIRECTORY)
}

fn look_up(root: &OwnedFd, path: &[u8], flags: i32) -> std::result::Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let opened = openat2(Fd::of(root), &path, How { flags, mode: 0, resolve: IN_ROOT });
    opened.map(Into::into).map_err(|e| Errno::from_raw(e.errno()))
}

/// The directory above the last name of a path, and that name; of the root, the root and no name.
fn entry(place: &Place<'_>) -> std::result::Result<Entry, Errno> {
    let path = place.path.trim_end_matches("/.").trim_end_matches('/');
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    if matches!(name, "" | "." | "..") {
        let dir = look_up(place.root, place.path.as_bytes(), libc::O_RDONLY | libc::O_DIRECTORY)?;
        return Ok(Entry { dir, name: Vec::new() });
    }
    let dir = look_up(place.root, above.as_bytes(), libc::O_RDONLY | libc::O_DIRECTORY)?;
    Ok(Entry { dir, name: name.as_bytes().to_vec() })
}

fn look(entry: &Entry) -> std::result::Result<FileStat, Errno> {
    let name: &[u8] = if entry.name.is_empty() { b"." } else { &entry.name };
    fstatat(&entry.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & libc::S_IFMT)
}

fn open(entry: &Entry) -> std::result::Result<OwnedFd, Errno> {
    let name: &[u8] = if entry.name.is_empty() { b"." } else { &entry.name };
    openat(&entry.dir, name, DIRECTORY, Mode::empty())
}

/// Copies what is in a directory into another one.
fn inside(from: &OwnedFd, to: &OwnedFd, owner: Owner, path: &[u8]) -> Result<()> {
    for name in file::names(from).doing(|| format!("list {}", shown(path)))? {
        let child = [path, b"/", &name[..]].concat();
        let clone = |dir: &OwnedFd| dir.try_clone().doing(|| "keep a directory".into());
        let source = Entry { dir: clone(from)?, name: name.clone() };
        let target = Entry { dir: clone(to)?, name };
        let stat = look(&source).doing(|| format!("look at {}", shown(&child)))?;
        one(&source, &stat, &target, owner, &child)?;
    }
    Ok(())
}

/// Copies one entry, and what is below it.
fn one(source: &Entry, stat: &FileStat, target: &Entry, owner: Owner, path: &[u8]) -> Result<()> {
    let doing = || format!("copy {}", shown(path));
    if kind(stat) == SFlag::S_IFDIR {
        match mkdirat(&target.dir, &target.name[..], Mode::S_IRWXU) {
            Err(Errno::EEXIST) => {}
            made => made.doing(doing)?,
        }
        let dir = open(target).doing(doing)?;
        inside(&open(source).doing(doing)?, &dir, owner, path)?;
        return attributes(&dir, stat, owner).doing(doing);
    }
    if look(target).is_ok_and(|there| kind(&there) == SFlag::S_IFDIR) {
        return Err(Errno::EISDIR).doing(doing);
    }
    // Under another name first: what was there is never written into, and a link never followed.
    let name = [b".orlop-copy-", std::process::id().to_string().as_bytes()].concat();
    let made = other(source, stat, &target.dir, &name)
        // Of what was written, by its descriptor: the name may be something else's by now.
        .and_then(|written| match written {
            Some(file) => attributes(&file, stat, owner).map_err(Answer::from),
            None => owner_of(&target.dir, &name, stat, owner).map_err(Answer::from),
        })
        .and_then(|()| renameat(&target.dir, &name[..], &target.dir, &target.name[..]).map_err(Answer::from));
    if made.is_err() {
        // The first failure is what the caller hears.
        unlinkat(&target.dir, &name[..], UnlinkatFlags::NoRemoveDir).ok();
    }
    made.doing(doing)
}

/// Makes a copy of what is no directory; of a regular file, it is returned.
fn other(
    source: &Entry,
    stat: &FileStat,
    to: &OwnedFd,
    name: &[u8],
) -> std::result::Result<Option<OwnedFd>, Answer> {
    match kind(stat) {
        SFlag::S_IFREG => {
            // Should it have become something else meanwhile, nobody waits for a pipe.
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let mut from = File::from(openat(&source.dir, &source.name[..], flags, Mode::empty())?);
            if !from.metadata()?.is_file() {
                return Err(Errno::ESTALE.into());
            }
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
            let mut to = File::from(openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
            std::io::copy(&mut from, &mut to)?;
            return Ok(Some(to.into()));
        }
        SFlag::S_IFLNK => symlinkat(&*readlinkat(&source.dir, &source.name[..])?, to, name)?,
        // A socket without who listens at it is nothing; the others are made anew.
        SFlag::S_IFSOCK => return Err(Errno::EOPNOTSUPP.into()),
        special => mknodat(to, name, special, Mode::S_IRUSR | Mode::S_IWUSR, stat.st_rdev)?,
    }
    Ok(None)
}

/// Owner, permissions and the time of the last change, of a file or directory.
fn attributes(file: &OwnedFd, stat: &FileStat, owner: Owner) -> std::result::Result<(), Errno> {
    if let Some((uid, gid)) = ids(stat, owner) {
        fchown(file, Some(uid), Some(gid))?;
    }
    // After the owner, whose change takes set-user-id away.
    fchmod(file, Mode::from_bits_truncate(stat.st_mode))?;
    futimens(file, &TimeSpec::UTIME_OMIT, &modified(stat))
}

/// Owner and the time of the last change, of what has neither content nor permissions of its own.
fn owner_of(dir: &OwnedFd, name: &[u8], stat: &FileStat, owner: Owner) -> std::result::Result<(), Errno> {
    if let Some((uid, gid)) = ids(stat, owner) {
        fchownat(dir, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    utimensat(dir, name, &TimeSpec::UTIME_OMIT, &modified(stat), UtimensatFlags::NoFollowSymlink)
}

fn ids(stat: &FileStat, owner: Owner) -> Option<(Uid, Gid)> {
    match owner {
        Owner::Caller => None,
        Owner::Ids(uid, gid) => Some((Uid::from_raw(uid), Gid::from_raw(gid))),
        Owner::Same => Some((Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))),
    }
}

const fn modified(stat: &FileStat) -> TimeSpec {
    TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    fn root(path: &Path) -> OwnedFd {
        File::open(path).expect("a directory").into()
    }

    fn copied(home: &Path, from: &str, to: &str) -> Result<()> {
        let (source, target) = (root(&home.join("from")), root(&home.join("to")));
        copy(&Place { root: &source, path: from }, &Place { root: &target, path: to }, Owner::Caller)
    }

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a temporary directory");
        for directory in ["from/dir/deep", "to/there"] {
            fs::create_dir_all(home.path().join(directory)).expect("a new directory");
        }
        fs::write(home.path().join("from/file"), "content").expect("a new file");
        fs::write(home.path().join("from/dir/deep/file"), "deep").expect("a new file");
        fs::set_permissions(home.path().join("from/file"), fs::Permissions::from_mode(0o751)).expect("ours");
        home
    }

    #[test]
    fn names_are_chosen_as_docker_does() {
        let home = home();
        let is = |path: &str| home.path().join("to").join(path).exists();
        copied(home.path(), "file", "new").unwrap();
        copied(home.path(), "/file", "/there").unwrap();
        copied(home.path(), "dir", "/there").unwrap();
        copied(home.path(), "dir/", "other").unwrap();
        copied(home.path(), "dir/.", "there").unwrap();
        for path in ["new", "there/file", "there/dir/deep/file", "other/deep/file", "there/deep/file"] {
            assert!(is(path), "{path}");
        }
        let mode = fs::metadata(home.path().join("to/new")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o751);
        for (from, to) in [
            ("file", "nowhere/"),
            ("nothing", "x"),
            ("file", "a/b"),
            ("dir", "new"),
            ("file/.", "x"),
            ("/", "there"),
        ] {
            assert!(copied(home.path(), from, to).is_err(), "{from} {to}");
        }
        // What is there is replaced.
        fs::write(home.path().join("from/file"), "another").expect("a file");
        copied(home.path(), "file", "new").unwrap();
        assert_eq!(fs::read_to_string(home.path().join("to/new")).expect("it is there"), "another");
    }

    #[test]
    fn links_lead_nowhere_outside_and_are_not_written_through() {
        let home = home();
        let outside = home.path().join("outside");
        fs::write(&outside, "secret").expect("a new file");
        fs::create_dir(home.path().join("out")).expect("a new directory");
        symlink(&outside, home.path().join("from/secret")).expect("a new link");
        symlink(home.path().join("out"), home.path().join("to/way")).expect("a new link");
        symlink(&outside, home.path().join("to/there/file")).expect("a new link");
        // A link is copied as one.
        copied(home.path(), "secret", "copy").unwrap();
        assert!(fs::symlink_metadata(home.path().join("to/copy")).expect("it is there").is_symlink());
        // The way out is a way into the root, where there is nothing.
        assert!(copied(home.path(), "file", "way/file").is_err());
        assert_eq!(fs::read_dir(home.path().join("out")).expect("ours").count(), 0);
        assert!(copied(home.path(), "../file", "x").is_ok(), ".. of the root is the root");
        // A link in the place of a file is replaced.
        copied(home.path(), "file", "there/file").unwrap();
        assert_eq!(fs::read_to_string(&outside).expect("it is there"), "secret");
        assert_eq!(fs::read_to_string(home.path().join("to/there/file")).expect("it is there"), "content");
    }
}
