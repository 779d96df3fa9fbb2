//! How far two judges agree beyond what chance would have them agree in.

/// Cohen's κ of two judges who put the same cases into the same categories; made by [`kappa`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Kappa {
    /// κ: 1 if they always agree, 0 if only as often as chance would have it.
    pub kappa: f64,
    /// Its standard error (J. L. Fleiss, J. Cohen, B. S. Everitt, *Large sample standard errors of kappa and
    /// weighted kappa*, Psychological Bulletin 72(5), 1969).
    pub standard_error: f64,
    /// The share of cases in which they agree.
    pub observed: f64,
    /// The share in which they would by chance.
    pub expected: f64,
    /// The share of each category according to the first judge: where one of them is nearly all, κ says little.
    pub base_rates: Vec<f64>,
}

/// Cohen's κ of a square `table`: `table[i][j]` cases are of category `i` by the first judge, who is to be
/// trusted, and of category `j` by the second.
///
/// `None` without a case, if the table is not square, or if one category is all that either judge knows, which
/// leaves nothing to agree in.
///
/// J. Cohen, *A coefficient of agreement for nominal scales*, Educational and Psychological Measurement 20(1),
/// 1960.
///
/// ```
/// # use tidegate_validation::statistics::kappa;
/// let agreement = kappa(&[[45, 5], [10, 40]]).unwrap();
/// assert!((agreement.kappa - 0.7).abs() < 1e-12);
/// assert_eq!(agreement.base_rates, [0.5, 0.5]);
/// ```
#[must_use]
pub fn kappa<R: AsRef<[u64]>>(table: &[R]) -> Option<Kappa> {
    let size = table.len();
    let rows: Vec<&[u64]> = table.iter().map(AsRef::as_ref).collect();
    let n: f64 = rows.iter().flat_map(|row| row.iter()).map(|count| *count as f64).sum();
    if n == 0.0 || rows.iter().any(|row| row.len() != size) {
        return None;
    }
    let share = |i: usize, j: usize| rows[i][j] as f64 / n;
    let first: Vec<f64> = (0..size).map(|i| (0..size).map(|j| share(i, j)).sum()).collect();
    let second: Vec<f64> = (0..size).map(|j| (0..size).map(|i| share(i, j)).sum()).collect();
    let observed: f64 = (0..size).map(|i| share(i, i)).sum();
    let expected: f64 = (0..size).map(|i| first[i] * second[i]).sum();
    if expected >= 1.0 {
        return None;
    }
    let kappa = (observed - expected) / (1.0 - expected);
    let term = |i: usize, j: usize| {
        let weight = (second[i] + first[j]) * (1.0 - kappa);
        share(i, j) * if i == j { 1.0 - weight } else { weight }.powi(2)
    };
    let squares: f64 = (0..size * size).map(|cell| term(cell / size, cell % size)).sum();
    let variance = squares - (kappa - expected * (1.0 - kappa)).powi(2);
    let standard_error = (variance.max(0.0) / n).sqrt() / (1.0 - expected);
    Some(Kappa { kappa, standard_error, observed, expected, base_rates: first })
}
