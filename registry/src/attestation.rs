//! What is said about a version after it was published.

use std::sync::Arc;

use crate::{
    Attestation, Log, ModelRef, Result,
    commit::{commit, fold},
    record::Fact,
};

/// The statements made about versions after their publication, in the log where they are published.
///
/// What their publishers said beforehand is in [`Card::attestations`](crate::Card::attestations), part
/// of the manifest.
#[derive(Clone, Debug)]
pub struct Attestations {
    log: Arc<dyn Log>,
}

impl Attestations {
    /// The attestations recorded in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log }
    }

    /// Records `attestation` about `model`. Recording an equal one again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) when it cannot be written down and
    /// [`Error::NotFound`](crate::Error::NotFound) when the version is not published in this log;
    /// otherwise those of [`Log`].
    pub async fn attest(&self, model: &ModelRef, attestation: Attestation) -> Result<()> {
        attestation.check()?;
        let version = model.version();
        commit(&*self.log, model.name(), &attestation.stamp, |catalogue| {
            catalogue.published(model)?;
            if catalogue.attestations(version).contains(&attestation) {
                return Ok(Vec::new());
            }
            Ok(vec![Fact::Attest { version: version.clone(), attestation: attestation.clone() }])
        })
        .await?;
        Ok(())
    }

    /// Everything recorded about `model`, oldest first.
    ///
    /// # Errors
    ///
    /// As [`attest`](Self::attest).
    pub async fn of(&self, model: &ModelRef) -> Result<Vec<Attestation>> {
        let catalogue = fold(&*self.log, model.name()).await?;
        catalogue.published(model)?;
        Ok(catalogue.attestations(model.version()).to_vec())
    }
}
