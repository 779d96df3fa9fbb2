//! Any bytes as a dataset, in each format: it is refused, or every question can be read and is of one shard.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_validation::dataset::{Dataset, Format, Options, Shard};

// Of eight, the digits that seeds begin with name each its own.
const FORMATS: [Option<Format>; 8] = [
    None,
    Some(Format::Inspect),
    Some(Format::Native),
    Some(Format::OpenaiEvals),
    Some(Format::Promptfoo),
    Some(Format::Harmbench),
    Some(Format::Pyrit),
    Some(Format::Text),
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(first) % FORMATS.len()];
    let open = |shard| Dataset::from_bytes("fuzzed", rest, &Options { format, shard });
    let Ok(whole) = open(Shard::ALL) else { return };
    let questions = whole.questions().expect("it was read before").map(|question| question.expect("as well"));
    assert_eq!(questions.count() as u64, whole.len());
    let parts = (0..3).map(|part| open(Shard::new(part, 3).expect("below 3")).map_or(0, |part| part.len()));
    assert_eq!(parts.sum::<u64>(), whole.len(), "a question is of no shard, or of two");
});
