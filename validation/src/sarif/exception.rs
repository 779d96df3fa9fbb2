//! What is known, was looked at, and does not count until a day.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::Issue;

/// A finding that somebody looked at and took responsibility for, for a time. What is said of `rule`, `path` and `package` all has
/// to hold; at least one of them has to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Exception {
    /// The rule, by its whole name: `CVE-2024-3094`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The file, as the scanner calls it; with a `/` at its end, everything below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The package, without its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Why it does not count.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// The last day on which it holds, in UTC.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub expires: LastDay,
}

/// A day, written `2026-12-31`; it ends with the day in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LastDay {
    text: String,
    begins: SystemTime,
}

impl Exception {
    /// What is wrong with it, if anything.
    pub(super) fn flaw(&self) -> Option<String> {
        let named = [&self.rule, &self.path, &self.package];
        let why = if named.iter().all(|name| name.is_none()) {
            "says neither `rule` nor `path` nor `package`, and would except everything; say one"
        } else if named.iter().any(|name| name.as_ref().is_some_and(|name| name.trim().is_empty())) {
            "has an empty `rule`, `path` or `package`; write it out, or leave it out"
        } else if self.reason.trim().is_empty() {
            "has no `reason`; somebody will ask"
        } else if self.by.trim().is_empty() {
            "has no `by`; say who takes responsibility"
        } else if self.expires == LastDay::default() {
            "does not say when it `expires`; write a day as in \"2026-12-31\""
        } else {
            return None;
        };
        Some(why.to_owned())
    }

    /// Whether it is about `issue`, which concerns `packages`.
    pub(super) fn covers(&self, issue: &Issue, packages: &[String]) -> bool {
        let path = |wanted: &String| {
            let path = issue.path.as_deref().unwrap_or_default();
            if wanted.ends_with('/') { path.starts_with(wanted.as_str()) } else { path == wanted }
        };
        self.rule.as_ref().is_none_or(|rule| *rule == issue.rule)
            && self.path.as_ref().is_none_or(path)
            && self.package.as_ref().is_none_or(|package| packages.contains(package))
    }

    /// `CVE-2024-3094 in xz`.
    pub(super) fn told(&self) -> String {
        let rest = [&self.path, &self.package].into_iter().flatten().cloned().collect::<Vec<_>>().join(", ");
        match (&self.rule, rest.is_empty()) {
            (Some(rule), true) => rule.clone(),
            (Some(rule), false) => format!("{rule} in {rest}"),
            (None, _) => format!("everything in {rest}"),
        }
    }
}

impl LastDay {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Whether it is over at `time`.
    #[must_use]
    pub fn is_over(&self, time: SystemTime) -> bool {
        self.begins.checked_add(Self::DAY).is_some_and(|end| time >= end)
    }
}

/// A day that is long over.
impl Default for LastDay {
    fn default() -> Self {
        Self { text: "1970-01-01".to_owned(), begins: SystemTime::UNIX_EPOCH }
    }
}

impl TryFrom<String> for LastDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let begins = (text.len() == "2026-12-31".len())
            .then(|| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok())
            .flatten();
        match begins {
            Some(begins) => Ok(Self { text, begins }),
            None => {
                let shown = crate::excerpt::excerpt(&text, 50);
                Err(format!("`{shown}` is no day; write it as in \"2026-12-31\""))
            }
        }
    }
}

impl From<LastDay> for String {
    fn from(day: LastDay) -> Self {
        day.text
    }
}

impl fmt::Display for LastDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_with_the_day() {
        let day = LastDay::try_from("2026-11-29".to_owned()).unwrap();
        let at = |text| humantime::parse_rfc3339(text).unwrap();
        assert!(!day.is_over(at("2026-11-29T23:59:59Z")));
        assert!(day.is_over(at("2026-11-30T00:00:00Z")));
        for wrong in ["2026-13-01", "2026-1-1", "29.11.2026", "2026-11-29T00:00:00Z", "", "never"] {
            assert!(LastDay::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
