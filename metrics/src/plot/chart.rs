//! What charts are made of: axes, lines, bands, marks, hatching.

use std::{collections::BTreeSet, time::SystemTime};

use maud::{Markup, html};

use super::{Gap, TimeAxis, axis::Scale, length::px, words};

/// A chart whose text keeps its size relative to its lines; for charts that are about as wide as a phone.
pub(super) struct Plot<'a> {
    pub(super) time: TimeAxis,
    pub(super) scale: Scale,
    /// Places on the scale with a line of the grid each.
    pub(super) ticks: Vec<f64>,
    /// What the scale measures.
    pub(super) unit: &'a str,
    /// A place on the scale in words.
    pub(super) say: fn(f64) -> String,
    /// Places that matter: dashed lines, named on the scale. Two at most.
    pub(super) levels: Vec<Level>,
    /// What to know about the marks, each with its class; above the plot, where no line is in the way.
    pub(super) notes: Vec<(&'a str, String)>,
}

/// A class, and a place on the scale.
pub(super) type Level = (&'static str, f64);

/// Where lines are cut: before looks that cannot be joined to the ones before them.
#[derive(Default)]
pub(super) struct Cuts {
    /// The ends of windows that said nothing. A line goes on from there with what was known before.
    gaps: BTreeSet<SystemTime>,
    /// Looks at something else.
    turns: BTreeSet<SystemTime>,
}

impl Cuts {
    pub(super) fn at(gaps: &[Gap], turns: impl IntoIterator<Item = SystemTime>) -> Self {
        let gaps = gaps.iter().map(|gap| gap.window.end()).collect();
        Self { gaps, turns: turns.into_iter().collect() }
    }

    fn are_before(&self, at: SystemTime) -> bool {
        self.gaps.contains(&at) || self.turns.contains(&at)
    }

    /// Whether a run of one look is to be seen: not what is but repeated at the end of a gap.
    fn leave_alone(&self, at: SystemTime) -> bool {
        !self.gaps.contains(&at)
    }
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

/// The size of a chart, its text included.
pub(super) const SIZE: (f64, f64) =
    (Plot::LEFT + Plot::WIDTH + Plot::RIGHT, Plot::TOP + Plot::HEIGHT + Plot::BOTTOM);

impl Plot<'_> {
    const WIDTH: f64 = 312.0;
    const HEIGHT: f64 = 150.0;
    const LEFT: f64 = 38.0;
    const TOP: f64 = 24.0;
    const RIGHT: f64 = 14.0;
    const BOTTOM: f64 = 22.0;
    /// So far apart are two lines of text.
    const TEXT: f64 = 11.0;

    /// The chart: axes, levels, `inside` (cut off at the edges of the plot) and `above` (not cut off). Both are drawn
    /// in the plot's own coordinates, see [`x`](Self::x) and [`y`](Self::y).
    pub(super) fn draw(&self, label: &str, inside: &Markup, above: &Markup) -> Markup {
        let (width, height) = SIZE;
        let below = px(Self::HEIGHT + 16.0);
        let names = self.names();
        html! {
            svg.plot viewBox={ "0 0 " (width) " " (height) } role="img" aria-label=(label) {
                text.tick x="0" y="10" { (self.unit) }
                text.note.end x=(px(Self::LEFT + Self::WIDTH)) y="10" {
                    @for (class, note) in &self.notes { tspan.(class) dx="8" { (note) } }
                }
                svg.open x=(px(Self::LEFT)) y=(px(Self::TOP)) width=(px(Self::WIDTH)) height=(px(Self::HEIGHT)) {
                    @for &place in &self.ticks {
                        (rule("grid", (0.0, self.y(place)), (Self::WIDTH, self.y(place))))
                        @if names.iter().all(|(_, y, _)| (self.y(place) - y).abs() > Self::TEXT) {
                            text.tick.end x="-6" y=(px(self.y(place))) dy="0.35em" { ((self.say)(place)) }
                        }
                    }
                    @for (class, y, name) in &names {
                        text.tick.strong.end.(class) x="-6" y=(px(*y)) dy="0.35em" { (name) }
                    }
                    @for (place, label) in self.time.ticks(5) {
                        (rule("axis", (place * Self::WIDTH, Self::HEIGHT), (place * Self::WIDTH, Self::HEIGHT + 4.0)))
                        text.tick.middle x=(px(place * Self::WIDTH)) y=(below) { (label) }
                    }
                    svg width=(px(Self::WIDTH)) height=(px(Self::HEIGHT)) {
                        @for &(class, place) in &self.levels {
                            (rule(&format!("level {class}"), (0.0, self.y(place)), (Self::WIDTH, self.y(place))))
                        }
                        (inside)
                    }
                    (rule("axis", (0.0, Self::HEIGHT), (Self::WIDTH, Self::HEIGHT)))
                    (above)
                }
            }
        }
    }

    /// The levels' names with where they are written: where the level is, unless two would lie on each other.
    fn names(&self) -> Vec<(&'static str, f64, String)> {
        let mut names: Vec<_> =
            self.levels.iter().map(|&(class, place)| (class, self.y(place), (self.say)(place))).collect();
        if let [(_, one, _), (_, other, _)] = &mut *names {
            let lack = (Self::TEXT - (*one - *other).abs()).max(0.0) / 2.0;
            let (upper, lower) = if *one < *other { (one, other) } else { (other, one) };
            *upper -= lack;
            *lower += lack;
        }
        names
    }

    /// Where a time lies, from the left.
    fn x(&self, at: SystemTime) -> f64 {
        self.time.place(at) * Self::WIDTH
    }

    /// Where a value lies, from the top.
    fn y(&self, value: f64) -> f64 {
        (1.0 - self.scale.place(value)) * Self::HEIGHT
    }

    fn point(&self, &(at, value): &(SystemTime, f64)) -> String {
        format!("{},{}", px(self.x(at)), px(self.y(value)))
    }

    /// A line through `points`, cut.
    pub(super) fn line(&self, class: &str, points: &[(SystemTime, f64)], cuts: &Cuts) -> Markup {
        html! {
            @for run in points.chunk_by(|_, next| !cuts.are_before(next.0)) {
                @if run.len() > 1 {
                    polyline.line.(class) points=(run.iter().map(|point| self.point(point)).collect::<Vec<_>>().join(" ")) {}
                }
            }
        }
    }

    /// What lies between two lines that have the same times, cut like them; a bar for a look that makes no area.
    pub(super) fn band(
        &self,
        class: &str,
        lower: &[(SystemTime, f64)],
        upper: &[(SystemTime, f64)],
        cuts: &Cuts,
    ) -> Markup {
        let looks = lower.iter().zip(upper).map(|(&(at, lower), &(_, upper))| (at, [lower, upper]));
        let looks: Vec<_> = looks.collect();
        let outline = |run: &[(SystemTime, [f64; 2])]| {
            let there = run.iter().map(|&(at, [_, upper])| self.point(&(at, upper)));
            let back = run.iter().rev().map(|&(at, [lower, _])| self.point(&(at, lower)));
            there.chain(back).collect::<Vec<_>>().join(" ")
        };
        html! {
            @for run in looks.chunk_by(|_, next| !cuts.are_before(next.0)) {
                @match *run {
                    [(at, [lower, upper])] => @if cuts.leave_alone(at) {
                        (rule(&format!("bar {class}"), (self.x(at), self.y(lower)), (self.x(at), self.y(upper))))
                    },
                    _ => polygon.band.(class) points=(outline(run)) {},
                }
            }
        }
    }

    /// A dot for each look that makes no [`line`](Self::line).
    pub(super) fn dots(&self, class: &str, points: &[(SystemTime, f64)], cuts: &Cuts) -> Markup {
        html! {
            @for run in points.chunk_by(|_, next| !cuts.are_before(next.0)) {
                @if let [(at, value)] = run && cuts.leave_alone(*at) {
                    circle.dot.(class) cx=(px(self.x(*at))) cy=(px(self.y(*value))) r="3.5" {}
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
    pub(super) fn hatched(&self, gap: &Gap) -> Markup {
        let x = self.x(gap.window.start());
        let width = (self.x(gap.window.end()) - x).max(1.0);
        html! {
            rect.hatched x=(px(x)) y="0" width=(px(width)) height=(px(Self::HEIGHT)) {
                title { (words::clip(&gap.reason, 200)) }
            }
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
pub(super) fn rule(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn plot(levels: Vec<Level>) -> Plot<'static> {
        Plot {
            time: TimeAxis::new(at(0), at(10)),
            scale: Scale { from: 0.0, to: 1.0 },
            ticks: Vec::new(),
            unit: "",
            say: |value| value.to_string(),
            levels,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_seen() {
        let points: Vec<_> = (0..=10).map(|second| (at(second), 0.5)).collect();
        let cuts = Cuts::at(&[], [at(4), at(5)]);
        let line = plot(Vec::new()).line("good", &points, &cuts).into_string();
        // 0 to 3 and 5 to 10; the point at 4 stands alone.
        assert_eq!(line.matches("<polyline").count(), 2);
        assert!(line.contains("points=\"0,75 31.2,75 62.4,75 93.6,75\""), "{line}");
    }

    #[test]
    fn a_band_goes_there_and_back_and_off_the_scale_where_nothing_bounds_it() {
        let lower = [(at(0), f64::NEG_INFINITY), (at(5), 0.2)];
        let upper = [(at(0), 0.8), (at(5), 0.6)];
        let band = plot(Vec::new()).band("surely", &lower, &upper, &Cuts::default()).into_string();
        assert!(band.contains("points=\"0,30 156,60 156,120 0,1000000\""), "{band}");
    }

    #[test]
    fn names_of_levels_do_not_lie_on_each_other() {
        let places = |levels| -> Vec<f64> { plot(levels).names().into_iter().map(|(_, y, _)| y).collect() };
        assert_eq!(places(vec![("worse", 0.5), ("good", 0.52)]), [79.0, 68.0]);
        assert_eq!(places(vec![("worse", 0.5), ("good", 0.75)]), [75.0, 37.5]);
        assert_eq!(places(vec![("worse", 0.5)]), [75.0]);
    }
}
