//! Writing tar archives: ustar headers, and PAX records for what has no place in them.

use std::io::{self, Write};

use super::{BLOCK, Entry, Kind, Time};

/// An archive that is being written.
pub(crate) struct Writer<W> {
    to: W,
    /// How much has been written of the current block.
    filled: usize,
}

impl<W: Write> Writer<W> {
    pub(crate) const fn new(to: W) -> Self {
        Self { to, filled: 0 }
    }

    /// Begins an entry, whose `size` bytes of data follow by [`Writer::data`] if it is a file. Its `pieces` and `offset` do
    /// not matter.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.pad()?;
        let records = records(entry);
        if !records.is_empty() {
            let header = Entry {
                path: b"PaxHeaders/records".to_vec(),
                mode: 0o644,
                size: records.len() as u64,
                ..Entry::new(Vec::new(), entry.kind, entry.mode, 0)
            };
            self.data(&block(&header, b'x'))?;
            self.data(&records)?;
            self.pad()?;
        }
        self.data(&block(entry, letter(entry.kind)))
    }

    /// Some of the data of the current entry.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.filled = (self.filled + bytes.len()) % BLOCK;
        self.to.write_all(bytes)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.pad()?;
        self.to.write_all(&[0; 2 * BLOCK])?;
        Ok(self.to)
    }

    fn pad(&mut self) -> io::Result<()> {
        let missing = (BLOCK - self.filled) % BLOCK;
        self.filled = 0;
        self.to.write_all(&[0; BLOCK][..missing])
    }
}

const fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::Char => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    }
}

/// The largest number of so many octal digits.
const fn largest(digits: u32) -> u64 {
    (1 << (3 * digits)) - 1
}

/// What the header has no place for.
fn records(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| {
        let rest = key.len() + value.len() + 3;
        // The length counts its own digits.
        let mut length = rest + rest.to_string().len();
        length = rest + length.to_string().len();
        records.extend_from_slice(format!("{length} ").as_bytes());
        records.extend_from_slice(&[key, b"=", value, b"\n"].concat());
    };
    if entry.path.len() > 100 {
        add(b"path", &entry.path);
    }
    if entry.link.len() > 100 {
        add(b"linkpath", &entry.link);
    }
    for (key, value, digits) in
        [("size", entry.size, 11), ("uid", entry.uid.into(), 7), ("gid", entry.gid.into(), 7)]
    {
        if value > largest(digits) {
            add(key.as_bytes(), value.to_string().as_bytes());
        }
    }
    let Time { seconds, nanoseconds } = entry.mtime;
    if seconds < 0 || seconds as u64 > largest(11) || nanoseconds > 0 {
        // A fraction counts away from zero.
        let (sign, whole, fraction) = match (seconds < 0, nanoseconds) {
            (false, nanoseconds) => ("", seconds.unsigned_abs(), nanoseconds),
            (true, 0) => ("-", seconds.unsigned_abs(), 0),
            (true, nanoseconds) => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - nanoseconds),
        };
        add(b"mtime", format!("{sign}{whole}.{fraction:09}").as_bytes());
    }
    for (name, value) in &entry.attributes {
        add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    records
}

fn block(entry: &Entry, letter: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let text = |field: &mut [u8], value: &[u8]| {
        let length = value.len().min(field.len());
        field[..length].copy_from_slice(&value[..length]);
    };
    // What is too large stands in a record; the header has its lowest digits.
    let octal = |field: &mut [u8], value: u64| {
        let digits = field.len() - 1;
        let value = format!("{:0digits$o}", value & largest(digits as u32));
        field[..digits].copy_from_slice(value.as_bytes());
    };
    text(&mut block[..100], &entry.path);
    octal(&mut block[100..108], entry.mode.into());
    octal(&mut block[108..116], entry.uid.into());
    octal(&mut block[116..124], entry.gid.into());
    octal(&mut block[124..136], entry.size);
    octal(&mut block[136..148], entry.mtime.seconds.try_into().unwrap_or(0));
    block[156] = letter;
    text(&mut block[157..257], &entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], entry.device.0);
    octal(&mut block[337..345], entry.device.1);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block
}
