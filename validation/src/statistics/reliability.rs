//! A picture of how often a model is right where it is how sure.

use std::fmt::Write as _;

use super::Bin;

/// A reliability diagram as an SVG of 360 by 360 units: for each of `bins` the share of right answers at the mean
/// confidence, over the line on which both are the same, and how many answers there are as bars below.
///
/// M. H. DeGroot, S. E. Fienberg, *The comparison and evaluation of forecasters*, The Statistician 32, 1983.
///
/// ```
/// # use tidegate_validation::statistics::{Calibration, reliability_svg};
/// let answers = [(0.95, true), (0.9, true), (0.8, false), (0.6, true), (0.55, false), (0.3, false)];
/// let svg = reliability_svg(&Calibration::new(answers).unwrap().reliability(10));
/// assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
/// ```
#[must_use]
pub fn reliability_svg(bins: &[Bin]) -> String {
    const SIDE: f64 = 300.0;
    const EDGE: f64 = 40.0;
    const BARS: f64 = 40.0;
    let x = |share: f64| EDGE + SIDE * share;
    let y = |share: f64| 20.0 + SIDE * (1.0 - share);
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 360 360\" font-family=\"sans-serif\" font-size=\"10\" \
         role=\"img\" aria-label=\"Reliability diagram\">\n",
    );
    // Writing to a string cannot fail.
    let mut add = |element: std::fmt::Arguments<'_>| _ = writeln!(svg, "{element}");
    add(format_args!("<rect width=\"360\" height=\"360\" fill=\"#fff\"/>"));
    for i in 0..=5 {
        let share = f64::from(i) / 5.0;
        let (across, up) = (x(share), y(share));
        add(format_args!(
            "<path d=\"M{across:.1} {:.1}V{:.1}M{:.1} {up:.1}H{:.1}\" stroke=\"#ddd\"/>",
            y(0.0),
            y(1.0),
            x(0.0),
            x(1.0)
        ));
        add(format_args!("<text x=\"{across:.1}\" y=\"333\" text-anchor=\"middle\">{share:.1}</text>"));
        add(format_args!("<text x=\"34\" y=\"{:.1}\" text-anchor=\"end\">{share:.1}</text>", up + 3.0));
    }
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let height = BARS * bin.count as f64 / most;
        add(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#cfd8e3\"><title>{} answers</title></rect>",
            x(bin.low),
            y(0.0) - height,
            (x(bin.high) - x(bin.low)).max(1.0),
            bin.count
        ));
    }
    add(format_args!(
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0)
    ));
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (across, up) = (x(bin.confidence), y(bin.accuracy));
        add(format_args!("<path d=\"M{across:.1} {:.1}V{up:.1}\" stroke=\"#c0392b\"/>", y(bin.confidence)));
        add(format_args!(
            "<circle cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"4\" fill=\"#1f5fa8\"><title>{:.3} sure, {:.3} right, {} answers</title></circle>",
            bin.confidence, bin.accuracy, bin.count
        ));
    }
    add(format_args!("<text x=\"190\" y=\"350\" text-anchor=\"middle\">confidence</text>"));
    add(format_args!(
        "<text x=\"12\" y=\"170\" text-anchor=\"middle\" transform=\"rotate(-90 12 170)\">right answers</text>"
    ));
    svg.push_str("</svg>\n");
    svg
}
