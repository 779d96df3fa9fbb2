//! Two samples of vectors, such as embeddings of texts: are they of one distribution?

use std::borrow::Cow;

use super::Permutations;

/// Two samples of vectors, pooled: the reference's first.
///
/// Everything is about distances of pairs, so memory and time grow with the square of the number of vectors, and there
/// may be [`MOST`](Self::MOST) of both together. Draw as many at random from what is larger.
#[derive(Clone, Debug)]
pub struct Samples {
    n: usize,
    m: usize,
    /// Squared distances, row by row.
    squares: Vec<f64>,
}

/// What a test of [`Samples`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SampleTest {
    /// The statistic.
    pub statistic: f64,
    /// The chance of one at least as great without drift, by shuffling which vectors are whose.
    pub p: f64,
}

impl Samples {
    /// The most vectors of both together.
    pub const MOST: usize = 2_048;

    /// The fewest shuffles that give a chance worth having.
    pub const FEWEST_PERMUTATIONS: u32 = 500;

    /// `None` with fewer than two vectors on a side or too many in all, unless all are of one length and all numbers
    /// in them are finite, or if they are too far apart for a number.
    #[must_use]
    pub fn new<V: AsRef<[f64]>>(reference: &[V], current: &[V]) -> Option<Self> {
        let vectors: Vec<&[f64]> = reference.iter().chain(current).map(AsRef::as_ref).collect();
        let (n, m) = (reference.len(), current.len());
        let dimensions = vectors.first()?.len();
        if n < 2 || m < 2 || vectors.len() > Self::MOST || vectors.iter().any(|v| v.len() != dimensions) {
            return None;
        }
        let size = vectors.len();
        let mut squares = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..i {
                let square: f64 = vectors[i].iter().zip(vectors[j]).map(|(x, y)| (x - y) * (x - y)).sum();
                squares[i * size + j] = square;
                squares[j * size + i] = square;
            }
        }
        squares.iter().all(|square| square.is_finite()).then_some(Self { n, m, squares })
    }

    /// The median squared distance of two different vectors, whosever they are: what makes near and far of
    /// [`mmd`](Self::mmd).
    #[must_use]
    pub fn median_square(&self) -> f64 {
        let size = self.n + self.m;
        let mut pairs: Vec<f64> =
            (0..size).flat_map(|i| &self.squares[i * size..i * size + i]).copied().collect();
        pairs.sort_unstable_by(f64::total_cmp);
        let middle = pairs.len() / 2;
        if pairs.len() % 2 == 1 { pairs[middle] } else { f64::midpoint(pairs[middle - 1], pairs[middle]) }
    }

    /// The squared maximum mean discrepancy, unbiased and thus now and then below 0, with the kernel
    /// `exp(−d²/(2·median))` of the distance `d`: how much nearer vectors are to their own than to the others. It
    /// shuffles at least [500 times](Self::FEWEST_PERMUTATIONS).
    ///
    /// `None` if more than half of all pairs are the same, which leaves no scale.
    ///
    /// A. Gretton, K. M. Borgwardt, M. J. Rasch, B. Schölkopf, A. Smola, *A kernel two-sample test*, Journal of Machine
    /// Learning Research 13, 2012.
    #[must_use]
    pub fn mmd(&self, permutations: Permutations) -> Option<SampleTest> {
        let pairs = Pairs::new(self.kernel()?, self.n + self.m);
        let discrepancy = |sums: Sums| {
            let (n, m) = (self.n as f64, self.m as f64);
            sums.own / (n * (n - 1.0)) + sums.others / (m * (m - 1.0)) - 2.0 * sums.between / (n * m)
        };
        Some(self.test(&pairs, permutations, discrepancy))
    }

    /// The same discrepancy with each vector compared with itself as well: never below 0, and greater by chance.
    #[must_use]
    pub fn mmd_biased(&self) -> Option<f64> {
        let sums = Pairs::new(self.kernel()?, self.n + self.m).sums(&(0..self.n).collect::<Vec<_>>());
        let (n, m) = (self.n as f64, self.m as f64);
        Some((sums.own + n) / (n * n) + (sums.others + m) / (m * m) - 2.0 * sums.between / (n * m))
    }

    /// The energy distance, squared: twice the mean distance between the samples less the mean distances within them.
    ///
    /// G. J. Székely, M. L. Rizzo, *Energy statistics*, Journal of Statistical Planning and Inference 143(8), 2013.
    #[must_use]
    pub fn energy(&self, permutations: Permutations) -> SampleTest {
        let distances = self.squares.iter().map(|square| square.sqrt()).collect();
        let pairs = Pairs::new(distances, self.n + self.m);
        let (n, m) = (self.n as f64, self.m as f64);
        self.test(&pairs, permutations, |sums| {
            2.0 * sums.between / (n * m) - sums.own / (n * n) - sums.others / (m * m)
        })
    }

    /// These, or if there are more than `most` of both together so many of them by lot, as many of either side as far
    /// as there are.
    pub(super) fn at_most(&self, most: usize, seed: u64) -> Cow<'_, Self> {
        let (n, m) = shared(self.n, self.m, most);
        if (n, m) == (self.n, self.m) {
            return Cow::Borrowed(self);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let mut chosen = random.choose_multiple(0..self.n, n);
        chosen.extend(random.choose_multiple(self.n..self.n + self.m, m));
        let size = self.n + self.m;
        let row = |i: usize| chosen.iter().map(move |j| i * size + j);
        let squares = chosen.iter().flat_map(|i| row(*i)).map(|at| self.squares[at]).collect();
        Cow::Owned(Self { n, m, squares })
    }

    /// Whether any two of them are apart.
    pub(super) fn varies(&self) -> bool {
        self.squares.iter().any(|square| *square > 0.0)
    }

    pub(super) const fn sizes(&self) -> (usize, usize) {
        (self.n, self.m)
    }

    /// The kernel of all pairs, row by row; 0 of a vector with itself.
    pub(super) fn kernel(&self) -> Option<Vec<f64>> {
        let scale = 2.0 * self.median_square();
        let size = self.n + self.m;
        let kernel = |(at, square): (usize, &f64)| {
            if at % (size + 1) == 0 { 0.0 } else { (-square / scale).exp() }
        };
        (scale > 0.0).then(|| self.squares.iter().enumerate().map(kernel).collect())
    }

    fn test(&self, pairs: &Pairs, permutations: Permutations, statistic: impl Fn(Sums) -> f64) -> SampleTest {
        let mut order: Vec<usize> = (0..self.n + self.m).collect();
        let seen = statistic(pairs.sums(&order[..self.n]));
        let p = permutations.at_least(Self::FEWEST_PERMUTATIONS).p(|rng| {
            rng.shuffle(&mut order);
            // Sums of the same numbers in another order are the same only but for rounding.
            statistic(pairs.sums(&order[..self.n])) >= seen - seen.abs() * 1e-12
        });
        SampleTest { statistic: seen, p }
    }
}

/// How many of `n` and of `m` are taken so that they are `most`: half of either, or what the other lacks of its half.
pub(super) fn shared(n: usize, m: usize, most: usize) -> (usize, usize) {
    let half = most / 2;
    let first = n.min(half.max(most.saturating_sub(m)));
    (first, m.min(most.saturating_sub(first)))
}

/// Numbers of all pairs of vectors, row by row.
struct Pairs {
    values: Vec<f64>,
    rows: Vec<f64>,
    all: f64,
}

/// Sums over ordered pairs of different vectors.
struct Sums {
    own: f64,
    others: f64,
    between: f64,
}

impl Pairs {
    fn new(values: Vec<f64>, size: usize) -> Self {
        let rows: Vec<f64> = values.chunks_exact(size).map(|row| row.iter().sum()).collect();
        let all = rows.iter().sum();
        Self { values, rows, all }
    }

    /// With those of `own` on one side.
    fn sums(&self, own: &[usize]) -> Sums {
        let mut half = 0.0;
        for (at, i) in own.iter().enumerate() {
            let row = &self.values[i * self.rows.len()..];
            // Sums apart, so that none waits for another.
            let mut sums = [0.0; 4];
            let fours = own[..at].chunks_exact(4);
            fours.remainder().iter().for_each(|j| sums[0] += row[*j]);
            fours.for_each(|four| (0..4).for_each(|k| sums[k] += row[four[k]]));
            half += sums.iter().sum::<f64>();
        }
        let of_own: f64 = own.iter().map(|i| self.rows[*i]).sum();
        let between = of_own - 2.0 * half;
        Sums { own: 2.0 * half, others: self.all - of_own - between, between }
    }
}
