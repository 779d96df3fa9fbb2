//! Which tools did the agent call, in which order, with what?
//!
//! What is scored are the [tool calls](crate::Reply::tool_calls) of the reply, in their order. An agent that runs its
//! tools itself reports all of them there.

mod arguments;
mod matching;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::arguments::Arguments;
use self::matching::{most_pairs, subsequence};
use super::{Schema, Score, ScoreError, threshold_flaw, tokens::f1, words::quoted};
use crate::{Reply, ToolCall, excerpt::excerpt};

/// Most calls that are compared.
const MOST_CALLS: usize = 256;

/// The agent calls the tools that it should.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct ToolCalls {
    /// The calls that it should make.
    pub expected: Vec<Expected>,
    /// In which order, and what else it may call.
    pub order: Order,
    /// How arguments are compared.
    pub arguments: Arguments,
    /// Arguments that do not matter, by their names, however deep they stand.
    pub ignore_keys: BTreeSet<String>,
}

/// A call that an agent should make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Expected {
    /// The tool.
    pub name: String,
    /// The arguments; whatever they are without them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// What the arguments must be valid by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
}

/// In which order calls are made, and which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Order {
    /// All that are expected, in their order, with any others before, between and after.
    InOrder,
    /// Exactly those that are expected, in their order.
    #[default]
    Strict,
    /// None but those that are expected, each at most once, in any order.
    Subset,
    /// All that are expected and any others, in any order.
    Superset,
    /// Exactly those that are expected, in any order.
    Unordered,
}

/// F1 between the set of tools that are called and the set that should be, by their names alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct ToolCallF1 {
    /// The tools.
    pub expected: BTreeSet<String>,
    /// The least F1; 1 unless said otherwise.
    #[serde(default = "all")]
    pub threshold: f64,
}

/// What an agent must not do with tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct ToolLimits {
    /// Most calls of tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_calls: Option<u32>,
    /// How often it may make the same call with the same arguments: more is a loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_repeats: Option<u32>,
    /// Tools that it must not call.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub forbidden: BTreeSet<String>,
}

impl ToolCalls {
    pub(super) fn score(&self, reply: &Reply) -> Result<Score, ScoreError> {
        let calls = &reply.tool_calls;
        if calls.len() > MOST_CALLS {
            let why = format!("{} tool calls are more than are compared, {MOST_CALLS}", calls.len());
            return Err(ScoreError::unscorable(why));
        }
        let parsed: Vec<Option<Value>> = calls.iter().map(|call| parsed(&call.arguments)).collect();
        let fits = |call: usize, expected: usize| {
            self.fits(&calls[call], parsed[call].as_ref(), &self.expected[expected])
        };
        let (made, wanted) = (calls.len(), self.expected.len());
        let pairs = most_pairs(made, wanted, fits);
        let passed = match self.order {
            Order::InOrder => subsequence(made, wanted, fits),
            Order::Strict => made == wanted && (0..made).all(|at| fits(at, at)),
            Order::Subset => pairs == made,
            Order::Superset => pairs == wanted,
            Order::Unordered => pairs == made && pairs == wanted,
        };
        let value = if made + wanted == 0 { 1.0 } else { f1(pairs, made, wanted) };
        let why = format!("{pairs} of {wanted} expected calls among {made}: {}", shown(calls));
        Ok(Score { value, passed, why })
    }

    fn fits(&self, call: &ToolCall, arguments: Option<&Value>, expected: &Expected) -> bool {
        call.name == expected.name
            && expected.arguments.as_ref().is_none_or(|wanted| {
                let fit = |found| self.arguments.fit(found, wanted, &self.ignore_keys);
                self.arguments == Arguments::Ignore || arguments.is_some_and(fit)
            })
            && expected
                .schema
                .as_ref()
                .is_none_or(|schema| arguments.is_some_and(|found| schema.fault(found).is_none()))
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        if self.expected.len() > MOST_CALLS {
            return Some(("expected", format!("has more than {MOST_CALLS} calls")));
        }
        let nameless = self.expected.iter().any(|call| call.name.trim().is_empty());
        nameless.then(|| ("expected", "has a call without a `name`; say which tool".to_owned()))
    }
}

impl ToolCallF1 {
    pub(super) fn score(&self, reply: &Reply) -> Score {
        let called: BTreeSet<&str> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
        let common = self.expected.iter().filter(|name| called.contains(name.as_str())).count();
        let value = match self.expected.len() + called.len() {
            0 => 1.0,
            _ => f1(common, called.len(), self.expected.len()),
        };
        Score::at_least(
            self.threshold,
            value,
            format!("F1 {value:.3} of tools: {}", shown(&reply.tool_calls)),
        )
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        threshold_flaw(self.threshold)
    }
}

impl ToolLimits {
    pub(super) fn score(&self, reply: &Reply) -> Score {
        let calls = &reply.tool_calls;
        let forbidden: BTreeSet<&str> = calls
            .iter()
            .map(|call| call.name.as_str())
            .filter(|name| self.forbidden.contains(*name))
            .collect();
        if !forbidden.is_empty() {
            let names: Vec<_> = forbidden.into_iter().collect();
            return Score::whether(false, format!("calls {}, which it must not", quoted(&names)));
        }
        if let Some(most) = self.most_calls.filter(|&most| calls.len() > most as usize) {
            return Score::whether(
                false,
                format!("makes {} calls, more than {most}: {}", calls.len(), shown(calls)),
            );
        }
        let mut times = HashMap::<(&str, String), u32>::new();
        for call in calls {
            // The same arguments, however they are spaced.
            let arguments =
                parsed(&call.arguments).map_or_else(|| call.arguments.clone(), |value| value.to_string());
            *times.entry((&call.name, arguments)).or_default() += 1;
        }
        let looped =
            times.into_iter().filter(|(_, times)| self.most_repeats.is_some_and(|most| *times > most)).max();
        match looped {
            Some(((name, _), times)) => Score::whether(
                false,
                format!("makes the same call of `{}` {times} times", excerpt(name, 100)),
            ),
            None => Score::whether(true, format!("{} calls within their limits", calls.len())),
        }
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        let nothing = self.most_calls.is_none() && self.most_repeats.is_none() && self.forbidden.is_empty();
        nothing.then(|| ("forbidden", "is empty, and there is no other limit; set one".to_owned()))
    }
}

/// Arguments as JSON, an empty text as no arguments; `None` if it is neither.
fn parsed(arguments: &str) -> Option<Value> {
    match arguments.trim() {
        "" => Some(Value::Object(serde_json::Map::new())),
        text => serde_json::from_str(text).ok(),
    }
}

fn shown(calls: &[ToolCall]) -> String {
    let first = calls.iter().take(10).map(|call| excerpt(&call.to_string(), 100));
    excerpt(&first.collect::<Vec<_>>().join(", "), 250)
}

const fn all() -> f64 {
    1.0
}
