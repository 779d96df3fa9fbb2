//! What all shares of a dataset show together.

use futures::StreamExt as _;

use super::{Cases, Made, feed::Feed, outcome::Outcomes};
use crate::{
    Error, Finding, MergeError, Reason,
    record::{Ended, Shares},
};

impl Cases {
    /// What one run would have found that had asked everything: trials are counted in the order of the dataset, as if
    /// they were made now.
    pub(crate) async fn merged(&self, shares: &Shares) -> Result<Finding, MergeError> {
        let unmade = |error: &Error| Finding::unmade(&self.name, error);
        let mut outcomes = Outcomes::new(self);
        let mut trials = Feed::new(self.dataset.clone()).trials(self.repeats);
        while let Some(next) = trials.next().await {
            let (question, trial) = match self.read(next) {
                Ok(next) => next,
                Err(error) => return Ok(unmade(&error)),
            };
            let made = self.recorded(shares, &question.id, trial)?;
            outcomes.add(&question, made);
            if outcomes.decide() {
                break;
            }
        }
        Ok(outcomes.finding(self).unwrap_or_else(|error| unmade(&error)))
    }

    /// What became of a trial according to the record of its share.
    fn recorded(&self, shares: &Shares, case: &str, trial: u32) -> Result<Made, MergeError> {
        let Some(share) = shares.of(case) else {
            return Err(MergeError::Missing { shards: shares.missing().take(1).collect() });
        };
        match (share.past(&self.name, case, trial), share.ended(&self.name)) {
            (Some(past), _) => Ok(Made::Known(past.clone())),
            (None, Some(Ended::Asked { unasked: Some(reason) })) => Ok(Made::NotAsked(match reason {
                Reason::Budget(shortage) => Some(shortage.clone()),
                _ => None,
            })),
            (None, _) => Err(MergeError::incomplete(share, &self.name)),
        }
    }
}
