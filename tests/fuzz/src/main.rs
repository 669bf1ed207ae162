//! The program of `make fuzz`: libFuzzer with one of the targets, which `ORLOP_FUZZ` names. `hack/fuzz` calls it.
//!
//! With `ORLOP_FUZZ_SEEDS=DIRECTORY` it writes down what the target begins with, and ends.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use orlop_fuzz::{Target, targets};

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("ORLOP_FUZZ").expect("ORLOP_FUZZ names a target");
        let target = targets::named(&name).expect("ORLOP_FUZZ names a target");
        if let Some(directory) = std::env::var_os("ORLOP_FUZZ_SEEDS").map(PathBuf::from) {
            for (number, bytes) in (target.seeds)().into_iter().enumerate() {
                std::fs::write(directory.join(format!("seed-{number}")), bytes).expect("the directory is ours");
            }
            let words = target.words.iter().map(|word| format!("\"{}\"\n", escaped(word)));
            std::fs::write(directory.with_extension("words"), words.collect::<String>()).expect("the directory is ours");
            std::process::exit(0);
        }
        TARGET.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);

/// As libFuzzer reads words.
fn escaped(word: &str) -> String {
    word.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}
