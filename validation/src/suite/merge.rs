//! One report from the records of a run that was spread over machines.

use std::{
    fmt::{self, Display},
    path::PathBuf,
};

use tidegate_registry::Manifest;

use super::{InvalidSuite, Suite, dataset_check};
use crate::{
    Finding, Record, RecordError, Report, ReportVersion, Spending, Validator,
    checks::Cases,
    dataset::Shard,
    record::{Difference, Ended, Header, Share, Shares},
};

/// Why records do not give the report of one run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Two records are of the same share. Leave one out.
    #[error(
        "records {first} and {second} are both of share {shard}; leave one of them out",
        first = .first.display(), second = .second.display()
    )]
    Doubled {
        /// The share.
        shard: Shard,
        /// The record that came first.
        first: PathBuf,
        /// The record that came after it.
        second: PathBuf,
    },
    /// A record is of another run than the others, or of another suite or version. Give those of one run.
    #[error(
        "record {path} is of another run: {what} was {recorded} and should be {expected}; give the records of one run",
        path = .path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
        /// What it is in the record.
        recorded: String,
        /// What it should be.
        expected: String,
    },
    /// The run of a share did not get to its end. Run it again with its record, and it goes on.
    #[error(
        "record {path} of share {shard} does not say how check `{check}` ended; run that share again with its record, and it goes on",
        path = .path.display()
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The share.
        shard: Shard,
        /// The check.
        check: String,
    },
    /// Shares have no record. Give them, too.
    #[error("there is no record of {}; give the record of each share", Listed(.shards))]
    Missing {
        /// The first of them; none if there is no record at all.
        shards: Vec<Shard>,
    },
    /// The suite is itself only a share. Merge with the whole.
    #[error("the suite is share {shard} only; merge with the suite as a whole")]
    Partial {
        /// The share.
        shard: Shard,
    },
    /// A record cannot be read. What to do is in the source.
    #[error("a record cannot be merged")]
    Record(#[from] RecordError),
    /// The suite has a flaw, which the source names.
    #[error("the suite cannot be used")]
    Suite(#[from] InvalidSuite),
}

/// Most missing shares that are named.
const MOST_NAMED: usize = 8;

struct Listed<'a>(&'a [Shard]);

impl Suite {
    /// The report that one run of the whole suite would have given, to the last digit of its evidence, from the records
    /// of all its shares: provided that the agent gives each question the answer that it gave.
    ///
    /// The suite is the whole one, read again with all its datasets. Nothing is asked. What was not asked for want of
    /// budget or time is counted as unknown, as it would have been.
    ///
    /// # Errors
    ///
    /// [`MergeError`] if a share has no record, or two, or did not get to its end, and if a record is of another suite,
    /// version, agent, seed, judge or embedder than the others.
    pub async fn merge(&self, manifest: &Manifest, records: &[Record]) -> Result<Report, MergeError> {
        if let Some(flaw) = self.flaw() {
            return Err(flaw.into());
        }
        if self.shard != Shard::ALL {
            return Err(MergeError::Partial { shard: self.shard });
        }
        let shares = self.shares(manifest, read(records.to_vec()).await?)?;
        let Some(first) = shares.iter().next() else {
            return Err(MergeError::Missing { shards: Vec::new() });
        };
        let mut findings = Vec::with_capacity(self.validators.len());
        for validator in &self.validators {
            findings.push(match dataset_check(validator.as_ref()) {
                Some(cases) => streamed(cases, &shares).await?,
                None => whole(validator.name(), first)?,
            });
        }
        Ok(Report {
            version: ReportVersion::V1,
            model: manifest.model.clone(),
            digest: manifest.digest,
            suite: self.name.clone(),
            suite_digest: self.digest,
            agent: first.header.agent.clone(),
            seed: first.header.seed,
            allow_inconclusive: self.allow_inconclusive.clone(),
            spent: shares.iter().map(|share| share.spent).fold(Spending::default(), |sum, spent| sum + spent),
            findings,
        })
    }

    /// The records as the shares of one run of this suite.
    fn shares(&self, manifest: &Manifest, read: Vec<Share>) -> Result<Shares, MergeError> {
        let Some(first) = read.first() else { return Err(MergeError::Missing { shards: Vec::new() }) };
        let count = first.shard().count();
        let expected = Header {
            record: Header::KIND.to_owned(),
            model: manifest.model.clone(),
            digest: manifest.digest,
            suite: self.name.clone(),
            suite_digest: self.digest,
            ..first.header.clone()
        };
        let mut shares = Shares::new(count);
        for share in read {
            let shard = share.shard();
            let now = Header { shard, ..expected.clone() };
            if let Some(difference) = share.header.difference(&now) {
                return Err(MergeError::foreign(&share, difference));
            }
            if shard.count() != count {
                let (recorded, now) = (shard.count().to_string(), count.to_string());
                let what = "the number of shares".to_owned();
                return Err(MergeError::foreign(&share, Difference { what, recorded, now }));
            }
            let path = share.path.clone();
            shares.add(share).map_err(|first| MergeError::Doubled { shard, first, second: path })?;
        }
        let missing: Vec<_> = shares.missing().take(MOST_NAMED).collect();
        if missing.is_empty() { Ok(shares) } else { Err(MergeError::Missing { shards: missing }) }
    }
}

/// Reads records off the runtime's threads.
async fn read(records: Vec<Record>) -> Result<Vec<Share>, RecordError> {
    let read = tokio::task::spawn_blocking(move || records.iter().map(Share::read).collect());
    match read.await {
        Ok(read) => read,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What a check of a dataset found in all shares together.
async fn streamed(cases: &Cases, shares: &Shares) -> Result<Finding, MergeError> {
    let name = cases.name();
    let mut first = None;
    for share in shares.iter() {
        match share.ended(name) {
            None => return Err(MergeError::incomplete(share, name)),
            // In one share it could not be made, so neither could it be as a whole.
            Some(Ended::Found(line)) => return Ok(line.found.clone()),
            Some(Ended::Asked { .. }) => {}
        }
        // It may have been too late to begin.
        let Some(begun) = share.begun(name) else { continue };
        let expected = first.get_or_insert_with(|| {
            let mut expected = begun.clone();
            expected.settings = cases.settings();
            expected
        });
        if let Some(difference) = begun.difference(expected) {
            return Err(MergeError::foreign(share, difference));
        }
    }
    cases.merged(shares).await
}

/// What a check found that one share makes for all.
fn whole(check: &str, first: &Share) -> Result<Finding, MergeError> {
    match first.ended(check) {
        Some(Ended::Found(line)) => Ok(line.found.clone()),
        _ => Err(MergeError::incomplete(first, check)),
    }
}

impl MergeError {
    pub(crate) fn incomplete(share: &Share, check: &str) -> Self {
        Self::Incomplete { path: share.path.clone(), shard: share.shard(), check: check.to_owned() }
    }

    fn foreign(share: &Share, Difference { what, recorded, now }: Difference) -> Self {
        Self::Foreign { path: share.path.clone(), what, recorded, expected: now }
    }
}

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("any share");
        }
        let named = self.0.iter().map(|shard| format!("share {shard}")).collect::<Vec<_>>();
        f.write_str(&named.join(", "))
    }
}
