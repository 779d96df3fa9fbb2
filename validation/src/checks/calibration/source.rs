//! How sure a model is of an answer.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{Reply, Request, Role, fold::normal};

/// How it is known how sure a model is of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a match over it says what each of them takes")]
pub enum Confidence {
    /// The geometric mean of the probabilities of the answer's tokens, which the agent must report.
    Logprob,
    /// The share of several answers that agree with the most frequent one.
    ///
    /// X. Wang et al., *Self-consistency improves chain of thought reasoning in language models*, arXiv:2203.11171.
    SelfConsistency,
    /// What the model says when it is asked to end with a line `Confidence: N %`.
    ///
    /// K. Tian et al., *Just ask for calibration*, arXiv:2305.14975.
    #[default]
    Verbalised,
}

/// An answer, and how sure the model is of it.
#[derive(Debug, PartialEq)]
pub(super) struct Sure {
    pub(super) answer: String,
    /// From 0 to 1.
    pub(super) confidence: f64,
}

const SAY_IT: &str = "\n\nEnd with a line of its own, \"Confidence: N %\", where N, from 0 to 100, is how likely your answer is right.";

impl Confidence {
    /// `request`, so that its answer also says how sure the model is.
    pub(super) fn asked(self, mut request: Request) -> Request {
        match self {
            Self::Logprob => request.top_logprobs = Some(0),
            Self::SelfConsistency => {}
            Self::Verbalised => {
                if let Some(last) =
                    request.messages.iter_mut().rev().find(|message| message.role == Role::User)
                {
                    last.content.push_str(SAY_IT);
                }
            }
        }
        request
    }

    /// What `replies` to one question say; `Err` is why it is not known.
    pub(super) fn read(self, replies: &[Reply]) -> Result<Sure, &'static str> {
        let first = replies.first().ok_or("it was not asked")?;
        match self {
            Self::Logprob => {
                let n = first.logprobs.len() as f64;
                let mean = first.logprobs.iter().map(|token| token.logprob).sum::<f64>() / n;
                // NaN without tokens.
                match mean <= 1e-6 {
                    true => Ok(Sure { answer: first.text.clone(), confidence: mean.exp().min(1.0) }),
                    false => Err(
                        "the reply came without probabilities; serve the model with `logprobs` switched on",
                    ),
                }
            }
            Self::SelfConsistency => {
                let mut counts = BTreeMap::<String, (u32, &str)>::new();
                for reply in replies {
                    counts.entry(normal(&reply.text)).or_insert((0, &reply.text)).0 += 1;
                }
                let (count, answer) =
                    counts.into_values().rev().max_by_key(|(count, _)| *count).unwrap_or_default();
                Ok(Sure { answer: answer.to_owned(), confidence: f64::from(count) / replies.len() as f64 })
            }
            Self::Verbalised => verbalised(&first.text)
                .ok_or("the answer does not end with a confidence; ask for it in the system message as well"),
        }
    }
}

fn verbalised(text: &str) -> Option<Sure> {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)[\s*_(\[]*confidence\W{0,8}(\d{1,3}(?:\.\d{1,6})?)\s*(?:%|percent)?\W*$")
            .expect("it is a pattern")
    });
    // It stands at the end, and an answer may be long.
    let mut from = text.len().saturating_sub(120);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let found = SAID.captures(&text[from..])?;
    let percent: f64 = found.get(1)?.as_str().parse().ok()?;
    let answer = text[..from + found.get(0)?.start()].trim().to_owned();
    (percent <= 100.0).then_some(Sure { answer, confidence: percent / 100.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenLogprob;

    #[test]
    fn a_confidence_is_read_at_the_end_of_an_answer() {
        for (text, answer, confidence) in [
            ("Paris\nConfidence: 95 %", "Paris", 0.95),
            ("Paris.\n\n**Confidence:** 100%", "Paris.", 1.0),
            ("4 (confidence: 62.5 percent)", "4", 0.625),
            ("CONFIDENCE: 0", "", 0.0),
        ] {
            let sure = verbalised(text).unwrap();
            assert!((sure.confidence - confidence).abs() < 1e-9, "{text}");
            assert_eq!(sure.answer, answer, "{text}");
        }
        for text in
            ["", "Paris", "Confidence: 101 %", "Confidence: 95 % is what I would say", "Confidence: high"]
        {
            assert_eq!(verbalised(text), None, "{text}");
        }
        assert!(verbalised(&format!("{}Confidence: 5 %", "é".repeat(1000))).is_some());
    }

    #[test]
    fn probabilities_are_those_of_the_tokens() {
        let token = |p: f64| TokenLogprob { token: "x".to_owned(), logprob: p.ln(), top: Vec::new() };
        let mut reply = Reply::text("xx");
        assert!(Confidence::Logprob.read(&[reply.clone()]).is_err());
        reply.logprobs = vec![token(0.5), token(0.125)];
        assert!((Confidence::Logprob.read(&[reply.clone()]).unwrap().confidence - 0.25).abs() < 1e-9);
        reply.logprobs[0].logprob = f64::NAN;
        assert!(Confidence::Logprob.read(&[reply]).is_err());
    }

    #[test]
    fn agreement_is_sureness() {
        let replies = ["Paris", "paris.", "Lyon", " PARIS"].map(Reply::text);
        let sure = Confidence::SelfConsistency.read(&replies).unwrap();
        assert_eq!(sure, Sure { answer: "Paris".to_owned(), confidence: 0.75 });
    }
}
