//! Histograms and values, by how many lie beyond a few edges.
//!
//! The first windows, until the baseline has a hundred values, only say where to look: at edges near the
//! baseline's median, 75th, 90th, 95th and 99th percentile. From the next window on, each edge is a comparison
//! of counts of its own. The evidence for a failure is the average over the edges, which is an e-value whatever
//! they have to do with each other, so that looking at five costs nothing. A pass needs evidence at every edge:
//! that the odds are tolerable there, or that a negligible share lies beyond it.

use super::{Bets, Better, Comparison, Sides};
use crate::{
    Observation, Table,
    judge::{
        Tally,
        judgement::{Effect, Measure},
        process::log_sum_exp,
        tape::{Passed, Tape},
    },
};

/// The baseline's values from which the edges are taken.
const SAMPLE: u64 = 100;
/// Where the edges are, from the middle into the bad tail.
const QUANTILES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 0.99];

#[derive(Clone, Debug)]
pub(super) struct Exceedance {
    comparison: Comparison,
    /// The baseline's values while there are no edges.
    sample: Vec<(f64, u64)>,
    edges: Vec<(f64, Bets)>,
    beyond: Vec<(Tally, Tally)>,
}

impl Exceedance {
    pub(super) const fn new(comparison: Comparison) -> Self {
        Self { comparison, sample: Vec::new(), edges: Vec::new(), beyond: Vec::new() }
    }

    /// Takes one window in, and gives how many values each side had.
    pub(super) fn take(&mut self, strata: &[Sides<'_>]) -> Result<(Tally, Tally), String> {
        let trials = |side: fn(&Sides<'_>) -> Option<u64>| Tally {
            hits: 0,
            trials: strata.iter().filter_map(side).sum(),
        };
        let tallies = (
            trials(|(candidate, _)| candidate.map(Observation::trials)),
            trials(|(_, baseline)| baseline.map(Observation::trials)),
        );
        if self.edges.is_empty() {
            for baseline in strata.iter().filter_map(|(_, baseline)| *baseline) {
                self.learn(baseline);
            }
            self.choose_edges()?;
            return Ok(tallies);
        }
        let mut windows = Vec::new();
        for (edge, _) in &self.edges {
            let tables = strata.iter().map(|&(candidate, baseline)| {
                Table::new(
                    self.comparison.beyond(*edge, candidate)?,
                    self.comparison.beyond(*edge, baseline)?,
                )
                .ok_or_else(|| "the counts are impossible".to_owned())
            });
            windows.push(tables.collect::<Result<Vec<_>, String>>()?);
        }
        for (((_, bets), tables), beyond) in self.edges.iter_mut().zip(&windows).zip(&mut self.beyond) {
            bets.take(tables);
            for table in tables {
                let side = |(hits, trials)| Tally { hits, trials };
                beyond.0.add(side(table.candidate()));
                beyond.1.add(side(table.baseline()));
            }
        }
        Ok(tallies)
    }

    /// Adds to the sample.
    fn learn(&mut self, baseline: &Observation) {
        match baseline {
            // A value in a bucket counts as its upper edge; above the last there is no edge to look at.
            Observation::Histogram { edges, counts } => {
                let upper = edges.iter().copied().chain([f64::INFINITY]);
                self.sample.extend(upper.zip(counts.iter().copied()));
            }
            Observation::Values(values) => self.sample.extend(values.iter().map(|value| (*value, 1))),
            _ => {}
        }
    }

    /// Takes the edges from the sample, once it is large enough.
    fn choose_edges(&mut self) -> Result<(), String> {
        if self.sample.iter().map(|(_, count)| count).sum::<u64>() < SAMPLE {
            return Ok(());
        }
        self.sample.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let all: u64 = self.sample.iter().map(|(_, count)| count).sum();
        let quantiles = match self.comparison.better {
            Better::Higher => [1, 2, 3, 4, 5].map(|from_behind| 1.0 - QUANTILES[5 - from_behind]),
            Better::Lower => QUANTILES,
        };
        for quantile in quantiles {
            let rank = (quantile * all as f64).ceil() as u64;
            let mut below = 0;
            let edge = self.sample.iter().find(|(_, count)| {
                below += count;
                below >= rank
            });
            // Where nothing lies beyond, or everything does, there is nothing to compare yet, but later may be.
            if let Some((edge, _)) = edge.filter(|(edge, _)| edge.is_finite())
                && self.edges.last().is_none_or(|(last, _)| last < edge)
            {
                self.edges.push((*edge, Bets::new(&self.comparison)));
                self.beyond.push(Default::default());
            }
        }
        if self.edges.is_empty() {
            self.sample.clear();
            return Err(
                "the baseline's values lie above every edge; give the histogram greater edges".to_owned()
            );
        }
        self.sample = Vec::new();
        Ok(())
    }

    pub(super) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.list(&mut self.sample, Default::default, |tape, (value, count)| {
            tape.float(value)?;
            tape.integer(count)?;
            (*count < SAMPLE).then_some(())
        })?;
        let mut edges = self.edges.len() as u32;
        tape.small(&mut edges)?;
        if edges as usize > QUANTILES.len() {
            return None;
        }
        self.edges.resize_with(edges as usize, || (0.0, Bets::new(&self.comparison)));
        self.beyond.resize_with(edges as usize, Default::default);
        for ((edge, bets), (candidate, baseline)) in self.edges.iter_mut().zip(&mut self.beyond) {
            tape.float(edge)?;
            bets.state(tape)?;
            tape.tally(candidate)?;
            tape.tally(baseline)?;
        }
        Some(())
    }

    pub(super) fn log_e_fail(&self) -> f64 {
        let logs: Vec<f64> = self.edges.iter().map(|(_, bets)| bets.log_e_fail()).collect();
        if logs.is_empty() { 0.0 } else { log_sum_exp(&logs) - (logs.len() as f64).ln() }
    }

    pub(super) fn log_e_pass(&self) -> f64 {
        self.edges.iter().map(|(_, bets)| bets.log_e_pass()).reduce(f64::min).unwrap_or(0.0)
    }

    /// The odds ratio beyond the edge that speaks loudest against the candidate. Its bounds hold for all edges
    /// together.
    pub(super) fn effect(&self, (lower, upper): (f64, f64)) -> Option<Effect> {
        let all = (self.edges.len() as f64).ln();
        let (edge, bets) =
            self.edges.iter().max_by(|(_, a), (_, b)| a.log_e_fail().total_cmp(&b.log_e_fail()))?;
        Some(bets.effect(Measure::OddsRatioBeyond(*edge), (lower + all, upper + all)))
    }

    /// What is not in the counts: those at the edge of the [effect](Self::effect).
    pub(super) fn reason(&self) -> Option<String> {
        let loudest = self.edges.iter().zip(&self.beyond);
        let loudest = loudest.max_by(|((_, a), _), ((_, b), _)| a.log_e_fail().total_cmp(&b.log_e_fail()));
        Some(match loudest {
            Some(((edge, _), (candidate, baseline))) => {
                format!("{candidate} values beyond {edge} against {baseline}, since there are edges")
            }
            None => {
                let have: u64 = self.sample.iter().map(|(_, count)| count).sum();
                format!("{have} of the {SAMPLE} values of the baseline that say where to look")
            }
        })
    }
}

impl Comparison {
    /// How many values of an observation lie beyond an edge, on the bad side of it, and how many there are.
    fn beyond(&self, edge: f64, observation: Option<&Observation>) -> Result<(u64, u64), String> {
        let Some(observation) = observation else { return Ok((0, 0)) };
        let trials = observation.trials();
        let at_most = match observation {
            Observation::Values(values) => values.iter().filter(|&&value| value <= edge).count() as u64,
            Observation::Histogram { edges, counts } => {
                let place = edges.iter().position(|&known| known == edge).ok_or_else(|| {
                    format!("the histogram has no edge {edge} any more; judge it from a new start")
                })?;
                counts[..=place].iter().sum()
            }
            other => return Err(format!("a comparison takes counts, a histogram or values, not {other}")),
        };
        Ok(match self.better {
            Better::Higher => (at_most, trials),
            Better::Lower => (trials - at_most, trials),
        })
    }
}
