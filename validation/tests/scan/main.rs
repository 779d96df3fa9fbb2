//! The scanner, against files made by hand.

mod archive;
mod assemble;
mod check;
mod config;
mod containers;
mod corpus;
mod graphs;
mod hidden;
mod hostile;
mod imports;
mod jinja;
mod joblib;
mod keras;
mod mutations;
mod opcodes;
mod oracle;
mod structure;
mod tensors;

use std::io::Cursor;

use tidegate_validation::{
    Verdict,
    scan::{FileScan, Rule, Scanner},
};

/// What a scanner with default limits finds in these bytes.
fn scan(bytes: impl AsRef<[u8]>) -> FileScan {
    Scanner::new().scan("test", &mut Cursor::new(bytes)).expect("memory can be read")
}

/// The rules that these bytes break.
fn rules(bytes: impl AsRef<[u8]>) -> Vec<Rule> {
    scan(bytes).detections.into_iter().map(|detection| detection.rule).collect()
}

#[track_caller]
fn assert_fails(bytes: impl AsRef<[u8]>, rule: Rule) {
    let found = scan(bytes);
    assert_eq!(found.verdict, Verdict::Fail, "{found:#?}");
    assert!(found.detections.iter().any(|detection| detection.rule == rule), "{rule}: {found:#?}");
}

#[track_caller]
fn assert_clean(bytes: impl AsRef<[u8]>) {
    let found = scan(bytes);
    assert_eq!(found.verdict, Verdict::Pass, "{found:#?}");
}

#[track_caller]
fn assert_suspicious(bytes: impl AsRef<[u8]>, rule: Rule) {
    let found = scan(bytes);
    assert!(matches!(found.verdict, Verdict::Inconclusive(_)), "{found:#?}");
    assert!(found.detections.iter().any(|detection| detection.rule == rule), "{rule}: {found:#?}");
}
