//! Reports as SARIF.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use tidegate_registry::Hasher;

use super::projection::{Projection, Weight};
use crate::{Finding, Issue, Outcome, Severity, Standing, Verdict, excerpt::excerpt};

/// Longest text that is written, in characters.
const SHOWN: usize = 1000;
/// Results of a check that are written: GitHub shows 5 000 of a run
/// (<https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/troubleshoot-sarif-uploads>).
const MOST: usize = 1000;
/// What paths of files in a version are relative to.
const VERSION: &str = "VERSION";

impl Projection<'_> {
    /// As SARIF 2.1.0: each issue is a result, and each case that missed in a check that failed.
    ///
    /// A result keeps its `partialFingerprints` from run to run, as long as the rule, the place and what was found stay the
    /// same; lines and offsets are no part of them. Rules of issues have a `security-severity` and a text of help.
    /// What was waived is there with its `suppressions`. A report that is not accepted makes the run's
    /// `executionSuccessful` false, and has an error among its notifications that says why: no results, or none that
    /// whoever reads it minds, do not mean that all is well.
    ///
    /// Format: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>.
    #[must_use]
    pub fn sarif(&self) -> String {
        let (mut rules, mut results) = (Rules::default(), Vec::new());
        let (mut notifications, mut complete) = (Vec::new(), !self.findings.is_empty());
        let mut seen = HashMap::new();
        for (finding, weight) in self.weighed() {
            if let Verdict::Inconclusive(reason) = &finding.verdict {
                complete &= weight == Weight::Allowed;
                notifications.push(json!({
                    "level": if weight == Weight::Allowed { "warning" } else { "error" },
                    "message": { "text": excerpt(&format!("{}: {reason}", finding.check), SHOWN) },
                }));
            }
            results.extend(
                finding.issues.iter().take(MOST).map(|issue| self.result(issue, &mut rules, &mut seen)),
            );
            if weight == Weight::Failed && finding.issues.is_empty() {
                results.extend(self.behaviour(finding, &mut rules, &mut seen));
            }
        }
        if !self.accepted {
            complete = false;
            notifications.push(json!({
                "level": "error",
                "message": { "text": excerpt(&format!("{}: {}", self.title, self.lead), SHOWN) },
            }));
        }
        let mut run = json!({
            "tool": { "driver": {
                "name": "tidegate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.list,
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": complete,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "properties": self.facts.iter().map(|(name, value)| {
                (name.to_lowercase().replace(' ', "-"), excerpt(value, SHOWN).into())
            }).chain([("title".to_owned(), Value::from(excerpt(&self.title, SHOWN)))]).collect::<BTreeMap<_, _>>(),
        });
        if self.stored {
            run["originalUriBaseIds"] = json!({
                VERSION: { "description": { "text": excerpt(&format!("the files of {}", self.title), SHOWN) } },
            });
        }
        let log = json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        });
        format!("{log:#}\n")
    }

    fn result(&self, issue: &Issue, rules: &mut Rules, seen: &mut HashMap<String, usize>) -> Value {
        let index = rules.of_issue(issue);
        // The location says it, unless it is finer than that.
        let message = if issue.within.is_some() || issue.package.is_some() {
            excerpt(&format!("{} (in {})", issue.message, issue.place()), SHOWN)
        } else {
            excerpt(&issue.message, SHOWN)
        };
        let parts = [
            Some(&issue.rule),
            issue.path.as_ref(),
            issue.within.as_ref(),
            issue.package.as_ref(),
            Some(&issue.message),
        ];
        let mut result = json!({
            "ruleId": rules.list[index]["id"],
            "ruleIndex": index,
            "kind": if issue.standing == Standing::Undecided { "review" } else { "fail" },
            "message": { "text": message },
            "locations": [self.location(issue)],
            "partialFingerprints": fingerprint(parts.map(|part| part.map_or("", String::as_str)), seen),
        });
        // A level other than `none` is for failures alone.
        result["level"] = match issue.standing {
            Standing::Undecided => "none".into(),
            _ => level(issue.severity).into(),
        };
        if let Standing::Waived(why) = &issue.standing {
            let why = excerpt(why, SHOWN);
            result["suppressions"] =
                json!([{ "kind": "external", "status": "accepted", "justification": why }]);
        }
        let properties = [("tool", &issue.tool), ("package", &issue.package)];
        let properties: BTreeMap<_, _> = properties
            .into_iter()
            .filter_map(|(name, value)| Some((name, excerpt(value.as_ref()?, SHOWN))))
            .collect();
        if !properties.is_empty() {
            result["properties"] = json!(properties);
        }
        result
    }

    /// The cases that missed, or what was to be shown if there is none.
    fn behaviour(
        &self,
        finding: &Finding,
        rules: &mut Rules,
        seen: &mut HashMap<String, usize>,
    ) -> Vec<Value> {
        let index = rules.of_check(finding);
        let misses = finding.cases.iter().filter(|case| case.outcome == Outcome::Miss).take(MOST);
        let mut said: Vec<_> =
            misses.map(|case| (format!("{} → {}", case.input, case.detail), case.input.as_str())).collect();
        if said.is_empty() {
            said.push((format!("it does not hold that {}", finding.claim), ""));
        }
        let results = said.into_iter().map(|(message, input)| {
            json!({
                "ruleId": rules.list[index]["id"],
                "ruleIndex": index,
                "kind": "fail",
                "level": "error",
                "message": { "text": excerpt(&message, SHOWN) },
                "locations": [self.nowhere()],
                "partialFingerprints": fingerprint([&*finding.check, input], seen),
            })
        });
        results.collect()
    }

    fn location(&self, issue: &Issue) -> Value {
        let Some(path) = &issue.path else { return self.nowhere() };
        let mut artifact = json!({ "uri": uri(path) });
        if self.stored && issue.tool.is_none() {
            artifact["uriBaseId"] = VERSION.into();
        }
        let mut physical = json!({ "artifactLocation": artifact });
        match (issue.line, issue.offset) {
            (Some(line @ 1..), _) => physical["region"] = json!({ "startLine": line }),
            // An offset inside a member is none of the file.
            (_, Some(offset)) if issue.within.is_none() => {
                physical["region"] = json!({ "byteOffset": offset })
            }
            _ => {}
        }
        let mut location = json!({ "physicalLocation": physical });
        if let Some(within) = &issue.within {
            location["logicalLocations"] = json!([{ "name": excerpt(within, SHOWN), "kind": "member" }]);
        }
        location
    }

    /// Where something is that has no file of its own.
    fn nowhere(&self) -> Value {
        match &self.at {
            Some(path) => json!({ "physicalLocation": {
                "artifactLocation": { "uri": uri(path) }, "region": { "startLine": 1 },
            } }),
            None => {
                json!({ "logicalLocations": [{ "name": excerpt(&self.title, SHOWN), "kind": "module" }] })
            }
        }
    }
}

/// The rules that results are about, each once.
#[derive(Default)]
struct Rules {
    list: Vec<Value>,
    known: HashMap<String, (usize, Severity)>,
}

impl Rules {
    fn of_issue(&mut self, issue: &Issue) -> usize {
        let id = excerpt(&issue.rule, SHOWN);
        let next = self.list.len();
        let (index, worst) = *self.known.entry(id.clone()).or_insert((next, issue.severity));
        if index == next {
            let about = issue.about.as_deref().unwrap_or(&issue.message);
            let (about, tags) = (excerpt(about, SHOWN), json!(["security"]));
            self.list.push(json!({
                "id": id,
                "shortDescription": { "text": about },
                "help": { "text": about },
                "defaultConfiguration": { "level": level(issue.severity) },
                "properties": { "security-severity": score(issue.severity), "tags": tags },
            }));
        } else if issue.severity > worst {
            self.known.insert(id, (index, issue.severity));
            self.list[index]["defaultConfiguration"]["level"] = level(issue.severity).into();
            self.list[index]["properties"]["security-severity"] = score(issue.severity).into();
        }
        index
    }

    fn of_check(&mut self, finding: &Finding) -> usize {
        let index = self.list.len();
        let claim = excerpt(&format!("it is to be shown that {}", finding.claim), SHOWN);
        self.list.push(json!({
            "id": format!("check/{}", excerpt(&finding.check, SHOWN)),
            "shortDescription": { "text": claim },
            "help": { "text": format!("{claim}; look at the cases that missed, and whether the version or the check is wrong") },
            "defaultConfiguration": { "level": "error" },
            "properties": { "tags": ["behaviour"] },
        }));
        index
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
        Severity::None => "none",
    }
}

/// A score in the middle of the band, as those who read it know no bands.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::None => "0.0",
    }
}

/// The digest of `parts`, and which one it is of those that have the same.
fn fingerprint<'p>(parts: impl IntoIterator<Item = &'p str>, seen: &mut HashMap<String, usize>) -> Value {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finish().hex();
    let times = seen.entry(digest.clone()).or_insert(0);
    *times += 1;
    json!({ "tidegate/v1": format!("{digest}:{times}") })
}

/// A path as a URI: relative unless it is absolute.
fn uri(path: &str) -> String {
    const SHOWN: usize = 4096;
    let path: String = path.chars().take(SHOWN).collect();
    let path = path.replace('\\', "/");
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte as char)
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
