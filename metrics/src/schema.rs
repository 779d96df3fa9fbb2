//! What JSON Schemas of this crate and others call a length of time.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A length of time as text: `90s`, `1h 30m`. Stands for a [`Duration`](std::time::Duration) in schemas.
#[derive(Debug)]
#[non_exhaustive]
pub struct Span;

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        const UNIT: &str = "(n(anos|sec|s)|u(sec|s)|µs|m(illis|sec|s)|s(ec(ond)?s?)?|m(in(ute)?s?)?|h(ours?|rs?)?|d(ays?)?|w(eeks?|ks?)?|M|months?|y(ears?|rs?)?)";
        json_schema!({
            "description": "A length of time: numbers with their units, such as `90s`, `15m` or `1h 30m`.",
            "type": "string",
            "pattern": format!("^(0|([0-9]+(\\.[0-9]+)? ?{UNIT} ?)+)$"),
        })
    }
}
