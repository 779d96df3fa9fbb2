//! Any bytes at all: the scanner ends, within its limits, and nothing evil becomes clean by accident.

use proptest::prelude::*;
use tidegate_validation::{Verdict, scan::Limits};

use crate::{
    archive::{Member, Zip, tar},
    assemble::Pickle,
    containers::seven,
    scan,
};

/// An opcode with an argument, more or less as it should be.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<u8>().prop_map(|byte| vec![byte]),
        2 => "[a-z.]{1,6}".prop_map(|text| Pickle::old().text(&text).0),
        1 => (0..8_u8).prop_map(|index| vec![b'q', index]),
        1 => (0..8_u8).prop_map(|index| vec![b'h', index]),
        1 => Just(vec![0x94]),
        1 => Just(vec![0x93]),
        1 => ("[a-z]{1,4}", "[a-z.]{1,4}").prop_map(|(module, name)| Pickle::old().global(&module, &name).0),
        1 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Pickle::old().bytes(&bytes).0),
        1 => Just(b"K\x01".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let found = scan(&bytes);
        prop_assert!(found.detections.len() <= Limits::default().detections as usize + 1);
    }

    #[test]
    fn no_opcodes_make_it_panic(ops in proptest::collection::vec(opcode(), 0..60), header in 0..6_u8) {
        let found = scan(Pickle::protocol(header).raw(ops.concat()).0);
        prop_assert!(found.detections.len() <= Limits::default().detections as usize + 1);
    }

    #[test]
    fn opcodes_before_a_call_do_not_hide_it(ops in proptest::collection::vec(opcode(), 0..12)) {
        // Whatever comes first: if the walker gets by it, it finds the call; if not, the file is not clean. Between them is
        // more than a short argument can swallow: what is inside of a number is no call.
        let between = b"K\x010".repeat(100);
        let pickle = Pickle::protocol(4).raw(ops.concat()).raw(between);
        let found = scan(pickle.global("os", "system").call_with("id").stop());
        prop_assert_ne!(found.verdict, Verdict::Pass);
    }
}

/// A zip and a tar with an attack inside, and where in them it lies.
fn archives() -> Vec<(Vec<u8>, std::ops::Range<usize>)> {
    let evil = Pickle::protocol(4).stack_global("os", "system").call_with("id").stop();
    let zip = Zip::of([Member::stored("a.txt", "words"), Member::stored("m/data.pkl", &evil)]).finish();
    let tar = tar(&[("a.txt", b'0', b"words"), ("model", b'0', &evil)]);
    let within = |file: &[u8]| {
        let start =
            file.windows(evil.len()).position(|window| window == evil).expect("it is stored as it is");
        start..start + evil.len()
    };
    [zip, tar].into_iter().map(|file| (file.clone(), within(&file))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_change_around_it_makes_an_attack_clean(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (mut file, attack) = archives().swap_remove(0);
        let at = at.index(file.len());
        prop_assume!(!attack.contains(&at));
        file[at] = byte;
        let found = scan(&file);
        prop_assert_ne!(found.verdict, Verdict::Pass, "byte {} became {:#x}: {:?}", at, byte, found.detections);
    }

    #[test]
    fn no_archive_makes_it_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let seven = seven([b"words", b"more words"]);
        for mut file in archives().into_iter().map(|(file, _)| file).chain([seven]) {
            for (at, byte) in &changes {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            let whole = scan(&file);
            prop_assert!(whole.detections.len() <= Limits::default().detections as usize + 1);
            file.truncate(cut.index(file.len()));
            let part = scan(&file);
            prop_assert!(part.detections.len() <= Limits::default().detections as usize + 1);
        }
    }
}
