//! Whose signatures a version has.

use std::collections::BTreeSet;

use super::{Channels, policy::Finding};
use crate::{Channel, Invalid, ModelRef, Result};

/// Which of the keys that a policy names signed a version, found out before its promotion is decided:
/// signatures are in records that have to be read for it, and never change.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The keys that were looked for.
    asked: BTreeSet<String>,
    /// Those that signed it.
    signed: BTreeSet<String>,
}

impl Evidence {
    /// What is missing if one of the keys `by` should have signed.
    pub(super) fn missing(&self, by: &[String]) -> Finding {
        if by.iter().any(|key| self.signed.contains(key)) {
            return None;
        }
        let names = by.iter().map(|key| name(key)).collect::<Vec<_>>().join(", ");
        if cfg!(not(feature = "signing")) {
            let remedy = "use a program with the feature `signing` of tidegate-registry".to_owned();
            return Some(("this program cannot verify signatures".to_owned(), remedy));
        }
        if by.iter().any(|key| !self.asked.contains(key)) {
            let found = "its signatures were not looked at".to_owned();
            return Some((found, "publish it, sign it, and then promote it by itself".to_owned()));
        }
        let remedy = format!("sign it with {names} and record the signature as an attestation");
        Some((format!("none of the keys {names} signed its content"), remedy))
    }
}

/// Whether these can be keys.
pub(super) fn check(by: &[String]) -> Result<(), Invalid> {
    const MOST: usize = 16;
    if by.is_empty() || by.len() > MOST {
        return Err(Invalid::new("policy", format!("{} keys", by.len()), "name 1 to 16 public keys in PEM"));
    }
    #[cfg(feature = "signing")]
    for key in by {
        crate::signing::VerifyingKey::from_pem(key)?;
    }
    Ok(())
}

/// What a person calls the key: the beginning of its id.
#[cfg(feature = "signing")]
fn name(key: &str) -> String {
    let id = crate::signing::VerifyingKey::from_pem(key).map(|key| key.id());
    id.map_or_else(|_| "?".to_owned(), |id| id.chars().take(12).collect())
}

#[cfg(not(feature = "signing"))]
fn name(key: &str) -> String {
    crate::Digest::of(key).hex().chars().take(12).collect()
}

#[cfg(not(feature = "signing"))]
impl Channels {
    #[expect(clippy::unused_async, reason = "with the feature `signing` it reads records")]
    pub(super) async fn evidence(&self, _: &ModelRef, _: &Channel) -> Result<Evidence> {
        Ok(Evidence::default())
    }
}

#[cfg(feature = "signing")]
impl Channels {
    /// Which of the keys that the policy of `channel` names signed `model`.
    pub(super) async fn evidence(&self, model: &ModelRef, channel: &Channel) -> Result<Evidence> {
        use super::Rule;
        use crate::{
            attestation::read,
            signing::{ModelSignature, VerifyingKey},
        };

        let mut evidence = Evidence::default();
        let catalogue = self.fold(model.name()).await?;
        for rule in catalogue.policy(channel).map_or(&[][..], |policy| &policy.rules) {
            if let Rule::Signed { by } = rule {
                evidence.asked.extend(by.iter().cloned());
            }
        }
        if evidence.asked.is_empty() {
            return Ok(evidence);
        }
        let published = catalogue.published(model)?;
        // A policy was checked when it was set; a key that this program cannot read signed nothing.
        let keys: Vec<(&String, [VerifyingKey; 1])> = evidence
            .asked
            .iter()
            .filter_map(|pem| Some((pem, [VerifyingKey::from_pem(pem).ok()?])))
            .collect();
        let mut signed = BTreeSet::new();
        for attested in &published.attested {
            if attested.predicate_type != ModelSignature::PREDICATE_TYPE {
                continue;
            }
            let Some(attestation) = read(&*self.log, model, attested).await? else { continue };
            let Some(envelope) = attestation.envelope() else { continue };
            let made = |(_, key): &&(&String, [VerifyingKey; 1])| {
                ModelSignature::signers(envelope, &published.digest, key).is_ok()
            };
            signed.extend(keys.iter().filter(made).map(|(pem, _)| (*pem).clone()));
        }
        evidence.signed = signed;
        Ok(evidence)
    }
}
