//! Reports as JUnit XML.

use std::collections::HashMap;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::projection::{Projection, Weight};
use crate::{Case, Evidence, Finding, Outcome, Standing, Verdict, excerpt::excerpt};

/// Longest text that is written, in characters.
const SHOWN: usize = 1000;
/// Issues that a failure lists.
const LISTED: usize = 100;

impl Projection<'_> {
    /// As JUnit XML, which most pipelines show as test results.
    ///
    /// Each check is a suite of tests. Its first test, of the check's own name, is the verdict: a `failure` if it
    /// failed, an `error` if it is inconclusive, and `skipped` if it may be inconclusive; its properties hold the
    /// numbers (`estimate`, `lower`, `upper`, `confidence`, `threshold`, `n`, `unknown`, `method`, and the same with
    /// `.2` and so on behind the name for further ones). The others are its cases. A case that missed is a `failure`
    /// only where the check failed: a rate may pass its floor with misses, and those are `skipped`. So there is a failure or an error
    /// exactly if the version is not accepted.
    #[must_use]
    pub fn junit(&self) -> String {
        let mut report = Report::new(excerpt(&self.title, SHOWN));
        for (finding, weight) in self.weighed() {
            let mut suite = TestSuite::new(excerpt(&finding.check, SHOWN));
            for (name, value) in &self.facts {
                suite.add_property(Property::new(
                    name.to_lowercase().replace(' ', "-"),
                    excerpt(value, SHOWN),
                ));
            }
            suite.add_test_case(self.test(&finding.check, verdict(finding, weight), |test| {
                test.add_properties(finding.evidence.iter().enumerate().flat_map(|(i, e)| properties(i, e)));
                if !finding.notes.is_empty() {
                    test.set_system_out(lines(finding.notes.iter()));
                }
            }));
            let mut seen = HashMap::new();
            for case in &finding.cases {
                let times = seen.entry(&case.input).or_insert(0_usize);
                *times += 1;
                let name = excerpt(&case.input, SHOWN);
                let name = if *times == 1 { name } else { format!("{name} ({times})") };
                suite.add_test_case(self.test(&name, outcome(case, weight), |test| {
                    test.set_classname(excerpt(&finding.check, SHOWN));
                }));
            }
            report.add_test_suite(suite);
        }
        if self.findings.is_empty() || (!self.accepted && report.failures + report.errors == 0) {
            let mut suite = TestSuite::new("suite");
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("no check passed, and nothing checked is no pass");
            suite.add_test_case(self.test("suite", status, |_| {}));
            report.add_test_suite(suite);
        }
        report.to_string().expect("memory takes every byte")
    }

    fn test(&self, name: &str, status: TestCaseStatus, more: impl FnOnce(&mut TestCase)) -> TestCase {
        let mut test = TestCase::new(excerpt(name, SHOWN), status);
        test.set_classname(excerpt(&self.title, SHOWN));
        more(&mut test);
        test
    }
}

fn verdict(finding: &Finding, weight: Weight) -> TestCaseStatus {
    let mut status = match weight {
        Weight::Passed => return TestCaseStatus::success(),
        Weight::Allowed => TestCaseStatus::skipped(),
        Weight::Undecided => TestCaseStatus::non_success(NonSuccessKind::Error),
        Weight::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    let message = match &finding.verdict {
        Verdict::Inconclusive(reason) => reason.to_string(),
        _ => format!("it does not hold that {}", finding.claim),
    };
    status.set_message(excerpt(&message, SHOWN)).set_type(finding.verdict.word());
    let open = finding.issues.iter().filter(|issue| issue.standing == Standing::Open);
    let listed = finding.evidence.iter().map(ToString::to_string).chain(open.map(ToString::to_string));
    status.set_description(lines(listed.take(LISTED)));
    status
}

fn outcome(case: &Case, weight: Weight) -> TestCaseStatus {
    let mut status = match (case.outcome, weight) {
        (Outcome::Hit, _) => return TestCaseStatus::success(),
        (Outcome::Miss, Weight::Failed) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (Outcome::Unknown, Weight::Undecided) => TestCaseStatus::non_success(NonSuccessKind::Error),
        (Outcome::Miss | Outcome::Unknown, _) => TestCaseStatus::skipped(),
    };
    let word = if case.outcome == Outcome::Miss { "missed" } else { "without a result" };
    status.set_message(format!("{word}: {}", excerpt(&case.detail, SHOWN))).set_type(word);
    status
}

fn properties(index: usize, evidence: &Evidence) -> Vec<Property> {
    let method = serde_json::to_value(evidence.method).ok();
    let method = method.and_then(|method| method.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    let number = |value: Option<f64>| value.filter(|value| value.is_finite()).map(|value| value.to_string());
    let all = [
        ("measure", Some(excerpt(&evidence.measure, SHOWN))),
        ("estimate", number(Some(evidence.estimate))),
        ("lower", number(evidence.lower)),
        ("upper", number(evidence.upper)),
        ("p", number(evidence.p)),
        ("confidence", number(Some(evidence.confidence))),
        ("threshold", number(Some(evidence.threshold))),
        ("n", Some(evidence.n.to_string())),
        ("unknown", Some(evidence.unknown.to_string())),
        ("method", Some(method)),
    ];
    let of = |name: &str| if index == 0 { name.to_owned() } else { format!("{name}.{}", index + 1) };
    all.into_iter().filter_map(|(name, value)| Some(Property::new(of(name), value?))).collect()
}

fn lines(texts: impl Iterator<Item = impl AsRef<str>>) -> String {
    texts.map(|text| excerpt(text.as_ref(), SHOWN)).collect::<Vec<_>>().join("\n")
}
