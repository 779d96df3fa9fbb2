//! A judgement in words.

use std::fmt;

use super::{
    Strength, Tally,
    judgement::{Effect, Judgement, Measure},
};
use crate::Verdict;

impl Judgement {
    /// The judgement as a person may read it in an incident: what was seen, how large the difference is, how strong
    /// the evidence and how strong it must be, and what stood in the way. `Display` is the same in one line.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut sentences = vec![self.seen()];
        sentences.extend(self.effect.and_then(|effect| self.sized(effect)));
        sentences.extend(self.weighed());
        if let Some(reason) = &self.reason {
            sentences.push(format!("{}.", capitalised(reason)));
        }
        sentences.join(" ")
    }

    fn seen(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Fail => "The candidate fails",
            Verdict::Inconclusive => "Nothing is decided",
            Verdict::Pass => "The candidate passes",
        };
        let windows = match self.windows {
            0 => return format!("{verdict} on {}.", self.metric),
            1 => "in one window".to_owned(),
            windows => format!("over {windows} windows"),
        };
        let side = |name: &str, tally: Tally| match (tally.hits, tally.trials) {
            (_, 0) => format!("{name} showed nothing"),
            (0, trials) if !self.counts_hits() => format!("{name} showed {trials} values"),
            (hits, trials) => {
                format!("{name} had {hits} of {trials} ({})", Percent(hits as f64 / trials as f64))
            }
        };
        let mut text =
            format!("{verdict} on {}: {windows} {}", self.metric, side("the candidate", self.candidate));
        if let Some(baseline) = self.baseline {
            text.push_str(&format!(", {}", side("the baseline", baseline)));
        }
        text.push('.');
        text
    }

    /// Whether the tallies are of hits among trials rather than of values.
    fn counts_hits(&self) -> bool {
        matches!(
            self.effect,
            Some(Effect { measure: Measure::OddsRatio | Measure::Share | Measure::BurnRate, .. })
        )
    }

    fn sized(&self, effect: Effect) -> Option<String> {
        let what = match effect.measure {
            Measure::BurnRate => "The error budget burns at".to_owned(),
            Measure::Difference => "The candidate's mean less the baseline's is".to_owned(),
            Measure::Mean => "The value is".to_owned(),
            Measure::OddsRatio => "The odds ratio of candidate to baseline is".to_owned(),
            Measure::OddsRatioBeyond(edge) => {
                format!("The odds ratio of candidate to baseline, of values beyond {}, is", Short(edge))
            }
            Measure::Share => "The share is".to_owned(),
            Measure::Shift => "The candidate's values differ from the baseline's by".to_owned(),
        };
        let value = |value: f64| match effect.measure {
            Measure::Share => Percent(value).to_string(),
            _ => Short(value).to_string(),
        };
        let bounds = match (effect.lower, effect.upper) {
            (Some(lower), Some(upper)) => format!("{} to {}", value(lower), value(upper)),
            (Some(lower), None) => format!("above {}", value(lower)),
            (None, Some(upper)) => format!("below {}", value(upper)),
            (None, None) => String::new(),
        };
        match (effect.estimate, bounds.is_empty()) {
            (None, true) => None,
            (None, false) => Some(format!("{what} in the confidence bounds {bounds}.")),
            (Some(estimate), true) => Some(format!("{what} {}.", value(estimate))),
            (Some(estimate), false) => {
                Some(format!("{what} {}, confidence bounds {bounds}.", value(estimate)))
            }
        }
    }

    fn weighed(&self) -> Option<String> {
        if self.fail.threshold <= 0.0 || self.windows == 0 {
            return None;
        }
        let told = |which: &str, strength: Strength, wrong: &str| {
            let chance = Percent((-strength.threshold).exp());
            format!(
                "The evidence that it is {which} is {} and {} suffices; {wrong} gets there in at most {chance} of \
                 rollouts, however often one looks.",
                Exponential(strength.log_e),
                Exponential(strength.threshold)
            )
        };
        Some(match self.verdict {
            Verdict::Fail if self.fail.suffices() => told("too bad", self.fail, "a good candidate"),
            Verdict::Pass if self.pass.suffices() => told("good enough", self.pass, "a bad candidate"),
            _ => {
                let [bad, bad_needs] = [self.fail.log_e, self.fail.threshold].map(Exponential);
                let [good, good_needs] = [self.pass.log_e, self.pass.threshold].map(Exponential);
                format!(
                    "The evidence that it is too bad is {bad} of {bad_needs}, that it is good enough {good} of {good_needs}."
                )
            }
        })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric)?;
        let shown = |tally: Tally| match self.counts_hits() {
            true => tally.to_string(),
            false => format!("{} values", tally.trials),
        };
        if self.fail.threshold > 0.0 || self.baseline.is_some() {
            write!(f, " {}", shown(self.candidate))?;
        }
        if let Some(baseline) = self.baseline {
            write!(f, " against {}", shown(baseline))?;
        }
        if let Some(effect) = self.effect {
            write!(f, "{effect}")?;
        }
        let (worse, good) = (self.fail, self.pass);
        if worse.suffices() {
            write!(f, ": evidence for worse {worse}")?;
        } else if good.suffices() {
            write!(f, ": evidence for good {good}")?;
        } else if worse.threshold > 0.0 {
            let [worse, worse_needs] = [worse.log_e, worse.threshold].map(Exponential);
            let [good, good_needs] = [good.log_e, good.threshold].map(Exponential);
            write!(f, ": evidence for worse {worse} of {worse_needs}, for good {good} of {good_needs}")?;
        }
        write!(f, ": {}", self.verdict)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// `, odds ratio 5.6 (1.3 to 23)`; nothing for what the counts say already.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.measure {
            Measure::BurnRate => "burn rate".to_owned(),
            Measure::Difference => "difference".to_owned(),
            Measure::OddsRatio => "odds ratio".to_owned(),
            Measure::OddsRatioBeyond(edge) => format!("odds ratio beyond {}", Short(edge)),
            Measure::Shift => "shift".to_owned(),
            Measure::Mean | Measure::Share => return Ok(()),
        };
        let Some(estimate) = self.estimate else { return Ok(()) };
        write!(f, ", {name} {}", Short(estimate))?;
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => write!(f, " ({} to {})", Short(lower), Short(upper)),
            (Some(lower), None) => write!(f, " (above {})", Short(lower)),
            (None, Some(upper)) => write!(f, " (below {})", Short(upper)),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, needs {}", Exponential(self.log_e), Exponential(self.threshold))
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A share as a percentage of three digits.
struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", Short(100.0 * self.0))
    }
}

/// A number of three digits, without zeros at its end.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        // Less than this is what is left of sums that cancel.
        if size < 1e-12 {
            return f.write_str("0");
        }
        if !(1e-4..1e6).contains(&size) {
            return write!(f, "{:.2e}", self.0);
        }
        let whole = if size >= 1.0 {
            size.log10().floor() as i32
        } else {
            -((-size.max(1e-9).log10()).ceil() as i32)
        };
        let unit = 10_f64.powi((2 - whole).max(0));
        // Adding zero turns -0 into 0.
        write!(f, "{}", (self.0 * unit).round() / unit + 0.0)
    }
}

/// e to this power, short, also where it is too great for an `f64`.
struct Exponential(f64);

impl fmt::Display for Exponential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0.exp();
        if value < 1e4 {
            // Two decimals below ten, none above a hundred.
            let rounded =
                if value < 10.0 { (value * 100.0).round() / 100.0 } else { (value * 10.0).round() / 10.0 };
            return write!(f, "{}", if value < 100.0 { rounded } else { value.round() });
        }
        let log10 = self.0 / std::f64::consts::LN_10;
        let tenths = (10_f64.powf(log10 - log10.floor()) * 10.0).round();
        let (tenths, exponent) =
            if tenths < 100.0 { (tenths, log10.floor()) } else { (10.0, log10.floor() + 1.0) };
        write!(f, "{}e{exponent}", tenths / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let short = |value| Short(value).to_string();
        assert_eq!(short(5.5678), "5.57");
        assert_eq!(short(23.123), "23.1");
        assert_eq!(short(1234.5), "1235");
        assert_eq!(short(0.012_345), "0.0123");
        assert_eq!(short(-0.5), "-0.5");
        assert_eq!(short(0.0), "0");
        assert_eq!(short(12_345_678.0), "1.23e7");
        assert_eq!(Percent(0.0375).to_string(), "3.75 %");
    }
}
