//! The predicate `test-result` of in-toto: which tests passed.

use serde::{Deserialize, Serialize};

use crate::{Attestation, Invalid, ResourceDescriptor, Stamp};

/// What a run of tests found, in the words of in-toto.
///
/// Format: <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct TestResult {
    /// What it comes to.
    pub result: TestOutcome,
    /// What the tests were configured with, for example the suite's file and its digest.
    pub configuration: Vec<ResourceDescriptor>,
    /// Where the run can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The names of the tests that passed.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// The names of the tests that passed with a warning.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// The names of the tests that failed.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

/// What a [`TestResult`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(clippy::exhaustive_enums, reason = "the predicate's format has these three")]
pub enum TestOutcome {
    /// Every test passed.
    Passed,
    /// None failed, some warn.
    Warned,
    /// Some failed.
    Failed,
}

impl TestResult {
    /// The URI of this predicate.
    pub const PREDICATE_TYPE: &str = "https://in-toto.io/attestation/test-result/v0.1";

    /// The result that the named tests come to: that of the worst of them. A run of no tests has not
    /// passed: it is [`TestOutcome::Failed`].
    #[must_use]
    pub fn of(passed: Vec<String>, warned: Vec<String>, failed: Vec<String>) -> Self {
        let result = if !failed.is_empty() || (passed.is_empty() && warned.is_empty()) {
            TestOutcome::Failed
        } else if !warned.is_empty() {
            TestOutcome::Warned
        } else {
            TestOutcome::Passed
        };
        Self {
            result,
            configuration: Vec::new(),
            url: None,
            passed_tests: passed,
            warned_tests: warned,
            failed_tests: failed,
        }
    }

    /// This result as a statement about a version, to be recorded beside it.
    #[must_use]
    pub fn attestation(&self, stamp: Stamp) -> Attestation {
        let predicate = serde_json::to_value(self).expect("a structure of strings is JSON");
        Attestation::new(Self::PREDICATE_TYPE, stamp, predicate)
    }
}

/// Reads the predicate; whether the attestation is signed is another question.
impl TryFrom<&Attestation> for TestResult {
    type Error = Invalid;

    fn try_from(attestation: &Attestation) -> Result<Self, Invalid> {
        attestation.read(Self::PREDICATE_TYPE)
    }
}
