//! Attestations, signed and verified.

use super::{SigningKey, Untrusted, VerifyingKey, untrusted::shown};
use crate::{Attestation, Digest, Envelope, Invalid, ModelRef};

impl Attestation {
    /// This attestation about the version `model` with the content identity `content`
    /// ([`Manifest::digest`](crate::Manifest::digest)), in an envelope signed with `key`. One that is in an
    /// envelope already gets another signature.
    ///
    /// ```
    /// use tidegate_registry::{Digest, ModelRef, Stamp, TestResult, signing::{Curve, SigningKey}};
    ///
    /// let (model, content): (ModelRef, _) = ("fraud-scorer@1.4.0".parse()?, Digest::of("its files"));
    /// let key = SigningKey::generate(Curve::P256)?;
    /// let result = TestResult::of(vec!["tone".to_owned()], vec![], vec![]);
    /// let attestation = result.attestation(Stamp::now("ci-8841")).sign(&model, &content, &key)?;
    ///
    /// // Whoever reads it in the log:
    /// attestation.verify(&model, &content, &[key.verifying_key()])?;
    /// assert_eq!(TestResult::try_from(&attestation)?, result);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it cannot be written down, or its envelope has no room for a signature or is about something
    /// else.
    #[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
    pub fn sign(self, model: &ModelRef, content: &Digest, key: &SigningKey) -> Result<Self, Invalid> {
        self.check()?;
        let envelope = match self.envelope() {
            Some(envelope) if envelope.statement()?.is_about(model, content) => envelope.clone(),
            Some(_) => {
                let why = format!("its envelope is not about {model} with this content; make a new one");
                return Err(Invalid::new("attestation", &self.predicate_type, why));
            }
            None => Envelope::of(&self.statement(model, content))?,
        };
        Self::enveloped(envelope.sign(key)?, self.stamp)
    }

    /// The keys, at least one of `keys` and each once, that signed this attestation as one about the version
    /// `model` with the content identity `content`.
    ///
    /// The [`stamp`](Self::stamp) is not covered by the signatures: it is the log's.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Unsigned`] without an envelope, those of [`Envelope::verify`], and
    /// [`Untrusted::OtherSubject`] when it is about another version or other content.
    #[cfg_attr(docsrs, doc(cfg(feature = "signing")))]
    pub fn verify<'k>(
        &self,
        model: &ModelRef,
        content: &Digest,
        keys: &'k [VerifyingKey],
    ) -> Result<Vec<&'k VerifyingKey>, Untrusted> {
        let envelope = self.envelope().ok_or(Untrusted::Unsigned)?;
        let signers = envelope.verify(keys)?;
        self.check()?;
        let statement = envelope.statement()?;
        if !statement.is_about(model, content) {
            let found = statement.subject.first().map_or("", |subject| &subject.name);
            return Err(Untrusted::OtherSubject {
                expected: format!("{model} with the content {content}"),
                found: shown(found),
            });
        }
        Ok(signers)
    }
}
