//! The lines of a record.

use serde::{Deserialize, Serialize};
use tidegate_registry::{Digest, ModelRef};

use super::Keep;
use crate::{
    AgentId, Case, Finding, Outcome, Reason, Reply, Run, Spending, ToolCall, Usage, dataset::Shard,
    excerpt::excerpt, scorer::Judge,
};

/// Longest text of a reply, in bytes.
const LONGEST_REPLY: usize = 4 << 20;

/// The first line: of which run the record is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// What the lines are.
    pub(crate) record: String,
    pub(crate) model: ModelRef,
    pub(crate) digest: Digest,
    pub(crate) suite: String,
    pub(crate) suite_digest: Option<Digest>,
    pub(crate) agent: Option<AgentId>,
    pub(crate) seed: u32,
    /// The share of each dataset that is asked.
    #[serde(default)]
    pub(crate) shard: Shard,
}

/// A check begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) begin: String,
    /// The digest of whatever the check itself says about what is asked and how it is scored.
    pub(crate) settings: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) classifier: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) embedder: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judge: Option<AgentId>,
}

/// A check that streams has asked all that it will.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) end: String,
    /// Why some questions of its share were not asked, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unasked: Option<Reason>,
}

/// What a check found that does not stream, or could not be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) found: Finding,
    /// How it was found, if all is known that decides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<Begin>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ended {
    /// All trials that will ever be there are there; the others were not asked, for this reason.
    Asked { unasked: Option<Reason> },
    /// It found this.
    Found(Box<Found>),
}

/// One trial.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trial {
    pub(crate) check: String,
    pub(crate) case: String,
    pub(crate) trial: u32,
    /// What the case shares with others that are no independent evidence beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    /// How much it counts, unless it counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<f64>,
    #[serde(flatten)]
    pub(crate) past: Past,
    /// What was answered; nothing if no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<Said>,
    /// What the run took by then, what was set aside for calls under way included.
    #[serde(default)]
    pub(crate) spent: Spending,
}

/// What the run took by then, where no trial says it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spent {
    pub(super) spent: Spending,
}

/// What became of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Past {
    pub(crate) outcome: Outcome,
    /// From 0 to 1; nothing if it has no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    /// Why, in a few words.
    #[serde(default)]
    pub(crate) why: String,
    /// Why there is no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    /// Whether nothing is known about the answer, for none came or what scores it was not to be had. A run that goes on
    /// asks again.
    #[serde(default)]
    pub(crate) lost: bool,
    /// Whether the agent gave no answer: the line then has no reply.
    #[serde(skip)]
    pub(crate) unanswered: bool,
    #[serde(default)]
    pub(crate) cut_off: bool,
    #[serde(default)]
    pub(crate) remembered: bool,
}

/// What was answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    text: String,
    /// Seconds.
    latency: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

/// What one record says and another does not.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) recorded: String,
    pub(crate) now: String,
}

impl Header {
    pub(crate) const KIND: &str = "tidegate:trials/v1";

    /// The first thing in which this header is not as `now`.
    pub(crate) fn difference(&self, now: &Self) -> Option<Difference> {
        let pairs = [
            ("the kind of record", self.record.clone(), now.record.clone()),
            ("the version", self.model.to_string(), now.model.to_string()),
            ("the digest of the version", self.digest.to_string(), now.digest.to_string()),
            ("the suite", self.suite.clone(), now.suite.clone()),
            ("the digest of the suite", or_none(self.suite_digest), or_none(now.suite_digest)),
            ("the agent", or_none(self.agent.as_ref()), or_none(now.agent.as_ref())),
            ("the seed", self.seed.to_string(), now.seed.to_string()),
            ("the share of the datasets", self.shard.to_string(), now.shard.to_string()),
        ];
        first(pairs.map(|(what, recorded, now)| (what.to_owned(), recorded, now)))
    }
}

impl Begin {
    /// `check` begins with these settings and the instruments of `run`.
    pub(crate) fn new(check: &str, settings: Digest, run: &Run) -> Self {
        Self {
            begin: check.to_owned(),
            settings,
            classifier: run.classifier.as_ref().map(|classifier| classifier.fingerprint()),
            embedder: run.embedder.as_ref().map(|embedder| embedder.fingerprint()),
            judge: run.judge.as_ref().map(Judge::fingerprint),
        }
    }

    /// The first thing in which this check is not as `now`.
    pub(crate) fn difference(&self, now: &Self) -> Option<Difference> {
        let check = &self.begin;
        let what =
            format!("what check `{check}` asks, or how it or this version of tidegate scores (as a digest),");
        first([
            (what, self.settings.to_string(), now.settings.to_string()),
            (
                format!("the classifier of check `{check}`"),
                or_none(self.classifier.as_ref()),
                or_none(now.classifier.as_ref()),
            ),
            (
                format!("the embedder of check `{check}`"),
                or_none(self.embedder.as_ref()),
                or_none(now.embedder.as_ref()),
            ),
            (
                format!("the judge of check `{check}`"),
                or_none(self.judge.as_ref()),
                or_none(now.judge.as_ref()),
            ),
        ])
    }
}

fn first(pairs: impl IntoIterator<Item = (String, String, String)>) -> Option<Difference> {
    let shown = |text: String| excerpt(&text, 200);
    let (what, recorded, now) = pairs.into_iter().find(|(_, recorded, now)| recorded != now)?;
    Some(Difference { what, recorded: shown(recorded), now: shown(now) })
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

impl Said {
    pub(crate) fn new(reply: &Reply, keep: Keep) -> Self {
        let kept = |text: &str| match keep {
            Keep::Whole => {
                let mut end = text.len().min(LONGEST_REPLY);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text[..end].to_owned()
            }
            Keep::Excerpt => excerpt(text, Case::SHOWN),
        };
        // What a model writes into a call is as long as it likes.
        let calls = reply.tool_calls.iter().take(100);
        let call = |call: &ToolCall| ToolCall::new(kept(&call.id), kept(&call.name), kept(&call.arguments));
        Self {
            text: kept(&reply.text),
            latency: reply.latency.as_secs_f64(),
            usage: reply.usage,
            finish_reason: reply.finish_reason.as_deref().map(|reason| excerpt(reason, 100)),
            refusal: reply.refusal.as_deref().map(kept),
            tool_calls: calls.map(call).collect(),
        }
    }
}
