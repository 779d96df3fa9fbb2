//! What is said about a version: a statement, the envelope it may have come in, and the log of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Approval, Attested, Decision, Digest, Envelope, Invalid, Log, ModelRef, ResourceDescriptor, Result,
    Stamp, Statement,
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

/// A statement about a version, made by somebody at some time: "the safety suite passed".
///
/// It may be bare, which is as good as the log that it stands in, or in a signed [`Envelope`], which is
/// as good as the key. In an envelope, `predicate_type` and `predicate` are those of the in-toto
/// statement inside; one that says something else has no constructor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Written")]
#[non_exhaustive]
pub struct Attestation {
    /// What kind of statement it is: a URI, as in-toto's `predicateType`.
    pub predicate_type: String,
    /// Who says so, and when.
    pub stamp: Stamp,
    /// The statement itself, nested at most 64 levels deep.
    pub predicate: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope>,
}

/// An attestation as it was written, not yet checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    predicate_type: String,
    stamp: Stamp,
    predicate: Value,
    #[serde(default)]
    envelope: Option<Envelope>,
}

impl Attestation {
    /// Levels of arrays and objects in a predicate. `serde_json` reads 128, of which the records around it
    /// need some.
    const DEEPEST: usize = 64;

    /// Bytes of the longest, as JSON: whoever opens the registry may have to read some dozens of them. The
    /// signature of a version of ten thousand files takes half of it.
    const LONGEST: usize = 4 << 20;

    /// A bare statement.
    #[must_use]
    pub fn new(predicate_type: impl Into<String>, stamp: Stamp, predicate: Value) -> Self {
        Self { predicate_type: predicate_type.into(), stamp, predicate, envelope: None }
    }

    /// What the in-toto statement in `envelope` says. Nothing is verified, and the envelope may be about
    /// another artifact, such as one file of the version.
    ///
    /// # Errors
    ///
    /// When there is no in-toto Statement v1 in it.
    pub fn enveloped(envelope: Envelope, stamp: Stamp) -> Result<Self, Invalid> {
        let Statement { predicate_type, predicate, .. } = envelope.statement()?;
        Ok(Self { predicate_type, stamp, predicate, envelope: Some(envelope) })
    }

    /// What the statement comes to: `PASSED`, `WARNED` or `FAILED`, or what it says itself, as far as its
    /// predicate says so in one of these ways: the string `result`, as of a [`TestResult`](crate::TestResult),
    /// or the boolean `accepted`. An [`Approval`] comes to `PASSED` if it approves, and to `FAILED` otherwise.
    #[must_use]
    pub fn result(&self) -> Option<String> {
        const LONGEST: usize = 64;
        let outcome = |good| if good { "PASSED" } else { "FAILED" };
        if self.predicate_type == Approval::PREDICATE_TYPE {
            // One that cannot be read approves of nothing.
            let approves = Approval::try_from(self).is_ok_and(|said| said.decision == Decision::Approve);
            return Some(outcome(approves).to_owned());
        }
        let result = self.predicate.get("result").and_then(Value::as_str);
        let result = result.filter(|result| result.len() <= LONGEST);
        let accepted = || self.predicate.get("accepted").and_then(Value::as_bool).map(outcome);
        result.or_else(accepted).map(ToOwned::to_owned)
    }

    /// The envelope that it came in, if it did.
    #[must_use]
    pub const fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
    }

    /// This as an in-toto statement about the version `model` with the content identity `content`
    /// ([`Manifest::digest`](crate::Manifest::digest)).
    #[must_use]
    pub fn statement(&self, model: &ModelRef, content: &Digest) -> Statement {
        let subject = ResourceDescriptor::version(model, content);
        Statement::new([subject], &self.predicate_type, self.predicate.clone())
    }

    /// The predicate as a `T`, if it is of the type `predicate_type`.
    pub(crate) fn read<T: DeserializeOwned>(&self, predicate_type: &'static str) -> Result<T, Invalid> {
        let wrong = |why| Invalid::new("attestation", &self.predicate_type, why);
        if self.predicate_type != predicate_type {
            return Err(wrong(format!("its type is not {predicate_type}")));
        }
        T::deserialize(&self.predicate).map_err(|error| wrong(format!("its predicate is malformed: {error}")))
    }

    /// Whether it can be written down and read back.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        const LONGEST: usize = 256;
        let wrong = |why| Invalid::new("attestation", &self.predicate_type, why);
        if self.predicate_type.is_empty() || self.predicate_type.len() > LONGEST {
            return Err(wrong("its type has to be a URI of 1 to 256 bytes".to_owned()));
        }
        self.stamp.check()?;
        if is_nested_deeper(&self.predicate, Self::DEEPEST) {
            return Err(wrong(format!(
                "its predicate is nested more than {} levels deep; flatten it, or put it into a file of the version",
                Self::DEEPEST
            )));
        }
        let length = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if length > Self::LONGEST {
            return Err(wrong(format!(
                "it takes {length} bytes as JSON, of {} at most; put it into a file of the version, and say where it is",
                Self::LONGEST
            )));
        }
        self.agrees()
    }

    /// Whether it says what the statement in its envelope says.
    fn agrees(&self) -> Result<(), Invalid> {
        let Some(envelope) = &self.envelope else { return Ok(()) };
        let inside = envelope.statement()?;
        if inside.predicate_type != self.predicate_type || inside.predicate != self.predicate {
            let why = "it says something else than the statement in its envelope";
            return Err(Invalid::new("attestation", &self.predicate_type, why));
        }
        Ok(())
    }
}

impl TryFrom<Written> for Attestation {
    type Error = Invalid;

    fn try_from(written: Written) -> Result<Self, Invalid> {
        let Written { predicate_type, stamp, predicate, envelope } = written;
        let attestation = Self { predicate_type, stamp, predicate, envelope };
        attestation.agrees()?;
        Ok(attestation)
    }
}

fn is_nested_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(values) => values.iter().any(|value| is_nested_deeper(value, below)),
        Value::Object(values) => values.values().any(|value| is_nested_deeper(value, below)),
        _ => false,
    }
}
