//! The numbers of two columns in one order.

use super::{NumericColumn, cells::Both, numeric::from_key};

/// A number, and how often either column has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) value: f64,
    pub(super) counts: (u64, u64),
    /// Whether other numbers are counted as this one.
    pub(super) is_coarse: bool,
}

/// The steps of both distribution functions, from the least number on. Of numbers that are counted as one, those that
/// are known are steps of their own, before and after what lies between them.
pub(super) fn steps(reference: &NumericColumn, current: &NumericColumn) -> Vec<Step> {
    let (first, second) = (reference.settled(), current.settled());
    let is_coarse = first.dropped().max(second.dropped()) > 0;
    let mut both = Both::new(first, second);
    let mut steps = Vec::with_capacity(first.keys().len().max(second.keys().len()));
    while let Some(cell) = both.next_cell() {
        if !is_coarse {
            steps.push(Step { value: from_key(cell.key), counts: cell.counts, is_coarse });
            continue;
        }
        let ends = cell.ends();
        let (low, mut high) = cell.at_ends();
        if ends.least == ends.greatest {
            high = (0, 0);
        }
        let rest = |count: u64, low: u64, high: u64| count.saturating_sub(low.saturating_add(high));
        let between = (rest(cell.counts.0, low.0, high.0), rest(cell.counts.1, low.1, high.1));
        let middle = ends.least + (ends.greatest - ends.least) / 2;
        for (key, counts, is_coarse) in
            [(ends.least, low, false), (middle, between, true), (ends.greatest, high, false)]
        {
            if counts != (0, 0) {
                steps.push(Step { value: from_key(key), counts, is_coarse });
            }
        }
    }
    steps
}
