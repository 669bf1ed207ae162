//! The encoding, as <https://protobuf.dev/programming-guides/encoding/> describes it, and what is not one.

use std::collections::BTreeMap;

use orlop_protobuf::{Malformed, Message, messages};
use proptest::prelude::*;

messages! {
    /// Every type that a field can have.
    All {
        1 number: u32, 2 wide: u64, 3 signed: i32, 4 wide_signed: i64, 5 yes: bool, 6 real: f64, 7 text: String,
        8 bytes: Vec<u8>, 9 inner: Option<Inner>, 10 inners: Vec<Inner>, 11 numbers: Vec<u64>, 12 texts: Vec<String>,
        13 map: BTreeMap<String, String>, 14 perhaps: Option<i32>, 1000 far: Option<String>,
    }
    /// A message in a message.
    Inner { 1 number: u32, 2 text: String }
    /// A message without a field.
    Nothing {}
}

#[test]
fn the_examples_of_the_documentation() {
    let test1 = All { number: 150, ..All::default() };
    assert_eq!(test1.encode(), [0x08, 0x96, 0x01]);
    let test2 = All { text: "testing".into(), ..All::default() };
    assert_eq!(test2.encode(), *b"\x3a\x07testing");
    let test3 = All { inner: Some(Inner { number: 150, ..Inner::default() }), ..All::default() };
    assert_eq!(test3.encode(), [0x4a, 0x03, 0x08, 0x96, 0x01]);
    let minus = All { signed: -2, ..All::default() };
    assert_eq!(minus.encode(), [0x18, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    let packed = All { numbers: vec![3, 270, 86942], ..All::default() };
    assert_eq!(packed.encode(), [0x5a, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]);
}

#[test]
fn what_is_default_is_left_out_unless_it_is_optional() {
    assert_eq!(All::default().encode(), []);
    let zero = All { perhaps: Some(0), inner: Some(Inner::default()), ..All::default() };
    assert_eq!(zero.encode(), [0x4a, 0x00, 0x70, 0x00]);
    assert_eq!(All::decode(&zero.encode()), Ok(zero));
}

#[test]
fn lists_of_numbers_are_read_packed_or_not() {
    let read = |bytes: &[u8]| All::decode(bytes).map(|all| all.numbers);
    assert_eq!(read(&[0x58, 1, 0x5a, 2, 2, 3, 0x58, 4]), Ok(vec![1, 2, 3, 4]));
    assert_eq!(read(&[0x5a, 2, 2, 0x83]), Err(Malformed), "the last one is cut off");
}

#[test]
fn the_last_value_counts_and_messages_are_merged() {
    assert_eq!(All::decode(&[0x08, 1, 0x08, 2]).unwrap().number, 2);
    let twice = [0x4a, 0x02, 0x08, 1, 0x4a, 0x03, 0x12, 0x01, b'x'];
    assert_eq!(All::decode(&twice).unwrap().inner, Some(Inner { number: 1, text: "x".into() }));
}

#[test]
fn what_is_not_known_is_passed_over() {
    // Field 2000 of every wire type, with a group in a group; then field 1 as a string, which is not its type.
    let mut bytes =
        vec![0x80, 0x7d, 1, 0x81, 0x7d, 1, 2, 3, 4, 5, 6, 7, 8, 0x82, 0x7d, 1, 9, 0x85, 0x7d, 1, 2, 3, 4];
    bytes.extend([0x83, 0x7d, 0x0b, 0x08, 1, 0x0c, 0x84, 0x7d]);
    bytes.extend([0x0a, 1, b'x', 0x10, 7]);
    assert_eq!(All::decode(&bytes), Ok(All { wide: 7, ..All::default() }));
    assert_eq!(Nothing::decode(&bytes), Ok(Nothing {}));
}

#[test]
fn what_is_malformed_is_an_error() {
    let cut_off: [&[u8]; 8] = [
        &[0x08],
        &[0x80],
        &[0x3a, 5, b'x'],
        &[0x31, 1, 2],
        &[0x0d, 1],
        &[0x0b],
        &[0x0b, 8],
        &[0x4a, 2, 8, 0x80],
    ];
    let wrong: [&[u8]; 7] = [
        &[0x00, 1],                                                   // field 0
        &[0x0c],                                                      // the end of no group
        &[0x0b, 0x14],                                                // the end of another group
        &[0x0f],                                                      // wire type 7
        &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], // a varint of eleven bytes
        &[0x3a, 1, 0xff],                                             // not UTF-8
        &[0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],      // a length beyond all memory
    ];
    for bytes in cut_off.iter().chain(&wrong) {
        assert_eq!(All::decode(bytes), Err(Malformed), "{bytes:x?}");
    }
    assert_eq!(All::decode(&vec![0x0b; 100_000]), Err(Malformed), "groups without end");
}

proptest! {
    #[test]
    fn what_was_written_is_read(number: u32, wide: u64, signed: i32, wide_signed: i64, yes: bool, text: String,
        bytes: Vec<u8>, numbers: Vec<u64>, texts: Vec<String>, map: BTreeMap<String, String>, perhaps: Option<i32>,
        inner: Option<(u32, String)>, real in -1e300..1e300_f64)
    {
        let inner = inner.map(|(number, text)| Inner { number, text });
        let inners = inner.iter().cloned().collect();
        let all = All { number, wide, signed, wide_signed, yes, real, text, bytes, inner, inners, numbers, texts, map,
            perhaps, far: None };
        prop_assert_eq!(All::decode(&all.encode()), Ok(all));
    }

    #[test]
    fn nothing_makes_it_panic(bytes: Vec<u8>) {
        if let Ok(all) = All::decode(&bytes) {
            prop_assert_eq!(All::decode(&all.encode()).map(|all| all.encode()), Ok(all.encode()));
        }
    }
}
