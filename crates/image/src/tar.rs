//! Reading tar archives as a stream: POSIX (ustar and PAX), GNU's and old ones ([tar(5)], [pax]).
//!
//! | file | what is in it |
//! |---|---|
//! | `tar/header.rs` | the block that begins an entry |
//! | `tar/pax.rs` | records that extend it |
//! | `tar/sparse.rs` | where the data of a file with holes belong |
//! | `tar/write.rs` | the other direction |
//!
//! Nothing is guessed: what is malformed ends the reading. Where the formats leave a choice, what Go's `archive/tar` does is
//! done, since that is what made nearly all images, and what unpacks them elsewhere.
//!
//! [tar(5)]: https://man.freebsd.org/cgi/man.cgi?query=tar&sektion=5
//! [pax]: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html

mod header;
mod pax;
mod sparse;
pub(crate) mod write;

use std::io::{self, BufRead};

use crate::error::{Error, Result};
use header::Header;
use pax::Records;

/// The unit of everything in an archive.
pub(crate) const BLOCK: usize = 512;
/// The longest name or set of records that is read into memory.
const LONGEST: u64 = 1 << 20;

/// What an archive is read from.
pub(crate) trait Input: BufRead {
    /// Passes over so many bytes; fewer if there are no more.
    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let there = self.fill_buf()?.len();
            if there == 0 {
                return Ok(());
            }
            let step = count.min(there as u64);
            self.consume(step as usize);
            count -= step;
        }
        Ok(())
    }
}

impl Input for &[u8] {}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// One entry, with everything that headers and records say of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As it is in the archive: nothing has been checked.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    /// Permission bits only.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    /// What a link leads to.
    pub(crate) link: Vec<u8>,
    /// The length of the file, holes included.
    pub(crate) size: u64,
    /// Major and minor number of a device.
    pub(crate) device: (u64, u64),
    /// Extended attributes by name.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Offset and length of each piece of data, in order, if the file has holes.
    pub(crate) pieces: Option<Vec<(u64, u64)>>,
    /// Where in the input its data begin.
    pub(crate) offset: u64,
}

impl Entry {
    /// One of root's, from 1970, with nothing else said of it.
    pub(crate) fn new(path: impl Into<Vec<u8>>, kind: Kind, mode: u32, size: u64) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            link: Vec::new(),
            size,
            device: (0, 0),
            attributes: Vec::new(),
            pieces: None,
            offset: 0,
        }
    }
}

/// An archive that is being read.
pub(crate) struct Archive<I> {
    input: I,
    /// How far it has been read.
    position: u64,
    /// How much data of the current entry is unread.
    left: u64,
    /// The end of the current entry, on a block's boundary.
    end: u64,
    globals: Records,
}

impl<I: Input> Archive<I> {
    pub(crate) fn new(input: I) -> Self {
        Self { input, position: 0, left: 0, end: 0, globals: Records::default() }
    }

    /// The next entry, or `None` at the end, after which nothing but zeros may come.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        self.finish_entry()?;
        let mut records = Records::default();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(block) = self.block()? else {
                let dangling = long_name.is_some() || long_link.is_some() || records.is_some();
                return if dangling { Err(truncated(b"")) } else { self.finish() };
            };
            let header = Header::parse(&block)?;
            match header.kind {
                b'x' => records = Records::parse(&self.small(&header)?)?,
                b'g' => {
                    let more = Records::parse(&self.small(&header)?)?;
                    self.globals.add_global(&more)?;
                }
                b'L' => long_name = Some(until_nul(self.small(&header)?)),
                b'K' => long_link = Some(until_nul(self.small(&header)?)),
                _ => return self.entry(header, records, long_name, long_link).map(Some),
            }
        }
    }

    /// Puts an entry together: records come before GNU's long names, which come before the header.
    fn entry(
        &mut self,
        header: Header,
        records: Records,
        name: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
    ) -> Result<Entry> {
        let path = records.path.clone().or(name).unwrap_or(header.path);
        let kind = header::kind(header.kind, &path)?;
        let wrong = |why: &str| Error::archive(&path, why);
        let owner = |value: u64| match u32::try_from(value) {
            // The kernel takes the last one for "leave it".
            Err(_) | Ok(u32::MAX) => Err(wrong(&format!("the owner {value} is no id"))),
            Ok(id) => Ok(id),
        };
        let uid = owner(records.uid.or(self.globals.uid).unwrap_or(header.uid))?;
        let gid = owner(records.gid.or(self.globals.gid).unwrap_or(header.gid))?;
        let stored = if kind == Kind::File { records.size.unwrap_or(header.size) } else { 0 };
        let padded = stored.checked_next_multiple_of(BLOCK as u64);
        let end = padded.and_then(|padded| self.position.checked_add(padded));
        self.end =
            end.filter(|end| i64::try_from(*end).is_ok()).ok_or_else(|| wrong("its size is absurd"))?;
        self.left = stored;
        let mut entry = Entry {
            mode: header.mode,
            uid,
            gid,
            mtime: records.mtime.or(self.globals.mtime).unwrap_or(header.mtime),
            link: records.link.or(link).unwrap_or(header.link),
            size: stored,
            device: header.device,
            attributes: records.attributes,
            pieces: None,
            offset: self.position,
            kind,
            path,
        };
        if kind == Kind::File {
            sparse::apply(self, &mut entry, header.sparse, records.sparse)?;
            entry.offset = self.position;
        }
        Ok(entry)
    }

    /// The data of the current entry that are there without waiting for more: empty at its end.
    pub(crate) fn data(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let (there, left) = (self.input.fill_buf().map_err(broken)?, self.left);
        if there.is_empty() {
            return Err(truncated(b""));
        }
        Ok(&there[..there.len().min(usize::try_from(left).unwrap_or(usize::MAX))])
    }

    /// So much of [`Archive::data`] has been used.
    pub(crate) fn used(&mut self, count: usize) {
        self.input.consume(count);
        self.position += count as u64;
        self.left = self.left.saturating_sub(count as u64);
    }

    /// How much data of the current entry there still is.
    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    /// Passes over what is left of the current entry and its padding.
    fn finish_entry(&mut self) -> Result<()> {
        self.input.skip(self.end.saturating_sub(self.position)).map_err(broken)?;
        self.position = self.position.max(self.end);
        self.left = 0;
        Ok(())
    }

    /// The data of a small entry, and its padding read.
    fn small(&mut self, header: &Header) -> Result<Vec<u8>> {
        if header.size > LONGEST {
            let what = format!("an extended header of {} bytes", header.size);
            return Err(Error::archive(&header.path, format!("{what} is longer than any name needs")));
        }
        let padded = header.size.next_multiple_of(BLOCK as u64);
        let mut bytes = Vec::with_capacity(padded as usize);
        while (bytes.len() as u64) < padded {
            bytes.extend_from_slice(&self.block()?.ok_or_else(|| truncated(&header.path))?);
        }
        bytes.truncate(header.size as usize);
        Ok(bytes)
    }

    /// The next block, or `None` if the input has ended, or there are only zeros in it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let block = self.raw_block()?;
        Ok(block.filter(|block| block.iter().any(|b| *b != 0)))
    }

    /// The next block, or `None` if the input has ended.
    fn raw_block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let there = self.input.fill_buf().map_err(broken)?;
            if there.is_empty() {
                return if filled == 0 { Ok(None) } else { Err(truncated(b"")) };
            }
            let step = there.len().min(BLOCK - filled);
            block[filled..filled + step].copy_from_slice(&there[..step]);
            self.input.consume(step);
            filled += step;
        }
        self.position += BLOCK as u64;
        Ok(Some(block))
    }

    /// After the last entry: zeros only. A block of zeros may have been the first of two that end an archive, or padding.
    fn finish(&mut self) -> Result<Option<Entry>> {
        loop {
            let there = self.input.fill_buf().map_err(broken)?;
            if there.is_empty() {
                return Ok(None);
            }
            if there.iter().any(|b| *b != 0) {
                return Err(Error::archive(b"", "there is something after the end of the archive"));
            }
            let length = there.len();
            self.input.consume(length);
            self.position += length as u64;
        }
    }
}

/// The archive ends where it should not.
fn truncated(entry: &[u8]) -> Error {
    Error::archive(entry, "the archive is truncated")
}

/// Reading the input failed: of a file a call, of a stream what its other end says itself.
fn broken(e: io::Error) -> Error {
    let crate::error::Answer(call, errno) = e.into();
    Error::Kernel { doing: "read the archive".into(), call, errno, hint: "" }
}

/// GNU's long names end with NUL.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}
