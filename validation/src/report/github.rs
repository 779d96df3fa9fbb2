//! Reports as annotations of a GitHub workflow.

use super::projection::{Projection, Weight};
use crate::{Finding, Issue, Outcome, Standing, Verdict, excerpt::excerpt};

/// Annotations of a kind that GitHub shows of a step; further ones are dropped without a word
/// (<https://docs.github.com/en/actions/reference/limits>).
const MOST: usize = 10;
/// Longest text of one, in characters.
const SHOWN: usize = 2000;
/// Cases and issues that an annotation about a check names.
const NAMED: usize = 3;

impl Projection<'_> {
    /// As lines that a GitHub workflow takes from standard output: what keeps the version out as errors, what is
    /// allowed or too light to as warnings. There are ten of a kind at most, as GitHub shows no more; the last
    /// says how many are left out.
    ///
    /// Format: <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>.
    #[must_use]
    pub fn annotations(&self) -> Vec<String> {
        let (mut errors, mut warnings) = (Vec::new(), Vec::new());
        for (finding, weight) in self.weighed() {
            match weight {
                Weight::Passed => {}
                Weight::Allowed => warnings.push(self.check(finding)),
                Weight::Undecided | Weight::Failed => errors.push(self.check(finding)),
            }
        }
        if !self.accepted && errors.is_empty() {
            let what = format!("{}: no check passed, and nothing checked is no pass", self.title);
            errors.push(self.line(None, None, &self.title, &what));
        }
        // After all checks, so that none of them is crowded out by another's issues.
        for (finding, weight) in self.weighed() {
            let open = finding.issues.iter().filter(|issue| !matches!(issue.standing, Standing::Waived(_)));
            let lines = if weight == Weight::Failed { &mut errors } else { &mut warnings };
            lines.extend(open.map(|issue| self.annotation(issue)));
        }
        let mut lines = command("error", errors);
        lines.extend(command("warning", warnings));
        lines
    }

    fn check(&self, finding: &Finding) -> String {
        let mut said = vec![match &finding.verdict {
            Verdict::Inconclusive(reason) => format!("inconclusive: {reason}"),
            verdict => format!("{}: {}", verdict.word(), finding.claim),
        }];
        said.extend(finding.evidence.iter().map(ToString::to_string));
        let misses = finding.cases.iter().filter(|case| case.outcome == Outcome::Miss);
        said.extend(misses.take(NAMED).map(|case| format!("missed: {} → {}", case.input, case.detail)));
        let said: Vec<_> = said.iter().map(|line| excerpt(line, SHOWN / 4)).collect();
        self.line(None, None, &format!("{}: {}", self.title, finding.check), &said.join("\n"))
    }

    fn annotation(&self, issue: &Issue) -> String {
        // A file of the version is none of the repository.
        let path = issue.path.as_deref().filter(|_| !self.stored || issue.tool.is_some());
        let title = format!("{} {}", issue.severity, issue.rule);
        let message = if path.is_some() && issue.package.is_none() && issue.within.is_none() {
            excerpt(&issue.message, SHOWN)
        } else {
            excerpt(&issue.to_string(), SHOWN)
        };
        self.line(path, issue.line.filter(|_| path.is_some()), &title, &message)
    }

    /// What follows the name of the command.
    fn line(&self, path: Option<&str>, line: Option<u64>, title: &str, message: &str) -> String {
        let mut properties = Vec::new();
        if let Some(path) = path.or(self.at.as_deref()) {
            properties.push(format!("file={}", property(path)));
        }
        properties.extend(line.map(|line| format!("line={line}")));
        properties.push(format!("title={}", property(title)));
        format!("{}::{}", properties.join(","), data(message))
    }
}

/// At most [`MOST`] lines, of which the last says what is left out.
fn command(name: &str, mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MOST {
        let more = lines.len() - (MOST - 1);
        lines.truncate(MOST - 1);
        lines.push(format!("title=more::and {more} more; they are in the summary and in the report"));
    }
    lines.into_iter().map(|line| format!("::{name} {line}")).collect()
}

/// Text after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value before it.
fn property(text: &str) -> String {
    data(&excerpt(text, 300)).replace(':', "%3A").replace(',', "%2C")
}
