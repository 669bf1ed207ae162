//! The real init, given what is no program: it ends by itself, and has done nothing.
//!
//! Only what its decoder refuses is given to it, after steps that do no harm: what is decoded is run.
#![allow(missing_docs)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use orlop_fuzz::change::{Chance, changed};
use orlop_fuzz::targets;
use orlop_program::{Builder, Program, Step};

/// How many are tried; each is a process.
const TRIES: usize = 300;

/// How many harmless steps are decoded, if what follows them is no step and the program is refused.
fn refused_after(bytes: &[u8]) -> Option<usize> {
    let Ok(program) = Program::read(bytes) else { return Some(0) };
    // Descriptors in slots would be its own to use.
    if !program.slots.is_empty() {
        return None;
    }
    let mut harmless = 0;
    for step in program.steps {
        match step {
            Ok(Step::NewSession {}) => harmless += 1,
            Ok(_) => return None,
            Err(_) => return Some(harmless),
        }
    }
    // One that ends too early is refused as well, in the end.
    Some(harmless)
}

/// A program of harmless steps with some bytes after them, which count as one more step.
fn after_harmless(steps: usize, bytes: &[u8]) -> Vec<u8> {
    let mut builder = Builder::default();
    (0..=steps).for_each(|_| builder.push(Step::NewSession {}, (), ""));
    let mut program = builder.finish().expect("there is no string in it").encode(&[]);
    // Without the last step, of one byte.
    program.truncate(program.len() - 1);
    program.extend(bytes);
    program
}

#[test]
fn init_ends_where_a_program_is_malformed() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("machine-{}", std::process::id()));
    let seed = std::env::var("ORLOP_SEED").map_or(1, |text| text.parse().expect("ORLOP_SEED is a number"));
    let mut chance = Chance(seed);
    let target = targets::named("program").expect("it is there");
    let beginnings: Vec<_> = (target.seeds)().into_iter().map(|bytes| (String::new(), bytes)).collect();
    let (mut tried, mut deepest) = (0, 0);
    while tried < TRIES {
        let whole = changed(&beginnings, &[], &mut chance);
        // The head is 16 bytes where there are no slots; what follows are steps.
        let tail = whole.get(16..).unwrap_or_default();
        let bytes = if chance.below(4) == 0 { whole.clone() } else { after_harmless(chance.below(4), tail) };
        // Without a byte after it, the machine stays, as the first process of a pod.
        let Some(steps) = refused_after(&bytes).filter(|_| !bytes.is_empty()) else { continue };
        deepest = deepest.max(steps);
        tried += 1;
        orlop_runtime::with_machine(&bytes, |pieces| fs::write(&file, pieces.concat()))
            .expect("cargo's own directory");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("our own file");
        let mut init = Command::new(&file);
        let status = init.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it runs");
        assert!(status.code() == Some(1), "{status} (signal {:?}) of {}", status.signal(), file.display());
    }
    assert!(deepest > 1, "no program was refused after its first step");
    fs::remove_file(&file).expect("our own file");
}
