//! Frames: what lies on the wire.

/// The longest message, in bytes, as all implementations have it.
pub(crate) const MAX: usize = 4 << 20;

const HEADER: usize = 10;

/// What a frame is; other kinds than these are of calls that stream, which nobody makes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    /// Anything else.
    Other(u8),
}

impl Kind {
    const fn of(byte: u8) -> Self {
        match byte {
            1 => Self::Request,
            2 => Self::Response,
            other => Self::Other(other),
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Response => 2,
            Self::Other(byte) => byte,
        }
    }
}

/// One message of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which call; the caller counts in odd numbers.
    pub(crate) stream: u32,
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Writes it behind what is there.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend((self.payload.len() as u32).to_be_bytes());
        out.extend(self.stream.to_be_bytes());
        out.extend([self.kind.byte(), 0]);
        out.extend(&self.payload);
    }
}

/// What was found in the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Frame(Frame),
    /// A frame that is too long; it is thrown away as it comes.
    TooLong {
        stream: u32,
    },
}

/// Finds frames in bytes as they come. It holds at most one frame and what came with its end.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// How much of `bytes` has been found.
    start: usize,
    /// How many bytes of a frame that is too long are still to come.
    skip: usize,
}

impl Decoder {
    /// More bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.bytes.extend(&bytes[skipped..]);
    }

    /// The next frame, if it is there.
    pub(crate) fn next(&mut self) -> Option<Found> {
        let found = self.find();
        if found.is_none() {
            self.bytes.drain(..self.start);
            self.start = 0;
            // A long message is rare; what it needed is not kept for a short one.
            self.bytes.shrink_to(64 << 10);
        }
        found
    }

    fn find(&mut self) -> Option<Found> {
        let rest = &self.bytes[self.start..];
        let (length, rest) = rest.split_first_chunk()?;
        let (stream, rest) = rest.split_first_chunk()?;
        let ([kind, _flags], rest) = rest.split_first_chunk()?;
        let (length, stream) = (u32::from_be_bytes(*length) as usize, u32::from_be_bytes(*stream));
        if length > MAX {
            let here = length.min(rest.len());
            self.skip = length - here;
            self.start += HEADER + here;
            return Some(Found::TooLong { stream });
        }
        let payload = rest.get(..length)?.to_vec();
        self.start += HEADER + length;
        Some(Found::Frame(Frame { stream, kind: Kind::of(*kind), payload }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u32, payload: &[u8]) -> Frame {
        Frame { stream, kind: Kind::Request, payload: payload.to_vec() }
    }

    fn all(decoder: &mut Decoder) -> Vec<Found> {
        std::iter::from_fn(|| decoder.next()).collect()
    }

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let frames = [frame(1, b"one"), frame(3, b""), frame(5, &[7; 300])];
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.put(&mut bytes);
        }
        let expected: Vec<_> = frames.into_iter().map(Found::Frame).collect();
        for size in [1, 2, 9, 10, 11, 13, 14, 400] {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.feed(piece);
                found.extend(all(&mut decoder));
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn the_header_is_as_the_protocol_has_it() {
        let mut bytes = Vec::new();
        frame(0x0102_0305, b"ab").put(&mut bytes);
        assert_eq!(bytes, [0, 0, 0, 2, 1, 2, 3, 5, 1, 0, b'a', b'b']);
    }

    #[test]
    fn a_frame_that_is_too_long_is_thrown_away_and_the_next_one_found() {
        for piece in [100_000, 4096, MAX + 50] {
            let mut bytes = vec![0x00, 0x40, 0x00, 0x01, 0, 0, 0, 9, 1, 0];
            bytes.extend(vec![0xff; MAX + 1]);
            frame(11, b"next").put(&mut bytes);
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in bytes.chunks(piece) {
                decoder.feed(piece);
                found.extend(all(&mut decoder));
                assert!(decoder.bytes.capacity() <= 2 * (MAX + 64));
            }
            assert_eq!(found, [Found::TooLong { stream: 9 }, Found::Frame(frame(11, b"next"))]);
        }
    }

    #[test]
    fn the_longest_frame_is_found() {
        let longest = frame(1, &vec![1; MAX]);
        let mut bytes = Vec::new();
        longest.put(&mut bytes);
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        assert_eq!(all(&mut decoder), [Found::Frame(longest)]);
        assert!(decoder.bytes.capacity() <= 64 << 10, "and its memory is given back");
    }
}
