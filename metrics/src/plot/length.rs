//! Lengths as SVG writes them.

/// A length in the units of a chart; tenths are finer than any screen. Finite for any number: what is off the chart
/// stays off it.
///
/// ```
/// # use tidegate_metrics::plot::length::px;
/// assert_eq!([px(1.26), px(-0.01), px(f64::INFINITY)], ["1.3", "0", "1000000"]);
/// ```
#[must_use]
pub fn px(length: f64) -> String {
    let length = if length.is_nan() { 0.0 } else { length.clamp(-1e6, 1e6) };
    // Adding zero turns -0 into 0.
    format!("{}", (length * 10.0).round() / 10.0 + 0.0)
}

/// A share of the width, for charts that are as wide as the page.
///
/// ```
/// # use tidegate_metrics::plot::length::percent;
/// assert_eq!(percent(1.0 / 3.0), "33.33%");
/// ```
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2 + 0.0)
}
