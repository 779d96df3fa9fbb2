//! What has to hold for a version before a channel may point to it.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    Cause, Move,
    signed::{self, Evidence},
};
use crate::{Approval, Channel, Error, Invalid, Published, Result, Stamp, catalogue::Catalogue};

/// Rules that all have to hold for a version when a channel is moved to it. They are part of the log, and
/// checked against the state in which the move is written: nothing that happens meanwhile slips through.
///
/// Content in quarantine is refused by every channel, with or without a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a policy is its rules")]
pub struct Policy {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Something that has to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// So many different people approved of the version: the last [`Approval`] that each
    /// recorded of it approves. Who published the version is not counted. Names are those of the records'
    /// stamps, compared letter by letter: whoever may write to the log can write any name.
    Approved {
        /// How many.
        by: usize,
        /// Who may approve; everybody, if there is nobody.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        of: BTreeSet<String>,
    },
    /// The last statement of this kind comes to this [result](crate::Attestation::result).
    Attested {
        /// What kind of statement: a URI.
        predicate_type: String,
        /// What it comes to; anything, if that is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
        /// How old it may be when the channel is moved; as old as may be, if that is not said.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "humantime_serde::option")]
        within: Option<Duration>,
    },
    /// One of these keys signed the version's content: a
    /// [`ModelSignature`](crate::signing::ModelSignature) by it was recorded as an attestation. Only a
    /// program with the feature `signing` can tell; others refuse.
    Signed {
        /// Public keys in PEM, at most 16.
        by: Vec<String>,
    },
    /// Another channel has pointed to the version, so long altogether.
    Soaked {
        /// The other channel.
        channel: Channel,
        /// How long.
        #[serde(with = "humantime_serde")]
        at_least: Duration,
    },
}

/// A rule that does not hold, and what would satisfy it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unmet {
    /// The rule; none for content in quarantine.
    pub rule: Option<Rule>,
    /// What was found instead.
    pub found: String,
    /// What would satisfy it.
    pub remedy: String,
}

impl Policy {
    /// Rules that a policy may have.
    const MOST: usize = 64;

    /// Whether each rule can hold at all.
    pub(super) fn check(&self, channel: &Channel) -> Result<(), Invalid> {
        let wrong = |input: &str, why: &str| Err(Invalid::new("policy", input, why));
        if self.rules.len() > Self::MOST {
            return wrong(&format!("{} rules", self.rules.len()), "a policy has at most 64 rules");
        }
        for rule in &self.rules {
            match rule {
                Rule::Approved { by: 0, .. } => {
                    return wrong("approved by 0", "ask for one approval at least");
                }
                Rule::Approved { by, of } if !of.is_empty() && of.len() < *by => {
                    return wrong(
                        &format!("approved by {by}"),
                        "fewer people than that may approve; name more",
                    );
                }
                Rule::Attested { predicate_type, .. } if predicate_type.is_empty() => {
                    return wrong("attested", "name a predicate type");
                }
                Rule::Signed { by } => signed::check(by)?,
                Rule::Soaked { channel: other, .. } if other == channel => {
                    return wrong(other.as_str(), "a channel cannot wait for itself; name another one");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Refuses to move `channel` to `published` if a rule does not hold.
pub(super) fn check(
    catalogue: &Catalogue,
    published: &Published,
    channel: &Channel,
    cause: &Cause,
    at: SystemTime,
    evidence: &Evidence,
) -> Result<()> {
    let unmet = unmet(catalogue, published, channel, cause, at, evidence);
    if unmet.is_empty() {
        return Ok(());
    }
    let model = catalogue.name().at(published.version.clone());
    Err(Error::NotAllowed { model, channel: channel.clone(), unmet })
}

/// Refuses to point `channel` to a version in the moment of its publication. Signatures are not looked at:
/// they are made of what is published.
pub(crate) fn check_publication(
    catalogue: &Catalogue,
    published: &Published,
    channel: &Channel,
    stamp: &Stamp,
) -> Result<()> {
    check(catalogue, published, channel, &Cause::Promote, stamp.at, &Evidence::default())
}

/// What stands against moving `channel` to `published`. On the way back to where it has pointed before, its rules do
/// not count.
pub(super) fn unmet(
    catalogue: &Catalogue,
    published: &Published,
    channel: &Channel,
    cause: &Cause,
    at: SystemTime,
    evidence: &Evidence,
) -> Vec<Unmet> {
    let quarantined = published.quarantined.as_ref().map(|quarantined| Unmet {
        rule: None,
        found: format!("its content is in quarantine: {} ({})", quarantined.reason, quarantined.stamp),
        remedy: "lift the quarantine once its reason is gone, or promote other content".to_owned(),
    });
    let is_way_back = matches!(cause, Cause::Rollback { .. } | Cause::Revert { .. })
        && catalogue.history(channel).iter().any(|made| *made.to.version() == published.version);
    let rules = match catalogue.policy(channel) {
        Some(policy) if !is_way_back => &policy.rules[..],
        _ => &[],
    };
    let broken = rules.iter().filter_map(|rule| rule.unmet(catalogue, published, at, evidence));
    quarantined.into_iter().chain(broken).collect()
}

impl Rule {
    fn unmet(
        &self,
        catalogue: &Catalogue,
        published: &Published,
        at: SystemTime,
        evidence: &Evidence,
    ) -> Option<Unmet> {
        let (found, remedy) = match self {
            Self::Approved { by, of } => approved(published, *by, of)?,
            Self::Attested { predicate_type, result, within } => {
                attested(published, predicate_type, result.as_deref(), *within, at)?
            }
            Self::Signed { by } => evidence.missing(by)?,
            Self::Soaked { channel, at_least } => soaked(catalogue, published, channel, *at_least, at)?,
        };
        Some(Unmet { rule: Some(self.clone()), found, remedy })
    }
}

/// What was found and what would satisfy the rule, if it does not hold.
pub(super) type Finding = Option<(String, String)>;

fn approved(published: &Published, by: usize, of: &BTreeSet<String>) -> Finding {
    let mut people = BTreeSet::new();
    for said in &published.attested {
        let who = said.stamp.by.as_str();
        let counts = said.predicate_type == Approval::PREDICATE_TYPE
            && said.fact.is_some()
            && who != published.stamp.by
            && (of.is_empty() || of.contains(who));
        match said.result.as_deref() {
            Some("PASSED") if counts => drop(people.insert(who)),
            _ if counts => drop(people.remove(who)),
            _ => {}
        }
    }
    let missing = by.checked_sub(people.len()).filter(|missing| *missing > 0)?;
    let whom = if of.is_empty() {
        format!("anybody but {}", published.stamp.by)
    } else {
        of.iter().map(String::as_str).filter(|who| !people.contains(who)).collect::<Vec<_>>().join(", ")
    };
    let who = if people.is_empty() {
        "nobody".to_owned()
    } else {
        people.into_iter().collect::<Vec<_>>().join(", ")
    };
    Some((format!("{who} approved of it"), format!("have it approved by {missing} more of {whom}")))
}

fn attested(
    published: &Published,
    predicate_type: &str,
    wanted: Option<&str>,
    within: Option<Duration>,
    at: SystemTime,
) -> Finding {
    let last = published.attested.iter().rfind(|said| said.predicate_type == predicate_type);
    let result = wanted.map_or_else(String::new, |wanted| format!(" with the result {wanted}"));
    let remedy = format!("record a statement {predicate_type}{result}");
    let Some(last) = last else {
        return Some((format!("nothing was said of kind {predicate_type}"), remedy));
    };
    if let Some(wanted) = wanted
        && last.result.as_deref() != Some(wanted)
    {
        let found = last.result.as_deref().unwrap_or("no result");
        return Some((format!("the last statement of kind {predicate_type} comes to {found}"), remedy));
    }
    let age = at.duration_since(last.stamp.at).unwrap_or_default();
    let limit = within.filter(|limit| age > *limit)?;
    let limit = humantime::format_duration(limit);
    Some((
        format!("the last statement of kind {predicate_type} is older than {limit}, of {}", last.stamp),
        format!("{remedy} that is not older than {limit}"),
    ))
}

fn soaked(
    catalogue: &Catalogue,
    published: &Published,
    channel: &Channel,
    at_least: Duration,
    at: SystemTime,
) -> Finding {
    let history = catalogue.history(channel);
    let until = |index: usize, made: &Move| {
        let next = history.get(index + 1).map(|next| next.stamp.at);
        made.ended.as_ref().map(|ended| ended.stamp.at).or(next).unwrap_or(at)
    };
    let stays = history.iter().enumerate().filter(|(_, made)| *made.to.version() == published.version);
    let soaked: Duration = stays
        .map(|(index, made)| until(index, made).min(at).duration_since(made.stamp.at).unwrap_or_default())
        .fold(Duration::ZERO, Duration::saturating_add);
    let left = at_least.checked_sub(soaked).filter(|left| !left.is_zero())?;
    let [soaked, left, at_least] = [soaked, left, at_least]
        .map(|time| humantime::format_duration(Duration::from_secs(time.as_secs_f64().ceil() as u64)));
    Some((
        format!("{channel} has pointed to it for {soaked} of {at_least}"),
        format!("promote it to {channel} and leave it there for {left} more"),
    ))
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.found, self.remedy)
    }
}
