//! Files of every format, damaged in any way: the scanner comes back, and does not panic.

use proptest::prelude::*;
use tidegate_validation::{
    Verdict,
    scan::{Limits, Rule},
};

use crate::scan;

const FILES: [&[u8]; 8] = [
    include_bytes!("files/plain.safetensors"),
    include_bytes!("files/little.gguf"),
    include_bytes!("files/big.gguf"),
    include_bytes!("files/plain.onnx"),
    include_bytes!("files/external.onnx"),
    include_bytes!("files/lambda.h5"),
    br#"{"auto_map": {"AutoModel": "a.B"}, "chat_template": [{"name": "x", "template": "{{ y.z }}"}]}"#,
    b"\x08\x01\x12\x16\x0a\x07\x22\x05serve\x12\x0b\x0a\x09\x0a\x01n\x12\x04PyFn",
];

/// A piece of a template.
fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("{{"),
        Just("}}"),
        Just("{%"),
        Just("%}"),
        Just("{#"),
        Just("#}"),
        Just("-"),
        Just(" for "),
        Just(" in "),
        Just(" if "),
        Just(" elif "),
        Just(" else "),
        Just(" endif "),
        Just(" endfor "),
        Just(" set "),
        Just("="),
        Just(" macro "),
        Just(" endmacro "),
        Just(" raw "),
        Just(" endraw "),
        Just(" generation "),
        Just("'"),
        Just("\\x5f"),
        Just("\\"),
        Just("é"),
        Just("__"),
        Just("class"),
        Just("a"),
        Just("."),
        Just("|"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(":"),
        Just(","),
        Just("~"),
        Just("+"),
        Just("*"),
        Just("**"),
        Just("%"),
        Just("9"),
        Just("9999999999999999999"),
        Just("-1"),
        Just("format"),
        Just("join"),
        Just("replace"),
        Just("attr"),
        Just("'%c'"),
        Just("'{0}'"),
        Just("'{'"),
        Just("'%'"),
        Just("\n"),
        Just(" "),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_damage_makes_it_panic(
        file in 0..FILES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = FILES[file].to_vec();
        for (place, byte, kind) in edits {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        let found = scan(&bytes);
        prop_assert!(found.detections.len() <= Limits::default().detections as usize + 1);
    }

    #[test]
    fn no_template_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..40)) {
        let text = format!("{{{{ {} }}}}", pieces.concat());
        prop_assert!(scan(&text).detections.iter().all(|found| found.offset.is_none_or(|at| at <= text.len() as u64)));
    }

    #[test]
    fn pieces_before_internals_do_not_hide_them(pieces in proptest::collection::vec(piece(), 0..12)) {
        // What is read of it finds them; what is not read is not clean. A remark or a raw block may hold them.
        let text = format!("{{{{ {} }}}}{{{{ x.__class__ }}}}", pieces.concat());
        let quiet = pieces.iter().any(|piece| ["{#", " raw "].contains(piece));
        prop_assert!(quiet || scan(&text).verdict != Verdict::Pass, "{}", text);
    }

    #[test]
    fn lengths_of_any_size_are_refused(length in any::<u64>(), place in 0..4_usize) {
        let mut file = FILES[1].to_vec();
        let place = [8, 16, 24, 60][place];
        file[place..place + 8].copy_from_slice(&length.to_le_bytes());
        let found = scan(&file);
        let same = file == FILES[1];
        let refused = found.detections.iter().any(|found| {
            matches!(found.rule, Rule::Malformed | Rule::LimitReached | Rule::TensorLayout | Rule::DuplicateKey)
        });
        prop_assert!(same || refused || found.verdict == Verdict::Pass && place == 60, "{:#?}", found);
    }
}
