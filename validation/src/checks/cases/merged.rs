//! What all shares of a dataset show together.

use futures::StreamExt as _;

use super::{Cases, Made, feed::Feed, outcome::Outcomes};
use crate::{
    Error, Finding, MergeError, Reason,
    dataset::Question,
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
            self.count(&mut outcomes, shares, &question, trial)?;
            if outcomes.decide() {
                break;
            }
        }
        Ok(outcomes.finding(self).unwrap_or_else(|error| unmade(&error)))
    }

    /// Counts a trial as the record of its share has it.
    fn count(
        &self,
        outcomes: &mut Outcomes,
        shares: &Shares,
        question: &Question,
        trial: u32,
    ) -> Result<(), MergeError> {
        let (check, case) = (self.name.as_str(), question.id.as_str());
        let Some(share) = shares.of(case) else {
            return Err(MergeError::Missing { shards: shares.missing().take(1).collect() });
        };
        match (share.past(check, case, trial), share.ended(check)) {
            (Some(past), _) => outcomes.add(question, Made::Known(past.clone())),
            (None, Some(Ended::Asked { unasked: Some(reason) })) => {
                let shortage = match reason {
                    Reason::Budget(shortage) => Some(shortage.clone()),
                    _ => None,
                };
                outcomes.add(question, Made::NotAsked(shortage));
            }
            (None, _) => return Err(MergeError::incomplete(share, check)),
        }
        Ok(())
    }
}
