//! CRIU's requests and responses: its `images/rpc.proto`, as far as a container runtime uses it.

use super::wire::{Message, Value, fields};

/// Fields of `criu_opts`.
pub(crate) mod opt {
    pub(crate) const IMAGES_DIR_FD: u32 = 1;
    pub(crate) const PID: u32 = 2;
    pub(crate) const LEAVE_RUNNING: u32 = 3;
    pub(crate) const EXT_UNIX_SK: u32 = 4;
    pub(crate) const TCP_ESTABLISHED: u32 = 5;
    pub(crate) const EVASIVE_DEVICES: u32 = 6;
    pub(crate) const SHELL_JOB: u32 = 7;
    pub(crate) const FILE_LOCKS: u32 = 8;
    pub(crate) const LOG_LEVEL: u32 = 9;
    pub(crate) const LOG_FILE: u32 = 10;
    pub(crate) const PAGE_SERVER: u32 = 11;
    pub(crate) const NOTIFY_SCRIPTS: u32 = 12;
    pub(crate) const ROOT: u32 = 13;
    pub(crate) const PARENT_IMG: u32 = 14;
    pub(crate) const TRACK_MEM: u32 = 15;
    pub(crate) const AUTO_DEDUP: u32 = 16;
    pub(crate) const WORK_DIR_FD: u32 = 17;
    pub(crate) const LINK_REMAP: u32 = 18;
    pub(crate) const EXT_MNT: u32 = 23;
    pub(crate) const MANAGE_CGROUPS: u32 = 24;
    pub(crate) const CG_ROOT: u32 = 25;
    pub(crate) const RST_SIBLING: u32 = 26;
    pub(crate) const INHERIT_FD: u32 = 27;
    pub(crate) const EXT_MASTERS: u32 = 30;
    pub(crate) const MANAGE_CGROUPS_MODE: u32 = 34;
    pub(crate) const EXTERNAL: u32 = 37;
    pub(crate) const EMPTY_NS: u32 = 38;
    pub(crate) const JOIN_NS: u32 = 39;
    pub(crate) const FREEZE_CGROUP: u32 = 44;
    pub(crate) const TCP_SKIP_IN_FLIGHT: u32 = 46;
    pub(crate) const LAZY_PAGES: u32 = 48;
    pub(crate) const ORPHAN_PTS_MASTER: u32 = 50;
    pub(crate) const CONFIG_FILE: u32 = 51;
    pub(crate) const TCP_CLOSE: u32 = 52;
    pub(crate) const LSM_PROFILE: u32 = 53;
    pub(crate) const CGROUP_YARD: u32 = 60;
    pub(crate) const LSM_MOUNT_CONTEXT: u32 = 63;
    pub(crate) const NETWORK_LOCK: u32 = 64;
}

/// What CRIU is asked to do: `criu_req_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    /// Not a request of ours, but our answer when CRIU tells how far it is.
    Notify = 6,
    FeatureCheck = 9,
    Version = 10,
}

/// A request: `criu_req`.
pub(crate) fn request(kind: Kind, opts: Option<&Message>) -> Message {
    let mut request = Message::default();
    request.number(1, kind as u32);
    if let Some(opts) = opts {
        request.message(2, opts);
    }
    if kind == Kind::FeatureCheck {
        let mut features = Message::default();
        features.flag(1, true).flag(2, true);
        request.message(5, &features);
    }
    request
}

/// The answer to a notification: go on, or give up.
pub(crate) fn notified(go_on: bool) -> Message {
    let mut answer = request(Kind::Notify, None);
    answer.flag(3, go_on);
    answer
}

/// A pair of strings: `ext_mount_map`, `join_namespace`, and `cgroup_root`.
pub(crate) fn pair(first: impl AsRef<[u8]>, second: impl AsRef<[u8]>) -> Message {
    let mut pair = Message::default();
    pair.text(1, first).text(2, second);
    pair
}

/// A string and a number: `inherit_fd`, and `criu_page_server_info`.
pub(crate) fn numbered(text: impl AsRef<[u8]>, number: u32) -> Message {
    let mut message = Message::default();
    message.text(1, text).number(2, number);
    message
}

/// What CRIU says: `criu_resp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) kind: u64,
    pub(crate) success: bool,
    /// As in errno(3), or 0.
    pub(crate) errno: i32,
    /// Why not, if CRIU says more than its log.
    pub(crate) message: String,
    pub(crate) notify: Option<Notify>,
    pub(crate) version: Version,
    pub(crate) features: Features,
}

/// CRIU tells how far it is, and waits for an answer: `criu_notify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notify {
    /// The name that CRIU's scripts know it by, such as `post-restore`.
    pub(crate) script: String,
    /// The first process of those that are restored.
    pub(crate) pid: i32,
}

/// CRIU's version: major, minor, and a third number that only some have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)?;
        if self.2 > 0 { write!(f, ".{}", self.2) } else { Ok(()) }
    }
}

/// What CRIU can do on this kernel: `criu_features`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) track_memory: bool,
    pub(crate) lazy_pages: bool,
}

impl Response {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut response = Self::default();
        for (field, value) in fields(bytes) {
            match field {
                1 => response.kind = value.number(),
                2 => response.success = value.number() != 0,
                5 => response.notify = Some(Notify::read(value)),
                7 => response.errno = value.number() as i32,
                8 => response.features = Features::read(value),
                9 => response.message = value.text(),
                10 => response.version = Version::read(value),
                _ => {}
            }
        }
        response
    }

    pub(crate) const fn answers(&self, kind: Kind) -> bool {
        self.kind == kind as u64
    }
}

impl Notify {
    fn read(value: Value<'_>) -> Self {
        let mut notify = Self::default();
        for (field, value) in fields(value.bytes()) {
            match field {
                1 => notify.script = value.text(),
                2 => notify.pid = value.number() as i32,
                _ => {}
            }
        }
        notify
    }
}

impl Version {
    fn read(value: Value<'_>) -> Self {
        let mut version = Self::default();
        for (field, value) in fields(value.bytes()) {
            match field {
                1 => version.0 = value.number(),
                2 => version.1 = value.number(),
                4 => version.2 = value.number(),
                _ => {}
            }
        }
        version
    }
}

impl Features {
    fn read(value: Value<'_>) -> Self {
        let mut features = Self::default();
        for (field, value) in fields(value.bytes()) {
            match field {
                1 => features.track_memory = value.number() != 0,
                2 => features.lazy_pages = value.number() != 0,
                _ => {}
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_type_first() {
        assert_eq!(request(Kind::Version, None).bytes(), [0x08, 10]);
        assert_eq!(notified(false).bytes(), [0x08, 6, 0x18, 0]);
        assert_eq!(request(Kind::FeatureCheck, None).bytes(), [0x08, 9, 0x2a, 4, 0x08, 1, 0x10, 1]);
    }

    #[test]
    fn responses() {
        let mut notify = Message::default();
        notify.text(1, "post-restore").number(2, 77);
        let mut bytes = Message::default();
        bytes.number(1, 6).flag(2, true).message(5, &notify);
        let response = Response::read(bytes.bytes());
        assert!(response.success && response.answers(Kind::Notify));
        assert_eq!(response.notify, Some(Notify { script: "post-restore".into(), pid: 77 }));

        let mut version = Message::default();
        version.number(1, 4).number(2, 2).number(4, 1).text(6, "a name");
        let mut bytes = Message::default();
        bytes.number(1, 10).flag(2, true).message(10, &version);
        let version = Response::read(bytes.bytes()).version;
        assert_eq!(version.to_string(), "4.2.1");
        assert!(version > Version(4, 2, 0) && version > Version(3, 19, 0) && version < Version(5, 0, 0));
    }
}
