//! A criterion's course in a line of little bars.

use tidegate::metrics::{Effect, Judgement, Measure, Tally, plot::words};

/// What one window has shown of a criterion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Point {
    Mean(f64),
    Share(f64),
}

impl Point {
    /// Of the judgement of one window alone.
    pub(super) fn of(judgement: &Judgement) -> Option<Self> {
        let Tally { hits, trials } = judgement.candidate;
        match judgement.effect {
            Some(Effect { measure: Measure::Mean, estimate, .. }) => estimate.map(Self::Mean),
            _ if trials == 0 => None,
            _ => Some(Self::Share(hits as f64 / trials as f64)),
        }
    }

    const fn value(self) -> f64 {
        match self {
            Self::Mean(value) | Self::Share(value) => value,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Mean(value) => words::number(value),
            Self::Share(value) => words::percent(value),
        }
    }
}

/// `▁▁▃▁·█  2.1% in the newest window, 0% to 2.1% in these`: from the least to the greatest; a dot is a window without
/// anything.
pub(super) fn spark(points: &[Option<Point>]) -> Option<String> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let by_value = |a: &&Point, b: &&Point| a.value().total_cmp(&b.value());
    let (least, greatest) =
        (points.iter().flatten().min_by(by_value)?, points.iter().flatten().max_by(by_value)?);
    let range = greatest.value() - least.value();
    let bar = |point: &Option<Point>| match point {
        None => '·',
        Some(point) if range > 0.0 => {
            BARS[((point.value() - least.value()) / range * 7.0).round().clamp(0.0, 7.0) as usize]
        }
        Some(_) => BARS[0],
    };
    let bars: String = points.iter().map(bar).collect();
    let newest = match points.last()? {
        Some(newest) => newest.words(),
        None => "nothing".to_owned(),
    };
    Some(format!("{bars}  {newest} in the newest window, {} to {} in these", least.words(), greatest.words()))
}
