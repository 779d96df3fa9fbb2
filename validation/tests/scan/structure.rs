//! Frames, protocols, ends, limits.

use tidegate_validation::{
    Reason, Verdict,
    scan::{Content, Limits, Rule, Scanner},
};

use crate::{assemble::Pickle, assert_clean, assert_fails, assert_suspicious, rules, scan};

fn evil() -> Pickle {
    Pickle::protocol(4).stack_global("os", "system").call_with("id")
}

#[test]
fn nothing_is_no_pickle() {
    assert_clean(b"");
    assert_clean(b"cat\ndog\nbird\n");
    assert_clean(b"A licence, in words.\n");
    assert_eq!(scan(b"cat\ndog\n").content, Content::Other);
}

#[test]
fn a_pickle_without_a_header_is_known_by_what_it_does() {
    let found = scan(b"cos\nsystem\n(S'id'\ntR.");
    assert_eq!((found.content, found.verdict), (Content::Pickle, Verdict::Fail));
    // It need not even end.
    assert_eq!(scan(b"N0cos\nsystem\n(S'id'\ntR\xff").verdict, Verdict::Fail);
    assert_eq!(scan(b"(lp0\nI1\na.").content, Content::Pickle);
}

#[test]
fn a_pickle_that_is_cut_short_is_never_clean() {
    let pickle = Pickle::protocol(4).text("harmless").raw("0]").stop();
    for end in 3..pickle.len() {
        let found = scan(&pickle[..end]);
        assert!(
            matches!(found.verdict, Verdict::Inconclusive(Reason::ParseLimit { .. })),
            "{end}: {found:#?}"
        );
    }
    assert_clean(&pickle);
}

#[test]
fn what_was_found_before_an_error_stands() {
    assert_fails(evil().raw([0xff]).0, Rule::PickleDangerousImport);
    assert_fails(evil().raw("00000").0, Rule::PickleDangerousImport);
    assert_fails(evil().raw("h\x09").0, Rule::PickleDangerousImport);
}

#[test]
fn a_frame_must_not_cut_an_opcode() {
    let frame = |len: u8| Pickle::protocol(4).raw([0x95, len, 0, 0, 0, 0, 0, 0, 0]);
    assert_clean(frame(5).text("ab").stop());
    assert_fails(frame(3).text("ab").stop(), Rule::PickleFraming);
    assert_fails(frame(14).raw([0x95, 1, 0, 0, 0, 0, 0, 0, 0]).text("ab").stop(), Rule::PickleFraming);
    assert_suspicious(frame(200).text("ab").stop(), Rule::Malformed);
}

#[test]
fn the_protocol_is_declared_once_and_first() {
    assert_suspicious(Pickle::protocol(2).raw(b"\x80\x04N").stop(), Rule::PickleProtocol);
    assert_suspicious(b"\x80\x09N.\x80\x04N.", Rule::PickleProtocol);
    assert_suspicious(Pickle::protocol(2).raw(b"N0\x80\x02N").stop(), Rule::PickleProtocol);
}

#[test]
fn several_pickles_are_all_scanned() {
    let harmless = Pickle::protocol(4).raw("N").stop();
    let mut file = harmless.clone();
    file.extend(&harmless);
    assert_clean(&file);
    assert!(rules(&file).contains(&Rule::PickleSeveral));
    file.extend(evil().stop());
    assert_fails(&file, Rule::PickleDangerousImport);
    assert_fails(b"N.N.cos\nsystem\n(S'id'\ntR.", Rule::PickleDangerousImport);
}

#[test]
fn bytes_between_pickles_do_not_hide_the_next() {
    let harmless = Pickle::protocol(4).raw("N").stop();
    for garbage in [&b"\0\0\0\0"[..], b"garbage", b"\xff\x80\x04\xff", &[b'x'; 300_000]] {
        let mut file = harmless.clone();
        file.extend(garbage);
        assert_suspicious(&file, Rule::PickleTrailing);
        let mut hidden = file.clone();
        hidden.extend(evil().stop());
        assert_fails(&hidden, Rule::PickleDangerousImport);
        let mut old = file.clone();
        old.extend(b"cos\nsystem\n(S'id'\ntR.");
        assert_fails(&old, Rule::PickleDangerousImport);
    }
}

#[test]
fn the_magic_number_of_old_torch_files_brings_raw_tensors_along() {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    for _ in 0..4 {
        file.extend(Pickle::protocol(2).raw("}").stop());
    }
    file.extend([7, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x02, 0x63, 0xff, 1, 2, 3]);
    assert_clean(&file);
    file.extend(evil().stop());
    assert_fails(&file, Rule::PickleDangerousImport);
}

#[test]
fn limits_make_it_inconclusive() {
    let limits = Limits { stack: 10, ..Limits::default() };
    let deep = Pickle::protocol(4).raw([b'('; 20]).raw("N").stop();
    let found =
        Scanner::new().with_limits(limits).scan("test", &mut std::io::Cursor::new(deep)).expect("readable");
    assert!(matches!(found.verdict, Verdict::Inconclusive(Reason::ParseLimit { .. })), "{found:#?}");

    let far = Pickle::protocol(4).raw(b"Nr\xff\xff\xff\xff").stop();
    assert_suspicious(far, Rule::LimitReached);

    let limits = Limits { operations: 100_000, ..Limits::default() };
    let long = Pickle::protocol(4).raw(b"N0".repeat(1 << 20)).raw("N").stop();
    let found =
        Scanner::new().with_limits(limits).scan("test", &mut std::io::Cursor::new(long)).expect("readable");
    assert!(matches!(found.verdict, Verdict::Inconclusive(Reason::ParseLimit { .. })), "{found:#?}");
}

#[test]
fn findings_are_limited_and_the_worst_kept() {
    let mut pickle = Pickle::protocol(4);
    for i in 0..50 {
        pickle = pickle.global("my.code", &format!("Class{i}"));
    }
    let limits = Limits { detections: 5, ..Limits::default() };
    let file = pickle.global("os", "system").stop();
    let found =
        Scanner::new().with_limits(limits).scan("test", &mut std::io::Cursor::new(file)).expect("readable");
    assert_eq!(found.detections.len(), 6);
    assert!(found.detections.iter().any(|detection| detection.rule == Rule::PickleDangerousImport));
    assert!(found.detections.iter().any(|detection| detection.rule == Rule::LimitReached));
}

#[test]
fn a_search_that_is_led_on_ends() {
    // Each of these begins like a pickle, and would be followed to the end of the file.
    let mut file = Pickle::protocol(4).raw("N").stop();
    file.push(0xff);
    file.extend(b"\x80\x04".repeat(1 << 20));
    let limits = Limits { operations: 50_000_000, ..Limits::default() };
    let found =
        Scanner::new().with_limits(limits).scan("test", &mut std::io::Cursor::new(file)).expect("readable");
    let ended = found.detections.iter().find(|detection| detection.rule == Rule::LimitReached);
    assert!(ended.is_some_and(|detection| detection.detail.contains("search")), "{found:#?}");
}
