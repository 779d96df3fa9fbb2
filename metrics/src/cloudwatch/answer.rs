//! What CloudWatch answers: points page by page, or why it does not.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use reqwest::StatusCode;
use serde::Deserialize;

use super::question::{DataQuery, seconds};
use crate::{
    Window,
    http::{Answer, excerpt},
    query::{Failure, Points},
};

/// One page. CloudWatch leaves out what is empty.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(default)]
    metric_data_results: Vec<Series>,
    pub(super) next_token: Option<String>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    id: String,
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    timestamps: Vec<Timestamp>,
    #[serde(default)]
    values: Vec<Number>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(default)]
    code: String,
    #[serde(default)]
    value: String,
}

/// CloudWatch writes seconds, its imitations also RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(f64),
    Text(String),
}

/// What JSON has no number for is text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Text(String),
}

/// Why there is no page, in the words of the AWS JSON protocol.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type")]
    kind: String,
    #[serde(alias = "Message")]
    message: String,
}

/// What became of one request.
pub(super) enum Outcome {
    Page(Page),
    /// To be put again later.
    Throttled(Failure),
}

/// The points of all pages so far, by the beginning of their period.
#[derive(Debug)]
pub(super) struct Pages {
    window: Window,
    /// Seconds of each period.
    period: u64,
    points: BTreeMap<u64, f64>,
    status: String,
    messages: String,
}

impl Outcome {
    pub(super) fn of(answer: &Answer) -> Result<Self, Failure> {
        if answer.status == StatusCode::OK {
            return serde_json::from_slice(&answer.body)
                .map(Self::Page)
                .map_err(|error| Failure::malformed(format!("it is not the expected JSON: {error}")));
        }
        let refusal: Refusal = serde_json::from_slice(&answer.body).unwrap_or_default();
        // `namespace#Name` or `Name:URL`, where `Name` is what counts.
        let kind = refusal.kind.rsplit('#').next().unwrap_or_default();
        let kind = kind.split(':').next().unwrap_or_default();
        if kind.is_empty() {
            let text = excerpt(&String::from_utf8_lossy(&answer.body));
            let cause = format!("HTTP {}: {text}", answer.status);
            return Err(Failure::by_status(answer.status, cause.into()));
        }
        let said = excerpt(&format!("{kind}: {}", refusal.message));
        if is_throttling(kind) {
            return Ok(Self::Throttled(Failure::Unavailable(said.into())));
        }
        Err(failure(kind, &refusal.message, said, answer.status))
    }
}

fn is_throttling(kind: &str) -> bool {
    kind.starts_with("Throttl")
        || matches!(
            kind,
            "LimitExceeded"
                | "LimitExceededException"
                | "RequestLimitExceeded"
                | "SlowDown"
                | "TooManyRequestsException"
        )
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html>
fn failure(kind: &str, message: &str, said: String, status: StatusCode) -> Failure {
    const CLOCK: &str = "the clock that signs is wrong, or the credentials have expired";
    let kind = kind.strip_suffix("Exception").unwrap_or(kind);
    match kind {
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            Failure::Denied(format!("{CLOCK}: {said}").into())
        }
        "InvalidSignature" | "SignatureDoesNotMatch"
            if message.starts_with("Signature expired")
                || message.starts_with("Signature not yet current") =>
        {
            Failure::Denied(format!("{CLOCK}: {said}").into())
        }
        "AccessDenied"
        | "AuthFailure"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        | "UnrecognizedClient" => Failure::Denied(said.into()),
        "InternalFailure"
        | "InternalServerError"
        | "InternalServiceFault"
        | "InternalServiceError"
        | "ServiceUnavailable" => Failure::Unavailable(said.into()),
        _ => Failure::by_status(status, said.into()),
    }
}

impl Pages {
    pub(super) const fn of(window: Window, period: u64) -> Self {
        Self { window, period, points: BTreeMap::new(), status: String::new(), messages: String::new() }
    }

    /// Takes what `page` holds; gives the token of the next.
    pub(super) fn take(&mut self, page: Page) -> Result<Option<String>, Failure> {
        self.hear(&page.messages);
        for series in page.metric_data_results {
            if series.id != DataQuery::ID {
                return Err(Failure::malformed(format!(
                    "it holds a result `{}`, which was not asked",
                    series.id
                )));
            }
            self.hear(&series.messages);
            self.status = series.status_code;
            match self.status.as_str() {
                "Complete" | "PartialData" => {}
                "Forbidden" => return Err(Failure::Denied(self.said("Forbidden").into())),
                "InternalError" => return Err(Failure::Unavailable(self.said("InternalError").into())),
                other => return Err(Failure::malformed(format!("its status is `{other}`"))),
            }
            if series.timestamps.len() != series.values.len() {
                return Err(Failure::malformed(format!(
                    "it holds {} timestamps and {} values",
                    series.timestamps.len(),
                    series.values.len()
                )));
            }
            for (at, value) in series.timestamps.iter().zip(&series.values) {
                self.add(at.second()?, value.float()?)?;
            }
        }
        Ok(page.next_token.filter(|token| !token.is_empty()))
    }

    /// The points, if the last page said that there are no more.
    pub(super) fn finish(self) -> Result<Points, Failure> {
        match self.status.as_str() {
            "Complete" => {}
            "PartialData" => return Err(Failure::Partial(self.said("PartialData"))),
            _ => return Err(Failure::malformed("it holds no result")),
        }
        if !self.messages.is_empty() {
            tracing::warn!(messages = %self.messages, "CloudWatch says something about a complete answer");
        }
        // A period is stamped with its beginning here and with its end there.
        let length = Duration::from_secs(self.period);
        let points = self.points.into_iter().filter_map(|(second, value)| {
            let start = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(second))?;
            Some((start.checked_add(length)?, value))
        });
        Ok(points.collect())
    }

    fn add(&mut self, second: u64, value: f64) -> Result<(), Failure> {
        let (start, end) = (seconds(self.window.start()), seconds(self.window.end()));
        // CloudWatch rounds the beginning of what was asked down to what it keeps; the rest is of no interest.
        if !(start..end).contains(&second) {
            return Ok(());
        }
        if !(second - start).is_multiple_of(self.period) {
            return Err(Failure::malformed(format!(
                "it holds a point at {second} s, where no period of {} s begins",
                self.period
            )));
        }
        match self.points.insert(second, value) {
            Some(_) => Err(Failure::malformed(format!("it holds two points for the period at {second} s"))),
            None => Ok(()),
        }
    }

    fn hear(&mut self, messages: &[Message]) {
        for Message { code, value } in messages.iter().take(3) {
            let between = if self.messages.is_empty() { "" } else { "; " };
            self.messages = excerpt(&format!("{}{between}{code}: {value}", self.messages));
        }
    }

    fn said(&self, status: &str) -> String {
        if self.messages.is_empty() {
            format!("its status is {status}")
        } else {
            format!("its status is {status} ({})", self.messages)
        }
    }
}

impl Timestamp {
    fn second(&self) -> Result<u64, Failure> {
        // Beyond these whole numbers the float has no fraction to check.
        const LAST: f64 = 253_402_300_799.0;
        match self {
            Self::Seconds(at) if (0.0..=LAST).contains(at) && at.fract() == 0.0 => Ok(*at as u64),
            Self::Seconds(at) => Err(Failure::malformed(format!("{at:?} is no time in whole seconds"))),
            Self::Text(text) => humantime::parse_rfc3339(text)
                .map(seconds)
                .map_err(|_| Failure::malformed(format!("`{text}` is no time"))),
        }
    }
}

impl Number {
    fn float(&self) -> Result<f64, Failure> {
        match self {
            Self::Finite(value) => Ok(*value),
            Self::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                _ => Err(Failure::malformed(format!("`{text}` is no number"))),
            },
        }
    }
}
