//! A source over any server that can be queried.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use super::{Failure, Points, Query, Unfilled, points::Unread};
use crate::{Error, Measurement, Metric, MetricsSource, Missing, Selector, Window};

/// A server that answers an expression in its language with numbers over time.
///
/// # Contract
///
/// * An expression is asked for one side: `fill` writes its labels into it, and nothing is sent before every
///   expression of a metric is filled.
/// * The points cover `window` and no part of it twice. Points outside of it are allowed and left out; older
///   ones tell that a source is stale rather than empty.
/// * An answer in part is [`Failure::Partial`], not the points that came.
/// * An empty answer is [`Points::none`].
///
/// `Display` names the server in errors and must not contain credentials.
#[async_trait]
pub trait QueryApi: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// What it is asked, with gaps for labels.
    type Expression: fmt::Debug + Send + Sync;
    /// What it is asked for one side.
    type Question: fmt::Debug + Send + Sync;

    /// `expression` for `selector` in `window`.
    ///
    /// # Errors
    ///
    /// Names the label that is missing, or whose value cannot be written.
    fn fill(
        &self,
        expression: &Self::Expression,
        selector: &Selector,
        window: Window,
    ) -> Result<Self::Question, Unfilled>;

    /// The numbers for `question` in `window`.
    ///
    /// # Errors
    ///
    /// By what the caller can do, see [`Failure`].
    async fn ask(&self, question: &Self::Question, window: Window) -> Result<Points, Failure>;
}

/// The [`MetricsSource`] over a [`QueryApi`]: it knows each metric by its [`Query`].
///
/// * No point in the window: [`Missing::NoData`], or [`Missing::Stale`] if the server gave older ones.
/// * A point that is not a number, or not finite: [`Missing::NotANumber`], [`Missing::Infinite`].
/// * An answer in part: [`Missing::SourceError`].
#[derive(Clone, Debug)]
pub struct Queried<A: QueryApi> {
    api: A,
    queries: BTreeMap<Metric, Query<A::Expression>>,
}

impl<A: QueryApi> Queried<A> {
    /// A source over `api`. It knows no metric yet.
    #[must_use]
    pub const fn over(api: A) -> Self {
        Self { api, queries: BTreeMap::new() }
    }

    /// Answers `metric` by `query`.
    #[must_use]
    pub fn with_query(mut self, metric: Metric, query: Query<A::Expression>) -> Self {
        self.queries.insert(metric, query);
        self
    }

    /// Answers each of these metrics by its query, as read from a file.
    #[must_use]
    pub fn with_queries(mut self, queries: impl IntoIterator<Item = (Metric, Query<A::Expression>)>) -> Self {
        self.queries.extend(queries);
        self
    }

    /// Every metric that it knows, with its query.
    pub fn queries(&self) -> impl Iterator<Item = (&Metric, &Query<A::Expression>)> {
        self.queries.iter()
    }

    /// The server.
    pub const fn api(&self) -> &A {
        &self.api
    }

    /// The server, to be set up differently.
    #[must_use]
    #[allow(dead_code, reason = "not every source has settings of its own")]
    pub(crate) fn map_api(self, change: impl FnOnce(A) -> A) -> Self {
        Self { api: change(self.api), queries: self.queries }
    }
}

#[async_trait]
impl<A: QueryApi> MetricsSource for Queried<A> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let query = self
            .queries
            .get(metric)
            .ok_or_else(|| Error::unknown_metric(self.to_string(), metric, self.queries.keys()))?;
        let questions: Vec<_> = query
            .expressions()
            .into_iter()
            .map(|expression| self.api.fill(expression, selector, window))
            .collect::<Result<_, _>>()
            .map_err(|unfilled| unfilled.into_error(self.to_string(), metric.to_string()))?;
        let failed = |failure: Failure| failure.into_error(self.to_string(), metric.to_string());
        let mut answers = Vec::new();
        for question in &questions {
            match self.api.ask(question, window).await {
                Ok(points) => answers.push(points),
                Err(Failure::Partial(cause)) => {
                    return Ok(Missing::SourceError { cause, retryable: true }.into());
                }
                Err(failure) => return Err(failed(failure)),
            }
        }
        match query.read(&answers, window) {
            Ok(observation) => Ok(observation.into()),
            Err(Unread::Missing(missing)) => Ok(missing.into()),
            Err(Unread::Malformed(problem)) => Err(failed(Failure::malformed(problem))),
        }
    }
}

impl<A: QueryApi> fmt::Display for Queried<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.api, f)
    }
}

impl Unfilled {
    /// The error of the source that is called `source_name`, asked for `metric`.
    #[must_use]
    pub fn into_error(self, source_name: String, metric: String) -> Error {
        match self {
            Self::Missing { label } => Error::MissingLabel { source_name, metric, label },
            Self::Unfit { label, problem } => Error::UnfitLabel { source_name, metric, label, problem },
        }
    }
}
