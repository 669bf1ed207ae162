//! Where the data of a file with holes belong: GNU's old form (type `S`), and its three forms in PAX records.

use super::header::{BAD_MAP, OldSparse, read_pieces};
use super::{Archive, Entry, Input};
use crate::error::{Error, Result};

/// More pieces than this are nobody's file.
const MOST: usize = 1 << 20;

/// What PAX records say about holes.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    /// Of version 1: the map is at the beginning of the data.
    in_data: bool,
    /// Of versions 0.0 and 0.1: the map itself, offsets and lengths taking turns.
    map: Vec<u64>,
    any: bool,
}

impl Described {
    pub(super) const fn is_some(&self) -> bool {
        self.any
    }

    /// Takes a record in; `None` if it makes no sense.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        self.any = true;
        match key {
            b"major" if number()? == 1 => self.in_data = true,
            b"major" if number()? == 0 => {}
            b"minor" if number()? <= 1 => {}
            b"name" => self.name = Some(value.to_vec()),
            b"realsize" | b"size" => self.size = Some(number()?),
            b"numblocks" => {}
            b"offset" | b"numbytes" => self.map.push(number()?),
            b"map" => {
                let text = std::str::from_utf8(value).ok()?;
                self.map = text.split(',').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
            }
            _ => return None,
        }
        (self.map.len() <= 2 * MOST).then_some(())
    }
}

/// Finds out where the data of `entry` belong, reading what of the map is among its data.
pub(super) fn apply<I: Input>(
    archive: &mut Archive<I>,
    entry: &mut Entry,
    old: Option<OldSparse>,
    described: Described,
) -> Result<()> {
    let pieces = if let Some(mut old) = old {
        while old.more {
            old.more = more_pieces(archive, entry, &mut old.pieces)?;
        }
        entry.size = old.size;
        old.pieces
    } else if described.any {
        let wrong = || Error::archive(&entry.path, BAD_MAP);
        entry.size = described.size.ok_or_else(wrong)?;
        let pieces = if described.in_data {
            map_in_data(archive).map_err(|e| e.unwrap_or_else(wrong))?
        } else if described.map.len().is_multiple_of(2) {
            described.map.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        } else {
            return Err(wrong());
        };
        if let Some(name) = described.name {
            entry.path = name;
        }
        pieces
    } else {
        return Ok(());
    };
    if !makes_sense(&pieces, entry.size, archive.left()) {
        return Err(Error::archive(&entry.path, BAD_MAP));
    }
    entry.pieces = Some(pieces);
    Ok(())
}

/// Whether the pieces are in order, within the file, and as long as the data that there are.
fn makes_sense(pieces: &[(u64, u64)], size: u64, stored: u64) -> bool {
    let mut end = 0;
    let mut sum = 0_u64;
    for (offset, length) in pieces {
        let Some(next) = offset.checked_add(*length) else { return false };
        if *offset < end || next > size {
            return false;
        }
        end = next;
        sum += length;
    }
    sum == stored && i64::try_from(size).is_ok()
}

/// A block that continues the map of GNU's old form: it comes before the data, and is not counted among them.
fn more_pieces<I: Input>(
    archive: &mut Archive<I>,
    entry: &Entry,
    pieces: &mut Vec<(u64, u64)>,
) -> Result<bool> {
    let block = archive.raw_block()?.ok_or_else(|| super::truncated(&entry.path))?;
    archive.end += super::BLOCK as u64;
    read_pieces(&block[..504], pieces)
        .filter(|()| pieces.len() <= MOST)
        .ok_or_else(|| Error::archive(&entry.path, BAD_MAP))?;
    Ok(block[504] != 0)
}

/// The map of version 1, in lines of decimal digits, filled up to a block. An error without one means that it makes no
/// sense.
fn map_in_data<I: Input>(archive: &mut Archive<I>) -> std::result::Result<Vec<(u64, u64)>, Option<Error>> {
    let mut lines = Lines { archive, read: 0 };
    let count = lines.number()?;
    if count > MOST as u64 {
        return Err(None);
    }
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push((lines.number()?, lines.number()?));
    }
    let padding = lines.read.next_multiple_of(super::BLOCK) - lines.read;
    for _ in 0..padding {
        lines.byte()?;
    }
    Ok(pieces)
}

struct Lines<'a, I> {
    archive: &'a mut Archive<I>,
    read: usize,
}

impl<I: Input> Lines<'_, I> {
    fn byte(&mut self) -> std::result::Result<u8, Option<Error>> {
        let byte = *self.archive.data().map_err(Some)?.first().ok_or(None)?;
        self.archive.used(1);
        self.read += 1;
        Ok(byte)
    }

    fn number(&mut self) -> std::result::Result<u64, Option<Error>> {
        let mut value = None;
        loop {
            match self.byte()? {
                b'\n' => return value.ok_or(None),
                digit @ b'0'..=b'9' => {
                    let scaled = value.unwrap_or(0_u64).checked_mul(10);
                    value = scaled.and_then(|value| value.checked_add(u64::from(digit - b'0')));
                    if value.is_none() {
                        return Err(None);
                    }
                }
                _ => return Err(None),
            }
        }
    }
}
