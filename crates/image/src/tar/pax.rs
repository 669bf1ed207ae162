//! Records that extend a header: `LENGTH KEY=VALUE\n` each.

use super::Time;
use super::sparse::Described;
use crate::error::{Error, Result};

/// What the records before an entry say; what none says is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Described,
    any: bool,
}

impl Records {
    /// Whether there were any.
    pub(super) const fn is_some(&self) -> bool {
        self.any
    }

    /// Reads a set of records.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut records = Self { any: true, ..Self::default() };
        let mut rest = bytes;
        // Some writers fill up with NUL.
        while rest.first().is_some_and(|b| *b != 0) {
            let (key, value, after) = record(rest).ok_or_else(|| malformed("a record is malformed"))?;
            records.set(key, value)?;
            rest = after;
        }
        Ok(records)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let text = || std::str::from_utf8(value).ok();
        let number = || {
            let number = text().and_then(|text| text.parse().ok());
            number.ok_or_else(|| malformed(&format!("{} is no number", String::from_utf8_lossy(key))))
        };
        match key {
            // An empty value takes back what a global record said, and no entry has an empty path.
            b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                let time = text().and_then(time);
                self.mtime = Some(time.ok_or_else(|| malformed("mtime is no time"))?);
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    // Of two the last counts, as with everything here.
                    self.attributes.retain(|(other, _)| other != name);
                    self.attributes.push((name.to_vec(), value.to_vec()));
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(key, value).ok_or_else(|| malformed(super::header::BAD_MAP))?;
                }
                // Others (names of owners, other times, comments) have no place in a file system.
            }
        }
        Ok(())
    }

    /// Takes over records for all entries that follow. What can only be meant for one is refused.
    pub(super) fn add_global(&mut self, more: &Self) -> Result<()> {
        let single = more.path.is_some() || more.link.is_some() || more.size.is_some();
        if single || !more.attributes.is_empty() || more.sparse.is_some() {
            return Err(malformed("a global header sets what belongs to one entry"));
        }
        self.uid = more.uid.or(self.uid);
        self.gid = more.gid.or(self.gid);
        self.mtime = more.mtime.or(self.mtime);
        Ok(())
    }
}

fn malformed(why: &str) -> Error {
    Error::archive(b"", format!("an extended header: {why}"))
}

/// Key, value, and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let (record, after) = bytes.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    (!key.is_empty()).then_some((key, value, after))
}

/// Seconds with a fraction; what is finer than a nanosecond is cut off.
fn time(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let mut nanoseconds: u32 = digits.parse().ok()?;
    // The fraction of a negative time counts downwards.
    if whole.starts_with('-') && nanoseconds > 0 {
        seconds = seconds.checked_sub(1)?;
        nanoseconds = 1_000_000_000 - nanoseconds;
    }
    Some(Time { seconds, nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nanoseconds_and_may_be_before_1970() {
        let time = |text| time(text).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(time("1.5"), Some((1, 500_000_000)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("7.0000000019"), Some((7, 1)));
        assert_eq!(time("1.x"), None);
        assert_eq!(time(""), None);
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in [&b"5 a=b\n"[..], b"99 a=b\n", b"6 a=bc", b"6 abc\n\n", b"x", b"5 =b\n", b"0 a=b\n"] {
            assert!(Records::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Records::parse(b"10 uid=42\n").expect("well formed").uid, Some(42));
    }
}
