//! Any bytes at all: the scanner ends within its limits, and less of everything makes nothing clean.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tidegate_validation::{
    Verdict,
    scan::{FileScan, Limits, Scanner},
};

/// Enough for any input that libFuzzer makes.
const ENOUGH: Limits = Limits {
    detections: 1000,
    depth: 8,
    disk: 16 << 20,
    imports: 1000,
    members: 1000,
    memo: 1 << 16,
    operations: 50_000_000,
    ratio: 200,
    stack: 1 << 16,
    unpacked: 64 << 20,
};
/// Too little for most.
const SCARCE: Limits = Limits {
    detections: 4,
    depth: 2,
    disk: 1 << 10,
    imports: 2,
    members: 4,
    memo: 8,
    operations: 2_000,
    ratio: 2,
    stack: 8,
    unpacked: 1 << 10,
};

fuzz_target!(|bytes: &[u8]| {
    let whole = scan(bytes, ENOUGH);
    assert!(whole.detections.len() <= ENOUGH.detections as usize + 1);
    let part = scan(bytes, SCARCE);
    assert!(part.detections.len() <= SCARCE.detections as usize + 1);
    let stopped_early = part.verdict == Verdict::Pass && whole.verdict != Verdict::Pass;
    assert!(!stopped_early, "clean as far as it was read: {whole:#?}");
});

fn scan(bytes: &[u8], limits: Limits) -> FileScan {
    Scanner::new().with_limits(limits).scan("fuzzed", &mut Cursor::new(bytes)).expect("memory can be read")
}
