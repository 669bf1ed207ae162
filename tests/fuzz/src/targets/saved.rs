//! Files: those that orlop has written itself, and the container's.

use std::io::Write as _;

use orlop_init::home::{self, Home};
use orlop_runtime::StateFile;
use orlop_sys::Fd;

/// Words of state files.
pub(super) const WORDS: &[&str] = &[
    "\"process\":",
    "\"cgroups\":",
    "\"v1\":",
    "\"v2\":",
    "\"unit\":",
    "\"pid\":",
    "\"startTime\":",
    "null",
    "-1",
    "\"..\"",
    "\"hostMounts\":",
    "\"rdt\":",
    "\"created\"",
    "\"running\"",
    "18446744073709551615",
];

/// `state.json`: it is refused, or written as what it was read as.
pub(super) fn state(bytes: &[u8]) {
    let Ok(state) = serde_json::from_slice::<StateFile>(bytes) else { return };
    let written = serde_json::to_vec(&state).expect("a state can be written");
    let again: StateFile = serde_json::from_slice(&written).expect("what was written is a state");
    assert_eq!(again, state);
    state.cgroups.location();
}

pub(super) fn states() -> Vec<Vec<u8>> {
    let full =
        br#"{"format":1,"ociVersion":"1.3.0","id":"web","process":{"pid":7,"startTime":9},"status":"created",
        "bundle":"/b","rootfs":"/b/rootfs","created":"2026-01-01T00:00:00Z","owner":0,"annotations":{"a":"b"},
        "cgroups":{"v2":["/sys/fs/cgroup","/web"],"v1":[["cpu,cpuacct","/sys/fs/cgroup/cpu","/web"]],
        "unit":{"name":"web.scope","user":false}},"rootless":true,"terminal":true,"descriptors":["pipe:[7]"],
        "ownClocks":true,"supervised":true}"#;
    let small = br#"{"format":1,"ociVersion":"","id":"","status":"creating","bundle":"","rootfs":"","created":"","owner":0}"#;
    vec![full.to_vec(), small.to_vec()]
}

/// The most bytes of a line of `/etc/passwd` that init looks at.
const LINE: usize = 4096;

/// The container's `/etc/passwd`, of which init wants user 0's home: as reading it whole, with memory for that, would have it.
pub(super) fn passwd(bytes: &[u8]) {
    let mut file = orlop_sys::file::memfd(c"passwd").map(std::os::fd::OwnedFd::from).map(std::fs::File::from);
    let file = file.as_mut().expect("a file in memory");
    file.write_all(bytes).expect("a file in memory");
    std::io::Seek::rewind(file).expect("a file in memory");
    let mut found = Home::NONE;
    home::search(Fd::from_raw(std::os::fd::AsRawFd::as_raw_fd(file)), 0, &mut found);
    let found = found.variable().map(std::ffi::CStr::to_bytes);
    let expected = bytes.split(|byte| *byte == b'\n').filter(|line| line.len() < LINE).find_map(home_of_root);
    let fits = |path: &&[u8]| !path.is_empty() && path.len() < 1024 - "HOME=".len() && !path.contains(&0);
    let expected = expected.map(|path| [b"HOME=", Some(path).filter(fits).unwrap_or(b"/")].concat());
    assert_eq!(found, expected.as_deref());
}

fn home_of_root(line: &[u8]) -> Option<&[u8]> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let is_root = !fields.get(2)?.is_empty() && fields[2].iter().all(|digit| *digit == b'0');
    if is_root { fields.get(5).copied() } else { None }
}

pub(super) fn users() -> Vec<Vec<u8>> {
    let usual =
        b"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nroot:x:0:0:root:/root:/bin/bash\n".to_vec();
    let long = |length: usize| [vec![b'x'; length], b"\nroot:x:0:0::/home:/bin/sh".to_vec()].concat();
    let mut all = vec![usual];
    all.extend([4094, 4095, 4096, 4097, 8192, 9000].map(long));
    all
}
