//! Text as words, for scorers that compare words.

use super::ScoreError;

/// Comparing texts takes time by the product of their lengths; beyond this product it is not begun.
const MOST_STEPS: usize = 100_000_000;

/// The words of `text` in lower case: runs of letters and digits of any script.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether texts of these lengths can be compared step by step.
pub(super) fn bounded(a: usize, b: usize) -> Result<(), ScoreError> {
    if a.saturating_mul(b) > MOST_STEPS {
        let why = format!("texts of {a} and {b} pieces are too long to compare; limit `max_tokens`");
        return Err(ScoreError::unscorable(why));
    }
    Ok(())
}

/// The harmonic mean of the shares that `common` is of `answer` and of `target`.
pub(super) fn f1(common: usize, answer: usize, target: usize) -> f64 {
    match common {
        0 => 0.0,
        // 2pr / (p + r) with p = common / answer and r = common / target.
        common => 2.0 * common as f64 / (answer + target) as f64,
    }
}
