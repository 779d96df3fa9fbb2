//! Where to ask, and where the numbers are.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InvalidJsonPath, JsonPath};
use crate::{
    Selector, Window,
    query::{InvalidTemplate, JsonTemplate, Language, Template, Unfilled, UrlText},
};

/// What one number, or several, is asked by: a path below the server's URL with a query, perhaps a body, and the
/// JSONPath to the numbers.
///
/// In path, query and the strings of the body `{{label}}` stands for the value of a label. The bounds of the window
/// are `{{start}}` and `{{end}}` in RFC 3339, `{{start_s}}`, `{{end_s}}` in seconds and `{{start_ms}}`, `{{end_ms}}`
/// in milliseconds since 1970; windows of other bounds are then refused, nothing sent.
///
/// As data: `{"url": "/counts?version={{version}}&after={{start_s}}&until={{end_s}}", "numbers": "$.errors"}`, with
/// `body`, `several` and `times` as the methods say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Unchecked")]
pub struct JsonRequest {
    url: Template<UrlText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<JsonTemplate>,
    #[serde(flatten)]
    look: Look,
}

/// Where the numbers are.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Look {
    pub(super) numbers: JsonPath,
    pub(super) several: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<Times>,
}

/// Where the times of numbers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "written as a literal")]
pub struct Times {
    /// Finds as many times as there are numbers, in the same order.
    pub path: JsonPath,
    /// How they are written.
    pub unit: TimeUnit,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TimeUnit {
    /// A string of RFC 3339; without a zone it is UTC.
    Rfc3339,
    /// A number of seconds since 1970.
    Seconds,
    /// A number of milliseconds since 1970.
    Milliseconds,
    /// A number of microseconds since 1970.
    Microseconds,
    /// A number of nanoseconds since 1970.
    Nanoseconds,
}

/// A request as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    url: String,
    body: Option<JsonTemplate>,
    numbers: JsonPath,
    #[serde(default)]
    several: bool,
    times: Option<Times>,
}

/// A request for one side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JsonQuestion {
    pub(super) target: String,
    pub(super) body: Option<Value>,
    pub(super) look: Look,
}

/// A request that cannot be sent. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// The path to the numbers or to their times is none.
    #[error(transparent)]
    Path(#[from] InvalidJsonPath),
    /// The URL has gaps that cannot be filled, or lacks some.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
}

impl TimeUnit {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rfc3339 => "RFC 3339",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Nanoseconds => "nanoseconds",
        }
    }
}

impl JsonRequest {
    /// `GET` of `url`, a path with a query that begins with `/`, whose answer has its number at the JSONPath
    /// `numbers`. The URL names the side and the window.
    ///
    /// # Errors
    ///
    /// Says what is missing in the URL, or where the path is wrong.
    pub fn get(url: &str, numbers: &str) -> Result<Self, InvalidRequest> {
        let numbers = numbers.parse()?;
        Unchecked { url: url.to_owned(), body: None, numbers, several: false, times: None }.try_into()
    }

    /// `POST` of `body` to `url`, otherwise as [`Self::get`]. One of the two names the side, one the window.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn post(url: &str, body: JsonTemplate, numbers: &str) -> Result<Self, InvalidRequest> {
        let numbers = numbers.parse()?;
        Unchecked { url: url.to_owned(), body: Some(body), numbers, several: false, times: None }.try_into()
    }

    /// `GET` as [`Self::get`], whose answer has times beside its numbers. It need not name the window: what is
    /// outside of it is left out.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    pub fn get_timed(url: &str, numbers: &str, times: Times) -> Result<Self, InvalidRequest> {
        let numbers = numbers.parse()?;
        Unchecked { url: url.to_owned(), body: None, numbers, several: true, times: Some(times) }.try_into()
    }

    /// Allows several numbers without times: each is a reading of the window, or a part of its count. Without it
    /// several are refused.
    #[must_use]
    pub fn allowing_several(mut self) -> Self {
        self.look.several = true;
        self
    }

    /// The times of the numbers.
    #[must_use]
    pub fn with_times(mut self, times: Times) -> Self {
        self.look.times = Some(times);
        self
    }

    pub(super) fn fill(&self, selector: &Selector, window: Window) -> Result<JsonQuestion, Unfilled> {
        let labels: Vec<_> = labels(&self.url, self.body.as_ref()).collect();
        let mut all = selector.clone();
        for (name, at, unit, problem) in bounds(window) {
            if labels.contains(&name) {
                let count =
                    whole(at, unit).ok_or_else(|| Unfilled::Unfit { label: name.to_owned(), problem })?;
                all = all.with(name, count.to_string());
            }
        }
        let target = self.url.fill(&all, window)?;
        let body = self.body.as_ref().map(|body| body.fill(&all, window)).transpose()?;
        Ok(JsonQuestion { target, body, look: self.look.clone() })
    }
}

/// The gaps that are the window's, as counts of a unit.
fn bounds(window: Window) -> [(&'static str, SystemTime, Duration, &'static str); 4] {
    const SECONDS: &str =
        "the window has no bound at a whole second there; choose one that has, or milliseconds";
    const MILLISECONDS: &str = "the window has no bound at a whole millisecond there; choose one that has";
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    [
        ("start_s", window.start(), second, SECONDS),
        ("end_s", window.end(), second, SECONDS),
        ("start_ms", window.start(), millisecond, MILLISECONDS),
        ("end_ms", window.end(), millisecond, MILLISECONDS),
    ]
}

fn whole(at: SystemTime, unit: Duration) -> Option<u128> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
    since.is_multiple_of(unit.as_nanos()).then(|| since / unit.as_nanos())
}

fn labels<'a>(url: &'a Template<UrlText>, body: Option<&'a JsonTemplate>) -> impl Iterator<Item = &'a str> {
    url.labels().chain(body.into_iter().flat_map(JsonTemplate::labels))
}

/// What is wrong with the text of a URL, whatever its gaps.
fn misplaced(url: &str) -> Option<&'static str> {
    if !url.starts_with('/') {
        Some("it is a path below the server's URL, and begins with `/`")
    } else if url.contains('#') || url.chars().any(|c| c.is_control() || c == ' ') {
        Some("it holds a `#`, a space or a control character; percent-encode them")
    } else if url.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
        Some("it holds `.` or `..` as a segment, which leads elsewhere")
    } else {
        None
    }
}

/// What the gaps of a request leave open.
fn left_open(url: &Template<UrlText>, body: Option<&JsonTemplate>, is_timed: bool) -> Option<&'static str> {
    let texts = body.into_iter().flat_map(JsonTemplate::texts).map(|(_, text)| text.to_string());
    let texts: Vec<String> = texts.chain([url.to_string()]).collect();
    let gaps =
        || texts.iter().flat_map(|text| text.split("{{").skip(1)).filter_map(|gap| gap.split("}}").next());
    let names = |bounds: [&str; 3]| gaps().any(|label| bounds.contains(&label.trim()));
    let is_windowed = names(["start", "start_s", "start_ms"]) && names(["end", "end_s", "end_ms"]);
    let mut sides =
        labels(url, body).filter(|label| !matches!(*label, "start_s" | "start_ms" | "end_s" | "end_ms"));
    if !(is_windowed || is_timed) {
        Some(
            "it does not name the window; write {{start}} and {{end}}, or say where the times of numbers are",
        )
    } else if sides.next().is_none() {
        Some("it names no label, so every side would get the same answer; write {{label}}")
    } else {
        None
    }
}

impl TryFrom<Unchecked> for JsonRequest {
    type Error = InvalidRequest;

    fn try_from(request: Unchecked) -> Result<Self, Self::Error> {
        let Unchecked { url: text, body, numbers, several, times } = request;
        let url = Template::part(&text)?;
        match misplaced(&text).or_else(|| left_open(&url, body.as_ref(), times.is_some())) {
            None => Ok(Self { url, body, look: Look { numbers, several, times } }),
            Some(problem) => Err(InvalidTemplate { template: text, language: UrlText::NAME, problem }.into()),
        }
    }
}
