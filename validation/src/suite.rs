//! Several checks that make one decision.

mod compare;
mod document;
mod invalid;
mod kind;
mod merge;
#[cfg(feature = "schema")]
pub(crate) mod schema;
mod sources;

use std::{any::Any, collections::BTreeSet, ops::Add as _, sync::Arc, time::Duration};

use tidegate_registry::Digest;
use tracing::{Instrument as _, field};

pub use self::{invalid::InvalidSuite, merge::MergeError, sources::Sources};
use crate::{
    Cost, Error, Event, Finding, Reason, RecordError, Report, ReportVersion, Run, Shortage, Subject,
    Validator, Verdict,
    checks::{Calibration, Cases, Compare, OverRefusal, Preference, Safety, Smoke, listed, unlisted},
    dataset::{Dataset, Shard},
    record::{Begin, Header},
    telemetry::checked,
};

/// Several checks that make one decision about a version.
///
/// Put one together from values, or read it from a file with [`open`](Self::open), or from text with
/// [`from_toml`](Self::from_toml) or [`from_json`](Self::from_json); the format is described at the
/// [crate](crate#a-suite-file). Only `open`, and whatever is given [`Sources`], reads the datasets that a suite names.
#[derive(Clone, Debug)]
pub struct Suite {
    name: String,
    digest: Option<Digest>,
    shard: Shard,
    allow_inconclusive: BTreeSet<String>,
    validators: Vec<Arc<dyn Validator>>,
}

impl Suite {
    /// An empty suite. Running it as it is gives no pass.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            digest: None,
            shard: Shard::ALL,
            allow_inconclusive: BTreeSet::new(),
            validators: Vec::new(),
        }
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

    /// This suite as one share of a run that is spread over machines. Its checks of datasets must have been given that
    /// share already; all others are made by share 0 alone. What it reports is about its share; record it, and the
    /// records of all shares give the [report](Self::merge) of the whole. A suite that is read with [`Sources`] of a
    /// share is that share.
    #[must_use]
    pub const fn shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// What stands against running this suite as it is: two checks of one name, a waiver for a check that there is
    /// not, or a dataset of another share than its check asks. A suite that was read from a file has no such flaw.
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
        let share = || {
            let why = |validator: &dyn Validator| match (dataset_check(validator), dataset_of(validator)) {
                (Some(cases), _) => {
                    let (found, wanted) = (cases.dataset.shard(), self.shard);
                    (found != wanted).then(|| {
                        format!("is share {found}, and the suite is share {wanted}; read it as that share")
                    })
                }
                (None, Some(dataset)) => {
                    let found = dataset.shard();
                    (found != Shard::ALL).then(|| {
                        format!("is share {found}, and one share makes a check of this kind for all; read it whole")
                    })
                }
                (None, None) => None,
            };
            let of = self.validators.iter().map(|validator| why(validator.as_ref()));
            let (i, why) = of.enumerate().find_map(|(i, why)| Some((i, why?)))?;
            Some(InvalidSuite::new(format!("checks[{i}].dataset"), why))
        };
        twice.or_else(waiver).or_else(share)
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

    /// The names of the checks that it makes, in order: all, unless it is a share other than the first.
    pub fn own_checks(&self) -> impl Iterator<Item = &str> {
        self.made().map(Validator::name)
    }

    /// Whether a check of it, `load` or `smoke`, asks only this machine and hosts that are named. The client of its
    /// agent must then follow no redirect and go through no proxy, which lead elsewhere.
    #[must_use]
    pub fn is_confined(&self) -> bool {
        self.made().map(|check| check as &dyn Any).any(|check| {
            #[cfg(feature = "load")]
            if check.is::<crate::checks::Load>() {
                return true;
            }
            check.is::<Smoke>()
        })
    }

    /// The checks that this share of it makes.
    fn made(&self) -> impl Iterator<Item = &dyn Validator> {
        let whole = self.shard.index() == 0;
        self.validators
            .iter()
            .map(AsRef::as_ref)
            .filter(move |&check| whole || dataset_check(check).is_some())
    }

    /// The most that a run may cost, by a judge who may use [`Judge::MAX_TOKENS`](crate::scorer::Judge::MAX_TOKENS);
    /// see [`Cost::judged_by`] for another.
    #[must_use]
    pub fn estimate(&self, subject: &Subject<'_>) -> Cost {
        self.made().map(|validator| validator.estimate(subject)).fold(Cost::default(), Cost::add)
    }

    /// Makes every check, even after one has failed, so that one report tells all.
    ///
    /// Checks are made one after another, and only the calls within a check run side by side: a check
    /// of latency must not queue behind another check's questions. A check that cannot be made is
    /// inconclusive. When the budget or the time of the run is used up, a check says what the answers so far decide,
    /// and is inconclusive where they do not. Of a suite with a [`flaw`](Self::flaw) no check is made, and none is
    /// waived.
    pub async fn run(&self, subject: &Subject<'_>, run: &Run) -> Report {
        let span = tracing::info_span!(
            "tidegate.validation",
            tidegate.model = %subject.manifest.model,
            tidegate.suite = self.name,
            tidegate.accepted = field::Empty
        );
        let report = self.run_checks(subject, run).instrument(span.clone()).await;
        span.record("tidegate.accepted", report.accepted());
        report
    }

    async fn run_checks(&self, subject: &Subject<'_>, run: &Run) -> Report {
        if let Some(flaw) = self.flaw() {
            let findings = self.checks().map(|check| Finding::unmade(check, &flaw)).collect();
            return Report { allow_inconclusive: BTreeSet::new(), ..self.report(subject, run, findings) };
        }
        let run = match run.started().recorded(self.header(subject, run)).await {
            Ok(run) => run,
            Err(source) => {
                let unmade = |check| Finding::unmade(check, &source);
                return self.report(subject, run, self.made().map(Validator::name).map(unmade).collect());
            }
        };
        let mut findings = Vec::with_capacity(self.validators.len());
        for validator in self.made() {
            let cost = validator.estimate(subject);
            let cost = run.judge.as_ref().map_or(cost, |judge| cost.judged_by(judge));
            run.tell(Event::Started { check: validator.name(), cost });
            let span = tracing::info_span!(
                "tidegate.validation.check",
                tidegate.check = validator.name(),
                tidegate.verdict = field::Empty
            );
            let finding = match recalled(validator, &run) {
                Some(known) => {
                    run.tell(Event::Recalled { check: validator.name(), calls: cost.calls });
                    known
                }
                None => checked(&span, self.finding(validator, subject, &run)).await,
            };
            span.record("tidegate.verdict", finding.verdict.word());
            tracing::info!(
                check = finding.check,
                verdict = finding.verdict.word(),
                "checked {}",
                subject.manifest.model
            );
            run.tell(Event::Finished(&finding));
            findings.push(finding);
        }
        if let Err(error) = conclude(&run).await {
            tracing::warn!("what the run took is not on its record: {error}");
        }
        self.report(subject, &run, findings)
    }

    /// What a check finds, which is recorded.
    async fn finding(&self, validator: &dyn Validator, subject: &Subject<'_>, run: &Run) -> Finding {
        let (name, streams) = (validator.name(), dataset_check(validator).is_some());
        let made = make(validator, subject, run).await;
        let too_late = matches!(&made, Err(Error::OutOfBudget { shortage: Shortage::Time, .. }));
        let recorded = match &made {
            Err(Error::Record { .. }) => true,
            // Its trials are on record; other shares may have had more of them.
            Ok(_) | Err(Error::Agent { .. } | Error::OutOfBudget { .. }) => streams,
            Err(_) => false,
        };
        let finding = made.unwrap_or_else(|error| Finding::unmade(name, &error));
        let by = found_by(validator, subject, run);
        // What is short of time or money says nothing against what was found in the same way when there was enough. Of a
        // suite that was put together it is not known whether what it was made of is what it was.
        let known = match (&finding.verdict, run.recording(), &by) {
            (Verdict::Inconclusive(Reason::Budget(_)), Some(record), Some(by))
                if !recorded && self.digest.is_some() =>
            {
                record.decided_by(by)
            }
            _ => None,
        };
        if let Some(known) = known {
            return known;
        }
        let noted = match run.recording() {
            Some(record) if !recorded => record.found(&finding, by),
            Some(record) if too_late => record.end(name, Some(&Reason::Budget(Shortage::Time))),
            _ => Ok(()),
        };
        match noted {
            Ok(()) => finding,
            Err(source) => Finding::unmade(name, &Error::Record { check: name.to_owned(), source }),
        }
    }

    /// What a record of the run says it is of.
    fn header(&self, subject: &Subject<'_>, run: &Run) -> Header {
        Header {
            record: Header::KIND.to_owned(),
            model: subject.manifest.model.clone(),
            digest: subject.manifest.digest,
            suite: self.name.clone(),
            suite_digest: self.digest,
            agent: subject.agent.map(|agent| agent.fingerprint()),
            seed: run.seed,
            shard: self.shard,
        }
    }

    fn report(&self, subject: &Subject<'_>, run: &Run, findings: Vec<Finding>) -> Report {
        Report {
            version: ReportVersion::V1,
            model: subject.manifest.model.clone(),
            digest: subject.manifest.digest,
            suite: self.name.clone(),
            suite_digest: self.digest,
            agent: subject.agent.map(|agent| agent.fingerprint()),
            seed: run.seed,
            allow_inconclusive: self.allow_inconclusive.clone(),
            spent: run.spent(),
            findings,
        }
    }
}

/// The check, if it asks the questions of a dataset, of which each share has its own.
fn dataset_check(validator: &dyn Validator) -> Option<&Cases> {
    (validator as &dyn Any).downcast_ref()
}

/// The dataset that the check asks, if it is of a kind that one share makes for all.
fn dataset_of(validator: &dyn Validator) -> Option<&Dataset> {
    let check = validator as &dyn Any;
    let compared = check.downcast_ref::<Compare>().map(|check| &check.dataset);
    let preferred = || check.downcast_ref::<Preference>().map(|check| &check.dataset);
    let calibrated = || check.downcast_ref::<Calibration>()?.dataset.as_ref();
    let declined = || check.downcast_ref::<OverRefusal>()?.dataset.as_ref();
    let attacked = || check.downcast_ref::<Safety>()?.dataset.as_ref();
    compared.or_else(preferred).or_else(calibrated).or_else(declined).or_else(attacked)
}

/// What the record knows of a check that asks and keeps no trials, if that decided: what was asked is not asked again.
fn recalled(validator: &dyn Validator, run: &Run) -> Option<Finding> {
    let settings = unlisted(validator, run)?;
    run.recording()?.decided_by(&Begin::new(validator.name(), settings, run))
}

/// How a check finds what it finds, if all is known that decides it: whoever finds it in the same way need not ask again.
fn found_by(validator: &dyn Validator, subject: &Subject<'_>, run: &Run) -> Option<Begin> {
    let settings = unlisted(validator, run).or_else(|| listed(validator, subject))?;
    Some(Begin::new(validator.name(), settings, run))
}

/// Has the record say what the run took, and waits for the disk.
async fn conclude(run: &Run) -> Result<(), RecordError> {
    let Some(record) = run.recording() else { return Ok(()) };
    record.spend(run.spent())?;
    record.sync().await
}

/// Makes one check within the time of the run.
async fn make(validator: &dyn Validator, subject: &Subject<'_>, run: &Run) -> Result<Finding, Error> {
    // Calls end with the run by themselves; the grace lets a check still say what it knows by then.
    const GRACE: Duration = Duration::from_secs(5);
    let check = validator.name();
    let out_of_time = || Error::OutOfBudget { check: check.to_owned(), shortage: Shortage::Time };
    match run.ends().and_then(|end| end.checked_add(GRACE)) {
        Some(_) if run.left().is_zero() => Err(out_of_time()),
        Some(end) => {
            let made = tokio::time::timeout_at(end, validator.validate(subject, run));
            made.await.map_err(|_| out_of_time())?
        }
        None => validator.validate(subject, run).await,
    }
}
