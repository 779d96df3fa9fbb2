//! What is measured of a feature.

use super::{
    Column, Comparison, DriftGate, Effect, Embedded, Feature, Gaps, Histogram, NumericEffect, Samples,
    drifted::{Measured, Unjudged},
    effort::Effort,
};
use crate::{
    Method, Reason, Unit,
    statistics::{Proportion, Unpaired},
};

/// The rank error beyond which a summary is no longer compared.
const COARSE: f64 = 0.02;

fn is_coarse(comparison: &Comparison) -> bool {
    comparison.gaps.is_some_and(|gaps| gaps.rank_error > COARSE)
}

/// Vectors have no near and far.
fn alike(what: &str) -> Reason {
    let what = format!(
        "{what} of more than half of all pairs of texts are the same, so that there is nothing to compare them by; see \
         what the texts are, and that the embedder tells any apart"
    );
    Reason::Infra { what }
}

/// One side has different texts and the other hardly any.
fn few_texts((reference, current): (usize, usize)) -> Reason {
    let what = format!(
        "of the reference {reference} different texts are kept and of the current rows {current}, and it takes 20 of \
         either to compare their words; see whether one text occurs over and over, or take the column for categories"
    );
    Reason::Infra { what }
}

impl DriftGate {
    /// What is measured of one feature, and with that much shuffling.
    pub(super) fn feature(&self, feature: Feature<'_>, effort: Effort) -> Unjudged {
        let Feature { name, reference, current, embedded } = feature;
        let comparison = match reference.compare(current, self.binning) {
            Ok(comparison) => comparison,
            Err(unlike) => return Unjudged::unlike(name, &unlike),
        };
        let (counts, missing) = (comparison.counts, comparison.missing);
        let have = counts.0.min(counts.1);
        let mut measured = Vec::new();
        let unmeasured = if have < self.least {
            Some(Reason::TooFewRows { have, need: self.least })
        } else if let (Column::Text(reference), Column::Text(current)) = (reference, current) {
            let bags = reference.some_bags(current, effort.vectors());
            let words = bags.as_ref().and_then(|bags| self.told_apart(name, "words", bags, effort));
            // What was asked for and cannot be measured is no pass.
            let mut dropped = reference.lopsided(current).map(few_texts);
            if words.is_none() && bags.is_some_and(|bags| bags.varies()) {
                dropped = Some(alike("the words"));
            }
            let (known, coarse): (Vec<_>, Vec<_>) =
                comparison.parts.iter().partition(|(_, part)| !is_coarse(part));
            measured
                .extend(known.into_iter().filter_map(|(part, comparison)| self.part(name, part, comparison)));
            measured.extend(words);
            if let Some(embedded) = embedded {
                let meanings = self.embedded(name, embedded, effort);
                if meanings.is_empty() {
                    dropped = Some(alike(&format!("the vectors that {} made", embedded.by)));
                }
                measured.extend(meanings);
            }
            if coarse.is_empty() { dropped } else { Some(Reason::TooCoarse) }
        } else {
            let exact = [reference, current].iter().all(|column| match column {
                Column::Categorical(column) => column.is_exact(),
                _ => true,
            });
            self.values(name, &comparison, exact, effort, &mut measured)
        };
        measured.extend(self.missing(name, counts, missing));
        Unjudged { name: name.to_owned(), comparison: Some(comparison), measured, unmeasured }
    }

    fn values(
        &self,
        name: &str,
        comparison: &Comparison,
        exact: bool,
        effort: Effort,
        measured: &mut Vec<Measured>,
    ) -> Option<Reason> {
        let Comparison { counts, missing, histogram, gaps, .. } = comparison;
        if is_coarse(comparison) {
            return Some(Reason::TooCoarse);
        }
        let Some(histogram) = histogram else {
            return Some(Reason::TooFewRows { have: counts.0.min(counts.1), need: self.least });
        };
        let (what, estimate, limit, p, method) = self.effect(histogram, gaps.as_ref(), effort);
        // Of categories that are counted as one no more drift is found than there is, and maybe less.
        if !exact && estimate <= limit {
            return Some(Reason::TooCoarse);
        }
        let (n, unknown) = (counts.0.saturating_add(counts.1), missing.0.saturating_add(missing.1));
        let measure = format!("{what} of `{name}`");
        measured.push(Measured { measure, estimate, limit, p, method, n, unknown, unit: Unit::Plain });
        None
    }

    /// What was counted of each text.
    fn part(&self, name: &str, part: &str, comparison: &Comparison) -> Option<Measured> {
        let gaps = comparison.gaps?;
        Some(Measured {
            measure: format!("Kolmogorov-Smirnov distance of {part} of `{name}`"),
            estimate: gaps.kolmogorov_smirnov,
            limit: self.text_limit,
            p: gaps.kolmogorov_smirnov_p,
            method: Method::KolmogorovSmirnov,
            n: gaps.reference.saturating_add(gaps.current),
            unknown: 0,
            unit: Unit::Plain,
        })
    }

    /// How well a classifier can tell whose a text is.
    fn told_apart(&self, name: &str, by: &str, samples: &Samples, effort: Effort) -> Option<Measured> {
        let test = samples.classifier(effort.of_vectors(samples))?;
        let (n, m) = samples.sizes();
        Some(Measured {
            measure: format!("`{name}` told apart by {by}, area under the curve"),
            estimate: test.statistic,
            limit: self.classifier_limit,
            p: test.p,
            method: Method::Permutation,
            n: (n + m) as u64,
            unknown: 0,
            unit: Unit::Plain,
        })
    }

    fn embedded(&self, name: &str, Embedded { by, samples }: &Embedded, effort: Effort) -> Vec<Measured> {
        let samples = &*samples.at_most(effort.vectors(), effort.seed());
        let (n, m) = samples.sizes();
        let discrepancy = samples.mmd(effort.of_vectors(samples)).map(|test| Measured {
            measure: format!("mean discrepancy of `{name}` embedded by {by}"),
            estimate: test.statistic,
            limit: self.discrepancy_limit,
            p: test.p,
            method: Method::Permutation,
            n: (n + m) as u64,
            unknown: 0,
            unit: Unit::Plain,
        });
        let told_apart = self.told_apart(name, &format!("embeddings of {by}"), samples, effort);
        discrepancy.into_iter().chain(told_apart).collect()
    }

    fn missing(&self, name: &str, counts: (u64, u64), missing: (u64, u64)) -> Option<Measured> {
        let side = |count: u64, missing: u64| Proportion::new(missing, count.checked_add(missing)?);
        let (candidate, baseline) = (side(counts.1, missing.1)?, side(counts.0, missing.0)?);
        if candidate.trials().min(baseline.trials()) < self.least || missing == (0, 0) {
            return None;
        }
        let shares = Unpaired { candidate, baseline };
        Some(Measured {
            measure: format!("rows without `{name}`, more or fewer by"),
            estimate: shares.difference().abs(),
            limit: self.missing_limit,
            p: shares.p_two_sided(),
            method: Method::Score,
            n: candidate.trials().saturating_add(baseline.trials()),
            unknown: 0,
            unit: Unit::Share,
        })
    }

    /// What is measured, how much it is, how much it may be, and by chance how often it is as much.
    fn effect(
        &self,
        histogram: &Histogram,
        gaps: Option<&Gaps>,
        effort: Effort,
    ) -> (&'static str, f64, f64, f64, Method) {
        let by_ranks = Method::KolmogorovSmirnov;
        let (effect, limit) = match (gaps, self.numeric) {
            (Some(gaps), NumericEffect::KolmogorovSmirnov) => {
                let (distance, p) = (gaps.kolmogorov_smirnov, gaps.kolmogorov_smirnov_p);
                return ("Kolmogorov-Smirnov distance", distance, self.numeric_limit, p, by_ranks);
            }
            // Where there is no deviation to measure by, as the reference does not vary or without measure, there is a
            // share that is elsewhere.
            (Some(gaps), NumericEffect::Wasserstein) if gaps.wasserstein_robust.is_infinite() => {
                let (distance, p) = (gaps.kolmogorov_smirnov, gaps.kolmogorov_smirnov_p);
                return ("Kolmogorov-Smirnov distance", distance, self.numeric_limit, p, by_ranks);
            }
            (Some(gaps), NumericEffect::Wasserstein) => {
                let (distance, p) = (gaps.wasserstein_robust, gaps.kolmogorov_smirnov_p);
                return ("Wasserstein distance in deviations", distance, self.numeric_limit, p, by_ranks);
            }
            (Some(_), NumericEffect::Binned(effect)) => (effect, self.numeric_limit),
            (None, _) => (self.categorical, self.categorical_limit),
        };
        let permutations = effort.shuffles(histogram.steps());
        let chi_square = || (histogram.chi_square_p(permutations), Method::ChiSquare);
        let (what, estimate, (p, method)) = match effect {
            Effect::CramersV => ("Cramér's V", histogram.cramers_v(), chi_square()),
            Effect::JensenShannon => {
                ("Jensen-Shannon distance in nats", histogram.jensen_shannon_nats(), chi_square())
            }
            Effect::Psi => ("PSI", histogram.psi(), (histogram.psi_p(permutations), Method::Permutation)),
            Effect::TotalVariation => ("total variation", histogram.total_variation(), chi_square()),
        };
        (what, estimate, limit, p, method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{CategoricalColumn, Permutations, TextColumn};

    /// What was measured with so many steps, of columns that are nothing alike.
    fn measured(reference: &Column, current: &Column, steps: u64) -> Measured {
        let gate = DriftGate { categorical: Effect::Psi, ..DriftGate::default() };
        let effort = Effort::new(Permutations { count: 1_000_000, seed: 7 }, steps);
        let found = gate.feature(Feature { name: "a", reference, current, embedded: None }, effort);
        let shuffled = found.measured.into_iter().find(|seen| seen.method == Method::Permutation);
        shuffled.expect("something was shuffled")
    }

    /// None of the shuffles was as extreme, so that the chance says how many there were.
    fn shuffles(seen: &Measured) -> u64 {
        (1.0 / seen.p).round() as u64 - 1
    }

    #[test]
    fn of_many_texts_as_many_are_told_apart_as_there_are_steps_for() {
        const STEPS: u64 = 1 << 25;
        let texts = |words: &str| {
            let mut column = TextColumn::with_limits(TextColumn::MOST, 1_000);
            (0..TextColumn::MOST).for_each(|row| column.push(&format!("{words} {row}")));
            Column::Text(column)
        };
        let seen = measured(&texts("where is my parcel"), &texts("I want all money back"), STEPS);
        let taken = 2 * seen.n.pow(3) + shuffles(&seen) * seen.n.pow(2);
        assert!(seen.n >= 40 && shuffles(&seen) >= 500, "{} of {}", shuffles(&seen), seen.n);
        assert!(taken <= STEPS && taken > STEPS / 2, "{taken}");
    }

    #[test]
    fn of_many_categories_there_are_fewer_shuffles() {
        const STEPS: u64 = 1 << 22;
        let names = |side: &str| {
            let mut column = CategoricalColumn::with_limit(1 << 16);
            (0..60_000).for_each(|row| column.push(&format!("{side} {}", row / 2)));
            Column::Categorical(column)
        };
        let seen = measured(&names("old"), &names("new"), STEPS);
        // Each of 60 000 categories has two values, which are dealt one by one, and takes its part of the index.
        let taken = shuffles(&seen) * (3 + 20) * 60_000;
        assert!(taken <= STEPS && taken > STEPS / 2, "{taken}");
    }
}
