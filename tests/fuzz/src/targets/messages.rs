//! Messages, and values in texts.

use std::collections::BTreeMap;

use orlop_protobuf::{Message as _, messages};
use orlop_systemd::text;

/// Words of containerd's requests.
pub(super) const WORDS: &[&str] = &[
    "containerd.task.v3.Task",
    "containerd.runc.v1.Options",
    "runtimeoptions.v1.Options",
    "runtime.v1.PodSandboxConfig",
    "binary://",
    "file://",
    "fifo://",
    "Create",
    "SystemdCgroup = ",
    "Root = \"",
    "\\u00e9",
    "'",
    "true",
    "# ",
];

/// How types are written in annotations.
pub(super) const TYPES: &[&str] = &[
    "uint64 ",
    "@as ",
    "@a(sv) ",
    "objectpath ",
    "byte ",
    "<",
    ">",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'",
    "\"",
    "\\u",
    "0x",
    "true",
    "-1",
    "b'",
    "18446744073709551616",
    "Sec",
    "just ",
    "nothing",
    "@mu ",
];

messages! {
    /// A field of every kind.
    Everything {
        1 text: String, 2 bytes: Vec<u8>, 3 small: u32, 4 large: u64, 5 signed: i32, 6 long: i64, 7 flag: bool, 8 real: f64,
        9 inner: Option<Inner>, 10 texts: Vec<String>, 11 numbers: Vec<u64>, 12 inners: Vec<Inner>,
        13 map: BTreeMap<String, String>, 14 maybe: Option<bool>, 15 flags: Vec<bool>, 100 far: Option<String>,
    }
    /// One in another.
    Inner { 1 number: i64, 2 innermost: Option<Innermost>, 3 text: Option<String> }
    /// And another.
    Innermost { 1 reals: Vec<f64>, 2 bytes: Vec<Vec<u8>> }
}

/// A message of Protocol Buffers: what it is read as, it is written as, once and for all.
pub(super) fn protobuf(bytes: &[u8]) {
    let Ok(message) = Everything::decode(bytes) else { return };
    let written = message.encode();
    let again = Everything::decode(&written).expect("what was written is a message");
    // By its bytes: not every f64 equals itself.
    assert_eq!(again.encode(), written);
    assert!(written.len() <= bytes.len() * 11 + 64, "{} bytes became {}", bytes.len(), written.len());
}

pub(super) fn protobufs() -> Vec<Vec<u8>> {
    let innermost = Innermost { reals: vec![-0.0, 1.5], bytes: vec![vec![], vec![1]] };
    let inner = Inner { number: -1, innermost: Some(innermost), text: Some(String::new()) };
    let full = Everything {
        text: "a".into(),
        bytes: vec![0],
        small: u32::MAX,
        large: u64::MAX,
        signed: -1,
        long: i64::MIN,
        flag: true,
        real: f64::NAN,
        inner: Some(inner.clone()),
        texts: vec![String::new(), "b".into()],
        numbers: vec![0, 300],
        inners: vec![Inner::default(), inner],
        map: [("k".into(), "v".into())].into(),
        maybe: Some(false),
        flags: vec![true, false],
        far: Some("f".into()),
    };
    // A group, which is passed over, and a field of a wrong type.
    vec![
        full.encode(),
        vec![0x0b, 0x10, 1, 0x0c, 0x18, 5],
        vec![0x0d, 1, 2, 3, 4, 0x11, 1, 2, 3, 4, 5, 6, 7, 8],
    ]
}

/// An annotation for a property of a unit: the first line is its name, the rest its value.
pub(super) fn property(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, value) = text.split_once('\n').unwrap_or(("", text));
    for result in [text::property(name, value).map(drop), text::parse(value).map(drop)] {
        if let Err(why) = result {
            assert!(!why.is_empty());
        }
    }
}

pub(super) fn properties() -> Vec<Vec<u8>> {
    [
        "TimeoutStopSec\nuint64 5",
        "CollectMode\n'inactive-or-failed'",
        "After\n['a.service', \"b\\n.mount\"]",
        "DeviceAllow\n@a(ss) [('/dev/null', 'rw')]",
        "X\n(true, byte 0x1f, -7, 1.5, <@as []>, objectpath '/a')",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
