//! Times that come again: hours of work, weekends, holidays.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A time that comes again, or once.
///
/// One that comes again is a crontab line of five fields with its time zone, and how long it lasts each time:
/// `{"cron": "0 16 * * FRI Europe/Berlin", "lasts": "64h"}` is the weekend in Berlin, daylight saving time or
/// not. One that comes once lies between two instants:
/// `{"from": "2026-12-20T00:00:00Z", "until": "2027-01-02T08:00:00Z"}`. Beginnings belong to it, ends do not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Calendar(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Cron(Cron),
    Once { from: SystemTime, until: SystemTime },
}

#[derive(Clone)]
struct Cron {
    text: String,
    begins: cronexpr::Crontab,
    lasts: Duration,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    lasts: Option<Duration>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    from: Option<SystemTime>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    until: Option<SystemTime>,
}

/// What a calendar says of an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Whether the instant lies in it.
    pub(crate) inside: bool,
    /// When that changes next, if ever.
    pub(crate) changes: Option<SystemTime>,
}

impl Calendar {
    /// A time that begins whenever the crontab line `cron` says and lasts for `lasts`, which is from 1 s to 31
    /// days.
    ///
    /// # Errors
    ///
    /// What is wrong with the line: it has five fields and the name of a time zone.
    pub fn cron(cron: impl Into<String>, lasts: Duration) -> Result<Self, String> {
        Cron::new(cron.into(), lasts).map(|cron| Self(Kind::Cron(cron)))
    }

    /// The time from `from` on that is over at `until`.
    ///
    /// # Errors
    ///
    /// It has to be over after it begins.
    pub fn once(from: SystemTime, until: SystemTime) -> Result<Self, String> {
        if from >= until {
            return Err("a calendar is over before it begins; write `from` before `until`".to_owned());
        }
        Ok(Self(Kind::Once { from, until }))
    }

    /// What it says of `at`.
    pub(crate) fn now(&self, at: SystemTime) -> Now {
        match &self.0 {
            Kind::Cron(cron) => cron.now(at),
            Kind::Once { from, .. } if at < *from => Now { inside: false, changes: Some(*from) },
            Kind::Once { until, .. } if at < *until => Now { inside: true, changes: Some(*until) },
            Kind::Once { .. } => Now { inside: false, changes: None },
        }
    }
}

impl Cron {
    const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

    fn new(text: String, lasts: Duration) -> Result<Self, String> {
        if !(Duration::from_secs(1)..=Self::LONGEST).contains(&lasts) {
            return Err(format!(
                "a calendar lasts {}; write 1s to 31days",
                humantime::format_duration(lasts)
            ));
        }
        if text.len() > 200 {
            return Err("a crontab line has more than 200 bytes".to_owned());
        }
        let begins = cronexpr::parse_crontab(&text).map_err(|_| {
            format!("`{text}` is no crontab line; write five fields and a time zone, as in `0 16 * * FRI Europe/Berlin`")
        })?;
        Ok(Self { text, begins, lasts })
    }

    fn now(&self, at: SystemTime) -> Now {
        let next = |after: SystemTime| -> Option<SystemTime> {
            let found = self.begins.find_next(Timestamp::try_from(after).ok()?).ok()?;
            Some(found.timestamp().into())
        };
        // The next time may begin before the one before it is over.
        let mut over = None;
        let mut begins = next(at - self.lasts);
        while let Some(began) = begins.filter(|began| *began <= over.unwrap_or(at)) {
            over = Some(began + self.lasts);
            begins = next(began);
            // One that is never over is asked again some time.
            if over > Some(at + 2 * Self::LONGEST) {
                break;
            }
        }
        Now { inside: over.is_some(), changes: over.or(begins) }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Calendar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Calendar".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let span = generator.subschema_for::<tidegate_metrics::schema::Span>();
        schemars::json_schema!({
            "description": "A time that comes again, a crontab line of five fields with its time zone and how long it lasts each time, or one that comes once, between two instants.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "cron": { "type": "string", "maxLength": 200, "examples": ["0 16 * * FRI Europe/Berlin"] },
                        "lasts": span,
                    },
                    "required": ["cron", "lasts"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {
                        "from": { "type": "string", "format": "date-time" },
                        "until": { "type": "string", "format": "date-time" },
                    },
                    "required": ["from", "until"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

impl TryFrom<Written> for Calendar {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written { cron: Some(cron), lasts: Some(lasts), from: None, until: None } => {
                Self::cron(cron, lasts)
            }
            Written { cron: None, lasts: None, from: Some(from), until: Some(until) } => {
                Self::once(from, until)
            }
            _ => Err("a calendar has either `cron` and `lasts` or `from` and `until`".to_owned()),
        }
    }
}

impl From<Calendar> for Written {
    fn from(calendar: Calendar) -> Self {
        match calendar.0 {
            Kind::Cron(Cron { text, lasts, .. }) => {
                Self { cron: Some(text), lasts: Some(lasts), ..Self::default() }
            }
            Kind::Once { from, until } => Self { from: Some(from), until: Some(until), ..Self::default() },
        }
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.lasts) == (&other.text, other.lasts)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.text, self.lasts)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cron(Cron { text, lasts, .. }) => {
                write!(f, "`{text}` for {}", humantime::format_duration(*lasts))
            }
            Kind::Once { from, until } => {
                let [from, until] = [from, until].map(|time| humantime::format_rfc3339_seconds(*time));
                write!(f, "{from} to {until}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    fn inside(until: &str) -> Now {
        Now { inside: true, changes: Some(at(until)) }
    }

    fn outside(until: &str) -> Now {
        Now { inside: false, changes: Some(at(until)) }
    }

    #[test]
    fn a_weekend_begins_by_the_clocks_of_its_zone() {
        let weekend = Calendar::cron("0 16 * * FRI Europe/Berlin", Duration::from_secs(64 * 3600)).unwrap();
        // 16:00 in Berlin is 14:00 UTC in summer and 15:00 in winter.
        assert_eq!(weekend.now(at("2026-07-03T13:59:59Z")), outside("2026-07-03T14:00:00Z"));
        assert_eq!(weekend.now(at("2026-07-03T14:00:00Z")), inside("2026-07-06T06:00:00Z"));
        assert_eq!(weekend.now(at("2026-07-06T05:59:59Z")), inside("2026-07-06T06:00:00Z"));
        assert_eq!(weekend.now(at("2026-07-06T06:00:00Z")), outside("2026-07-10T14:00:00Z"));
        assert_eq!(weekend.now(at("2026-12-04T14:59:59Z")), outside("2026-12-04T15:00:00Z"));
    }

    #[test]
    fn times_that_overlap_are_one() {
        let days = Calendar::cron("0 8 * * MON-FRI UTC", Duration::from_secs(30 * 3600)).unwrap();
        assert_eq!(days.now(at("2026-07-06T08:00:00Z")), inside("2026-07-11T14:00:00Z"));
        // One that is never over is inside, and asked about again some time.
        let ever = Calendar::cron("* * * * * UTC", Duration::from_secs(3600)).unwrap();
        assert!(ever.now(at("2026-07-06T08:00:00Z")).inside);
    }

    #[test]
    fn holidays_come_once() {
        let text = r#"{"from":"2026-12-20T00:00:00Z","until":"2027-01-02T08:00:00Z"}"#;
        let holidays: Calendar = serde_json::from_str(text).unwrap();
        assert_eq!(holidays.now(at("2026-12-19T23:59:59Z")), outside("2026-12-20T00:00:00Z"));
        assert_eq!(holidays.now(at("2026-12-20T00:00:00Z")), inside("2027-01-02T08:00:00Z"));
        assert_eq!(holidays.now(at("2027-01-02T08:00:00Z")), Now { inside: false, changes: None });
        assert_eq!(serde_json::to_string(&holidays).unwrap(), text);
    }

    #[test]
    fn what_is_no_calendar_says_why() {
        for (cron, lasts, why) in [
            ("0 16 * * FRI", 3600, "five fields and a time zone"),
            ("0 16 * * FRI Europe/Atlantis", 3600, "five fields and a time zone"),
            ("61 16 * * FRI UTC", 3600, "no crontab line"),
            ("0 16 * * FRI UTC", 0, "1s to 31days"),
            ("0 16 * * FRI UTC", 40 * 86_400, "1s to 31days"),
        ] {
            let error = Calendar::cron(cron, Duration::from_secs(lasts)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for (text, why) in [
            (r#"{"cron":"0 16 * * FRI UTC"}"#, "either `cron` and `lasts`"),
            (r#"{"from":"2026-12-20T00:00:00Z","until":"2026-12-20T00:00:00Z"}"#, "before it begins"),
            (r#"{"cron":"0 16 * * FRI UTC","last":"2h"}"#, "unknown field `last`"),
        ] {
            let error = serde_json::from_str::<Calendar>(text).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let text = r#"{"cron":"0 16 * * FRI UTC","lasts":"2h"}"#;
        let calendar: Calendar = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&calendar).unwrap(), text);
    }
}
