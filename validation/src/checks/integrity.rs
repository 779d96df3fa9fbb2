//! Are the stored files those that were published?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate_registry::{self as registry, Manifest, ModelStoreExt as _};

use super::Settings;
use crate::{Case, Cost, Error, Evidence, Finding, Outcome, Run, Subject, Validator, Verdict};

/// Reads every file of the version and compares it with the manifest, part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Integrity {
    /// The check's name in reports.
    pub name: String,
}

const CLAIM: &str = "every file is the one that was published";

impl Default for Integrity {
    fn default() -> Self {
        Self { name: Self::KIND.to_owned() }
    }
}

impl Settings for Integrity {
    const KIND: &str = "integrity";

    fn flaw(&self) -> Option<(&'static str, String)> {
        None
    }
}

#[async_trait]
impl Validator for Integrity {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, subject: &Subject<'a>) -> Cost {
        Cost::bytes(subject.manifest.size)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, _: &Run) -> Result<Finding, Error> {
        let manifest = subject.manifest;
        match subject.store.verify(&manifest.model, &()).await {
            Ok(stored) if stored.digest == manifest.digest => Ok(self.sound(manifest)),
            Ok(stored) => {
                let detail = format!("the store holds {}, not {}", stored.digest, manifest.digest);
                Ok(self.damaged(&manifest.model.to_string(), &detail))
            }
            Err(error) => match &error {
                registry::Error::DigestMismatch { file, .. } => {
                    Ok(self.damaged(file.as_str(), &error.to_string()))
                }
                registry::Error::Corrupt { what, .. } | registry::Error::NotFound { what, .. } => {
                    Ok(self.damaged(what, &error.to_string()))
                }
                _ => Err(Error::Store { check: self.name.clone(), source: Box::new(error) }),
            },
        }
    }
}

impl Integrity {
    fn sound(&self, manifest: &Manifest) -> Finding {
        let files = manifest.files.len() as u64;
        let evidence = Evidence::census("files that match the manifest", files, files, 0);
        Finding::new(&self.name, Verdict::Pass, CLAIM).with_evidence([evidence])
    }

    /// Verification stops at the first file that is wrong, so there is no share to report.
    fn damaged(&self, what: &str, detail: &str) -> Finding {
        Finding::new(&self.name, Verdict::Fail, CLAIM).with_cases([Case::new(what, Outcome::Miss, detail)])
    }
}
