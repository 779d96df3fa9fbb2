//! A load as a statement about a version, and two of them compared.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_registry::{Attestation, Digest, Stamp};

use super::{Machine, Quantity, Spread, Summary};
use crate::{Reason, Verdict};

/// What a version withstood, where, and what it was asked: to be recorded beside it, and compared with the next one's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Benchmark {
    /// What came of it.
    pub summary: Summary,
    /// Where the load came from.
    pub machine: Machine,
    /// Where it went: the host, or `this machine`.
    pub host: String,
    /// The path of each URL there that took turns, in their order; empty in benchmarks that do not say it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The SHA-256 of what was asked, at which rates, for how long, by which limits.
    pub settings: Digest,
    /// Whether it kept its limits: `pass`, `fail` or `inconclusive`.
    pub verdict: String,
}

/// Two benchmarks, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Comparison {
    /// What is different about how they were made; if anything is, the ratios tell nothing about the versions.
    pub differences: Vec<String>,
    /// Quantiles that are judged and that only one of them has, or that were no time at all before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<String>,
    /// Each quantile, as a share of what it was before.
    pub ratios: Vec<Ratio>,
}

/// A quantile as a share of what it was before.
///
/// Its bounds are the quotients of the bounds of the two quantiles, from order statistics. Of confidence `1 − a` each
/// there, they are of confidence `1 − 2a` each here, by Bonferroni's inequality, whatever the distributions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Ratio {
    /// What is timed.
    pub of: Quantity,
    /// Which quantile.
    pub quantile: f64,
    /// Seconds before.
    pub before: f64,
    /// Seconds now.
    pub now: f64,
    /// `now / before`.
    pub ratio: f64,
    /// It lies above this, if that can be said.
    pub lower: Option<f64>,
    /// It lies below this, if that can be said.
    pub upper: Option<f64>,
    /// The confidence of each bound.
    pub confidence: f64,
}

impl Benchmark {
    /// What [`attestation`](Self::attestation) says.
    pub const PREDICATE_TYPE: &str = "tidegate:benchmark/v1";
    /// The confidence of each bound of a quantile. That of a ratio has 99.5 %, so that all of the eight that are
    /// [judged](Comparison::judge) hold with 96 %.
    pub const CONFIDENCE: f64 = 0.9975;

    /// A load from `machine` to `host`, of these settings.
    pub fn new(
        summary: Summary,
        machine: Machine,
        host: impl Into<String>,
        settings: Digest,
        verdict: &Verdict,
    ) -> Self {
        let verdict = verdict.word().to_owned();
        Self { summary, machine, host: host.into(), paths: Vec::new(), settings, verdict }
    }

    /// This benchmark, of URLs with these paths that took turns.
    #[must_use]
    pub fn paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.paths = paths.into_iter().collect();
        self
    }

    /// This as a statement about a version.
    #[must_use]
    pub fn attestation(&self, stamp: Stamp) -> Attestation {
        Attestation::new(Self::PREDICATE_TYPE, stamp, serde_json::json!(self))
    }

    /// The benchmark in a statement, if it is one and this program understands it.
    #[must_use]
    pub fn of(attestation: &Attestation) -> Option<Self> {
        let stated = attestation.predicate_type == Self::PREDICATE_TYPE;
        stated.then(|| Self::deserialize(&attestation.predicate).ok())?
    }

    /// This, compared with what was `before`.
    #[must_use]
    pub fn against(&self, before: &Self) -> Comparison {
        let (then, now) = (&before.summary, &self.summary);
        let confidence = then.confidence + now.confidence - 1.0;
        let ratios = Quantity::ALL.into_iter().flat_map(|of| {
            let quantiles = Spread::QUANTILES.into_iter();
            quantiles.filter_map(move |quantile| Ratio::of(of, quantile, then.of(of), now.of(of), confidence))
        });
        Comparison {
            differences: before.differences(self),
            unmatched: unmatched(then, now),
            ratios: ratios.collect(),
        }
    }

    fn differences(&self, now: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, before: String, now: String| {
            if before != now {
                differences.push(format!("{what}: {before} before, {now} now"));
            }
        };
        let machine = |of: &Self| {
            let Machine { os, architecture, processor, processors } = &of.machine;
            format!("{processors} × {} ({os}, {architecture})", processor.as_deref().unwrap_or("unknown"))
        };
        compare("machine", machine(self), machine(now));
        compare("host", self.host.clone(), now.host.clone());
        compare("URLs", self.urls(), now.urls());
        compare("settings", short(&self.settings), short(&now.settings));
        for (when, summary) in [("before", &self.summary), ("now", &now.summary)] {
            if let Some(flaw) = &summary.flaw {
                differences.push(format!("{when}: {flaw}"));
            }
        }
        differences
    }
}

impl Benchmark {
    /// How many URLs took turns, and their paths.
    fn urls(&self) -> String {
        match self.paths.as_slice() {
            [] => "not said".to_owned(),
            paths => format!("{} ({})", paths.len(), paths.join(", ")),
        }
    }
}

/// What of the quantiles that are judged has no ratio.
fn unmatched(before: &Summary, now: &Summary) -> Vec<String> {
    let mut unmatched = Vec::new();
    for (of, quantile) in Quantity::ALL.into_iter().flat_map(|of| Comparison::JUDGED.map(|at| (of, at))) {
        let value = |summary: &Summary| summary.of(of).at(quantile).map(|found| found.value);
        let why = match (value(before), value(now)) {
            (Some(_), None) => "was measured before, and is not now",
            (None, Some(_)) => "is measured now, and was not before",
            (Some(before), Some(now)) if before == 0.0 && now > 0.0 => "was no time at all before",
            _ => continue,
        };
        unmatched.push(format!("the {quantile}-quantile of the {of} {why}"));
    }
    unmatched
}

fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

impl Ratio {
    fn of(of: Quantity, quantile: f64, before: &Spread, now: &Spread, confidence: f64) -> Option<Self> {
        let (before, now) = (before.at(quantile)?, now.at(quantile)?);
        let over = |a: Option<f64>, b: Option<f64>| Some(a? / b.filter(|b| *b > 0.0)?);
        Some(Self {
            of,
            quantile,
            before: before.value,
            now: now.value,
            ratio: over(Some(now.value), Some(before.value))?,
            lower: over(now.lower, before.upper),
            upper: over(now.upper, before.lower),
            confidence,
        })
    }
}

impl Comparison {
    /// The quantiles that are judged: higher ones are known too little.
    pub const JUDGED: [f64; 2] = [0.5, 0.95];

    /// Whether nothing became slower by more than the share `tolerance`: a failure if that is proven of anything, a
    /// pass if the contrary is proven of everything that was timed. Nothing is decided between, nor of what is
    /// [unmatched](Self::unmatched), nor if the benchmarks were made in [different](Self::differences) ways, nor by a
    /// `tolerance` that is no share from 0 on.
    #[must_use]
    pub fn judge(&self, tolerance: f64) -> Verdict {
        let infra = |what| Verdict::Inconclusive(Reason::Infra { what });
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return infra(format!("a tolerance of {tolerance} is no share; give one from 0 on, such as 0.1"));
        }
        if !self.differences.is_empty() {
            return infra(format!("the benchmarks cannot be compared: {}", self.differences.join("; ")));
        }
        let most = 1.0 + tolerance;
        let judged: Vec<_> =
            self.ratios.iter().filter(|ratio| Self::JUDGED.contains(&ratio.quantile)).collect();
        if judged.iter().any(|ratio| ratio.lower.is_some_and(|lower| lower > most)) {
            return Verdict::Fail;
        }
        if let Some(what) = self.unmatched.first() {
            return infra(format!("{what}; measure both in the same way"));
        }
        match judged.iter().find(|ratio| ratio.upper.is_none_or(|upper| upper > most)) {
            Some(ratio) => infra(format!("{ratio} may be more than {most:.2}; measure longer")),
            None if judged.is_empty() => Verdict::Inconclusive(Reason::NothingChecked),
            None => Verdict::Pass,
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, quantile, before, now, ratio, .. } = self;
        write!(f, "{quantile}-quantile of the {of} {ratio:.3} × ({before:.4} s before, {now:.4} s now")?;
        match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => write!(f, "; {lower:.3} to {upper:.3})"),
            _ => f.write_str("; too few requests for bounds)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::{Distribution, Measured};

    /// A benchmark of 4 000 latencies around `ms`, drawn by `seed`.
    fn benchmark(ms: f64, seed: u64) -> Benchmark {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut times = Distribution::new();
        for _ in 0..4_000 {
            times.record(Duration::from_secs_f64(ms * (0.8 + 0.4 * rng.f64()) / 1e3));
        }
        let measured = Measured { scheduled_latency: times, ..Measured::default() };
        let summary = measured.summary(Benchmark::CONFIDENCE);
        Benchmark::new(summary, Machine::default(), "this machine", Digest::of("settings"), &Verdict::Pass)
    }

    #[test]
    fn what_became_slower_is_told_from_what_did_not() {
        let before = benchmark(100.0, 1);
        let judge = |now: &Benchmark| now.against(&before).judge(0.1);
        assert_eq!(judge(&benchmark(100.0, 2)), Verdict::Pass);
        assert_eq!(judge(&benchmark(80.0, 2)), Verdict::Pass);
        assert_eq!(judge(&benchmark(125.0, 2)), Verdict::Fail);
        let near = judge(&benchmark(110.0, 2));
        assert!(
            matches!(&near, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("measure longer")),
            "{near:?}"
        );
    }

    #[test]
    fn a_quantity_that_only_one_of_them_has_is_not_passed_over() {
        let without = benchmark(100.0, 1);
        let mut with = benchmark(100.0, 2);
        with.summary.ttft = with.summary.latency.clone();
        let undecided = |verdict: Verdict, part: &str| {
            let why = format!("{verdict:?}");
            assert!(matches!(verdict, Verdict::Inconclusive(_)) && why.contains(part), "{why}");
        };
        undecided(with.against(&without).judge(0.1), "was not before");
        undecided(without.against(&with).judge(0.1), "is not now");
        let mut at_once = with.clone();
        at_once.summary.ttft.quantiles.iter_mut().for_each(|quantile| quantile.value = 0.0);
        undecided(with.against(&at_once).judge(0.1), "no time at all");
        let mut slow = benchmark(200.0, 3);
        slow.summary.ttft = slow.summary.latency.clone();
        assert_eq!(slow.against(&without).judge(0.1), Verdict::Fail);
    }

    #[test]
    fn a_tolerance_that_is_no_share_decides_nothing() {
        let before = benchmark(100.0, 1);
        for tolerance in [f64::INFINITY, f64::NAN, -0.5] {
            let verdict = benchmark(200.0, 2).against(&before).judge(tolerance);
            assert!(matches!(&verdict, Verdict::Inconclusive(_)), "{tolerance}: {verdict:?}");
        }
    }

    #[test]
    fn ratios_hold_what_is_true() {
        for seed in 0..200 {
            let (before, now) = (benchmark(100.0, seed), benchmark(130.0, 1_000 + seed));
            for ratio in now.against(&before).ratios {
                let (Some(lower), Some(upper)) = (ratio.lower, ratio.upper) else { continue };
                assert!(
                    lower < 1.3 && 1.3 < upper && lower <= ratio.ratio && ratio.ratio <= upper,
                    "{ratio}"
                );
            }
        }
    }

    #[test]
    fn benchmarks_of_different_settings_machines_or_hosts_are_not_compared() {
        let before = benchmark(100.0, 1);
        let differ = |change: fn(&mut Benchmark)| {
            let mut now = benchmark(200.0, 2);
            change(&mut now);
            let comparison = now.against(&before);
            assert!(matches!(comparison.judge(0.1), Verdict::Inconclusive(_)));
            comparison.differences.join(" ")
        };
        assert!(differ(|now| now.settings = Digest::of("others")).contains("settings"));
        assert!(differ(|now| now.machine.processors = 64).contains("machine"));
        assert!(differ(|now| now.host = "10.0.0.1".to_owned()).contains("host"));
        let differing = differ(|now| now.paths = vec!["/v1".to_owned(), "/v2".to_owned()]);
        assert!(differing.contains("URLs: not said before, 2 (/v1, /v2) now"), "{differing}");
        assert!(differ(|now| now.summary.flaw = Some("it was late".to_owned())).contains("it was late"));
    }

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let before = benchmark(100.0, 1);
        let stamp = Stamp { by: "ci".into(), at: std::time::UNIX_EPOCH };
        let stated = before.attestation(stamp.clone());
        assert_eq!(Benchmark::of(&stated), Some(before));
        assert_eq!(Benchmark::of(&Attestation::new("x:y", stamp.clone(), stated.predicate)), None);
        let other = Attestation::new(Benchmark::PREDICATE_TYPE, stamp, serde_json::json!({"summary": 1}));
        assert_eq!(Benchmark::of(&other), None);
    }
}
