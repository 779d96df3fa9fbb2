//! Bins for numbers.

use super::{
    Histogram, NumericColumn,
    steps::{Step, steps},
};

/// How numbers are put into bins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Binning {
    /// Between the deciles of the reference, by linear interpolation, closed on the right; the outer bins are open,
    /// and equal deciles are one.
    #[default]
    Deciles,
    /// As evidently 0.7 does it: if the reference has more than 20 different numbers, bins of equal width over both
    /// columns, as many as H. A. Sturges (*The choice of a class interval*, JASA 21(153), 1926) has for all their
    /// numbers together; otherwise each number is its own. For comparing with figures that it gave.
    Evidently,
}

impl Histogram {
    /// Puts the numbers of two columns into bins; `None` if either has no numbers.
    #[must_use]
    pub fn of_numbers(reference: &NumericColumn, current: &NumericColumn, binning: Binning) -> Option<Self> {
        let (n, m) = (reference.count(), current.count());
        if n == 0 || m == 0 {
            return None;
        }
        let steps = steps(reference, current);
        let values = steps.iter().map(|step| (step.value, step.counts.0, step.counts.1));
        match binning {
            Binning::Deciles => {
                let edges = deciles(&steps, n);
                let bin = |value: f64| edges.partition_point(|edge| *edge < value);
                Self::collect(edges.len() + 1, values.map(|(value, one, other)| (bin(value), one, other)))
            }
            Binning::Evidently if steps.iter().filter(|step| step.counts.0 > 0).count() > 20 => {
                let ((a, b), (c, d)) = (reference.range()?, current.range()?);
                let (least, most) = (a.min(c), b.max(d));
                let bins = ((n as f64 + m as f64).log2() + 1.0).ceil();
                let width = (most - least) / bins;
                // The last bin is closed on the right, the others on the left.
                let bin = |value: f64| ((value - least) / width).clamp(0.0, bins - 1.0) as usize;
                Self::collect(bins as usize, values.map(|(value, one, other)| (bin(value), one, other)))
            }
            Binning::Evidently => {
                let (reference, current) = values.map(|(_, one, other)| (one, other)).unzip();
                Self::new(reference, current)
            }
        }
    }

    fn collect(bins: usize, counts: impl Iterator<Item = (usize, u64, u64)>) -> Option<Self> {
        let (mut reference, mut current) = (vec![0_u64; bins], vec![0_u64; bins]);
        for (bin, one, other) in counts {
            reference[bin] = reference[bin].saturating_add(one);
            current[bin] = current[bin].saturating_add(other);
        }
        Self::new(reference, current)
    }
}

/// The nine deciles of the `n` values of the reference, at least one, without repetitions.
fn deciles(steps: &[Step], n: u64) -> Vec<f64> {
    let mut edges = Vec::with_capacity(9);
    let up_to: Vec<u64> = steps
        .iter()
        .scan(0_u64, |sum, step| {
            *sum = sum.saturating_add(step.counts.0);
            Some(*sum)
        })
        .collect();
    // The value at some rank, from 0.
    let at = |rank: u64| steps[up_to.partition_point(|sum| *sum <= rank)].value;
    for decile in 1..10 {
        let rank = f64::from(decile) / 10.0 * (n - 1) as f64;
        let (below, above) = (at(rank as u64), at(rank.ceil() as u64));
        let edge = below + (above - below) * rank.fract();
        if edges.last() != Some(&edge) {
            edges.push(edge);
        }
    }
    edges
}
