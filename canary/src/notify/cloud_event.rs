//! Notices as CloudEvents 1.0.

use std::fmt::Write as _;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{Notice, id};

/// What a notice is to CloudEvents, but for its data.
///
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>
pub(super) struct Attributes {
    id: String,
    source: String,
    kind: String,
    subject: Option<String>,
    time: String,
}

/// `dev.tidegate.rollout.step-begun.v1`, `dev.tidegate.watch.blind.v1`.
pub(super) fn kind(notice: &Notice) -> String {
    let (family, name) = notice.kind.parts();
    format!("dev.tidegate.{family}.{name}.v1")
}

impl Attributes {
    /// `source` is what comes before the route in the event's source.
    pub(super) fn of(notice: &Notice, source: &str) -> Self {
        Self {
            id: notice.id.clone(),
            source: format!("{source}/route/{}", id::encoded(notice.route.as_str())),
            kind: kind(notice),
            subject: notice.parties().last().map(|(_, id)| id.to_string()),
            time: humantime::format_rfc3339_millis(notice.at).to_string(),
        }
    }

    /// The event in structured mode.
    pub(super) fn event(&self, notice: &Notice) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.kind,
            "time": self.time,
            "datacontenttype": "application/json",
            "data": notice,
        });
        if let Some(subject) = &self.subject {
            event["subject"] = json!(subject);
        }
        event
    }

    /// The headers of binary mode.
    pub(super) fn headers(&self) -> HeaderMap {
        let Self { id, source, kind, subject, time } = self;
        let mut headers = HeaderMap::new();
        let attributes = [
            ("ce-specversion", Some("1.0")),
            ("ce-id", Some(&**id)),
            ("ce-source", Some(source)),
            ("ce-type", Some(kind)),
            ("ce-time", Some(time)),
            ("ce-subject", subject.as_deref()),
        ];
        for (name, value) in attributes {
            // What is encoded can be the value of any header.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&encoded(value)).ok()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

/// Percent-encoded where headers must be: HTTP protocol binding, 3.1.3.2.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_graphic() && !matches!(c, '"' | '%') {
            encoded.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                // Writing to a string does not fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}
