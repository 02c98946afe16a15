//! Coverage-guided fuzzing of every parser that takes outside bytes: libFuzzer with the target that `FUZZ_TARGET` names.
//! `cargo xtask fuzz` builds it, gives each target its share of the time, and keeps what was found.
//!
//! A target is a function from bytes to nothing. It panics if a promise is broken; beyond that libFuzzer itself notices
//! panics, time-outs and memory. Seeds, and inputs that broke something, lie in
//! `corpus/` and are run first.

#![no_main]

mod house;
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match targets::ALL.iter().find(|(known, _)| *known == name) {
        Some((_, target)) => *target,
        None => {
            // The list for xtask: the one place where the targets stand.
            for (known, _) in targets::ALL {
                println!("{known}");
            }
            std::process::exit(2);
        }
    }
});

fuzz_target!(init: { LazyLock::force(&TARGET); }, |data: &[u8]| TARGET(data));
