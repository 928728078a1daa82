//! All that the fuzzers have found, without a fuzzer: `fuzz/corpus` holds an input for each piece of code that they have
//! reached, `fuzz/regressions` each input that has once broken a promise.
#![allow(clippy::print_stdout, reason = "a test that fails shows it")]

use std::{fs, path::Path};

/// Feeds every file of a target to its function.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut inputs = 0;
    for kind in ["corpus", "regressions"] {
        let Ok(folder) = fs::read_dir(fuzz.join(kind).join(target)) else {
            continue;
        };
        for file in folder {
            let path = file.unwrap().path();
            // A panic's message says what is wrong; this says with which input.
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 5, "the corpus of {target} is not there");
}
