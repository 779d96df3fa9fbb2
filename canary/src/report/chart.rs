//! What charts are made of: axes, lines, marks, hatching. Inline SVG, styled by the page.

use std::time::SystemTime;

use maud::{Markup, html};

use super::axis::{Scale, TimeAxis};

/// A chart whose text keeps its size relative to its lines; for charts that are about as wide as a phone.
pub(super) struct Plot<'a> {
    pub(super) time: TimeAxis,
    pub(super) scale: Scale,
    /// What the scale measures.
    pub(super) unit: &'a str,
    /// A value of the scale in words.
    pub(super) say: fn(f64) -> String,
    /// Values that matter, each with its class: dashed lines, named on the scale.
    pub(super) levels: Vec<(&'a str, f64)>,
    /// What to know about the marks, each with its class; above the plot, where no line is in the way.
    pub(super) notes: Vec<(&'a str, String)>,
}

/// The shape of the mark at the end of a line, so that lines differ by more than their colour.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    Disc,
    Diamond,
}

impl Mark {
    /// It as a character.
    pub(super) const fn glyph(self) -> char {
        match self {
            Self::Disc => '○',
            Self::Diamond => '◇',
        }
    }
}

impl Plot<'_> {
    const WIDTH: f64 = 312.0;
    const HEIGHT: f64 = 150.0;
    const LEFT: f64 = 38.0;
    const TOP: f64 = 20.0;
    const RIGHT: f64 = 14.0;
    const BOTTOM: f64 = 22.0;

    /// The chart: axes, levels, `inside` (cut off at the edges of the plot) and `above` (not cut off). Both are drawn
    /// in the plot's own coordinates, see [`x`](Self::x) and [`y`](Self::y).
    pub(super) fn draw(&self, label: &str, inside: &Markup, above: &Markup) -> Markup {
        let (width, height) =
            (Self::LEFT + Self::WIDTH + Self::RIGHT, Self::TOP + Self::HEIGHT + Self::BOTTOM);
        let below = px(Self::HEIGHT + 16.0);
        html! {
            svg.plot viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) {
                text.tick x="0" y="10" { (self.unit) }
                text.note.end x=(px(Self::LEFT + Self::WIDTH)) y="10" {
                    @for (class, note) in &self.notes { tspan.(class) dx="8" { (note) } }
                }
                svg.open x=(px(Self::LEFT)) y=(px(Self::TOP)) width=(px(Self::WIDTH)) height=(px(Self::HEIGHT)) {
                    @for value in self.scale.whole_ticks(6) {
                        (rule("grid", (0.0, self.y(value)), (Self::WIDTH, self.y(value))))
                        @if self.levels.iter().all(|&(_, level)| (self.y(value) - self.y(level)).abs() > 10.0) {
                            text.tick.end x="-6" y=(px(self.y(value))) dy="0.35em" { ((self.say)(value)) }
                        }
                    }
                    @for &(class, value) in &self.levels {
                        text.tick.strong.end.(class) x="-6" y=(px(self.y(value))) dy="0.35em" { ((self.say)(value)) }
                    }
                    @for (place, label) in self.time.ticks(5) {
                        (rule("axis", (place * Self::WIDTH, Self::HEIGHT), (place * Self::WIDTH, Self::HEIGHT + 4.0)))
                        text.tick.middle x=(px(place * Self::WIDTH)) y=(below) { (label) }
                    }
                    svg width=(px(Self::WIDTH)) height=(px(Self::HEIGHT)) {
                        @for &(class, value) in &self.levels {
                            (rule(&format!("level {class}"), (0.0, self.y(value)), (Self::WIDTH, self.y(value))))
                        }
                        (inside)
                    }
                    (rule("axis", (0.0, Self::HEIGHT), (Self::WIDTH, Self::HEIGHT)))
                    (above)
                }
            }
        }
    }

    /// Where a time lies, from the left.
    fn x(&self, at: SystemTime) -> f64 {
        self.time.place(at) * Self::WIDTH
    }

    /// Where a value lies, from the top.
    fn y(&self, value: f64) -> f64 {
        (1.0 - self.scale.place(value)) * Self::HEIGHT
    }

    /// A line through `points`, broken before every point that is the end of a gap.
    pub(super) fn line(
        &self,
        class: &str,
        points: &[(SystemTime, f64)],
        is_gap: impl Fn(SystemTime) -> bool,
    ) -> Markup {
        let place = |&(at, value): &(SystemTime, f64)| format!("{},{}", px(self.x(at)), px(self.y(value)));
        html! {
            @for run in points.chunk_by(|_, next| !is_gap(next.0)) {
                @if run.len() > 1 {
                    polyline.line.(class) points=(run.iter().map(place).collect::<Vec<_>>().join(" ")) {}
                }
            }
        }
    }

    /// A mark where the rising line from `before` to `after` meets `level`.
    pub(super) fn crossing(
        &self,
        class: &str,
        shape: Mark,
        (before, after): ((SystemTime, f64), (SystemTime, f64)),
        level: f64,
    ) -> Markup {
        let (from, to) = (self.x(before.0), self.x(after.0));
        let part = ((level - before.1) / (after.1 - before.1)).clamp(0.0, 1.0);
        mark(class, from + (to - from) * part, self.y(level), shape)
    }

    /// What is off the scale at the end of a line: a label in the corner where the line left.
    pub(super) fn beyond(&self, class: &str, value: f64) -> Markup {
        let (y, arrow) = match value {
            _ if value > self.scale.to => (12.0, "↑"),
            _ if value < self.scale.from => (Self::HEIGHT - 6.0, "↓"),
            _ => return html! {},
        };
        html! { text.note.end.(class) x=(px(Self::WIDTH - 4.0)) y=(px(y)) { ((self.say)(value)) " " (arrow) } }
    }

    /// A hatched column with its reason to hover on.
    pub(super) fn hatched(&self, from: SystemTime, to: SystemTime, reason: &str) -> Markup {
        let x = self.x(from);
        let width = (self.x(to) - x).max(1.0);
        html! {
            rect.hatched x=(px(x)) y="0" width=(px(width)) height=(px(Self::HEIGHT)) { title { (reason) } }
        }
    }
}

/// A mark at a place.
pub(super) fn mark(class: &str, x: f64, y: f64, shape: Mark) -> Markup {
    html! {
        @match shape {
            Mark::Disc => circle.mark.(class) cx=(px(x)) cy=(px(y)) r="4" {},
            Mark::Diamond => path.mark.(class) d={ "M" (px(x)) " " (px(y - 5.5)) "l5.5 5.5l-5.5 5.5l-5.5-5.5z" } {},
        }
    }
}

/// A straight line.
fn rule(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} }
}

/// A length in the units of a chart; tenths are finer than any screen.
pub(super) fn px(length: f64) -> String {
    let tenths = (length.clamp(-1e6, 1e6) * 10.0).round() / 10.0;
    // Adding zero turns -0 into 0.
    format!("{}", tenths + 0.0)
}

/// A share of the width, for charts that are as wide as the page.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", (share * 1e4).round() / 1e2 + 0.0)
}

/// What is hatched in any chart of the page. Once a page.
pub(super) fn patterns() -> Markup {
    html! {
        svg.patterns aria-hidden="true" {
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line x1="0" y1="0" x2="0" y2="6" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_seen() {
        let plot = Plot {
            time: TimeAxis::new(at(0), at(10)),
            scale: Scale { from: 0.0, to: 1.0 },
            unit: "",
            say: |value| value.to_string(),
            levels: Vec::new(),
            notes: Vec::new(),
        };
        let points: Vec<_> = (0..=10).map(|second| (at(second), 0.5)).collect();
        let line = plot.line("good", &points, |gap| gap == at(4) || gap == at(5)).into_string();
        // 0 to 3 and 5 to 10; the point at 4 stands alone.
        assert_eq!(line.matches("<polyline").count(), 2);
        assert!(line.contains("points=\"0,75 31.2,75 62.4,75 93.6,75\""), "{line}");
    }

    #[test]
    fn lengths_are_short_and_never_minus_zero() {
        assert_eq!([1.0, 1.26, -0.01, f64::INFINITY].map(px), ["1", "1.3", "0", "1000000"]);
        assert_eq!([0.0, 1.0 / 3.0, 1.0].map(percent), ["0%", "33.33%", "100%"]);
    }
}
