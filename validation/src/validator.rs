//! One check of one version, and what it looks at.

use std::{any::Any, fmt, ops::Add};

use async_trait::async_trait;
use tidegate_registry::{Manifest, ModelStore};

use crate::{Agent, Error, Finding, Run, scorer::Judge};

/// One check that a version must pass before it may take traffic.
///
/// # Contract
///
/// * **`Err` is never the model's fault.** It means that the check could not be made; a model that
///   does not pass is `Ok` with [`Verdict::Fail`](crate::Verdict::Fail). A [`Suite`](crate::Suite)
///   makes `Err` inconclusive.
/// * **Nothing checked is no pass.** Without cases, replies or files the verdict is inconclusive.
/// * **No more than estimated.** `validate` makes at most the calls that `estimate` says, each of them
///   by [`Run::ask`], so that the budget and the deadline of the run hold.
/// * **Read only.** A check changes neither the store nor the model.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Validator: Any + fmt::Debug + Send + Sync {
    /// What the check is called in reports; different for each check of a suite.
    fn name(&self) -> &str;

    /// The most that the check may cost.
    fn estimate<'a>(&self, subject: &Subject<'a>) -> Cost;

    /// Makes the check.
    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error>;
}

/// What is validated: a version in a store, and the model that runs it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The version.
    pub manifest: &'a Manifest,
    /// Where its files are.
    pub store: &'a dyn ModelStore,
    /// The version at work, for checks of what it says.
    pub agent: Option<&'a dyn Agent>,
    /// The version that it is compared with at work, for checks that compare.
    pub baseline: Option<&'a dyn Agent>,
}

/// What a check may cost at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// Calls of the agent, of a judge and of an embedder, their own retries not counted.
    pub calls: u64,
    /// Calls among them that a judge answers.
    pub judged: u64,
    /// Tokens that may be answered.
    pub output_tokens: u64,
    /// Bytes read from the store.
    pub bytes: u64,
}

impl<'a> Subject<'a> {
    /// A version in its store, not running anywhere.
    #[must_use]
    pub const fn new(manifest: &'a Manifest, store: &'a dyn ModelStore) -> Self {
        Self { manifest, store, agent: None, baseline: None }
    }

    /// This version, at work as `agent`.
    #[must_use]
    pub const fn with_agent(mut self, agent: &'a dyn Agent) -> Self {
        self.agent = Some(agent);
        self
    }

    /// This version, compared with `baseline`: the version in service, at work.
    #[must_use]
    pub const fn with_baseline(mut self, baseline: &'a dyn Agent) -> Self {
        self.baseline = Some(baseline);
        self
    }
}

impl Cost {
    /// So many calls for answers of at most `tokens` tokens each.
    #[must_use]
    pub const fn calls(calls: u64, tokens: u32) -> Self {
        Self { calls, judged: 0, output_tokens: calls.saturating_mul(tokens as u64), bytes: 0 }
    }

    /// So many calls of an embedder, which answers no tokens.
    #[must_use]
    pub const fn embeddings(calls: u64) -> Self {
        Self::calls(calls, 0)
    }

    /// So many calls of a judge who may use [`Judge::MAX_TOKENS`] for each.
    #[must_use]
    pub const fn verdicts(calls: u64) -> Self {
        Self { judged: calls, ..Self::calls(calls, Judge::MAX_TOKENS) }
    }

    /// This, with verdicts as long as this judge may make them.
    #[must_use]
    pub const fn judged_by(mut self, judge: &Judge) -> Self {
        let usual = self.judged.saturating_mul(Judge::MAX_TOKENS as u64);
        let most = self.judged.saturating_mul(judge.longest_verdict() as u64);
        self.output_tokens = self.output_tokens.saturating_sub(usual).saturating_add(most);
        self
    }

    /// So many times this.
    #[must_use]
    pub const fn times(self, times: u64) -> Self {
        Self {
            calls: self.calls.saturating_mul(times),
            judged: self.judged.saturating_mul(times),
            output_tokens: self.output_tokens.saturating_mul(times),
            bytes: self.bytes.saturating_mul(times),
        }
    }

    /// So many bytes read from the store.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self { calls: 0, judged: 0, output_tokens: 0, bytes }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            judged: self.judged.saturating_add(other.judged),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}
