//! Several tests, of which any may sound an alarm.

/// The p values of several tests, made to be compared with the error that is allowed to all of them together: with
/// at most that chance any is below it without a reason, whatever the tests have to do with each other. In the order
/// given; `NaN` stands for 1.
///
/// It is needed where *any* finding is acted on. Where *all* checks must pass, none needs it.
///
/// S. Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6(2), 1979.
///
/// ```
/// # use tidegate_validation::statistics::holm;
/// let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
/// assert!(adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]).all(|(p, q)| (p - q).abs() < 1e-12));
/// ```
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let known = |i: usize| if p[i].is_nan() { 1.0 } else { p[i] };
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|i, j| known(*i).total_cmp(&known(*j)));
    let mut adjusted = vec![1.0; p.len()];
    let mut greatest = 0.0_f64;
    for (rank, i) in order.into_iter().enumerate() {
        greatest = greatest.max((p.len() - rank) as f64 * known(i)).min(1.0);
        adjusted[i] = greatest;
    }
    adjusted
}
