//! Each of the 68 opcodes, by itself.

use tidegate_validation::Verdict;

use crate::{assemble::Pickle, scan};

/// For each opcode a pickle that a real unpickler loads, and that imports nothing.
const HARMLESS: &[(&str, &[u8])] = &[
    ("MARK POP_MARK", b"(NN1N."),
    ("EMPTY_TUPLE", b")."),
    ("POP", b"NN0."),
    ("POP of a mark", b"N(0."),
    ("DUP", b"N2\x86."),
    ("BINBYTES", b"B\x02\0\0\0ab."),
    ("SHORT_BINBYTES", b"C\x02ab."),
    ("FLOAT", b"F1.5\n."),
    ("BINFLOAT", b"G\x3f\xf0\0\0\0\0\0\0."),
    ("INT", b"I12\n."),
    ("BININT", b"J\xff\xff\xff\xff."),
    ("BININT1", b"K\x01."),
    ("BININT2", b"M\x01\x02."),
    ("LONG", b"L12L\n."),
    ("LONG1", b"\x8a\x02\x01\x02."),
    ("LONG4", b"\x8b\x02\0\0\0\x01\x02."),
    ("NONE", b"N."),
    ("NEWTRUE", b"\x88."),
    ("NEWFALSE", b"\x89."),
    ("STRING", b"S'ab'\n."),
    ("BINSTRING", b"T\x02\0\0\0ab."),
    ("SHORT_BINSTRING", b"U\x02ab."),
    ("UNICODE", b"Vab\n."),
    ("BINUNICODE", b"X\x02\0\0\0ab."),
    ("SHORT_BINUNICODE", b"\x8c\x02ab."),
    ("BINUNICODE8", b"\x8d\x02\0\0\0\0\0\0\0ab."),
    ("BINBYTES8", b"\x8e\x02\0\0\0\0\0\0\0ab."),
    ("BYTEARRAY8", b"\x96\x02\0\0\0\0\0\0\0ab."),
    ("EMPTY_LIST APPEND", b"]Na."),
    ("APPENDS", b"](NNe."),
    ("LIST", b"(NNl."),
    ("TUPLE", b"(NNt."),
    ("TUPLE1", b"N\x85."),
    ("TUPLE2", b"NN\x86."),
    ("TUPLE3", b"NNN\x87."),
    ("EMPTY_DICT SETITEM", b"}NNs."),
    ("SETITEMS", b"}(NNu."),
    ("DICT", b"(NNd."),
    ("EMPTY_SET ADDITEMS", b"\x8f(N\x90."),
    ("FROZENSET", b"(N\x91."),
    ("PUT GET", b"Np0\ng0\n\x86."),
    ("BINPUT BINGET", b"Nq\x01h\x01\x86."),
    ("LONG_BINPUT LONG_BINGET", b"Nr\0\x01\0\0j\0\x01\0\0\x86."),
    ("MEMOIZE", b"N\x94h\0\x86."),
    ("FRAME", b"\x95\x02\0\0\0\0\0\0\0N."),
    ("READONLY_BUFFER", b"\x96\0\0\0\0\0\0\0\0\x98."),
    ("PERSID", b"Pa\n."),
    ("BINPERSID", b"NQ."),
    ("NEXT_BUFFER", b"\x97."),
];

#[test]
fn every_opcode_is_followed() {
    for (name, body) in HARMLESS {
        let found = scan(Pickle::protocol(5).raw(body).0);
        assert_eq!(found.verdict, Verdict::Pass, "{name}: {found:#?}");
    }
}

#[test]
fn an_import_after_every_opcode_is_found() {
    // If the walker took too much or too little for an opcode, it would miss what comes next.
    for (name, body) in HARMLESS {
        let body = body.strip_suffix(b".").expect("each ends with STOP");
        let body: &[u8] = if *name == "FRAME" { b"N" } else { body };
        let found = scan(Pickle::protocol(5).raw(body).global("os", "system").call_with("id").stop());
        assert_eq!(found.verdict, Verdict::Fail, "{name}: {found:#?}");
    }
}

#[test]
fn what_takes_more_than_there_is_is_no_pickle() {
    for opcode in 0..=u8::MAX {
        // Nothing on the stack, no mark, no argument: only what pushes gets by.
        let found = scan([0x80, 5, opcode]);
        assert_ne!(found.verdict, Verdict::Pass, "{opcode:#x}: {found:#?}");
    }
}
