//! What a pickle has done by the time that it comes to nonsense is done: nothing after a call makes it clean.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tidegate_validation::{Verdict, scan::Scanner};

/// `os.system("id")`, its result dropped.
const CALL: &[u8] = b"cos\nsystem\n(X\x02\0\0\0idtR0";

fuzz_target!(|bytes: &[u8]| {
    let Some((&protocol, rest)) = bytes.split_first() else { return };
    let protocol = protocol % 6;
    let header: &[u8] = if protocol < 2 { &[] } else { &[0x80, protocol] };
    let file = [header, CALL, rest].concat();
    let found = Scanner::new().scan("fuzzed", &mut Cursor::new(file)).expect("memory can be read");
    assert_eq!(found.verdict, Verdict::Fail, "{found:#?}");
});
