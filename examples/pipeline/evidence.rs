//! What stages came to, said about the version in the registry, where the channel's policy asks for it.

use anyhow::Result;
use serde_json::json;
use tidegate::registry::{Attestation, Cause, Error, Policy, Rule, Stamp, Unmet};

use crate::{
    ground::Ground,
    progress::{Progress, Verdict},
    release::Release,
    signed::{self, Signers},
    stage::Work,
};

/// What the policy of the channel does not ask for, though the release does.
#[derive(Debug, Default)]
pub(crate) struct Undemanded {
    /// The stages whose results it takes a version without.
    pub(crate) stages: Vec<String>,
    /// Whose signatures.
    pub(crate) signatures: Vec<String>,
}

impl Undemanded {
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.signatures.is_empty()
    }
}

/// The kind of statement that says what a stage came to.
pub(crate) fn predicate_type(stage: &str) -> String {
    format!("tidegate:stage/{stage}/v1")
}

/// Records what every stage came to that nothing is recorded of yet, as soon as the version is published. Stages that
/// ended before that are recorded after it; doing it again changes nothing.
pub(crate) async fn settle(ground: &Ground, progress: &Progress) -> Result<()> {
    let (registry, model) = (ground.registry()?, &ground.release.model);
    let there = match registry.attestations.of(model).await {
        Ok(there) => there,
        Err(Error::NotFound { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for (index, stage) in ground.release.stages.iter().enumerate() {
        let Some((outcome, at)) = progress.ended(&stage.name) else { continue };
        let predicate_type = predicate_type(&stage.name);
        // Who ended it and when makes it what it is, whoever records it.
        let same = |said: &Attestation| said.predicate_type == predicate_type && said.stamp.at == at;
        if there.iter().any(same) {
            continue;
        }
        let course = progress.course(&stage.name);
        let opened = progress.opened.as_ref();
        let needs: Vec<_> =
            ground.release.needs[index].iter().map(|&need| &ground.release.stages[need].name).collect();
        let predicate = json!({
            "result": result(outcome.verdict),
            "stage": stage.name,
            "kind": stage.work.kind(),
            "said": outcome.said,
            "facts": outcome.facts,
            "needs": needs,
            "attempt": course.attempts,
            "began": course.began.map(|at| humantime::format_rfc3339_millis(at).to_string()),
            "description": ground.release.digest,
            "revision": opened.and_then(|opened| opened.revision.as_ref()),
        });
        let by = opened.map_or(ground.by.as_str(), |opened| &opened.by);
        let attestation = Attestation::new(predicate_type, Stamp { by: by.to_owned(), at }, predicate);
        registry.attestations.attest(model, attestation).await?;
    }
    Ok(())
}

/// In in-toto's words.
const fn result(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASSED",
        Verdict::Failed => "FAILED",
        Verdict::Undecided => "UNDECIDED",
    }
}

/// What the channel has to ask for, so that no version gets there around a stage, or unsigned.
pub(crate) fn policy(release: &Release, signers: &[Signers<'_>]) -> Policy {
    let rules = release.demanded().into_iter().map(|index| {
        let stage = &release.stages[index];
        match &stage.work {
            Work::Approve(approve) => approve.rule(),
            _ => Rule::Attested {
                predicate_type: predicate_type(&stage.name),
                result: Some(result(Verdict::Passed).to_owned()),
                within: None,
            },
        }
    });
    Policy { rules: rules.chain(signers.iter().map(Signers::rule)).collect() }
}

/// The stages and signatures that the channel's policy does not ask for, if the release moves users at all.
pub(crate) async fn undemanded(ground: &Ground, signers: &[Signers<'_>]) -> Result<Undemanded> {
    let Some(registry) = &ground.registry else { return Ok(Undemanded::default()) };
    let policies = match registry.channels.policies(ground.release.model.name()).await {
        Ok(policies) => policies,
        Err(Error::NotFound { .. }) => return Ok(Undemanded::default()),
        Err(error) => return Err(error.into()),
    };
    let rules =
        policies.get(&ground.release.channel).map(|policy| policy.rules.as_slice()).unwrap_or_default();
    let demanded = ground.release.demanded();
    let covers = |index: usize| {
        let stage = &ground.release.stages[index];
        rules.iter().any(|rule| match (rule, &stage.work) {
            (Rule::Approved { by, of }, Work::Approve(approve)) => approve.is_covered(*by, of),
            (Rule::Attested { predicate_type: of, result: wanted, .. }, _) => {
                *of == predicate_type(&stage.name) && wanted.as_deref() == Some(result(Verdict::Passed))
            }
            _ => false,
        })
    };
    let missing = demanded.into_iter().filter(|&index| !covers(index));
    let covered = |signers: &Signers<'_>| {
        rules.iter().any(|rule| matches!(rule, Rule::Signed { by } if signers.is_covered(by)))
    };
    let unsigned = signers.iter().filter(|&signers| ground.release.moves_users() && !covered(signers));
    Ok(Undemanded {
        stages: missing.map(|index| ground.release.stages[index].name.clone()).collect(),
        signatures: unsigned.map(Signers::names).collect(),
    })
}

/// What the channel holds against the version; of signatures with the command that makes one.
pub(crate) async fn unmet(ground: &Ground, signers: &[Signers<'_>]) -> Result<Vec<Unmet>> {
    let (model, channel) = (&ground.release.model, &ground.release.channel);
    let channels = &ground.registry()?.channels;
    let mut unmet = channels.unmet(model, channel, &Cause::Promote, ground.now()).await?;
    for unmet in &mut unmet {
        if let Some(Rule::Signed { by }) = &unmet.rule {
            unmet.remedy = signed::remedy(model, by, signers);
        }
    }
    Ok(unmet)
}
