//! Mount options: what each name means (`config.md`, Linux mount options).

use super::idmap::IdMapOption;
use crate::root::propagation;
use libc::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME, MS_BIND, MS_DIRSYNC,
    MS_I_VERSION, MS_LAZYTIME, MS_MANDLOCK, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID,
    MS_NOSYMFOLLOW, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SILENT, MS_STRICTATIME, MS_SYNCHRONOUS,
};

/// mount_setattr(2), Linux 5.14; the C library crate has no name for it.
pub(crate) const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x0020_0000;

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Sets flags of mount(2).
    Set(u64),
    /// Clears flags of mount(2).
    Clear(u64),
    /// Sets an attribute on every mount of the tree.
    SetAll(u64),
    /// Clears an attribute on every mount of the tree.
    ClearAll(u64),
    /// Sets the propagation.
    Propagation,
    /// The new file system begins with a copy of what it covers.
    CopyUp,
    /// Ids are mapped, of every mount of the tree or of the one.
    IdMap(bool),
}

use Meaning::{Clear, ClearAll, CopyUp, IdMap, Propagation, Set, SetAll};

/// Every option that is not left to the file system, sorted by name.
const TABLE: &[(&str, Meaning)] = &[
    ("async", Clear(MS_SYNCHRONOUS)),
    ("atime", Clear(MS_NOATIME)),
    ("bind", Set(MS_BIND)),
    ("defaults", Set(0)),
    ("dev", Clear(MS_NODEV)),
    ("diratime", Clear(MS_NODIRATIME)),
    ("dirsync", Set(MS_DIRSYNC)),
    ("exec", Clear(MS_NOEXEC)),
    ("idmap", IdMap(false)),
    ("iversion", Set(MS_I_VERSION)),
    ("lazytime", Set(MS_LAZYTIME)),
    ("loud", Clear(MS_SILENT)),
    ("mand", Set(MS_MANDLOCK)),
    ("noatime", Set(MS_NOATIME)),
    ("nodev", Set(MS_NODEV)),
    ("nodiratime", Set(MS_NODIRATIME)),
    ("noexec", Set(MS_NOEXEC)),
    ("noiversion", Clear(MS_I_VERSION)),
    ("nolazytime", Clear(MS_LAZYTIME)),
    ("nomand", Clear(MS_MANDLOCK)),
    ("norelatime", Clear(MS_RELATIME)),
    ("nostrictatime", Clear(MS_STRICTATIME)),
    ("nosuid", Set(MS_NOSUID)),
    ("nosymfollow", Set(MS_NOSYMFOLLOW)),
    ("private", Propagation),
    ("ratime", ClearAll(MOUNT_ATTR_NOATIME)),
    ("rbind", Set(MS_BIND | MS_REC)),
    ("rdev", ClearAll(MOUNT_ATTR_NODEV)),
    ("rdiratime", ClearAll(MOUNT_ATTR_NODIRATIME)),
    ("relatime", Set(MS_RELATIME)),
    ("remount", Set(MS_REMOUNT)),
    ("rexec", ClearAll(MOUNT_ATTR_NOEXEC)),
    ("ridmap", IdMap(true)),
    ("rnoatime", SetAll(MOUNT_ATTR_NOATIME)),
    ("rnodev", SetAll(MOUNT_ATTR_NODEV)),
    ("rnodiratime", SetAll(MOUNT_ATTR_NODIRATIME)),
    ("rnoexec", SetAll(MOUNT_ATTR_NOEXEC)),
    ("rnorelatime", ClearAll(MOUNT_ATTR_RELATIME)),
    ("rnostrictatime", ClearAll(MOUNT_ATTR_STRICTATIME)),
    ("rnosuid", SetAll(MOUNT_ATTR_NOSUID)),
    ("rnosymfollow", SetAll(MOUNT_ATTR_NOSYMFOLLOW)),
    ("ro", Set(MS_RDONLY)),
    ("rprivate", Propagation),
    ("rrelatime", SetAll(MOUNT_ATTR_RELATIME)),
    ("rro", SetAll(MOUNT_ATTR_RDONLY)),
    ("rrw", ClearAll(MOUNT_ATTR_RDONLY)),
    ("rshared", Propagation),
    ("rslave", Propagation),
    ("rstrictatime", SetAll(MOUNT_ATTR_STRICTATIME)),
    ("rsuid", ClearAll(MOUNT_ATTR_NOSUID)),
    ("rsymfollow", ClearAll(MOUNT_ATTR_NOSYMFOLLOW)),
    ("runbindable", Propagation),
    ("rw", Clear(MS_RDONLY)),
    ("shared", Propagation),
    ("silent", Set(MS_SILENT)),
    ("slave", Propagation),
    ("strictatime", Set(MS_STRICTATIME)),
    ("suid", Clear(MS_NOSUID)),
    ("symfollow", Clear(MS_NOSYMFOLLOW)),
    ("sync", Set(MS_SYNCHRONOUS)),
    ("tmpcopyup", CopyUp),
    ("unbindable", Propagation),
];

/// Every option with a meaning of its own, sorted by name: what `features` lists.
pub fn known() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Flags of mount(2) that are attributes of a mount, but for those of access times.
const ATTRIBUTES: [(u64, u64); 6] = [
    (MS_RDONLY, MOUNT_ATTR_RDONLY),
    (MS_NOSUID, MOUNT_ATTR_NOSUID),
    (MS_NODEV, MOUNT_ATTR_NODEV),
    (MS_NOEXEC, MOUNT_ATTR_NOEXEC),
    (MS_NODIRATIME, MOUNT_ATTR_NODIRATIME),
    (MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW),
];

/// Flags of mount(2) that are the file system's, with their names for fsconfig(2).
pub(super) const OF_FILE_SYSTEM: [(u64, &str); 5] = [
    (MS_RDONLY, "ro"),
    (MS_SYNCHRONOUS, "sync"),
    (MS_DIRSYNC, "dirsync"),
    (MS_MANDLOCK, "mand"),
    (MS_LAZYTIME, "lazytime"),
];

/// What stricter mounts have.
const RESTRICTIONS: u64 =
    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;

/// An option for the file system: key, value, and its index in the list.
pub(super) type Datum<'a> = (&'a str, Option<&'a str>, usize);

/// The options of one mount, understood. Of options that contradict each other the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MountOptions<'a> {
    /// Flags of mount(2) that are set.
    pub(crate) flags: u64,
    /// Flags of mount(2) that are explicitly not.
    cleared: u64,
    /// Attributes to set on every mount of a tree.
    pub(super) set_all: u64,
    /// Attributes to clear on every mount of a tree.
    pub(super) clear_all: u64,
    /// Propagation types in order, each with whether it is recursive and its index.
    pub(super) propagations: Vec<(u64, bool, usize)>,
    /// What the file system has to understand.
    pub(super) data: Vec<Datum<'a>>,
    /// The index of `tmpcopyup`, if it is there.
    pub(super) copy_up: Option<usize>,
    /// Whether and how ids are mapped.
    pub(super) id_map: Option<IdMapOption<'a>>,
}

impl<'a> MountOptions<'a> {
    pub(crate) fn parse(options: &'a [String]) -> Self {
        let mut parsed = Self::default();
        for (index, option) in options.iter().enumerate() {
            match TABLE.binary_search_by_key(&option.as_str(), |(name, _)| name) {
                Ok(at) => parsed.apply(TABLE[at].1, option, index),
                Err(_) => match option.split_once('=') {
                    Some((name @ ("idmap" | "ridmap"), text)) => {
                        let recursive = name == "ridmap";
                        parsed.id_map = Some(IdMapOption { recursive, text: Some(text), index });
                    }
                    _ => parsed.data.extend(split(option).map(|(key, value)| (key, value, index))),
                },
            }
        }
        parsed
    }

    fn apply(&mut self, meaning: Meaning, option: &str, index: usize) {
        match meaning {
            Set(flag) => {
                self.flags |= flag;
                self.cleared &= !flag;
            }
            Clear(flag) => {
                self.flags &= !flag;
                self.cleared |= flag;
            }
            // Access times are one value of several bits: to set one is to clear the others (mount_setattr(2)).
            SetAll(flag) if flag & !MOUNT_ATTR__ATIME == 0 => {
                self.set_all = self.set_all & !MOUNT_ATTR__ATIME | flag;
                self.clear_all |= MOUNT_ATTR__ATIME;
            }
            // That one of the values is not wanted: then what is wanted before, or else the kernel's default, relatime.
            ClearAll(flag) if flag & !MOUNT_ATTR__ATIME == 0 => {
                self.set_all &= !flag;
                self.clear_all |= MOUNT_ATTR__ATIME;
            }
            SetAll(flag) => {
                self.set_all |= flag;
                self.clear_all &= !flag;
            }
            ClearAll(flag) => {
                self.clear_all |= flag;
                self.set_all &= !flag;
            }
            Propagation => {
                self.propagations
                    .extend(propagation(option).map(|(kind, recursive)| (kind, recursive, index)));
            }
            CopyUp => self.copy_up = Some(index),
            IdMap(recursive) => self.id_map = Some(IdMapOption { recursive, text: None, index }),
        }
    }

    /// Whether it is a bind mount, and if so whether a recursive one.
    pub(super) fn bind(&self) -> Option<bool> {
        (self.flags & MS_BIND != 0).then_some(self.flags & MS_REC != 0)
    }

    /// Attributes of a new file system's mount, as mount(2) would set them. A tree of one mount: what is asked for the
    /// whole of it holds for this one.
    pub(super) fn attributes(&self) -> u64 {
        let access =
            if self.clear_all & MOUNT_ATTR__ATIME != 0 { 0 } else { self.access_times().unwrap_or(0) };
        (self.plain_attributes() | access | self.set_all) & !(self.clear_all & !MOUNT_ATTR__ATIME)
    }

    fn plain_attributes(&self) -> u64 {
        let set = ATTRIBUTES.iter().filter(|(flag, _)| self.flags & flag != 0);
        set.fold(0, |all, (_, attribute)| all | attribute)
    }

    /// The access time attribute that is asked for. Strict is stronger than none, as for mount(2), and who asks for
    /// something else than it, such as `nodiratime`, gets the kernel's default.
    fn access_times(&self) -> Option<u64> {
        match self.flags {
            f if f & MS_STRICTATIME != 0 => Some(MOUNT_ATTR_STRICTATIME),
            f if f & MS_NOATIME != 0 => Some(MOUNT_ATTR_NOATIME),
            f if f & (MS_RELATIME | MS_NODIRATIME) != 0 => Some(MOUNT_ATTR_RELATIME),
            _ => None,
        }
    }

    /// Attributes to set and to clear on a bind mount itself.
    ///
    /// As with runc, a list that says anything about attributes says everything: what is not in it is cleared, unless
    /// `remount` is in it too. In another user namespace the kernel may have locked what the source had, so there only
    /// what is explicitly unwanted is cleared. Access times are all set if one of them is named, and else stay as they are:
    /// mount(2) cannot tell that one is unwanted (`atime`, `diratime`) from silence.
    pub(super) fn bind_attributes(&self, may_be_locked: bool) -> (u64, u64) {
        let set = self.plain_attributes();
        let unwanted = ATTRIBUTES.iter().filter(|(flag, _)| self.cleared & flag != 0);
        let mut clear = unwanted.fold(0, |all, (_, attribute)| all | attribute);
        let says_anything = self.flags & !(MS_BIND | MS_REC | MS_REMOUNT) != 0 || self.cleared != 0;
        if says_anything && self.flags & MS_REMOUNT == 0 {
            // To follow no links is never locked.
            let free = if may_be_locked { MOUNT_ATTR_NOSYMFOLLOW } else { RESTRICTIONS };
            clear |= free & !set;
        }
        match self.access_times() {
            Some(access) => (set | access, clear | MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME & !set),
            None => (set, clear & !MOUNT_ATTR_NODIRATIME),
        }
    }
}

/// The single options of what may be several, divided by commas that are neither quoted nor escaped.
fn split(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = end_of_first(text);
        rest = text.get(end + 1..);
        Some(&text[..end])
    })
    .filter(|option| !option.is_empty())
    .map(|option| option.split_once('=').map_or((option, None), |(key, value)| (key, Some(value))))
}

fn end_of_first(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> MountOptions<'static> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        MountOptions::parse(options.leak())
    }

    #[test]
    fn the_table_is_sorted_for_searching() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }

    /// The table of `config.md`, Linux mount options, in its order.
    const OF_THE_SPEC: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand \
        noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow \
        private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime \
        rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid \
        rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap \
        ridmap rnodev";

    #[test]
    fn every_option_of_the_spec_is_known() {
        let known: Vec<_> = known().collect();
        for option in OF_THE_SPEC.split_whitespace() {
            assert!(known.contains(&option), "{option}");
        }
    }

    #[test]
    fn the_last_of_contradicting_options_counts() {
        assert_eq!(parse(&["ro", "rw"]).attributes(), 0);
        assert_eq!(parse(&["rw", "ro"]).attributes(), MOUNT_ATTR_RDONLY);
        assert_eq!(parse(&["rro", "rrw"]).set_all, 0);
    }

    #[test]
    fn access_times_are_one_value() {
        assert_eq!(parse(&["noatime", "strictatime"]).attributes(), MOUNT_ATTR_STRICTATIME);
        assert_eq!(parse(&["relatime"]).attributes(), 0);
        let all = parse(&["rnoatime", "rrelatime"]);
        assert_eq!((all.set_all, all.clear_all), (MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME));
        let undone = parse(&["rnoatime", "ratime"]);
        assert_eq!((undone.set_all, undone.clear_all), (MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME));
        let kept = parse(&["rstrictatime", "rnorelatime", "ratime"]);
        assert_eq!((kept.set_all, kept.clear_all), (MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME));
    }

    #[test]
    fn a_bind_mount_gets_all_access_times_anew_or_none() {
        let all = MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME;
        let changes = |options: &[&str]| {
            let (set, clear) = parse(&[&["bind"], options].concat()).bind_attributes(true);
            (set, clear & all)
        };
        assert_eq!(changes(&["noatime"]), (MOUNT_ATTR_NOATIME, all));
        assert_eq!(changes(&["relatime"]), (MOUNT_ATTR_RELATIME, all));
        assert_eq!(
            changes(&["nodiratime"]),
            (MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME)
        );
        let strict = MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_STRICTATIME;
        assert_eq!(changes(&["nodiratime", "strictatime"]), (strict, MOUNT_ATTR__ATIME));
        for silent in ["atime", "diratime", "norelatime", "nostrictatime", "dev"] {
            assert_eq!(changes(&[silent]), (0, 0), "{silent}");
        }
    }

    #[test]
    fn a_bind_mount_keeps_attributes_only_if_none_are_named() {
        assert_eq!(parse(&["rbind", "rprivate"]).bind_attributes(false), (0, 0));
        let (set, clear) = parse(&["bind", "ro"]).bind_attributes(false);
        assert_eq!((set, clear), (MOUNT_ATTR_RDONLY, RESTRICTIONS & !MOUNT_ATTR_RDONLY));
        assert_eq!(parse(&["bind", "ro"]).bind_attributes(true), (MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSYMFOLLOW));
        assert_eq!(
            parse(&["bind", "exec"]).bind_attributes(true),
            (0, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW)
        );
        assert_eq!(parse(&["bind", "remount", "ro"]).bind_attributes(false), (MOUNT_ATTR_RDONLY, 0));
    }

    #[test]
    fn what_is_left_goes_to_the_file_system() {
        let parsed = parse(&["mode=755,size=64k", "newinstance", "context=\"a,b\"", "lowerdir=a\\,b", "x="]);
        let expected = [
            ("mode", Some("755"), 0),
            ("size", Some("64k"), 0),
            ("newinstance", None, 1),
            ("context", Some("\"a,b\""), 2),
            ("lowerdir", Some("a\\,b"), 3),
            ("x", Some(""), 4),
        ];
        assert_eq!(parsed.data, expected);
    }
}
