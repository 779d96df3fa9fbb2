//! What was measured over time, with the bounds between which it lies, against what is tolerated.

use std::time::SystemTime;

use maud::{Markup, html};

use super::{
    Axis, Course, Gap, TimeAxis,
    axis::Scale,
    chart::{Cuts, Level, Plot},
    words,
};
use crate::{
    Better, Bound, BurnRate, Comparison, Effect, Evidence, Limit, MeanComparison, Measure, Metric,
    Observation, Readings, Rule, ScoreComparison, Statistic,
};

/// What was known after one look.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a time, a number and its bounds")]
pub struct Band {
    /// When it was looked.
    pub at: SystemTime,
    /// The estimate; `None` where there is none.
    pub estimate: Option<f64>,
    /// The lower bound; `None` where nothing bounds it.
    pub lower: Option<f64>,
    /// The upper bound; `None` where nothing bounds it.
    pub upper: Option<f64>,
}

/// Something that was measured again and again, for [`confidence()`](super::confidence()).
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers with numbers of their own write it as a literal")]
pub struct Sequence {
    /// What was measured, in a few words: `odds ratio`.
    pub what: String,
    /// How it is laid out.
    pub axis: Axis,
    /// What was known after each look, ascending. Without a single bound in it there is no band, only a line.
    pub bands: Vec<Band>,
    /// What is tolerated; what surely lies beyond it fails.
    pub tolerated: f64,
    /// What surely lies short of it passes, if that is known.
    pub passing: Option<f64>,
}

impl Sequence {
    /// The picture. `turns` are the looks from which on something else was measured.
    pub(super) fn draw(&self, time: TimeAxis, gaps: &[Gap], turns: &[SystemTime]) -> Option<Markup> {
        let numbers = self.bands.iter().flat_map(|band| [band.estimate, band.lower, band.upper]);
        let last = self.bands.last().filter(|_| numbers.flatten().next().is_some())?;
        let scale = self.scale();
        let (axis, say) = (self.axis, self.axis.say());
        let says = |value: f64| say(axis.place(value));
        let plot = Plot {
            time,
            scale,
            ticks: axis.ticks(scale, 6),
            unit: &words::clip(&self.what, 32),
            say,
            levels: self.levels(),
            notes: last.say(says).map(|now| ("now", now)).into_iter().collect(),
        };
        let line = |of: fn(&Band) -> Option<f64>, open: f64| -> Vec<(SystemTime, f64)> {
            self.bands
                .iter()
                .map(|band| (band.at, of(band).map_or(open, |value| axis.place(value))))
                .collect()
        };
        let (lower, upper) =
            (line(|band| band.lower, f64::NEG_INFINITY), line(|band| band.upper, f64::INFINITY));
        let estimates: Vec<_> =
            self.bands.iter().filter_map(|band| Some((band.at, axis.place(band.estimate?)))).collect();
        let resumed = self.bands.windows(2).filter(|pair| pair[0].estimate.is_none()).map(|pair| pair[1].at);
        let turns = || turns.iter().copied();
        let (cuts, estimate_cuts) = (Cuts::at(gaps, turns()), Cuts::at(gaps, turns().chain(resumed)));
        let inside = html! {
            @for gap in gaps { (plot.hatched(gap)) }
            @if self.is_bounded() {
                (plot.band("surely", &lower, &upper, &cuts))
                @for edge in [&lower, &upper] { (plot.line("surely", edge, &cuts)) }
            }
            (plot.line("estimate", &estimates, &estimate_cuts))
            (plot.dots("estimate", &estimates, &estimate_cuts))
        };
        let above = html! {
            @if let Some(estimate) = last.estimate { (plot.beyond("now", axis.place(estimate))) }
        };
        let label = format!(
            "{} over time{}; tolerated: {}",
            self.what,
            last.say(says).map_or_else(String::new, |now| format!(", in the end {now}")),
            says(self.tolerated),
        );
        Some(plot.draw(&words::clip(label, 300), &inside, &above))
    }

    fn is_bounded(&self) -> bool {
        self.bands.iter().any(|band| band.lower.or(band.upper).is_some())
    }

    fn levels(&self) -> Vec<Level> {
        let (tolerated, passing) =
            (self.axis.place(self.tolerated), self.passing.map(|value| self.axis.place(value)));
        let levels = match passing {
            Some(passing) if passing == tolerated => vec![("either", tolerated)],
            Some(passing) => vec![("worse", tolerated), ("good", passing)],
            None => vec![("worse", tolerated)],
        };
        levels.into_iter().filter(|(_, place)| place.is_finite()).collect()
    }

    /// Wide enough for the levels and for what was known in the end. Of the first looks, which know little, what goes
    /// beyond that leaves the scale rather than flattening the rest.
    fn scale(&self) -> Scale {
        let levels: Vec<_> = self.levels().into_iter().map(|(_, place)| place).collect();
        let later = &self.bands[self.bands.len() / 3..];
        let known = later.iter().flat_map(|band| [band.estimate, band.lower, band.upper]).flatten();
        // Farther than a thousand times from what is tolerated, nobody cares how far.
        let (least, most) = match (self.axis, levels.first()) {
            (Axis::Log, Some(tolerated)) => (tolerated - 3.0, tolerated + 3.0),
            (Axis::Log, None) => (-300.0, 300.0),
            (Axis::Share, _) => (0.0, 1.0),
            (Axis::Linear, _) => (-1e300, 1e300),
        };
        let places = known.map(|value| self.axis.place(value)).filter(|place| !place.is_nan());
        let places = places.map(|place| place.clamp(least, most)).chain(levels);
        let (from, to) = places
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), place| (from.min(place), to.max(place)));
        if from > to {
            return Scale { from: 0.0, to: 1.0 };
        }
        let slack = match self.axis {
            Axis::Log => (0.05 * (to - from)).max(0.1),
            Axis::Linear | Axis::Share if to > from => 0.05 * (to - from),
            Axis::Linear | Axis::Share => (0.1 * to.abs()).max(0.01),
        };
        let is_near_zero = self.axis != Axis::Log && from >= 0.0 && from < 0.5 * to;
        let (from, to) = (if is_near_zero { 0.0 } else { from - slack }, to + slack);
        match self.axis {
            // A little more than there can be, so that the name of the uppermost tick has room.
            Axis::Share => Scale { from: from.max(0.0), to: to.min(1.05) },
            Axis::Linear | Axis::Log => Scale { from, to },
        }
    }
}

impl Band {
    /// `0.82 (0.51 to 1.3)`.
    fn say(&self, says: impl Fn(f64) -> String) -> Option<String> {
        let bounds = match (self.lower, self.upper) {
            (Some(lower), Some(upper)) => Some(format!("{} to {}", says(lower), says(upper))),
            (Some(lower), None) => Some(format!("above {}", says(lower))),
            (None, Some(upper)) => Some(format!("below {}", says(upper))),
            (None, None) => None,
        };
        match (self.estimate, bounds) {
            (Some(estimate), Some(bounds)) => Some(format!("{} ({bounds})", says(estimate))),
            (estimate, bounds) => estimate.map(says).or(bounds),
        }
    }
}

/// What a course measured, and the looks from which on it measured something else.
pub(super) fn of(course: &Course<'_>) -> Option<(Sequence, Vec<SystemTime>)> {
    let effects: Vec<_> = course.points.iter().filter_map(|point| Some((point.end, point.effect?))).collect();
    let &(_, Effect { measure, .. }) = effects.last()?;
    let turns = effects.windows(2).filter(|pair| pair[0].1.measure != pair[1].1.measure);
    let turns: Vec<_> = turns.map(|pair| pair[1].0).collect();
    let rule = &course.criterion.rule;
    let (tolerated, passing) = wanted(course);
    let what = what(measure, rule, &course.criterion.metric, turns.is_empty());
    let axis = match measure {
        Measure::OddsRatio | Measure::OddsRatioBeyond(_) => Axis::Log,
        Measure::Share => Axis::Share,
        _ => Axis::Linear,
    };
    let band = |&(at, Effect { estimate, lower, upper, .. }): &(SystemTime, Effect)| Band {
        at,
        estimate,
        lower,
        upper,
    };
    let bands = effects.iter().map(band).collect();
    Some((Sequence { what, axis, bands, tolerated, passing }, turns))
}

/// What is tolerated of what was measured, and what passes.
fn wanted(course: &Course<'_>) -> (f64, Option<f64>) {
    let one = |bound: f64| (bound, Some(bound));
    let difference = |better, tolerated: f64, margin: f64| match better {
        // Adding zero turns -0 into 0.
        Better::Higher => (-tolerated + 0.0, Some(-tolerated - margin)),
        Better::Lower => (tolerated, Some(tolerated + margin)),
    };
    match course.criterion.rule {
        Rule::BurnRate(BurnRate { factor, .. }) => one(factor),
        Rule::Compare(Comparison { tolerated, margin, .. }) => (tolerated, Some(tolerated * (1.0 + margin))),
        Rule::CompareMeans(MeanComparison { tolerated, margin, better, cap, .. }) => {
            // The rule's are shares of the baseline's mean, as which the one so far is as good as any.
            let mean = baseline_mean(course.evidence, cap.unwrap_or(f64::INFINITY));
            mean.map_or((0.0, None), |mean| difference(better, tolerated * mean, margin * mean))
        }
        // What passes is in units of the baseline's median at a look.
        Rule::CompareRanks(_) => (0.0, None),
        Rule::CompareScores(ScoreComparison { tolerated, margin, better, .. }) => {
            difference(better, tolerated, margin)
        }
        Rule::Limit(Limit { statistic: Statistic::Quantile(q), bound, .. }) => one(match bound {
            Bound::AtMost(_) => 1.0 - q,
            Bound::AtLeast(_) => q,
        }),
        Rule::Limit(Limit { bound, .. }) | Rule::Readings(Readings { bound, .. }) => one(bound.value()),
    }
}

/// The mean of the baseline's values, or of its windows' means where values are not known.
fn baseline_mean(evidence: &Evidence, cap: f64) -> Option<f64> {
    let baselines = evidence.windows().filter_map(|(_, pair)| pair.baseline.as_ref()?.observed());
    let mut values = Vec::new();
    for baseline in baselines {
        match &*baseline.overall() {
            Observation::Values(more) => values.extend(more.iter().map(|value| value.min(cap))),
            Observation::Total { sum, count } if *count > 0 => values.push(sum / *count as f64),
            _ => {}
        }
    }
    // Dividing first keeps the greatest values from overflowing.
    let count = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|value| value / count).sum())
}

fn what(measure: Measure, rule: &Rule, metric: &Metric, is_one: bool) -> String {
    let unit = if metric.as_str() == Metric::LATENCY { " s" } else { "" };
    let in_unit = |name: &str| if unit.is_empty() { name.to_owned() } else { format!("{name} in{unit}") };
    let of_hits = !matches!(rule, Rule::Compare(Comparison { better: Better::Higher, .. }));
    match (measure, rule) {
        (Measure::BurnRate, _) => "burn rate".to_owned(),
        (Measure::Difference, _) => in_unit("difference of means"),
        (Measure::Mean, Rule::Readings(_)) => in_unit("reading"),
        (Measure::Mean, _) => in_unit("mean"),
        (Measure::OddsRatio, _) if of_hits => "odds ratio".to_owned(),
        (Measure::OddsRatio, _) => "odds ratio of misses".to_owned(),
        (Measure::OddsRatioBeyond(edge), _) if is_one => {
            format!("odds ratio beyond {}{unit}", words::number(edge))
        }
        (Measure::OddsRatioBeyond(_), _) => "odds ratio, worst edge".to_owned(),
        (Measure::Share, Rule::Limit(Limit { statistic: Statistic::Quantile(_), bound, .. })) => {
            format!("share beyond {}{unit}", words::number(bound.value()))
        }
        (Measure::Share, _) => "share".to_owned(),
        (Measure::Shift, _) => in_unit("shift"),
    }
}
