//! Any text as a suite: it is refused, or it can be asked what it costs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_validation::Suite;

fuzz_target!(|text: &str| {
    for suite in [Suite::from_toml(text), Suite::from_json(text)] {
        match suite {
            Ok(suite) => assert!(suite.checks().count() > 0),
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
});
