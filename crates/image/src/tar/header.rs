//! The block that begins an entry.

use super::{BLOCK, Kind, Time};
use crate::error::{Error, Result};

/// What a header block says.
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: Time,
    /// The type, as a letter.
    pub(super) kind: u8,
    pub(super) link: Vec<u8>,
    pub(super) device: (u64, u64),
    /// Of GNU's old form of sparse files (type `S`): the pieces, the real size, and whether more pieces follow.
    pub(super) sparse: Option<OldSparse>,
}

/// What a header of type `S` says about holes.
pub(super) struct OldSparse {
    pub(super) pieces: Vec<(u64, u64)>,
    pub(super) size: u64,
    pub(super) more: bool,
}

impl Header {
    /// Reads a block that is not all zeros.
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self> {
        let name = text(&block[..100]);
        let wrong = |why: String| Error::archive(name, why);
        if !checksum_fits(block) {
            return Err(wrong(
                "the checksum of its header is wrong: this is no tar archive, or damaged".into(),
            ));
        }
        let number = |what: &str, field: &[u8]| {
            unsigned(field).ok_or_else(|| wrong(format!("the {what} in its header is no number")))
        };
        let kind = block[156];
        // GNU's magic has spaces where POSIX has a NUL and a version, and other fields where POSIX has a prefix.
        let (posix, gnu) = (&block[257..263] == b"ustar\0", &block[257..265] == b"ustar  \0");
        let mut path = Vec::new();
        if posix && block[345] != 0 {
            path.extend_from_slice(text(&block[345..500]));
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let device = match kind {
            b'3' | b'4' if posix || gnu => {
                (number("device number", &block[329..337])?, number("device number", &block[337..345])?)
            }
            b'3' | b'4' => return Err(wrong("it is a device, and its header has no place for which".into())),
            _ => (0, 0),
        };
        let seconds = signed(&block[136..148]).ok_or_else(|| wrong("its time is no number".into()))?;
        Ok(Self {
            mode: number("mode", &block[100..108])? as u32 & 0o7777,
            uid: number("owner", &block[108..116])?,
            gid: number("group", &block[116..124])?,
            size: number("size", &block[124..136])?,
            mtime: Time { seconds, nanoseconds: 0 },
            link: text(&block[157..257]).to_vec(),
            sparse: if kind == b'S' {
                Some(old_sparse(block).ok_or_else(|| wrong(BAD_MAP.into()))?)
            } else {
                None
            },
            path,
            kind,
            device,
        })
    }
}

/// Why a map of pieces is refused.
pub(super) const BAD_MAP: &str = "its map of holes makes no sense";

/// The pieces in a header of type `S`.
fn old_sparse(block: &[u8; BLOCK]) -> Option<OldSparse> {
    let mut pieces = Vec::new();
    read_pieces(&block[386..482], &mut pieces)?;
    Some(OldSparse { pieces, size: unsigned(&block[483..495])?, more: block[482] != 0 })
}

/// Pairs of offset and length, ended by an empty one or the end of the field.
pub(super) fn read_pieces(field: &[u8], pieces: &mut Vec<(u64, u64)>) -> Option<()> {
    for pair in field.chunks_exact(24).take_while(|pair| pair[0] != 0) {
        pieces.push((unsigned(&pair[..12])?, unsigned(&pair[12..])?));
    }
    Some(())
}

/// The kind of entry that a type letter stands for.
pub(super) fn kind(letter: u8, path: &[u8]) -> Result<Kind> {
    Ok(match letter {
        // Before POSIX, directories were files whose name ends with a slash.
        0 if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            let letter = char::from(other);
            return Err(Error::archive(path, format!("entries of the type {letter:?} are not understood")));
        }
    })
}

/// Whether the sum of the block's bytes is what it says, its own field counting as spaces. Some old programs summed signed
/// bytes.
fn checksum_fits(block: &[u8; BLOCK]) -> bool {
    let Some(expected) = unsigned(&block[148..156]) else { return false };
    let of = |at: usize, byte: u8| if (148..156).contains(&at) { b' ' } else { byte };
    let bytes = || block.iter().enumerate().map(|(at, byte)| of(at, *byte));
    let plain: u64 = bytes().map(u64::from).sum();
    let old: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    plain == expected || old == expected as i64
}

/// A text field, up to NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number that is not negative: octal digits, or big-endian bytes after the bit that marks them.
pub(super) fn unsigned(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

fn signed(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        return binary(field);
    }
    let digits = field.trim_ascii_start();
    let digits = digits.split(|b| matches!(b, 0 | b' ')).next()?;
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// GNU's numbers that have no place in octal: two's complement, the first bit being no part of it.
fn binary(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = if at > 0 {
            *byte
        } else if negative {
            byte | 0x80
        } else {
            byte & 0x7f
        };
        value = value.checked_mul(256)? | i128::from(byte);
        if i64::try_from(value).is_err() {
            return None;
        }
    }
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"  644 \0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\x01\0\0\0", Some(1 << 24)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"0009", None),
            (b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(signed(field), value, "{field:?}");
        }
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    }
}
