//! Every way to import and to call.

use tidegate_validation::{
    Verdict,
    scan::{Rule, Scanner, Severity},
};

use crate::{assemble::Pickle, assert_clean, assert_fails, rules, scan};

#[test]
fn global_and_reduce() {
    let found = scan(Pickle::protocol(2).global("os", "system").call_with("id").stop());
    assert_eq!(found.verdict, Verdict::Fail);
    let detection = &found.detections[0];
    assert_eq!((detection.rule, detection.severity), (Rule::PickleDangerousImport, Severity::Critical));
    assert_eq!(detection.offset, Some(2));
    assert!(detection.detail.starts_with("os.system"), "{}", detection.detail);
}

#[test]
fn the_json_is_that_of_the_command_line() {
    let found = scan(Pickle::protocol(2).global("os", "system").stop());
    let json = serde_json::to_value(&found).expect("a scan is JSON");
    assert_eq!(json["path"], "test");
    assert_eq!(json["verdict"], "fail");
    assert_eq!(json["findings"][0]["rule"], "pickle-dangerous-import");
    assert_eq!(json["findings"][0]["severity"], "critical");
    assert_eq!(json["findings"][0]["offset"], 2);
    assert!(json["findings"][0]["detail"].is_string());
}

#[test]
fn stack_global_of_texts_in_every_dress() {
    let dresses: [&[u8]; 9] = [
        b"\x8c\x02os",
        b"X\x02\0\0\0os",
        b"\x8d\x02\0\0\0\0\0\0\0os",
        b"U\x02os",
        b"T\x02\0\0\0os",
        b"S'os'\n",
        b"S\"\\x6f\\163\"\n",
        b"Vos\n",
        b"V\\u006f\\u0073\n",
    ];
    for dress in dresses {
        let pickle = Pickle::protocol(4).raw(dress).text("system").raw([0x93]).call_with("id").stop();
        assert_fails(&pickle, Rule::PickleDangerousImport);
    }
}

#[test]
fn stack_global_by_way_of_the_memo() {
    // PUT under any index, MEMOIZE at the number of entries so far, and back.
    let put: [(&[u8], &[u8]); 5] = [
        (b"q\x07", b"h\x07"),
        (b"r\x07\0\0\0", b"j\x07\0\0\0"),
        (b"p7\n", b"g7\n"),
        (b"p7\n", b"g 0_7 \n"),
        (b"\x94", b"h\0"),
    ];
    for (put, get) in put {
        let pickle = Pickle::protocol(4).text("os").raw(put).raw("0").raw(get).text("system").raw([0x93]);
        assert_fails(pickle.call_with("id").stop(), Rule::PickleDangerousImport);
    }
}

#[test]
fn memoize_counts_entries_and_not_the_highest_index() {
    // BINPUT 1, then MEMOIZE: CPython puts the second at 1, over the first.
    let pickle = Pickle::protocol(4)
        .text("math")
        .raw(b"q\x01")
        .raw("0")
        .text("os")
        .raw([0x94])
        .raw("0")
        .raw(b"h\x01")
        .text("system")
        .raw([0x93])
        .call_with("id");
    assert_fails(pickle.stop(), Rule::PickleDangerousImport);
}

#[test]
fn operands_moved_about_the_stack() {
    let doubled = Pickle::protocol(4).text("os").raw("2").raw("0").text("system").raw([0x93]);
    assert_fails(doubled.call_with("id").stop(), Rule::PickleDangerousImport);
    let marked = Pickle::protocol(4).text("os").raw("(").text("x").raw("1").text("system").raw([0x93]);
    assert_fails(marked.call_with("id").stop(), Rule::PickleDangerousImport);
    let popped_mark = Pickle::protocol(4).text("os").raw("(0").text("system").raw([0x93]);
    assert_fails(popped_mark.call_with("id").stop(), Rule::PickleDangerousImport);
}

#[test]
fn an_import_without_a_name_is_dangerous() {
    for operand in [&b"N"[..], b"K\x01", b")", b"C\x02os", b"B\x02\0\0\0os", b"]"] {
        let pickle = Pickle::protocol(4).raw(operand).text("system").raw([0x93]).call_with("id").stop();
        assert_fails(&pickle, Rule::PickleUnresolvedImport);
        let pickle = Pickle::protocol(4).text("os").raw(operand).raw([0x93]).call_with("id").stop();
        assert_fails(&pickle, Rule::PickleUnresolvedImport);
    }
    // The name is made by a call that is allowed itself.
    let made =
        Pickle::protocol(4).stack_global("_codecs", "encode").call_with("os").text("system").raw([0x93]);
    assert_fails(made.stop(), Rule::PickleUnresolvedImport);
}

#[test]
fn inst_and_obj_call_what_they_name() {
    assert_fails(b"(S'id'\nios\nsystem\n.", Rule::PickleDangerousImport);
    assert_fails(b"(cos\nsystem\nS'id'\no.", Rule::PickleDangerousImport);
    assert_fails(b"(cmy.code\nMine\nS'id'\no.", Rule::PickleUnknownImport);
}

#[test]
fn new_objects_of_a_class_nobody_reviewed() {
    assert_fails(
        Pickle::protocol(2).global("my.code", "Mine").raw(b")\x81").stop(),
        Rule::PickleUnknownImport,
    );
    let keywords = Pickle::protocol(4).stack_global("my.code", "Mine").raw(b")}\x92").stop();
    assert_fails(keywords, Rule::PickleUnknownImport);
}

#[test]
fn extensions() {
    for extension in [&b"\x82\x01"[..], b"\x83\x01\0", b"\x84\x01\0\0\0"] {
        let pickle = Pickle::protocol(2).raw(extension).raw(")R").stop();
        assert_fails(pickle, Rule::PickleExtension);
    }
}

#[test]
fn dots_in_a_name_lead_elsewhere() {
    let pickle = Pickle::protocol(4).stack_global("pathlib", "os.system").call_with("id").stop();
    assert_fails(pickle, Rule::PickleDangerousImport);
    assert_fails(
        Pickle::protocol(4).global("statistics", "sys.exit").raw(")R").stop(),
        Rule::PickleDangerousImport,
    );
    let through_allowed =
        Pickle::protocol(4).stack_global("collections", "OrderedDict.__init__.__globals__").stop();
    assert_fails(through_allowed, Rule::PickleDangerousImport);
}

#[test]
fn what_a_call_returned_is_not_to_be_called() {
    let pickle = Pickle::protocol(4).stack_global("collections", "OrderedDict").raw(b")R)R").stop();
    assert_fails(pickle, Rule::PickleCallOfResult);
}

#[test]
fn state_of_an_import_is_not_to_be_set() {
    let built = Pickle::protocol(4).stack_global("collections", "OrderedDict").raw("}b").stop();
    assert_fails(built, Rule::PickleStateOnImport);
    let filled = Pickle::protocol(4).stack_global("collections", "OrderedDict").raw("NNs").stop();
    assert_fails(filled, Rule::PickleStateOnImport);
}

#[test]
fn reviewed_imports_pass_and_are_not_even_listed() {
    let pickle = Pickle::protocol(2).global("collections", "OrderedDict").raw(")R(U\x01aK\x01u}b").stop();
    assert_clean(&pickle);
    assert!(rules(&pickle).is_empty());
    assert_clean(Pickle::protocol(2).global("__builtin__", "set").raw(b"]\x85R").stop());
}

#[test]
fn an_exception_is_for_one_name_and_leaves_its_reason() {
    let pickle = Pickle::protocol(2).global("my.code", "Mine").raw(b")\x81").stop();
    let scanner = Scanner::new().with_exception("my.code.Mine", "reviewed in change 17");
    let found = scanner.scan("test", &mut std::io::Cursor::new(&pickle)).expect("memory can be read");
    assert_eq!(found.verdict, Verdict::Pass);
    assert_eq!(found.detections[0].rule, Rule::PickleExceptedImport);
    assert!(found.detections[0].detail.contains("change 17"));

    let dangerous = Pickle::protocol(2).global("os", "system").call_with("id").stop();
    let scanner = Scanner::new().with_exception("os.system", "I want it");
    let found = scanner.scan("test", &mut std::io::Cursor::new(&dangerous)).expect("memory can be read");
    assert_eq!(found.verdict, Verdict::Fail);
}
