//! What two columns look like beside each other.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{CategoricalColumn, NumericColumn, steps::steps};

/// Two columns beside each other, made small enough to be looked at: shares of values by bin or by category, and of
/// numbers their distribution functions. What was written down is read again only if it can be drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct Picture {
    bars: Vec<Bar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<Curve>,
}

/// What a picture is written down as.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    bars: Vec<Bar>,
    #[serde(default)]
    curve: Option<Curve>,
}

/// The values of one bin, or of one category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bar {
    label: String,
    /// Shares of the reference and of the current column.
    shares: (f64, f64),
}

/// Two distribution functions, and where they are furthest apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Curve {
    from: f64,
    to: f64,
    /// Where, and the share of numbers up to there.
    steps: Vec<(f64, f64, f64)>,
    gap: (f64, f64, f64),
}

/// Bins of a picture of numbers.
const BINS: usize = 24;
/// Bars of a picture of categories, the one for all others included.
const BARS: usize = 12;
/// Characters of the longest label.
const LABEL: usize = 18;
/// Characters of the longest label that is read again: two numbers.
const LONGEST_LABEL: usize = 2 * LABEL + 8;
/// Steps of a curve: more than there are to be seen.
const STEPS: usize = 160;
/// What is left out at either end of the numbers, of both sides taken as equally many: a far-off one would press all
/// others into one bin.
const TAIL: f64 = 0.002;

impl Picture {
    /// Of numbers; `None` if either has none.
    pub(super) fn of_numbers(reference: &NumericColumn, current: &NumericColumn) -> Option<Self> {
        let (n, m) = (reference.count() as f64, current.count() as f64);
        if n == 0.0 || m == 0.0 {
            return None;
        }
        let values: Vec<(f64, f64, f64)> = steps(reference, current)
            .into_iter()
            .map(|step| (step.value, step.counts.0 as f64 / n, step.counts.1 as f64 / m))
            .collect();
        let (from, to) = extent(&values)?;
        let mut shares = vec![(0.0, 0.0); BINS];
        let width = (to - from) / BINS as f64;
        let mut sums = (0.0, 0.0);
        let mut gap = (from, 0.0, 0.0);
        let mut steps: Vec<(f64, f64, f64)> = vec![(from, 0.0, 0.0)];
        for (value, one, other) in values {
            let bin =
                if width > 0.0 { ((value - from) / width).clamp(0.0, BINS as f64 - 1.0) as usize } else { 0 };
            shares[bin].0 += one;
            shares[bin].1 += other;
            sums = (sums.0 + one, sums.1 + other);
            if (sums.0 - sums.1).abs() > f64::abs(gap.1 - gap.2) {
                gap = (value, sums.0, sums.1);
            }
            let shown = value.clamp(from, to);
            match steps.last_mut() {
                // Where nearly all is one number, there is no width, and all far-off ones are shown at that one.
                Some(last) if shown - last.0 <= (to - from) / STEPS as f64 => {
                    *last = (last.0, sums.0, sums.1)
                }
                _ => steps.push((shown, sums.0, sums.1)),
            }
        }
        steps.push((to, 1.0, 1.0));
        let label = |bin: usize| {
            format!("{} to {}", number(from + width * bin as f64), number(from + width * (bin + 1) as f64))
        };
        let bars = shares.into_iter().enumerate().map(|(bin, shares)| Bar { label: label(bin), shares });
        let gap = (gap.0.clamp(from, to), gap.1, gap.2);
        Some(Self { bars: bars.collect(), curve: Some(Curve { from, to, steps, gap }) })
    }

    /// Of categories, the most frequent ones by name; `None` if either has none, or has only digests of them.
    pub(super) fn of_categories(reference: &CategoricalColumn, current: &CategoricalColumn) -> Option<Self> {
        let (n, m) = (reference.count() as f64, current.count() as f64);
        if n == 0.0 || m == 0.0 || !reference.is_exact() || !current.is_exact() {
            return None;
        }
        let mut shares = std::collections::BTreeMap::<&str, (f64, f64)>::new();
        reference.categories().for_each(|(name, count)| shares.entry(name).or_default().0 = count as f64 / n);
        current.categories().for_each(|(name, count)| shares.entry(name).or_default().1 = count as f64 / m);
        let mut bars: Vec<Bar> = shares
            .into_iter()
            .map(|(name, shares)| Bar { label: crate::excerpt::excerpt(name, LABEL), shares })
            .collect();
        bars.sort_by(|one, other| other.most().total_cmp(&one.most()));
        if bars.len() > BARS {
            let others = bars.split_off(BARS - 1);
            let sum = |side: fn(&Bar) -> f64| others.iter().map(side).sum();
            let shares = (sum(|bar| bar.shares.0), sum(|bar| bar.shares.1));
            bars.push(Bar { label: format!("{} others", others.len()), shares });
        }
        Some(Self { bars, curve: None })
    }

    /// Whether there is more to see than one value on both sides.
    pub(super) fn varies(&self) -> bool {
        self.curve.as_ref().is_none_or(|curve| curve.from < curve.to)
    }

    /// The reference and the current column as rows of blocks, ▁ to █, one a bin or category on one scale; space
    /// where there is nothing.
    #[must_use]
    pub fn blocks(&self) -> (String, String) {
        const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.most();
        let block = |share: f64| match share > 0.0 {
            true => BLOCKS[((share / most * 8.0).ceil() as usize).clamp(1, 8) - 1],
            false => ' ',
        };
        let row = |side: fn(&Bar) -> f64| self.bars.iter().map(|bar| block(side(bar))).collect();
        (row(|bar| bar.shares.0), row(|bar| bar.shares.1))
    }

    /// As SVG: bars of shares, the reference in grey and the current column in orange, and of numbers their
    /// distribution functions with the greatest distance marked. `title` is what it is of.
    ///
    /// It is whole in itself: colours that are seen on light and on dark pages, text in the colour of the page's,
    /// nothing to load.
    #[must_use]
    pub fn svg(&self, title: &str) -> String {
        self.drawn(title, r#" xmlns="http://www.w3.org/2000/svg""#)
    }

    /// The same for a page of HTML, which knows what SVG is.
    #[cfg(feature = "report")]
    pub(crate) fn inline(&self, title: &str) -> String {
        self.drawn(title, "")
    }

    fn drawn(&self, title: &str, namespace: &str) -> String {
        let mut svg = format!(
            r#"<svg{namespace} viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="11" fill="currentColor"><title>{}</title>"#,
            escaped(if title.is_empty() { "reference and current values" } else { title })
        );
        if !title.is_empty() {
            let _ = write!(svg, r#"<text x="{LEFT}" y="12" font-weight="600">{}</text>"#, escaped(title));
        }
        self.draw_bars(&mut svg);
        if let Some(curve) = &self.curve {
            curve.draw(&mut svg);
        }
        svg.push_str("</svg>");
        svg
    }

    fn draw_bars(&self, svg: &mut String) {
        let right = if self.curve.is_some() { MIDDLE } else { WIDTH - RIGHT };
        let most = self.most();
        let each = (right - LEFT) / self.bars.len().max(1) as f64;
        let height = |share: f64| share / most * (BOTTOM - TOP);
        for (at, bar) in self.bars.iter().enumerate() {
            let x = LEFT + each * at as f64;
            let (one, other) = (height(bar.shares.0), height(bar.shares.1));
            let tip = format!(
                "{}: {:.1} % of the reference, {:.1} % now",
                bar.label,
                100.0 * bar.shares.0,
                100.0 * bar.shares.1
            );
            let _ = write!(
                svg,
                r#"<g><title>{}</title><rect x="{:.1}" y="{:.1}" width="{:.1}" height="{one:.1}" fill="{BEFORE}"/><rect x="{:.1}" y="{:.1}" width="{:.1}" height="{other:.1}" fill="{NOW}"/></g>"#,
                escaped(&tip),
                x + each * 0.08,
                BOTTOM - one,
                each * 0.42,
                x + each * 0.5,
                BOTTOM - other,
                each * 0.42,
            );
            if self.curve.is_none() {
                let room = ((each / 6.2) as usize).clamp(1, LABEL);
                let shown = crate::excerpt::excerpt(&bar.label, room);
                text(svg, (x + each / 2.0, BOTTOM + 14.0), "middle", &shown);
            }
        }
        line(svg, (LEFT, BOTTOM), (right, BOTTOM));
        text(svg, (LEFT - 6.0, TOP + 4.0), "end", &format!("{:.0} %", 100.0 * most));
        text(svg, (LEFT - 6.0, BOTTOM + 4.0), "end", "0");
        if let Some(curve) = &self.curve {
            text(svg, (LEFT, BOTTOM + 14.0), "start", &number(curve.from));
            text(svg, (right, BOTTOM + 14.0), "end", &number(curve.to));
        }
    }

    fn most(&self) -> f64 {
        self.bars.iter().map(Bar::most).fold(f64::MIN_POSITIVE, f64::max)
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 170.0;

impl TryFrom<Wire> for Picture {
    type Error = &'static str;

    fn try_from(Wire { mut bars, curve }: Wire) -> Result<Self, Self::Error> {
        // Sums of shares are 1 only but for rounding.
        let is_share = |share: f64| (0.0..=1.0 + 1e-6).contains(&share);
        let sound = (1..=BINS).contains(&bars.len())
            && bars.iter().all(|bar| is_share(bar.shares.0) && is_share(bar.shares.1));
        let drawable = curve.as_ref().is_none_or(|curve| {
            let point = |(value, one, other): &(f64, f64, f64)| {
                (curve.from..=curve.to).contains(value) && is_share(*one) && is_share(*other)
            };
            ((curve.to / 2.0 - curve.from / 2.0) * 2.0).is_finite()
                && curve.steps.len() <= 2 * STEPS
                && curve.steps.iter().chain([&curve.gap]).all(point)
        });
        if !sound || !drawable {
            return Err(
                "a picture has shares from 0 to 1, bars and steps, and not too many of them; make it anew",
            );
        }
        bars.iter_mut().for_each(|bar| bar.label = crate::excerpt::excerpt(&bar.label, LONGEST_LABEL));
        Ok(Self { bars, curve })
    }
}

impl Bar {
    const fn most(&self) -> f64 {
        self.shares.0.max(self.shares.1)
    }
}

impl Curve {
    fn draw(&self, svg: &mut String) {
        let (left, right) = (MIDDLE + 64.0, WIDTH - RIGHT);
        let width = if self.to > self.from { self.to - self.from } else { 1.0 };
        let x = |value: f64| left + (value - self.from) / width * (right - left);
        let y = |share: f64| BOTTOM - share * (BOTTOM - TOP);
        line(svg, (left, BOTTOM), (right, BOTTOM));
        for (side, colour) in [(0, BEFORE), (1, NOW)] {
            let mut path = String::new();
            for (at, step) in self.steps.iter().enumerate() {
                let share = if side == 0 { step.1 } else { step.2 };
                let _ = match at {
                    0 => write!(path, "M{:.1} {:.1}", x(step.0), y(share)),
                    _ => write!(path, "H{:.1}V{:.1}", x(step.0), y(share)),
                };
            }
            let _ = write!(svg, r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#);
        }
        let (at, one, other) = self.gap;
        let _ = write!(
            svg,
            r#"<line x1="{0:.1}" x2="{0:.1}" y1="{1:.1}" y2="{2:.1}" stroke="currentColor" stroke-width="2" stroke-dasharray="3 2"/>"#,
            x(at),
            y(one),
            y(other),
        );
        // Where no distribution function comes by.
        text(svg, (right, BOTTOM - 6.0), "end", &format!("D = {:.3}", (one - other).abs()));
        text(svg, (left - 6.0, TOP + 4.0), "end", "100 %");
        text(svg, (left - 6.0, BOTTOM + 4.0), "end", "0");
        text(svg, (left, BOTTOM + 14.0), "start", &number(self.from));
        text(svg, (right, BOTTOM + 14.0), "end", &number(self.to));
    }
}

const LEFT: f64 = 40.0;
const RIGHT: f64 = 10.0;
const MIDDLE: f64 = 380.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 146.0;

/// The reference, on light and dark pages alike.
pub(super) const BEFORE: &str = "#8492a6";
/// The current column.
pub(super) const NOW: &str = "#d9730d";

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = write!(
        svg,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="currentColor" stroke-opacity=".4"/>"#
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escaped(words));
}

/// Between which numbers all but the tails lie.
fn extent(values: &[(f64, f64, f64)]) -> Option<(f64, f64)> {
    let from = edge(values.iter())?;
    let to = edge(values.iter().rev())?;
    // Halved, so that the greatest of numbers have a width.
    ((to / 2.0 - from / 2.0) * 2.0).is_finite().then_some((from, to))
}

/// The first number beyond the tail.
fn edge<'a>(mut values: impl Iterator<Item = &'a (f64, f64, f64)>) -> Option<f64> {
    let mut sum = 0.0;
    let is_beyond = |(_, one, other): &&(f64, f64, f64)| {
        sum += f64::midpoint(*one, *other);
        sum > TAIL
    };
    values.find(is_beyond).map(|(value, ..)| *value)
}

/// With about four digits.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 100.0 {
        0
    } else if size >= 1.0 {
        2
    } else {
        4
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Text that is no markup, and moves nothing.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
