//! Pickles in strings of pickles.

use tidegate_validation::scan::Rule;

use crate::{assemble::Pickle, assert_clean, assert_fails, assert_suspicious, scan};

fn evil() -> Vec<u8> {
    Pickle::protocol(4).stack_global("os", "system").call_with("id").stop()
}

#[test]
fn a_pickle_in_bytes_is_scanned() {
    let outer = Pickle::protocol(4).bytes(&evil()).stop();
    assert_fails(&outer, Rule::PickleDangerousImport);
    let found = scan(&outer);
    let inner = found.detections.iter().find(|detection| detection.rule == Rule::PickleDangerousImport);
    assert_eq!(inner.map(|detection| detection.member.len()), Some(1), "{found:#?}");
    let old = Pickle::protocol(4).bytes(b"(S'id'\ncos\nsystem\nR.").stop();
    assert_fails(&old, Rule::PickleDangerousImport);
}

#[test]
fn a_pickle_in_base64_or_hex_is_scanned() {
    let hex: String = evil().iter().map(|byte| format!("{byte:02x}")).collect();
    let base64 = "gASMAm9zjAZzeXN0ZW2TjAJpZIVSLg==";
    assert_fails(Pickle::protocol(4).text(&hex).stop(), Rule::PickleDangerousImport);
    assert_fails(Pickle::protocol(4).text(base64).stop(), Rule::PickleDangerousImport);
    assert_fails(Pickle::protocol(0).raw("S'").raw(base64).raw("'\n").stop(), Rule::PickleDangerousImport);
    assert_fails(Pickle::protocol(4).bytes(base64.as_bytes()).stop(), Rule::PickleDangerousImport);
}

#[test]
fn four_deep_is_followed_and_deeper_is_not_clean() {
    let nest = |times: usize, innermost: Vec<u8>| {
        (0..times).fold(innermost, |inner, _| Pickle::protocol(4).bytes(&inner).stop())
    };
    for depth in 1..=4 {
        assert_fails(nest(depth, evil()), Rule::PickleDangerousImport);
    }
    assert_suspicious(nest(6, evil()), Rule::LimitReached);
}

#[test]
fn strings_that_only_look_like_pickles_are_strings() {
    for text in
        ["cat\ndog\nand more", "(a remark)", "gargantuan words without end", "80 days around the world"]
    {
        assert_clean(Pickle::protocol(4).text(text).stop());
    }
    assert_clean(Pickle::protocol(4).bytes(b"\x80\x04\xff\xff\xff\xff\xff\xff").stop());
}
