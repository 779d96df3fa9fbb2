//! What is said about a version after it was published.

use std::sync::Arc;

use crate::{
    Attestation, Attested, Log, ModelRef, Result,
    catalogue::{Catalogues, Entry, Fact, corrupt},
    log::LogKey,
};

/// The statements made about versions after their publication, in the log where they are published.
///
/// What their publishers said beforehand is in [`Card::attestations`](crate::Card::attestations), part
/// of the manifest.
#[derive(Clone, Debug)]
pub struct Attestations {
    log: Arc<dyn Log>,
    catalogues: Arc<Catalogues>,
}

impl Attestations {
    /// The attestations recorded in `log`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, catalogues: Arc::default() }
    }

    /// Records `attestation` about `model`. Recording an equal one again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) when it cannot be written down and [`Error::NotFound`](crate::Error::NotFound) when
    /// the version is not published in this log; otherwise those of [`Log`].
    pub async fn attest(&self, model: &ModelRef, attestation: Attestation) -> Result<()> {
        attestation.check()?;
        let there = self.of(model).await?;
        let version = model.version();
        let commit = self.catalogues.commit(&*self.log, model.name(), &attestation.stamp, |catalogue| {
            catalogue.published(model)?;
            if there.contains(&attestation) {
                return Ok(Vec::new());
            }
            Ok(vec![Fact::Attest { version: version.clone(), attestation: attestation.clone() }])
        });
        commit.await.map(drop)
    }

    /// Everything recorded about `model`, oldest first. Costs a request for each record.
    ///
    /// # Errors
    ///
    /// As [`attest`](Self::attest).
    pub async fn of(&self, model: &ModelRef) -> Result<Vec<Attestation>> {
        let catalogue = self.catalogues.fold(&*self.log, model.name()).await?;
        let mut found = Vec::new();
        for attested in catalogue.published(model)?.attested {
            found.extend(read(&*self.log, model, &attested).await?);
        }
        Ok(found)
    }
}

/// The statement that `attested` is about; nothing for one of the card, which is in the manifest.
pub(crate) async fn read(
    log: &dyn Log,
    model: &ModelRef,
    attested: &Attested,
) -> Result<Option<Attestation>> {
    let Some(at) = attested.fact else { return Ok(None) };
    let (key, seq) = (LogKey::model(model.name()), attested.seq);
    let record = log.record(&key, seq).await?;
    let record = record.ok_or_else(|| corrupt(&key, seq, "it is missing"))?;
    match Entry::decode(&key, seq, &record)?.facts.into_iter().nth(at) {
        Some(Fact::Attest { version, attestation }) if version == *model.version() => Ok(Some(attestation)),
        _ => Err(corrupt(&key, seq, "it does not hold the statement that was recorded there")),
    }
}
