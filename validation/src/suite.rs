//! Several checks that make one decision.

mod document;
mod invalid;

use std::{collections::BTreeSet, ops::Add as _, sync::Arc, time::Duration};

use tidegate_registry::Digest;

pub use self::invalid::InvalidSuite;
use crate::{Cost, Error, Event, Finding, Reason, Report, Run, Subject, Validator, Verdict};

/// Several checks that make one decision about a version.
///
/// Put one together from values, or read it from a file with [`from_toml`](Self::from_toml) or
/// [`from_json`](Self::from_json); the format is described at the [crate](crate#a-suite-file).
#[derive(Clone, Debug)]
pub struct Suite {
    name: String,
    digest: Option<Digest>,
    allow_inconclusive: BTreeSet<String>,
    validators: Vec<Arc<dyn Validator>>,
}

impl Suite {
    /// An empty suite. Running it as it is gives no pass.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), digest: None, allow_inconclusive: BTreeSet::new(), validators: Vec::new() }
    }

    /// This suite with one more check.
    #[must_use]
    pub fn with(mut self, validator: impl Validator) -> Self {
        self.validators.push(Arc::new(validator));
        self
    }

    /// This suite, accepting a version even if `check` is inconclusive. It must still not fail.
    #[must_use]
    pub fn allow_inconclusive(mut self, check: impl Into<String>) -> Self {
        self.allow_inconclusive.insert(check.into());
        self
    }

    /// What stands against running this suite as it is: two checks of one name, or a waiver for a
    /// check that there is not. A suite that was read from a file has no such flaw.
    #[must_use]
    pub fn flaw(&self) -> Option<InvalidSuite> {
        let known: Vec<_> = self.checks().collect();
        let twice = (0..known.len()).find(|&i| known[..i].contains(&known[i])).map(|i| {
            let why =
                format!("another check is called `{}` already; give this one a name of its own", known[i]);
            InvalidSuite::new(format!("checks[{i}].name"), why)
        });
        let waiver = || {
            let (i, name) = self
                .allow_inconclusive
                .iter()
                .enumerate()
                .find(|(_, name)| !known.contains(&name.as_str()))?;
            Some(InvalidSuite::unknown(format!("allow_inconclusive[{i}]"), "check", name, &known))
        };
        twice.or_else(waiver)
    }

    /// The suite's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its checks, in order.
    pub fn checks(&self) -> impl Iterator<Item = &str> {
        self.validators.iter().map(|validator| validator.name())
    }

    /// The most that a run may cost.
    #[must_use]
    pub fn estimate(&self, subject: &Subject<'_>) -> Cost {
        self.validators.iter().map(|validator| validator.estimate(subject)).fold(Cost::default(), Cost::add)
    }

    /// Makes every check, even after one has failed, so that one report tells all.
    ///
    /// Checks are made one after another, and only the calls within a check run side by side: a check
    /// of latency must not queue behind another check's questions. A check that cannot be made is
    /// inconclusive, and so is one that the budget or the time of the run does not allow any more. Of a
    /// suite with a [`flaw`](Self::flaw) no check is made, and none is waived.
    pub async fn run(&self, subject: &Subject<'_>, run: &Run) -> Report {
        if let Some(flaw) = self.flaw() {
            let findings = self.checks().map(|check| Finding::unmade(check, &flaw)).collect();
            return Report { allow_inconclusive: BTreeSet::new(), ..self.report(subject, run, findings) };
        }
        let run = run.started();
        let mut calls_left = run.max_calls;
        let mut findings = Vec::with_capacity(self.validators.len());
        for validator in &self.validators {
            let cost = validator.estimate(subject);
            run.tell(Event::Started { check: validator.name(), cost });
            let finding = match calls_left {
                Some(left) if left < cost.calls => over_budget(validator.name(), cost.calls, left),
                _ => {
                    calls_left = calls_left.map(|left| left - cost.calls);
                    make(validator.as_ref(), subject, &run).await
                }
            };
            tracing::info!(
                check = finding.check,
                verdict = finding.verdict.word(),
                "checked {}",
                subject.manifest.model
            );
            run.tell(Event::Finished(&finding));
            findings.push(finding);
        }
        self.report(subject, &run, findings)
    }

    fn report(&self, subject: &Subject<'_>, run: &Run, findings: Vec<Finding>) -> Report {
        Report {
            model: subject.manifest.model.clone(),
            digest: subject.manifest.digest,
            suite: self.name.clone(),
            suite_digest: self.digest,
            agent: subject.agent.map(|agent| agent.fingerprint()),
            seed: run.seed,
            allow_inconclusive: self.allow_inconclusive.clone(),
            findings,
        }
    }
}

/// Makes one check within the time of the run.
async fn make(validator: &dyn Validator, subject: &Subject<'_>, run: &Run) -> Finding {
    // Calls end with the run by themselves; the grace lets a check still say what it knows by then.
    const GRACE: Duration = Duration::from_secs(5);
    let check = validator.name();
    let made = async {
        match run.ends().and_then(|end| end.checked_add(GRACE)) {
            Some(end) if run.call(0).is_some() => {
                let out_of_time = |_| Error::OutOfTime { check: check.to_owned() };
                tokio::time::timeout_at(end, validator.validate(subject, run)).await.map_err(out_of_time)?
            }
            Some(_) => Err(Error::OutOfTime { check: check.to_owned() }),
            None => validator.validate(subject, run).await,
        }
    };
    made.await.unwrap_or_else(|error| Finding::unmade(check, &error))
}

fn over_budget(check: &str, need: u64, left: u64) -> Finding {
    let verdict = Verdict::Inconclusive(Reason::Budget { need, left });
    Finding::new(check, verdict, "the check was not made")
}
