//! What was found of features, and what it says.

use super::{Comparison, Picture, Samples, UnlikeColumns};
use crate::{
    AgentId, Case, Evidence, Figure, Finding, Method, Outcome, Reason, Unit, Verdict, statistics::holm,
};

/// Features of a reference and of current rows beside each other, and which of them have drifted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Drift {
    /// In the order in which they were given.
    pub features: Vec<FeatureDrift>,
}

/// One feature beside what it was.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureDrift {
    /// What it is called.
    pub name: String,
    /// Whether it has drifted.
    pub verdict: Verdict,
    /// What was measured, each with the most that it may be; chances are adjusted for all that was compared.
    pub evidence: Vec<Evidence>,
    /// All that is known of both; `None` if they are not of one kind.
    pub comparison: Option<Comparison>,
}

/// Texts of two columns as vectors of an embedder.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Embedded {
    /// What made the vectors.
    pub by: AgentId,
    /// The vectors.
    pub samples: Samples,
}

/// One number that may have drifted.
pub(super) struct Measured {
    pub(super) measure: String,
    pub(super) estimate: f64,
    pub(super) limit: f64,
    pub(super) p: f64,
    pub(super) method: Method,
    pub(super) n: u64,
    pub(super) unknown: u64,
    pub(super) unit: Unit,
}

/// A feature: what was measured of it, or why that cannot be.
pub(super) struct Unjudged {
    pub(super) name: String,
    pub(super) comparison: Option<Comparison>,
    pub(super) measured: Vec<Measured>,
    pub(super) unmeasured: Option<Reason>,
}

impl Drift {
    /// Judges features, of which any may sound an alarm, by what was measured of all.
    pub(super) fn judged(features: Vec<Unjudged>, alpha: f64) -> Self {
        let p: Vec<f64> = features.iter().flat_map(|feature| &feature.measured).map(|seen| seen.p).collect();
        let mut adjusted = holm(&p).into_iter();
        let judged = features.into_iter().map(|Unjudged { name, comparison, measured, unmeasured }| {
            let mut verdicts: Vec<Verdict> = unmeasured.into_iter().map(Verdict::Inconclusive).collect();
            let mut evidence = Vec::with_capacity(measured.len());
            for (seen, p) in measured.into_iter().zip(adjusted.by_ref()) {
                // What is not a number is within no limit.
                verdicts.push(if seen.estimate <= seen.limit {
                    Verdict::Pass
                } else if p <= alpha {
                    Verdict::Fail
                } else {
                    Verdict::Inconclusive(Reason::MayBeChance)
                });
                evidence.push(seen.evidence(p, alpha));
            }
            FeatureDrift { name, verdict: Verdict::over(&verdicts), evidence, comparison }
        });
        Self { features: judged.collect() }
    }

    /// The worst verdict of all features; never a pass without any.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::over(self.features.iter().map(|feature| &feature.verdict))
    }

    /// The features, first the one that takes the most of its limit.
    #[must_use]
    pub fn by_effect(&self) -> Vec<&FeatureDrift> {
        let mut features: Vec<&FeatureDrift> = self.features.iter().collect();
        let strain = |feature: &FeatureDrift| feature.strain().unwrap_or(-1.0);
        features.sort_by(|one, other| {
            strain(other).total_cmp(&strain(one)).then_with(|| one.name.cmp(&other.name))
        });
        features
    }

    /// The greatest [strain](FeatureDrift::strain) of all features: one number for a graph or an alarm. `None` if
    /// nothing could be measured.
    #[must_use]
    pub fn strain(&self) -> Option<f64> {
        self.features.iter().filter_map(FeatureDrift::strain).reduce(f64::max)
    }

    /// What there is to see of the features that take the most of their limits, first the worst; of texts what was
    /// counted of each that lies furthest apart.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let figures = self.by_effect().into_iter().filter_map(FeatureDrift::figure);
        figures.take(Finding::MOST_FIGURES).collect()
    }

    /// As the finding of the check of this name.
    #[must_use]
    pub fn into_finding(self, check: &str) -> Finding {
        let verdict = self.verdict();
        let cases: Vec<Case> = self.features.iter().map(FeatureDrift::case).collect();
        Finding::new(check, verdict, "no feature has drifted beyond its limits")
            .with_evidence(self.features.into_iter().flat_map(|feature| feature.evidence))
            .with_cases(cases)
    }
}

impl FeatureDrift {
    /// How many times its limit it is apart, by whatever of it takes the most; beyond 1 it has drifted unless that is
    /// chance. `None` if nothing could be measured.
    #[must_use]
    pub fn strain(&self) -> Option<f64> {
        self.evidence.iter().map(strain).reduce(f64::max)
    }

    /// The evidence that the verdict rests on: of what drifted, or may have, what takes the most of its limit.
    #[must_use]
    pub fn foremost(&self) -> Option<&Evidence> {
        let is_sure = |evidence: &Evidence| {
            evidence.estimate > evidence.threshold
                && evidence.p.is_some_and(|p| p <= 1.0 - evidence.confidence)
        };
        self.evidence.iter().max_by(|one, other| {
            is_sure(one).cmp(&is_sure(other)).then_with(|| strain(one).total_cmp(&strain(other)))
        })
    }

    /// Why it has its verdict, in words.
    #[must_use]
    pub fn why(&self) -> String {
        match &self.verdict {
            Verdict::Fail => "it has drifted".to_owned(),
            Verdict::Inconclusive(reason) => reason.to_string(),
            Verdict::Pass => "it has not drifted beyond its limits".to_owned(),
        }
    }

    fn figure(&self) -> Option<Figure> {
        let comparison = self.comparison.as_ref()?;
        if let Some(picture) = &comparison.picture {
            return Some(Figure::new(&self.name, picture.clone()));
        }
        let apart = |part: &Comparison| part.gaps.map_or(0.0, |gaps| gaps.kolmogorov_smirnov);
        let varying =
            comparison.parts.iter().filter(|(_, part)| part.picture.as_ref().is_some_and(Picture::varies));
        let (what, part) = varying.max_by(|(_, one), (_, other)| apart(one).total_cmp(&apart(other)))?;
        Some(Figure::new(&format!("{}: {what}", self.name), part.picture.clone()?))
    }

    fn case(&self) -> Case {
        let outcome = match &self.verdict {
            Verdict::Fail => Outcome::Miss,
            Verdict::Inconclusive(_) => Outcome::Unknown,
            Verdict::Pass => Outcome::Hit,
        };
        Case::new(&self.name, outcome, &self.why())
    }
}

/// How many times its limit it is; what is held against none is as far from it as can be.
fn strain(evidence: &Evidence) -> f64 {
    match evidence.threshold > 0.0 {
        true => (evidence.estimate / evidence.threshold).min(f64::MAX),
        false if evidence.estimate > 0.0 => f64::MAX,
        false => 0.0,
    }
}

impl Unjudged {
    pub(super) fn unlike(name: &str, unlike: &UnlikeColumns) -> Self {
        let unmeasured = Some(Reason::infra(unlike));
        Self { name: name.to_owned(), comparison: None, measured: Vec::new(), unmeasured }
    }
}

impl Measured {
    fn evidence(self, p: f64, alpha: f64) -> Evidence {
        Evidence {
            measure: self.measure,
            // JSON has no word for it, and it is beyond any limit.
            estimate: self.estimate.min(f64::MAX),
            lower: None,
            upper: None,
            p: Some(p),
            confidence: 1.0 - alpha,
            threshold: self.limit,
            detectable: None,
            method: self.method,
            n: self.n,
            effective: None,
            unknown: self.unknown,
            cut_off: 0,
            remembered: 0,
            unit: self.unit,
        }
    }
}
