//! Scorers as data.

mod read;

use async_trait::async_trait;
use serde::Serialize;

use super::{
    All, Any, Choice, Contains, CostLimit, Coverage, Exact, Json, KeepsSecret, LatencyLimit, Levenshtein,
    Matches, Needs, Normalised, Not, Number, Preferred, Quality, RougeL, Rubric, Score, ScoreError, Scorer,
    Similar, StartsWith, Texts, TokenF1, ToolCallF1, ToolCalls, ToolLimits,
};
use crate::{
    Cost, Reply, Run,
    dataset::Question,
    excerpt::excerpt,
    safety::{Conduct, is_refusal},
};

/// What a good answer is like: a [`Scorer`] as data.
///
/// In a file it is a table with its `kind`, which is the variant's name as said at the variant, and the fields of
/// the struct: `{ kind = "contains", value = ["Paris", "France"] }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Assertion {
    /// `all`: several hold.
    All(All),
    /// `any`: one of several holds.
    Any(Any),
    /// `choice`: it takes the right one of the question's choices.
    Choice(Choice),
    /// `conduct`: it does what it is asked, or declines, as [`Conduct`] tells.
    Conduct(Conduct),
    /// `contains`: it contains texts.
    Contains(Contains),
    /// `cost`: it was cheap enough.
    Cost(CostLimit),
    /// `exact`: it is the target, to the byte.
    Exact(Exact),
    /// `f1`: it shares words with the target.
    F1(TokenF1),
    /// `json`: it is JSON, of a schema if there is one.
    Json(Json),
    /// `keeps-secret`: it gives no secret away, however that is spelt.
    KeepsSecret(KeepsSecret),
    /// `latency`: it was quick enough.
    Latency(LatencyLimit),
    /// `levenshtein`: it is a few letters off at most.
    Levenshtein(Levenshtein),
    /// `normalised`: it is the target but for case, accents and punctuation.
    Normalised(Normalised),
    /// `not`: another does not hold.
    Not(Not),
    /// `number`: it gives the right number.
    Number(Number),
    /// `preferred`: a judge finds it as good as another.
    Preferred(Preferred),
    /// `quality`: it is relevant, covers its topics, and coheres.
    Quality(Quality),
    /// `refusal`: it declines, as [`is_refusal`] tells.
    Refusal,
    /// `regex`: it matches a regular expression.
    Regex(Matches),
    /// `rouge-l`: it keeps the target's wording.
    #[serde(rename = "rouge-l")]
    RougeL(RougeL),
    /// `rubric`: a judge finds that it meets a rubric.
    Rubric(Rubric),
    /// `similar`: its embedding is near the target's.
    Similar(Similar),
    /// `starts-with`: it begins with a text.
    StartsWith(StartsWith),
    /// `tool-call-f1`: it calls the tools that it should.
    #[serde(rename = "tool-call-f1")]
    ToolCallF1(ToolCallF1),
    /// `tool-calls`: it calls the tools that it should, with the right arguments, in the right order.
    ToolCalls(ToolCalls),
    /// `tool-limits`: it calls no forbidden tool, and not too often.
    ToolLimits(ToolLimits),
    /// `topics`: it speaks of what it should.
    Topics(Coverage),
}

/// An assertion, and how much it counts beside others: a field `weight` among its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Weighted {
    /// The assertion.
    #[serde(flatten)]
    pub assertion: Assertion,
    /// How much it counts, above 0; 1 unless said otherwise.
    pub weight: f64,
}

impl Assertion {
    pub(super) async fn judge(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        match self {
            Self::All(all) => all.score(question, reply, run).await,
            Self::Any(any) => any.score(question, reply, run).await,
            Self::Choice(choice) => choice.score(question, reply),
            Self::Conduct(conduct) => conduct.score(question, reply, run).await,
            Self::Contains(contains) => contains.score(question, reply),
            Self::Cost(limit) => limit.score(reply),
            Self::Exact(exact) => exact.score(question, reply),
            Self::F1(overlap) => overlap.score(question, reply),
            Self::Json(json) => Ok(json.score(reply)),
            Self::KeepsSecret(secrets) => secrets.score(reply),
            Self::Latency(limit) => limit.score(reply),
            Self::Levenshtein(edits) => edits.score(question, reply),
            Self::Normalised(normalised) => normalised.score(question, reply),
            Self::Not(not) => not.score(question, reply, run).await,
            Self::Number(number) => number.score(question, reply),
            Self::Preferred(preferred) => preferred.score(question, reply, run).await,
            Self::Quality(quality) => quality.score(question, reply, run).await,
            Self::Refusal => Ok(Score::whether(is_refusal(reply), excerpt(&reply.text, 200))),
            Self::Regex(matches) => Ok(matches.score(reply)),
            Self::RougeL(rouge) => rouge.score(question, reply),
            Self::Rubric(rubric) => rubric.score(question, reply, run).await,
            Self::Similar(similar) => similar.score(question, reply, run).await,
            Self::StartsWith(start) => start.score(question, reply),
            Self::ToolCallF1(tools) => Ok(tools.score(reply)),
            Self::ToolCalls(calls) => calls.score(reply),
            Self::ToolLimits(limits) => Ok(limits.score(reply)),
            Self::Topics(coverage) => Ok(coverage.score(reply)),
        }
    }

    /// Why answers to `question` can never be scored, if they cannot.
    pub(crate) fn lacking(&self, question: &Question) -> Option<String> {
        if let Some(part) = self.parts().find_map(|part| part.lacking(question)) {
            return Some(part);
        }
        let no_target = |own: &Texts| {
            let none = own.0.is_empty() && question.targets.is_empty();
            none.then(|| "compares with a target, and there is none".to_owned())
        };
        match self {
            Self::Choice(_) | Self::Number(_) => {
                let trial = match self {
                    Self::Choice(choice) => choice.score(question, &Reply::default()),
                    Self::Number(number) => number.score(question, &Reply::default()),
                    _ => return None,
                };
                trial.err().map(|error| error.to_string())
            }
            Self::Contains(Contains { value, .. })
            | Self::Exact(Exact { value })
            | Self::F1(TokenF1 { value, .. })
            | Self::Levenshtein(Levenshtein { value, .. })
            | Self::Normalised(Normalised { value })
            | Self::Preferred(Preferred { value, .. })
            | Self::RougeL(RougeL { value, .. })
            | Self::Similar(Similar { value, .. })
            | Self::StartsWith(StartsWith { value, .. }) => no_target(value),
            _ => None,
        }
    }

    /// What it works with beside the answer.
    pub(crate) fn needs(&self) -> Needs {
        let own = Needs {
            classifier: matches!(self, Self::Conduct(conduct) if conduct.asks_classifier()),
            embedder: match self {
                Self::Similar(_) => true,
                Self::Quality(quality) => quality.embeddings() > 0,
                _ => false,
            },
            fresh: matches!(self, Self::Latency(_)),
            judge: match self {
                Self::Preferred(_) | Self::Rubric(_) => true,
                Self::Conduct(conduct) => conduct.asks_judge(),
                _ => false,
            },
        };
        self.parts().fold(own, |needs, part| needs | part.needs())
    }

    /// The assertions that this one is made of.
    fn parts(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match self {
            Self::All(All { of, .. }) | Self::Any(Any { of }) => {
                Box::new(of.iter().map(|part| &part.assertion))
            }
            Self::Not(not) => Box::new(std::iter::once(&*not.of)),
            Self::Quality(quality) => Box::new(quality.assertions()),
            _ => Box::new(std::iter::empty()),
        }
    }

    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        match self {
            Self::All(all) => all.flaw(),
            Self::Any(any) => any.flaw(),
            Self::Choice(_)
            | Self::Cost(_)
            | Self::Json(_)
            | Self::Latency(_)
            | Self::Not(_)
            | Self::Refusal
            | Self::Regex(_) => None,
            Self::Conduct(conduct) => conduct.flaw(),
            Self::Contains(Contains { value, .. })
            | Self::Exact(Exact { value })
            | Self::Normalised(Normalised { value })
            | Self::StartsWith(StartsWith { value, .. }) => value.flaw(),
            Self::F1(overlap) => overlap.flaw(),
            Self::KeepsSecret(secrets) => secrets.flaw(),
            Self::Levenshtein(edits) => edits.flaw(),
            Self::Number(number) => number.flaw(),
            Self::Preferred(preferred) => preferred.flaw(),
            Self::Quality(quality) => quality.flaw(),
            Self::RougeL(rouge) => rouge.flaw(),
            Self::Rubric(rubric) => rubric.flaw(),
            Self::Similar(similar) => similar.flaw(),
            Self::ToolCallF1(tools) => tools.flaw(),
            Self::ToolCalls(calls) => calls.flaw(),
            Self::ToolLimits(limits) => limits.flaw(),
            Self::Topics(coverage) => coverage.flaw(),
        }
    }
}

impl From<Assertion> for Weighted {
    fn from(assertion: Assertion) -> Self {
        Self { assertion, weight: 1.0 }
    }
}

#[async_trait]
impl Scorer for Assertion {
    fn cost(&self) -> Cost {
        let own = match self {
            Self::Conduct(conduct) => conduct.cost(),
            Self::Preferred(preferred) => preferred.cost(),
            Self::Quality(quality) => Cost::embeddings(quality.embeddings()),
            Self::Rubric(rubric) => rubric.cost(),
            Self::Similar(_) => Cost::embeddings(1),
            _ => Cost::default(),
        };
        self.parts().map(Self::cost).fold(own, |sum, cost| sum + cost)
    }

    async fn score(&self, question: &Question, reply: &Reply, run: &Run) -> Result<Score, ScoreError> {
        self.judge(question, reply, run).await
    }
}
