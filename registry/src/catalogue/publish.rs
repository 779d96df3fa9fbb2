//! What a publication says.

use super::{Catalogue, Fact, Publish};
use crate::{Cause, Digest, Draft, Manifest, Published, Result, channel::check_publication};

impl Draft {
    /// The facts that make this draft a version, which is not there yet, and promote it where it is to be.
    pub(crate) fn facts(&self, catalogue: &Catalogue, publish: Publish) -> Result<Vec<Fact>> {
        let published = publish.clone().into_row(catalogue.next(), &self.stamp).published;
        let promotions = self.promotions(catalogue, published)?;
        Ok(std::iter::once(Fact::Publish(publish)).chain(promotions).collect())
    }

    /// Whether its promotions would be refused as things stand, whatever its files are: better found out
    /// before they are sent.
    pub(crate) fn check_promotions(&self, catalogue: &Catalogue) -> Result<()> {
        let manifest = Manifest::new(self.model.clone(), Vec::new(), self.stamp.clone(), self.card.clone());
        self.facts(catalogue, Publish::of(&manifest, Digest::of([]), catalogue.next())).map(drop)
    }

    /// The facts that promote its version where it is to be and is not yet.
    pub(crate) fn promotions(&self, catalogue: &Catalogue, published: Published) -> Result<Vec<Fact>> {
        let quarantined = catalogue.quarantine(&published.digest).cloned();
        let published = Published { quarantined, ..published };
        let mut promotions = Vec::new();
        for (channel, expect) in &self.promote {
            let current = catalogue.current(channel);
            if current.is_some_and(|current| current.to == self.model) {
                continue;
            }
            expect.check(self.model.name(), channel, current)?;
            check_publication(catalogue, &published, channel, &self.stamp)?;
            promotions.push(Fact::Promote {
                channel: channel.clone(),
                to: self.model.clone(),
                from: current.map(|current| current.to.clone()),
                cause: Cause::Promote,
            });
        }
        Ok(promotions)
    }
}
