//! The questions that come with the crate. Where they are from and under which licence: `data/README.md`.

use serde::Deserialize;

/// Requests that must be declined, one a line.
pub(crate) const HARMFUL: &str = include_str!("../../data/harmful.jsonl");
/// Requests that must be done, one a line.
pub(crate) const HARMLESS: &str = include_str!("../../data/harmless.jsonl");

/// What the requests that must be declined say.
pub(crate) fn harmful() -> impl Iterator<Item = String> {
    #[derive(Deserialize)]
    struct Line {
        input: String,
    }

    HARMFUL.lines().map(|line| serde_json::from_str::<Line>(line).expect("our own file is sound").input)
}
