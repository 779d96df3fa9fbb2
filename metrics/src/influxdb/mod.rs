//! InfluxDB 2, asked in Flux, and InfluxDB 3, asked in SQL.

mod annotated;
mod flux;
mod rows;
mod sql;

pub use flux::{FluxQuery, InfluxDb, InfluxDbApi};
use reqwest::header::HeaderValue;
pub use sql::{InfluxDb3, InfluxDb3Api, SqlQuery, SqlQuestion};

/// `token` after the word that says what it is.
fn credential(scheme: &str, token: &HeaderValue) -> HeaderValue {
    let bytes = [scheme.as_bytes(), b" ", token.as_bytes()].concat();
    // What may stand in a header may stand there after a word.
    let mut value = HeaderValue::from_bytes(&bytes).unwrap_or_else(|_| token.clone());
    value.set_sensitive(true);
    value
}
