//! People who have to agree, and who do so with `tidegate approve`, from wherever they reach the registry.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tidegate::registry::{Approval, Attestation, Decision, Rule};

use super::{At, Ending, Preview};
use crate::{ground::Ground, progress::Outcome, words::plain};

/// How many different people have to approve of the version. That of who published it does not count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approve {
    by: usize,
    /// Who may; everybody, if there is nobody.
    #[serde(default)]
    of: BTreeSet<String>,
}

/// What people have said so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    approved: BTreeSet<String>,
    /// Who is against it, and why.
    rejected: Option<(String, String)>,
}

/// Somebody who approves need not be seen within the second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Approve {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let (registry, model) = (ground.registry()?, &ground.release.model);
        let publisher = registry.published(model).await?.stamp.by;
        let mut asked = false;
        loop {
            let said = self.said(&registry.attestations.of(model).await?, &publisher);
            if let Some((who, why)) = said.rejected {
                return Ok(Outcome::failed(plain(&format!("{who} rejected it: {why}"))).into());
            }
            if said.approved.len() >= self.by {
                let names = said.approved.into_iter().collect::<Vec<_>>();
                let outcome = Outcome::passed(plain(&format!("approved by {}", names.join(", "))));
                return Ok(outcome.with_fact("approvedBy", names).into());
            }
            let waits = format!(
                "{} of {} have approved; whoever has looked at it says `tidegate approve {model} --by NAME`",
                said.approved.len(),
                self.by
            );
            if ground.unattended {
                return Ok(Ending::Waits(waits));
            }
            if !asked {
                ground.say(&format!("{} waits: {waits}", at.stage));
                asked = true;
            }
            ground.clock.sleep_until(ground.clock.now() + LOOK_EVERY).await;
        }
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let who = match self.of.iter().map(String::as_str).collect::<Vec<_>>() {
            of if of.is_empty() => "anybody but who publishes it".to_owned(),
            of => format!("{} (but for who publishes it)", of.join(", ")),
        };
        Preview::new(format!("waits until {} has approved of {}: {}", self.by, ground.release.model, who))
            .taking(format!("people who say `tidegate approve {}`", ground.release.model))
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        match self {
            Self { by: 0, .. } => Some(("by", "is 0; ask for one approval at least".to_owned())),
            Self { by, of } if !of.is_empty() && of.len() < *by => {
                Some(("of", format!("names fewer than {by} people; name more")))
            }
            _ => None,
        }
    }

    /// The same, asked for by a channel.
    pub(crate) fn rule(&self) -> Rule {
        Rule::Approved { by: self.by, of: self.of.clone() }
    }

    /// Whether a channel that asks for approvals by so `many` of these people asks for no less.
    pub(crate) fn is_covered(&self, many: usize, of: &BTreeSet<String>) -> bool {
        many >= self.by && (self.of.is_empty() || (!of.is_empty() && of.is_subset(&self.of)))
    }

    /// The last word of each who may say something counts.
    fn said(&self, attestations: &[Attestation], publisher: &str) -> Said {
        let mut said = Said::default();
        for attestation in attestations {
            let Ok(Approval { stamp, decision, comment }) = Approval::try_from(attestation) else { continue };
            if stamp.by == publisher || !(self.of.is_empty() || self.of.contains(&stamp.by)) {
                continue;
            }
            if said.rejected.as_ref().is_some_and(|(who, _)| *who == stamp.by) {
                said.rejected = None;
            }
            match decision {
                Decision::Approve => drop(said.approved.insert(stamp.by)),
                // Of a later attempt, or in an earlier version of its words.
                _ => {
                    said.approved.remove(&stamp.by);
                    said.rejected = Some((stamp.by, comment));
                }
            }
        }
        said
    }
}
