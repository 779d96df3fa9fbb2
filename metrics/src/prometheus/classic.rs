//! Classic histograms: one counter for each bucket.

use std::collections::HashMap;

use super::{
    counter::{growth, resets},
    query::{Asked, Unread},
    series::Series,
};
use crate::{Missing, Observation};

/// Buckets are cumulative: each counts all values up to its edge `le`, the last, `+Inf`, counts all.
pub(super) fn histogram(buckets: &[Series], asked: &Asked<'_>) -> Result<Observation, Unread> {
    // In the order of the answer.
    let mut histograms = Vec::<Vec<(f64, &Series)>>::new();
    let mut known = HashMap::new();
    for bucket in buckets {
        let le = bucket.labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|edge| !edge.is_nan());
        let edge = le.ok_or_else(|| {
            Unread::Malformed(format!(
                "{} has no numeric label `le`; select the `_bucket` series",
                bucket.labels
            ))
        })?;
        let histogram = *known.entry(bucket.labels.without("le")).or_insert(histograms.len());
        if histogram == histograms.len() {
            histograms.push(Vec::new());
        }
        histograms[histogram].push((edge, bucket));
    }
    let mut sum = None::<(Vec<f64>, Vec<u64>)>;
    for histogram in &mut histograms {
        histogram.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // A process restarts all buckets at once, also those that had not risen far enough to be seen falling.
        let resets = resets(histogram.iter().map(|(_, bucket)| *bucket));
        let edges: Vec<f64> = histogram.iter().map(|(edge, _)| *edge).collect();
        let cumulative: Vec<u64> = histogram
            .iter()
            .map(|(_, bucket)| growth(bucket, asked.span, &asked.seen, &resets))
            .collect::<Result<_, _>>()?;
        match &mut sum {
            None => sum = Some((edges, cumulative)),
            Some((known, sum)) if *known == edges => {
                sum.iter_mut().zip(cumulative).for_each(|(sum, more)| *sum = sum.saturating_add(more));
            }
            Some(_) => return Err(Unread::Malformed("the histograms have different buckets".to_owned())),
        }
    }
    let (mut edges, cumulative) = sum.ok_or(Missing::NoData)?;
    if edges.pop() != Some(f64::INFINITY) {
        return Err(Unread::Malformed("a histogram has no bucket le=\"+Inf\"".to_owned()));
    }
    let below = std::iter::once(0).chain(cumulative.iter().copied());
    let counts: Option<Vec<u64>> =
        cumulative.iter().zip(below).map(|(count, below)| count.checked_sub(below)).collect();
    counts.and_then(|counts| Observation::histogram(edges, counts)).ok_or_else(|| {
        Unread::Malformed("the buckets of a histogram do not rise with their edges".to_owned())
    })
}
