//! `HOME`, from the container's `/etc/passwd`.
//!
//! The file belongs to the container and may be anything: it is read in pieces, lines that make no sense are passed
//! over, and a line that does not fit is none.

use crate::Machine;
use crate::machine::Outcome;
use core::ffi::CStr;
use orlop_sys::file::{How, IN_ROOT};
use orlop_sys::{Fd, file};

const PREFIX: &[u8] = b"HOME=";

/// `HOME=…` as the environment has it.
pub struct Home {
    bytes: [u8; 1024],
    len: usize,
}

impl Home {
    /// Not looked for.
    pub const NONE: Self = Self { bytes: [0; 1024], len: 0 };

    /// The variable, if it was looked for.
    pub fn variable(&self) -> Option<&CStr> {
        CStr::from_bytes_with_nul(self.bytes.get(..self.len)?).ok()
    }

    fn set(&mut self, path: &[u8]) {
        let end = PREFIX.len() + path.len();
        let fits = end < self.bytes.len() && !path.is_empty() && !path.contains(&0);
        let (path, end) = if fits { (path, end) } else { (&b"/"[..], PREFIX.len() + 1) };
        for (to, from) in self.bytes.iter_mut().zip(PREFIX.iter().chain(path).chain(&[0])) {
            *to = *from;
        }
        self.len = end + 1;
    }
}

/// Finds the user's home directory; `/` if there is none.
pub fn find(machine: &mut Machine<'_>, uid: u32) -> Outcome {
    machine.home.set(b"/");
    let how = How { flags: libc::O_RDONLY | libc::O_NONBLOCK, mode: 0, resolve: IN_ROOT };
    let Ok(passwd) = file::openat2(machine.root(), c"/etc/passwd", how) else { return Ok(()) };
    if !file::fstat(passwd.fd())?.is(libc::S_IFREG) {
        return Ok(());
    }
    search(passwd.fd(), uid, &mut machine.home);
    Ok(())
}

/// Goes through the file line by line, with a buffer that holds one.
pub fn search(passwd: Fd, uid: u32, home: &mut Home) {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    let mut skipping = false;
    loop {
        let Some(room) = buffer.get_mut(filled..) else { return };
        let Ok(n) = file::read(passwd, room) else { return };
        let last = n == 0;
        filled += n;
        let text = buffer.get(..filled).unwrap_or(&[]);
        let mut start = 0;
        for end in text
            .iter()
            .enumerate()
            .filter(|(_, b)| **b == b'\n')
            .map(|(at, _)| at)
            .chain(last.then_some(filled))
        {
            let line = text.get(start..end).unwrap_or(&[]);
            if let Some(path) = home_of(line, uid).filter(|_| !skipping) {
                home.set(path);
                return;
            }
            skipping = false;
            start = end + 1;
        }
        if last {
            return;
        }
        // A line longer than the buffer is passed over.
        if start == 0 && filled == buffer.len() {
            skipping = true;
            filled = 0;
        } else {
            buffer.copy_within(start.min(filled)..filled, 0);
            filled -= start.min(filled);
        }
    }
}

/// The sixth field, if the third is this number: `name:password:uid:gid:comment:home:shell`.
fn home_of(line: &[u8], uid: u32) -> Option<&[u8]> {
    let mut fields = line.split(|b| *b == b':');
    if crate::decimal(fields.nth(2)?) == Some(uid) { fields.nth(2) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Home, home_of};

    #[test]
    fn the_sixth_field_of_the_line_with_the_uid() {
        assert_eq!(home_of(b"root:x:0:0:root:/root:/bin/sh", 0), Some(&b"/root"[..]));
        assert_eq!(home_of(b"root:x:0:0:root:/root:/bin/sh", 1), None);
        // A user whose *name* is a number is not that number (CVE-2016-3697).
        assert_eq!(home_of(b"1000:x:0:0::/evil:/bin/sh", 1000), None);
        for odd in [
            &b""[..],
            b":::::",
            b"a:b:+0:0::/x",
            b"a:b: 0:0::/x",
            b"a:b:0",
            b"a:b:4294967296:0::/x",
            b"\xff:\xff:\xff:::",
        ] {
            assert_eq!(home_of(odd, 0), None, "{odd:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_the_root() {
        let mut home = Home::NONE;
        assert_eq!(home.variable(), None);
        for (path, expected) in [
            (&b"/root"[..], c"HOME=/root"),
            (b"", c"HOME=/"),
            (&[b'x'; 2000], c"HOME=/"),
            (b"a\0b", c"HOME=/"),
        ] {
            home.set(path);
            assert_eq!(home.variable(), Some(expected));
        }
    }
}
