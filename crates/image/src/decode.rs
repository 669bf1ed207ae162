//! gzip, zstd or neither: told by the first bytes, since media types of layers are wrong often enough that no engine
//! relies on them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

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
    let start = blob.fill_buf()?;
    Ok(Compression::of(start).map(|compression| -> Box<dyn Read> {
        match compression {
            Compression::None => Box::new(blob),
            // A blob may consist of several members, one after the other.
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
            Compression::Zstd => Box::new(Frames { blob, decoder: FrameDecoder::new(), inside: false }),
        }
    }))
}

/// The frames of a blob that is compressed with zstd, one after the other; those that are marked to be skipped (zstd:chunked
/// keeps a table of contents in one) are.
struct Frames<R> {
    blob: R,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.inside && !self.next_frame()? {
                return Ok(0);
            }
            let missing = buf.len().saturating_sub(self.decoder.can_collect());
            if missing > 0 && !self.decoder.is_finished() {
                let strategy = BlockDecodingStrategy::UptoBytes(missing);
                self.decoder.decode_blocks(&mut self.blob, strategy).map_err(|e| invalid(&e))?;
            }
            let n = self.decoder.read(buf)?;
            if n > 0 {
                return Ok(n);
            }
            self.inside = !self.decoder.is_finished();
        }
    }
}

impl<R: BufRead> Frames<R> {
    /// Begins the next frame that has something in it; false at the end of the blob.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.blob.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.blob) {
                Ok(()) => {
                    self.inside = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(&mut (&mut self.blob).take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(e) => return Err(invalid(&e)),
            }
        }
        Ok(false)
    }
}

fn invalid(e: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e.to_string())
}
