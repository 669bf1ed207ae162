//! gzip, zstd or neither: told by the first bytes, since media types of layers are wrong often enough that no engine
//! relies on them.

use std::io::{self, BufRead, Read};

use crate::error::{Error, Result};

/// How a blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// What the first bytes tell.
    pub(crate) fn of(start: &[u8]) -> Result<Self> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame, or one that is to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Err(unknown("bzip2")),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(unknown("xz")),
            _ => Ok(Self::None),
        }
    }
}

fn unknown(what: &str) -> Error {
    Error::archive(
        b"",
        format!("it is compressed with {what}: image layers are with gzip, zstd or not at all"),
    )
}

/// What is in a blob, without its compression.
pub(crate) fn decoder<'a, R: BufRead + 'a>(mut blob: R) -> io::Result<Result<Box<dyn Read + 'a>>> {
    let compression = match Compression::of(blob.fill_buf()?) {
        Ok(compression) => compression,
        Err(e) => return Ok(Err(e)),
    };
    Ok(Ok(match compression {
        Compression::None => Box::new(blob),
        // A blob may consist of several members, one after the other.
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        // Of several frames, too; those that are marked to be skipped (zstd:chunked keeps a table of contents in one) are. It
        // takes windows of up to 128 MiB, as all decoders do unless they are told otherwise.
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(blob)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(blob: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        decoder(blob)?.expect("known").read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn frames_follow_one_another_and_some_are_skipped() {
        let frame = |text: &str| zstd::encode_all(text.as_bytes(), 1).expect("compressed");
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"toc"].concat();
        let blob = [&skipped[..], &frame("one "), &skipped, &frame("two"), &skipped].concat();
        assert_eq!(decoded(&blob).expect("whole"), b"one two");
        assert!(decoded(&blob[..blob.len() - 14]).is_err(), "the last frame is cut off");
        assert!(decoded(&[&frame("one")[..], b"more"].concat()).is_err(), "something follows");
    }
}
