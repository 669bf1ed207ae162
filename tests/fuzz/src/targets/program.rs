//! What goes between the host side and init: programs, and messages.

use orlop_program::message::{MAX, Message};
use orlop_program::wire::Wire as _;
use orlop_program::{Builder, Program, Slot};

/// The most steps that are read of a list that has as many as it likes: items have no more bytes than there are.
const MOST: usize = 1 << 20;

/// A program. It is refused, or it is exactly what would be written of it: so there is one
/// way only to write a program, and nothing in one that is not read.
pub(super) fn program(bytes: &[u8]) {
    let Ok(program) = Program::read(bytes) else { return };
    let mut builder = Builder::default();
    let mut count = 0;
    for step in program.steps {
        count += 1;
        assert!(count <= MOST, "a program of few bytes has no end");
        let Ok(step) = step else { return };
        assert!(!step.name().is_empty());
        builder.push(step, (), "");
    }
    let built = builder.finish().expect("what was read has no NUL bytes");
    let slots: Vec<(Slot, i32)> = program.slots.iter().collect();
    assert_eq!(built.encode(&slots), bytes);
}

/// A message of init's.
pub(super) fn message(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else { return };
    let mut out = [0; MAX];
    let length = message.write(&mut out);
    assert!(length <= MAX);
    let again = Message::read(&out[..length]);
    if bytes.len() <= MAX {
        assert_eq!(again, Ok(message));
    }
    assert!(again.is_ok());
}

pub(super) fn programs() -> Vec<Vec<u8>> {
    let mut all = super::config::encoded();
    // Each step of them alone.
    let whole = all.clone();
    for step in whole.iter().filter_map(|bytes| Program::read(bytes).ok()).flat_map(|program| program.steps) {
        let mut single = Builder::default();
        single.push(step.expect("it was written by the compiler"), (), "");
        if let Ok(built) = single.finish() {
            all.push(built.encode(&[]));
        }
    }
    all.sort();
    all.dedup();
    all
}

pub(super) fn messages() -> Vec<Vec<u8>> {
    let mut failed = vec![4];
    for part in [7_u32, u32::MAX] {
        part.put(&mut failed).expect("a number");
    }
    failed.extend([165, 0, 13, 0]);
    failed.extend(b"overlay: no such directory");
    let mut all = vec![failed, vec![2], vec![3], vec![6, 1], vec![5, 9, 0, 0, 0], vec![7, 9, 1, 0, 0]];
    all.extend((1..=3).map(|point| vec![1, point]));
    all
}
