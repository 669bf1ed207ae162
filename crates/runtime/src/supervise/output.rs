//! What the container writes, on its way to the log: in lines, or in parts of very long ones.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::read;

/// Longer lines are logged in parts of this size, in bytes; as Docker does.
const LONGEST: usize = 16 * 1024;
/// How often is read before others have their turn.
const TURN: usize = 16;

/// One stream of the container.
#[derive(Debug)]
pub(super) struct Output {
    /// Our end of its pipe, or its terminal; not blocking.
    pub(super) from: OwnedFd,
    /// Its name: `stdout` or `stderr`.
    pub(super) stream: &'static str,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There may be more.
    More,
    /// There is nothing now.
    Empty,
    /// Nothing will come any more.
    Ended,
}

impl Output {
    pub(super) const fn new(from: OwnedFd, stream: &'static str) -> Self {
        Self { from, stream, begun: Vec::new() }
    }

    /// Reads what there is, and hands on whole lines. It may stop before it has to wait, so that others have their turn.
    pub(super) fn read(&mut self, scratch: &mut [u8], tell: &mut impl FnMut(&'static str, &[u8])) -> State {
        for _ in 0..TURN {
            match read(&self.from, scratch) {
                Ok(0) => return self.end(tell),
                Ok(n) => self.take(&scratch[..n], tell),
                Err(Errno::EAGAIN) => return State::Empty,
                Err(Errno::EINTR) => {}
                // A terminal that nobody has open any more says EIO.
                Err(_) => return self.end(tell),
            }
        }
        State::More
    }

    /// Hands on what has no end of line.
    pub(super) fn end(&mut self, tell: &mut impl FnMut(&'static str, &[u8])) -> State {
        if !self.begun.is_empty() {
            tell(self.stream, &self.begun);
            self.begun = Vec::new();
        }
        State::Ended
    }

    fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(&'static str, &[u8])) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let mut rest = piece;
            while self.begun.len() + rest.len() >= LONGEST {
                let (part, more) = rest.split_at(LONGEST - self.begun.len());
                self.begun.extend(part);
                // A character that is not whole stays for the next part.
                let whole = whole(&self.begun);
                tell(self.stream, &self.begun[..whole]);
                self.begun.drain(..whole);
                rest = more;
            }
            if rest.ends_with(b"\n") && self.begun.is_empty() {
                tell(self.stream, rest);
            } else {
                self.begun.extend(rest);
                if rest.ends_with(b"\n") {
                    tell(self.stream, &self.begun);
                    self.begun.clear();
                }
            }
        }
    }
}

/// How much of this does not end within a character of UTF-8.
fn whole(bytes: &[u8]) -> usize {
    let len = bytes.len();
    let start = (1..=3.min(len)).find(|back| bytes[len - back] & 0xC0 != 0x80);
    match start.map(|back| (back, bytes[len - back])) {
        // Its first byte says how many belong to it: two, three or four.
        Some((back @ 1, 0xC0..) | (back @ 2, 0xE0..) | (back @ 3, 0xF0..)) => len - back,
        _ => len,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, write};

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (from, to) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let mut output = Output::new(from, "stdout");
        let mut all = Vec::new();
        let mut tell = |_: &'static str, bytes: &[u8]| all.push(String::from_utf8_lossy(bytes).into_owned());
        for piece in pieces {
            write(&to, piece).unwrap();
            assert_eq!(output.read(&mut [0; 4096], &mut tell), State::Empty);
        }
        drop(to);
        assert_eq!(output.read(&mut [0; 4096], &mut tell), State::Ended);
        all
    }

    #[test]
    fn lines_are_put_together() {
        assert_eq!(lines(&[b"one\ntw", b"o\n", b"\nlast"]), ["one\n", "two\n", "\n", "last"]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn long_lines_come_in_parts_and_characters_stay_whole() {
        let text = "ä".repeat(20_000);
        let parts = lines(&[&text.as_bytes()[..1], &text.as_bytes()[1..], b"\n"]);
        assert!(parts.len() == 3 && parts.iter().all(|part| part.len() <= LONGEST));
        assert_eq!(parts.concat(), format!("{text}\n"));
        let odd = format!("x{text}\n");
        assert_eq!(lines(&[odd.as_bytes()]).concat(), odd);
    }
}
