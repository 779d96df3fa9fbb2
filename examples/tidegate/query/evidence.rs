//! What was asked and answered, and what was made of it.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tidegate::metrics::{Exchange, Observation};

use crate::words::plain;

/// Every question with its answer, in their order.
#[derive(Clone, Default)]
pub(crate) struct Raw {
    exchanges: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    request: String,
    question: Option<String>,
    status: u16,
    answer: String,
    whole: usize,
}

impl Raw {
    /// Of a long answer this much is kept.
    const LONGEST: usize = 64 << 10;
    /// Of a long answer this much is shown to people.
    const SHOWN: usize = 2000;

    pub(crate) fn take(&self, exchange: &Exchange<'_>) {
        let beginning = &exchange.answer[..exchange.answer.len().min(Self::LONGEST)];
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(Kept {
            request: format!("{} {}", exchange.method, exchange.url),
            question: exchange.question.map(str::to_owned),
            status: exchange.status.as_u16(),
            answer: String::from_utf8_lossy(beginning).into_owned(),
            whole: exchange.answer.len(),
        });
    }

    pub(crate) fn json(&self) -> Value {
        let exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |kept: &Kept| {
            json!({
                "request": kept.request,
                "question": kept.question,
                "status": kept.status,
                "answer": kept.answer,
                "answerBytes": kept.whole,
            })
        };
        exchanges.iter().map(one).collect()
    }

    pub(crate) fn text(&self) -> String {
        let exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |kept: &Kept| {
            let short: String = kept.answer.chars().take(Self::SHOWN).collect();
            let lines = short.lines().map(|line| format!("\n    {}", plain(line))).collect::<String>();
            let question =
                kept.question.as_deref().map(|text| format!("\n  {}", plain(text))).unwrap_or_default();
            let cut = if kept.whole > short.len() {
                format!("\n    … ({} bytes in all)", kept.whole)
            } else {
                String::new()
            };
            format!("\n\n{}{question}\n  {} answered{lines}{cut}", plain(&kept.request), kept.status)
        };
        exchanges.iter().map(one).collect()
    }
}

/// An observation in words.
pub(crate) fn observed(observation: &Observation) -> String {
    match observation {
        Observation::Proportion { hits, trials } => {
            format!("{hits} of {trials} ({:.3} %)", 100.0 * *hits as f64 / (*trials).max(1) as f64)
        }
        Observation::Histogram { edges, counts } => {
            let buckets = edges.iter().zip(counts).filter(|(_, count)| **count > 0);
            let mut parts: Vec<_> = buckets.map(|(edge, count)| format!("{count} up to {edge}")).collect();
            if let (Some(above @ 1..), Some(last)) = (counts.last().copied(), edges.last()) {
                parts.push(format!("{above} above {last}"));
            }
            format!("{} values: {}", observation.trials(), parts.join(", "))
        }
        Observation::Total { sum, count } => {
            format!("{sum} in {count}, {} each", sum / (*count).max(1) as f64)
        }
        Observation::Values(values) => {
            let shown: Vec<_> = values.iter().take(10).map(f64::to_string).collect();
            let rest = if values.len() > 10 { ", …" } else { "" };
            format!("{} values: {}{rest}", values.len(), shown.join(", "))
        }
        other => other.to_string(),
    }
}
