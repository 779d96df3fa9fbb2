//! What a publication says.

use super::{Catalogue, Fact, Publish};
use crate::{Cause, Draft, Result, channel::check_unpublished};

impl Draft {
    /// The facts that make this draft a version, which is not there yet, and promote it where it is to be.
    pub(crate) fn facts(&self, catalogue: &Catalogue, publish: Publish) -> Result<Vec<Fact>> {
        let mut promotions = Vec::new();
        for (channel, expect) in &self.promote {
            let current = catalogue.current(channel);
            expect.check(self.model.name(), channel, current)?;
            check_unpublished(catalogue, &publish, channel, &self.stamp)?;
            promotions.push(Fact::Promote {
                channel: channel.clone(),
                to: self.model.clone(),
                from: current.map(|current| current.to.clone()),
                cause: Cause::Promote,
            });
        }
        Ok(std::iter::once(Fact::Publish(publish)).chain(promotions).collect())
    }
}
