//! One check of one version, and what it looks at.

use std::{fmt, ops::Add};

use async_trait::async_trait;
use tidegate_registry::{Manifest, ModelStore};

use crate::{Agent, Error, Finding, Run};

/// One check that a version must pass before it may take traffic.
///
/// # Contract
///
/// * **`Err` is never the model's fault.** It means that the check could not be made; a model that
///   does not pass is `Ok` with [`Verdict::Fail`](crate::Verdict::Fail). A [`Suite`](crate::Suite)
///   makes `Err` inconclusive.
/// * **Nothing checked is no pass.** Without cases, replies or files the verdict is inconclusive.
/// * **No more than estimated.** `validate` makes at most the calls that `estimate` says, each of them
///   granted by [`Run::call`], so that the budget and the deadline of the run hold.
/// * **Read only.** A check changes neither the store nor the model.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Validator: fmt::Debug + Send + Sync + 'static {
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
}

/// What a check may cost at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// Calls of the agent, its own retries not counted.
    pub calls: u64,
    /// Tokens that it may answer.
    pub output_tokens: u64,
    /// Bytes read from the store.
    pub bytes: u64,
}

impl<'a> Subject<'a> {
    /// A version in its store, not running anywhere.
    #[must_use]
    pub const fn new(manifest: &'a Manifest, store: &'a dyn ModelStore) -> Self {
        Self { manifest, store, agent: None }
    }

    /// This version, at work as `agent`.
    #[must_use]
    pub const fn with_agent(mut self, agent: &'a dyn Agent) -> Self {
        self.agent = Some(agent);
        self
    }
}

impl Cost {
    /// So many calls for answers of at most `tokens` tokens each.
    #[must_use]
    pub const fn calls(calls: u64, tokens: u32) -> Self {
        Self { calls, output_tokens: calls.saturating_mul(tokens as u64), bytes: 0 }
    }

    /// So many bytes read from the store.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self { calls: 0, output_tokens: 0, bytes }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}
