//! Documents in YAML.

use serde_json::{Map, Value};

use super::input::LONGEST_DOCUMENT;
use crate::flaw::Flaw;

/// A document in YAML, of which JSON is a part.
pub(super) fn document(bytes: &[u8]) -> Result<Map<String, Value>, Flaw> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Flaw::new("", "it is no UTF-8; save the file in this encoding"))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 1_000_000,
            max_events: 2_000_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_merge_keys: 10_000,
            max_documents: 1,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: LONGEST_DOCUMENT,
            max_total_scalar_bytes: LONGEST_DOCUMENT,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 1_000_000,
        },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Flaw::new("", format!("it is no YAML: {}", error.without_snippet())))
}
