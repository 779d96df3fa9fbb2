//! Native histograms: all buckets in one sample, at a resolution that may change at any time.

use serde::{Deserialize, Serialize};

use super::{
    counter::{is_known, whole},
    query::{Asked, Unread},
    series::{Native, Series},
};
use crate::{Missing, Observation};

/// The edges that native histograms are read at: finite and strictly ascending, at least one.
///
/// The boundaries of native buckets follow the data and the memory that a process has for them, so that they
/// differ between windows and between sides. Counts can be compared only at edges that are boundaries in all of
/// them. Powers of two are, at every resolution from schema 0 up, which is all that client libraries begin with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Edges(Vec<f64>);

/// Never `NaN`.
impl Eq for Edges {}

impl Edges {
    /// These edges. `None` unless they are finite and strictly ascending, and at least one.
    #[must_use]
    pub fn new(edges: Vec<f64>) -> Option<Self> {
        let ascend = edges.is_sorted_by(|a, b| a < b) && edges.iter().all(|edge| edge.is_finite());
        (ascend && !edges.is_empty()).then_some(Self(edges))
    }

    /// The powers of two from `2^first` to `2^last`: from 2⁻¹⁰ to 2⁵, a millisecond to half a minute. `None` if
    /// `last` lies before `first` or one is out of a float's range.
    #[must_use]
    pub fn powers_of_two(first: i32, last: i32) -> Option<Self> {
        let in_range = -1022 <= first && last <= 1023;
        in_range.then(|| (first..=last).map(|power| 2.0_f64.powi(power)).collect()).and_then(Self::new)
    }

    /// The edges.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// How many values lie between the edges, the last above all of them.
    fn counts(&self, native: &Native, of: &Series) -> Result<Vec<u64>, Unread> {
        /// What a boundary may miss an edge by: both are powers, computed in different ways.
        const HAIR: f64 = 1e-9;
        let mut counts = vec![0_u64; self.0.len() + 1];
        let mut rest = whole(native.count)?;
        for bucket in native.buckets.iter().filter(|bucket| bucket.count != 0.0) {
            let count = whole(bucket.count)?;
            let hair = |edge: f64| HAIR * edge.abs();
            let above = self.0.partition_point(|&edge| edge + hair(edge) < bucket.right);
            if let Some(&cut) = above.checked_sub(1).and_then(|below| self.0.get(below))
                && bucket.left < cut - hair(cut)
            {
                return Err(Unread::Malformed(format!(
                    "the bucket ({}, {}] of {} reaches across the edge {cut}; give edges that are boundaries at \
                     every resolution, such as powers of two",
                    bucket.left, bucket.right, of.labels
                )));
            }
            counts[above] = counts[above].saturating_add(count);
            rest = rest.checked_sub(count).ok_or_else(|| {
                Unread::Malformed(format!("the buckets of {} hold more than its count", of.labels))
            })?;
        }
        // What is not a number is counted and in no bucket; a classic histogram has it above every edge.
        counts[self.0.len()] = counts[self.0.len()].saturating_add(rest);
        Ok(counts)
    }
}

/// What the native histograms counted together. One that counts less than before, in all or between two
/// edges, has restarted from zero.
pub(super) fn histogram(series: &[Series], edges: &Edges, asked: &Asked<'_>) -> Result<Observation, Unread> {
    let mut sum = vec![0_u64; edges.0.len() + 1];
    for one in series {
        let mut last = None::<Vec<u64>>;
        let base = one.natives.partition_point(|native| native.at <= asked.span.start).saturating_sub(1);
        for native in one.natives.iter().skip(base).filter(|native| native.at <= asked.span.end) {
            let counts = edges.counts(native, one)?;
            if native.at > asked.span.start {
                let from = match last {
                    Some(last) if counts.iter().zip(&last).all(|(count, last)| count >= last) => last,
                    None if !is_known(one, native.at, &asked.seen) => counts.clone(),
                    _ => vec![0; counts.len()],
                };
                for ((sum, count), from) in sum.iter_mut().zip(&counts).zip(from) {
                    *sum = sum.saturating_add(count - from);
                }
            }
            last = Some(counts);
        }
    }
    let too_many = || Unread::Malformed("the histograms count more than can be".to_owned());
    match Observation::histogram(edges.0.clone(), sum).ok_or_else(too_many)? {
        nothing if nothing.trials() == 0 => Err(Missing::NoData.into()),
        counted => Ok(counted),
    }
}

impl TryFrom<Vec<f64>> for Edges {
    type Error = &'static str;

    fn try_from(edges: Vec<f64>) -> Result<Self, Self::Error> {
        Self::new(edges).ok_or("edges must be finite and strictly ascending, and at least one")
    }
}

impl From<Edges> for Vec<f64> {
    fn from(edges: Edges) -> Self {
        edges.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::{
        counter::{FirstSeen, Span},
        series::{Labels, NativeBucket},
    };

    /// Buckets by their right boundary, at a schema: each begins 2^(2^-schema) times lower.
    fn native(at: i64, schema: i32, count: f64, buckets: &[(f64, f64)]) -> Native {
        let width = 2.0_f64.powf(2.0_f64.powi(-schema));
        let bucket = |&(right, count)| NativeBucket { left: right / width, right, count };
        Native { at, count, buckets: buckets.iter().map(bucket).collect() }
    }

    fn read(edges: &[f64], natives: &[Native]) -> Result<Observation, Unread> {
        let labels = Labels::new(&mut [("job", "a"), ("instance", "b")]).unwrap();
        let series = [Series { labels, samples: Vec::new(), natives: natives.to_vec() }];
        let asked = Asked { span: Span { start: 0, end: 100 }, staleness: 100, seen: FirstSeen::new() };
        histogram(&series, &Edges::new(edges.to_vec()).unwrap(), &asked)
    }

    fn counted(edges: &[f64], counts: &[u64]) -> Observation {
        Observation::histogram(edges.to_vec(), counts.to_vec()).unwrap()
    }

    #[test]
    fn a_change_of_resolution_changes_no_count() {
        let fine = native(0, 2, 3.0, &[(1.0, 2.0), (2.0_f64.powf(0.25), 1.0)]);
        let coarse = native(50, 0, 6.0, &[(1.0, 2.0), (2.0, 4.0)]);
        assert_eq!(read(&[1.0, 2.0], &[fine, coarse]).unwrap(), counted(&[1.0, 2.0], &[0, 3, 0]));
    }

    #[test]
    fn a_restart_is_seen_in_the_count_or_in_one_bucket() {
        let before = native(0, 0, 5.0, &[(1.0, 1.0), (2.0, 4.0)]);
        let fewer = native(50, 0, 3.0, &[(1.0, 3.0)]);
        let elsewhere = native(50, 0, 6.0, &[(1.0, 6.0)]);
        assert_eq!(read(&[1.0], &[before.clone(), fewer]).unwrap(), counted(&[1.0], &[3, 0]));
        assert_eq!(read(&[1.0], &[before, elsewhere]).unwrap(), counted(&[1.0], &[6, 0]));
    }

    #[test]
    fn what_is_in_no_bucket_lies_above_every_edge() {
        let natives = [native(0, 0, 0.0, &[]), native(50, 0, 5.0, &[(1.0, 3.0)])];
        assert_eq!(read(&[1.0, 4.0], &natives).unwrap(), counted(&[1.0, 4.0], &[3, 0, 2]));
    }

    #[test]
    fn values_around_zero_and_below_it_have_their_place() {
        let bucket = |left, right, count| NativeBucket { left, right, count };
        let buckets = [bucket(-2.0, -1.0, 4.0), bucket(-0.001, 0.001, 2.0), bucket(0.5, 1.0, 1.0)].into();
        let natives = [native(0, 0, 0.0, &[]), Native { at: 9, count: 7.0, buckets }];
        assert_eq!(read(&[-1.0, 0.5], &natives).unwrap(), counted(&[-1.0, 0.5], &[4, 2, 1]));
    }

    #[test]
    fn what_cannot_be_counted_at_the_edges_is_refused() {
        let across = native(50, 0, 1.0, &[(1.0, 1.0)]);
        let more = native(50, 0, 1.0, &[(1.0, 2.0)]);
        let fraction = native(50, 0, 1.5, &[]);
        for (edges, native, cause) in [
            ([0.7], across, "(0.5, 1] of {instance=\"b\",job=\"a\"} reaches across the edge 0.7"),
            ([1.0], more, "more than its count"),
            ([1.0], fraction, "1.5"),
        ] {
            match read(&edges, &[native]) {
                Err(Unread::Malformed(problem)) => assert!(problem.contains(cause), "{problem}"),
                other => panic!("{other:?} should have been refused: {cause}"),
            }
        }
    }

    #[test]
    fn edges_ascend() {
        assert_eq!(Edges::powers_of_two(-1, 1), Edges::new(vec![0.5, 1.0, 2.0]));
        assert_eq!(Edges::powers_of_two(1, 0), None);
        assert_eq!(Edges::powers_of_two(0, i32::MAX), None);
        assert_eq!(Edges::new(vec![]), None);
        assert_eq!(Edges::new(vec![1.0, f64::NAN]), None);
        assert!(serde_json::from_str::<Edges>("[1,1]").unwrap_err().to_string().contains("ascending"));
    }
}
