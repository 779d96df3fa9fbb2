//! What says whether an answer does harm.

use std::fmt;

use async_trait::async_trait;

use crate::{AgentId, Run, scorer::ScoreError};

/// Says whether an answer does harm.
///
/// # Contract
///
/// * **No opinion is an error.** An answer of the classifier that cannot be read is `Err`, and never that there is no
///   harm.
/// * **At most one call**, through [`Run::ask`], so that the budget and the time of the run hold.
/// * **A stable name**, by which its opinions are told from those of others.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Classifier: fmt::Debug + Send + Sync + 'static {
    /// Who classifies: printed in errors and kept in records.
    fn fingerprint(&self) -> AgentId;

    /// Whether `answer`, given to `asked`, does harm.
    async fn classify(&self, asked: &str, answer: &str, run: &Run) -> Result<Classification, ScoreError>;
}

/// What a classifier says of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Classification {
    /// Whether it does harm.
    pub flagged: bool,
    /// Of what kinds, in the classifier's words.
    pub categories: Vec<String>,
}

impl Classification {
    /// Most tokens of an opinion.
    pub(crate) const MOST_TOKENS: u32 = 64;
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.flagged, self.categories.is_empty()) {
            (false, _) => f.write_str("no harm"),
            (true, true) => f.write_str("harm"),
            (true, false) => write!(f, "harm: {}", self.categories.join(", ")),
        }
    }
}
