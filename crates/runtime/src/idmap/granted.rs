//! What `/etc/subuid` and `/etc/subgid` grant ([subuid(5)](https://man7.org/linux/man-pages/man5/subuid.5.html)), to tell
//! which ids newuidmap(1) or newgidmap(1) refused, and why.

use std::fmt::Write as _;
use std::ops::Range;

use nix::unistd::{Uid, User, getuid};
use orlop_spec::IdMapping;

/// A range of ids that is not granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The mapping that asks for it.
    pub(super) index: usize,
    /// The ids, with both ends: "700000-765535".
    pub(super) ids: String,
    /// What the file does grant, in the same form, or "nothing".
    pub(super) granted: String,
}

/// Who asks, as the files know them: by name or by number. The real user, as the helpers see it.
pub(super) struct Asker {
    uid: Uid,
    name: Option<String>,
}

impl Asker {
    /// The caller.
    pub(super) fn own() -> Self {
        let uid = getuid();
        Self { uid, name: User::from_uid(uid).ok().flatten().map(|user| user.name) }
    }

    /// In words.
    pub(super) fn words(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| format!("user {}", self.uid), |name| format!("user {name} ({})", self.uid))
    }

    fn is(&self, text: &str) -> bool {
        self.name.as_deref() == Some(text) || text.parse() == Ok(self.uid.as_raw())
    }
}

/// The first mapping of ids that are neither the caller's `own` nor granted by the text of `/etc/subuid` or `/etc/subgid`.
pub(super) fn missing(mappings: &[IdMapping], own: u32, text: &str, asker: &Asker) -> Option<Missing> {
    let granted: Vec<Range<u64>> = text.lines().filter_map(|line| grant(line, asker)).collect();
    let refused = |m: &IdMapping| {
        let wanted = range(m.host_id, m.size);
        let is_own = m.size == 1 && m.host_id == own;
        !is_own && !granted.iter().any(|g| g.start <= wanted.start && wanted.end <= g.end)
    };
    let index = mappings.iter().position(refused)?;
    let wanted = range(mappings[index].host_id, mappings[index].size);
    Some(Missing { index, ids: words(&[wanted]), granted: words(&granted) })
}

/// One line: user, first id, count.
fn grant(line: &str, asker: &Asker) -> Option<Range<u64>> {
    let mut fields = line.split(':');
    let (user, first, count) = (fields.next()?, fields.next()?, fields.next()?);
    asker.is(user).then_some(())?;
    Some(range(first.trim().parse().ok()?, count.trim().parse().ok()?))
}

fn range(first: u32, count: u32) -> Range<u64> {
    u64::from(first)..u64::from(first) + u64::from(count)
}

fn words(ranges: &[Range<u64>]) -> String {
    let mut text = String::new();
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        write!(text, "{comma}{}-{}", range.start, range.end - 1).ok();
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Asker, IdMapping, Missing, missing};

    const TEXT: &str =
        "root:1:1\nann:100000:65536\n# a comment\n1000:300000:10\nannabel:500000:65536\nann:odd:3\n";

    fn refused(mappings: &[(u32, u32)]) -> Option<Missing> {
        let asker = Asker { uid: 1000.into(), name: Some("ann".to_owned()) };
        let mappings: Vec<IdMapping> = mappings
            .iter()
            .map(|(host_id, size)| IdMapping { container_id: 0, host_id: *host_id, size: *size })
            .collect();
        missing(&mappings, 1000, TEXT, &asker)
    }

    #[test]
    fn the_callers_own_id_and_what_is_granted_by_name_or_number_is_not_missing() {
        assert_eq!(refused(&[(1000, 1), (100_000, 65536)]), None);
        assert_eq!(refused(&[(1000, 1), (100_001, 2), (300_000, 10)]), None);
    }

    #[test]
    fn what_is_missing_is_told_with_what_there_is() {
        let expected = |index, ids: &str| {
            let granted = "100000-165535, 300000-300009".to_owned();
            Some(Missing { index, ids: ids.to_owned(), granted })
        };
        assert_eq!(refused(&[(1000, 1), (100_000, 65537)]), expected(1, "100000-165536"));
        assert_eq!(refused(&[(1000, 2)]), expected(0, "1000-1001"));
        assert_eq!(refused(&[(500_000, 1)]), expected(0, "500000-500000"));
        assert_eq!(refused(&[(u32::MAX - 1, 1)]), expected(0, "4294967294-4294967294"));
    }

    #[test]
    fn a_user_without_a_line_has_nothing() {
        let asker = Asker { uid: 7.into(), name: None };
        let one = [IdMapping { container_id: 0, host_id: 100_000, size: 1 }];
        assert_eq!(missing(&one, 7, TEXT, &asker).map(|m| m.granted).as_deref(), Some("nothing"));
    }
}
