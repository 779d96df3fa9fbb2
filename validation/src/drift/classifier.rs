//! Can anybody tell the two samples apart?

use super::{Permutations, SampleTest, Samples};

/// Into how many parts vectors are divided, each to be told apart by what is learned from the others.
const FOLDS: usize = 5;

/// How much the classifier is held back: what is added to the kernel of a vector with itself, which is 1.
const RIDGE: f64 = 1.0;

impl Samples {
    /// Trains a classifier to tell whose a vector is, and sees how often it is right about vectors it was not trained
    /// on: the statistic is the area under the ROC curve, ½ if it can only guess, averaged over five folds. It
    /// shuffles at least [500 times](Self::FEWEST_PERMUTATIONS), and trains anew each time.
    ///
    /// The classifier is kernel ridge regression with the kernel of [`mmd`](Self::mmd).
    ///
    /// `None` with fewer than ten vectors, or if more than half of all pairs are the same.
    ///
    /// D. Lopez-Paz, M. Oquab, *Revisiting classifier two-sample tests*, ICLR 2017.
    #[must_use]
    pub fn classifier(&self, permutations: Permutations) -> Option<SampleTest> {
        let (n, m) = self.sizes();
        let size = n + m;
        if size < 2 * FOLDS {
            return None;
        }
        let kernel = self.kernel()?;
        let mut order: Vec<usize> = (0..size).collect();
        fastrand::Rng::with_seed(permutations.seed).shuffle(&mut order);
        let folds: Option<Vec<Fold>> = (0..FOLDS).map(|fold| Fold::new(&kernel, &order, fold)).collect();
        let folds = folds?;
        let mut labels: Vec<f64> = (0..size).map(|i| if i < n { 0.0 } else { 1.0 }).collect();
        let area = |labels: &[f64]| folds.iter().map(|fold| fold.area(labels)).sum::<f64>() / FOLDS as f64;
        let seen = area(&labels);
        let p = permutations.at_least(Self::FEWEST_PERMUTATIONS).p(|rng| {
            rng.shuffle(&mut labels);
            area(&labels) >= seen - 1e-12
        });
        Some(SampleTest { statistic: seen, p })
    }
}

/// One part of the vectors, and what scores them by the labels of the others: as the kernel does not change with the
/// labels, training is a product of matrices.
struct Fold {
    tested: Vec<usize>,
    trained: Vec<usize>,
    /// A row of weights for each that is tested.
    weights: Vec<f64>,
}

impl Fold {
    fn new(kernel: &[f64], order: &[usize], fold: usize) -> Option<Self> {
        let size = order.len();
        let is_tested = |at: &usize| at % FOLDS == fold;
        let tested: Vec<usize> = (0..size).filter(is_tested).map(|at| order[at]).collect();
        let trained: Vec<usize> = (0..size).filter(|at| !is_tested(at)).map(|at| order[at]).collect();
        let row = |i: usize| trained.iter().map(move |j| kernel[i * size + j]);
        let mut matrix: Vec<f64> = trained.iter().flat_map(|i| row(*i)).collect();
        (0..trained.len()).for_each(|i| matrix[i * (trained.len() + 1)] = 1.0 + RIDGE);
        let root = Root::of(matrix, trained.len())?;
        let weights = tested.iter().flat_map(|i| root.solve(row(*i).collect())).collect();
        Some(Self { tested, trained, weights })
    }

    /// The area under the ROC curve of those tested; ½ if all are of one side.
    fn area(&self, labels: &[f64]) -> f64 {
        let own: Vec<f64> = self.trained.iter().map(|i| labels[*i]).collect();
        let middle = own.iter().sum::<f64>() / own.len() as f64;
        let score = |weights: &[f64]| dot(weights, &own) - middle * weights.iter().sum::<f64>();
        let rows = self.weights.chunks_exact(own.len());
        let mut scored: Vec<_> = rows.map(score).zip(self.tested.iter().map(|i| labels[*i])).collect();
        scored.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
        let (mut below, mut twice, mut positive) = (0.0, 0.0, 0.0);
        for tied in scored.chunk_by(|(one, _), (other, _)| one == other) {
            let positive_here: f64 = tied.iter().map(|(_, label)| label).sum();
            let negative_here = tied.len() as f64 - positive_here;
            twice += positive_here * (2.0 * below + negative_here);
            below += negative_here;
            positive += positive_here;
        }
        let pairs = positive * below;
        if pairs > 0.0 { twice / 2.0 / pairs } else { 0.5 }
    }
}

/// The lower triangle whose square is a matrix (Cholesky).
struct Root {
    size: usize,
    lower: Vec<f64>,
}

impl Root {
    /// `None` if the matrix is not positive.
    fn of(mut matrix: Vec<f64>, size: usize) -> Option<Self> {
        for i in 0..size {
            let (above, row) = matrix.split_at_mut(i * size);
            for j in 0..i {
                let other = &above[j * size..=j * size + j];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let rest = row[i] - dot(&row[..i], &row[..i]);
            row[i] = (rest > 0.0).then(|| rest.sqrt())?;
        }
        Some(Self { size, lower: matrix })
    }

    /// The vector that the matrix makes into `right`.
    fn solve(&self, mut right: Vec<f64>) -> Vec<f64> {
        for i in 0..self.size {
            let row = &self.lower[i * self.size..=i * self.size + i];
            right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
        }
        for i in (0..self.size).rev() {
            let row = &self.lower[i * self.size..=i * self.size + i];
            let value = right[i] / row[i];
            right[i] = value;
            right[..i].iter_mut().zip(row).for_each(|(right, lower)| *right -= lower * value);
        }
        right
    }
}

/// In four sums apart, so that none waits for another.
fn dot(one: &[f64], other: &[f64]) -> f64 {
    let (fours, others) = (one.chunks_exact(4), other.chunks_exact(4));
    let rest: f64 = fours.remainder().iter().zip(others.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0; 4];
    fours.zip(others).for_each(|(x, y)| (0..4).for_each(|k| sums[k] += x[k] * y[k]));
    rest + sums.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_solved_is_a_solution() {
        let mut random = fastrand::Rng::with_seed(7);
        for size in [1, 2, 5, 30] {
            let half: Vec<f64> = (0..size * size).map(|_| random.f64() - 0.5).collect();
            let row = |i: usize| &half[i * size..(i + 1) * size];
            let ridge = |i, j| if i == j { 0.5 } else { 0.0 };
            let matrix: Vec<f64> = (0..size * size)
                .map(|at| (at / size, at % size))
                .map(|(i, j)| dot(row(i), row(j)) + ridge(i, j))
                .collect();
            let right: Vec<f64> = (0..size).map(|_| random.f64()).collect();
            let solved = Root::of(matrix.clone(), size).unwrap().solve(right.clone());
            for (row, right) in matrix.chunks_exact(size).zip(&right) {
                assert!((dot(row, &solved) - right).abs() < 1e-10, "{size}");
            }
        }
        assert!(Root::of(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
