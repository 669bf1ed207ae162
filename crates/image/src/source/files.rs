//! A directory, or a tar archive, as files by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::decode::Compression;
use crate::error::{Doing as _, Error, Result, Within as _, shown};
use crate::file::open_beneath;
use crate::tar::{Archive, Input, Kind};

/// Files by name.
pub(super) struct Files {
    path: PathBuf,
    inner: Inner,
}

enum Inner {
    Directory(OwnedFd),
    Archive(File, HashMap<Vec<u8>, Member>),
}

/// A member of an archive.
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another member, by its name in the archive: docker saves a layer only once.
    Link(Vec<u8>),
}

impl Files {
    /// The files of a directory.
    pub(super) fn directory(path: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd =
            open(path, flags, Mode::empty()).doing(|| format!("open the image layout {}", path.display()))?;
        Ok(Self { path: path.into(), inner: Inner::Directory(fd) })
    }

    /// The members of an archive: read once for its headers, and then in place.
    pub(super) fn archive(path: &Path) -> Result<Self> {
        let doing = || format!("open the archive {}", path.display());
        let mut file = File::open(path).doing(doing)?;
        if !file.metadata().doing(doing)?.is_file() {
            return Err(Error::document(path.display().to_string(), "it is no regular file"));
        }
        let mut start = [0; 8];
        let n = file.read_at(&mut start, 0).doing(doing)?;
        if Compression::of(&start[..n]).within(|| path.display().to_string())? != Compression::None {
            let why = "the archive itself is compressed, and has to be decompressed first (gunzip, unzstd)";
            return Err(Error::document(path.display().to_string(), why));
        }
        file.seek(SeekFrom::Start(0)).doing(doing)?;
        let members = members(&file).within(|| path.display().to_string())?;
        Ok(Self { path: path.into(), inner: Inner::Archive(file, members) })
    }

    /// Opens a file; with its length.
    pub(super) fn open(&self, name: &str) -> Result<(Opened<'_>, u64)> {
        let doing = || format!("open {}", super::in_file(&self.path, name));
        match &self.inner {
            Inner::Directory(dir) => {
                // Not to wait for the other end of a FIFO.
                let flags = libc::O_RDONLY | libc::O_NONBLOCK;
                let file = match open_beneath(dir, name.as_bytes(), flags) {
                    Err(e) if e.is(libc::ENOENT) => return Err(self.missing(name)),
                    opened => File::from(opened.doing(doing)?),
                };
                let metadata = file.metadata().doing(doing)?;
                if !metadata.is_file() {
                    return Err(Error::document(super::in_file(&self.path, name), "it is no regular file"));
                }
                Ok((Opened::File(file), metadata.len()))
            }
            Inner::Archive(file, members) => {
                let (offset, size) = find(members, name.as_bytes()).ok_or_else(|| self.missing(name))?;
                Ok((Opened::Part { file, at: offset, end: offset + size }, size))
            }
        }
    }

    /// Whether there is such a file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }

    fn missing(&self, name: &str) -> Error {
        let hint =
            if name == "index.json" || name == "oci-layout" { "it is no OCI image layout" } else { "" };
        Error::NotFound { what: super::in_file(&self.path, name), hint: hint.into() }
    }
}

/// The members of an archive by their clean names; of two with one name the last counts, as when it is unpacked.
fn members(file: &File) -> Result<HashMap<Vec<u8>, Member>> {
    let mut archive = Archive::new(Seeking(BufReader::new(file)));
    let mut members = HashMap::new();
    while let Some(entry) = archive.next()? {
        let name = clean(&entry.path, b"")
            .ok_or_else(|| Error::archive(&entry.path, "the path leaves the archive"))?;
        let member = match entry.kind {
            Kind::File if entry.pieces.is_none() => Member::File { offset: entry.offset, size: entry.size },
            Kind::Symlink | Kind::HardLink => {
                let dir = if entry.kind == Kind::Symlink { parent(&name) } else { b"" };
                let target = clean(&entry.link, dir);
                let left = || Error::archive(&entry.path, format!("it leads out, to {}", shown(&entry.link)));
                Member::Link(target.ok_or_else(left)?)
            }
            _ => continue,
        };
        members.insert(name, member);
    }
    Ok(members)
}

fn parent(name: &[u8]) -> &[u8] {
    name.iter().rposition(|b| *b == b'/').map_or(b"", |at| &name[..at])
}

/// A path from a directory of the archive, without `.` and `..`; `None` if it leads out.
fn clean(path: &[u8], dir: &[u8]) -> Option<Vec<u8>> {
    if path.starts_with(b"/") {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in dir.split(|b| *b == b'/').chain(path.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// Offset and size of a member, through a link if it is one.
fn find(members: &HashMap<Vec<u8>, Member>, name: &[u8]) -> Option<(u64, u64)> {
    let mut name = clean(name, b"")?;
    for _ in 0..8 {
        match members.get(&name)? {
            Member::File { offset, size } => return Some((*offset, *size)),
            Member::Link(target) => name = target.clone(),
        }
    }
    None
}

/// A file that is passed over by seeking.
struct Seeking<'a>(BufReader<&'a File>);

impl Read for Seeking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl BufRead for Seeking<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl Input for Seeking<'_> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        // Behind the end of the file is nothing, which whoever reads on finds out.
        i64::try_from(count).map_err(io::Error::other).and_then(|count| self.0.seek_relative(count))
    }
}

/// An open file: of a directory, or a part of an archive, which several threads may read at once.
pub(super) enum Opened<'a> {
    File(File),
    Part { file: &'a File, at: u64, end: u64 },
}

impl Read for Opened<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buf),
            Self::Part { file, at, end } => {
                let left = usize::try_from(end.saturating_sub(*at)).unwrap_or(usize::MAX);
                let length = buf.len().min(left);
                let n = file.read_at(&mut buf[..length], *at)?;
                *at += n as u64;
                Ok(n)
            }
        }
    }
}
