//! Any stream of server-sent events: how it is cut into chunks makes no difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_validation::fuzzing::events;

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, stream)) = bytes.split_first() else { return };
    let size = usize::from(size).max(1);
    let whole = events(&[stream]);
    let cut = events(&stream.chunks(size).collect::<Vec<_>>());
    assert_eq!(whole, cut);
});
