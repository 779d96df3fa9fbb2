//! A number with its bounds against what it is held to, as a picture.

use maud::{Markup, html};

use crate::{Evidence, Method, Unit, excerpt::excerpt};

/// Width of the picture, in its own units.
const WIDTH: f64 = 560.0;
/// Room on either side, for half of a label.
const MARGIN: f64 = 24.0;

/// Longest label for those who do not see it, in characters.
const SHOWN: usize = 300;

/// What the ends of the picture stand for.
struct Scale {
    low: f64,
    high: f64,
}

/// The bounds as a bar, the estimate as a dot and the threshold as a broken line. Nothing for numbers that cannot be drawn,
/// and for counts of all there is, which say what they say.
pub(super) fn picture(evidence: &Evidence, verdict: &str) -> Option<Markup> {
    let scale = Scale::of(evidence)?;
    // A side on which nothing can be said is open: the bar goes to the end.
    let lower = scale.x(evidence.lower.unwrap_or(scale.low));
    let upper = scale.x(evidence.upper.unwrap_or(scale.high));
    let (estimate, threshold) = (scale.x(evidence.estimate), scale.x(evidence.threshold));
    let open = |end: Option<f64>| if end.is_none() { " open" } else { "" };
    let label = excerpt(&format!("{evidence}, held against {}", number(evidence.threshold)), SHOWN);
    Some(html! {
        svg.scale.(verdict) role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " 58" } {
            line.axis x1=(MARGIN) y1="30" x2=(WIDTH - MARGIN) y2="30" {}
            @if evidence.lower.is_some() || evidence.upper.is_some() {
                rect class={ "bounds" (open(evidence.lower)) (open(evidence.upper)) } x=(fixed(lower)) y="24" width=(fixed((upper - lower).max(1.0))) height="12" rx="2" {}
            }
            line.level x1=(fixed(threshold)) y1="15" x2=(fixed(threshold)) y2="42" {}
            text.tick.strong.middle x=(fixed(threshold)) y="11" { (number(evidence.threshold)) }
            circle.dot cx=(fixed(estimate)) cy="30" r="4.5" {}
            text.tick.middle x=(MARGIN) y="54" { (number(scale.low)) }
            text.tick.middle x=(WIDTH - MARGIN) y="54" { (number(scale.high)) }
        }
    })
}

impl Scale {
    fn of(evidence: &Evidence) -> Option<Self> {
        if evidence.method == Method::Census && evidence.unit != Unit::Share {
            return None;
        }
        let known = [Some(evidence.estimate), Some(evidence.threshold), evidence.lower, evidence.upper];
        let known: Vec<f64> = known.into_iter().flatten().collect();
        if known.iter().any(|value| !value.is_finite() || value.abs() > 1e15) {
            return None;
        }
        let least = known.iter().copied().fold(f64::INFINITY, f64::min);
        let most = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(match evidence.unit {
            // To the next tenth with room, so that a floor near 1 can be told from what lies above it.
            Unit::Share => Self {
                low: ((least * 10.0 - 0.5).floor() / 10.0).clamp(0.0, 1.0).min(least),
                high: ((most * 10.0 + 0.5).ceil() / 10.0).clamp(0.0, 1.0).max(most),
            },
            Unit::Plain | Unit::Seconds => {
                let (least, most) = (least.min(0.0), most.max(0.0));
                let room = if most > least { (most - least) * 0.1 } else { 1.0 };
                Self { low: if least < 0.0 { least - room } else { 0.0 }, high: round_up(most + room) }
            }
        })
        .filter(|scale| scale.high > scale.low)
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        MARGIN + share.clamp(0.0, 1.0) * (WIDTH - 2.0 * MARGIN)
    }
}

/// The next number of two digits.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return value;
    }
    let unit = 10_f64.powf(value.log10().floor() - 1.0);
    (value / unit).ceil() * unit
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn fixed(value: f64) -> String {
    format!("{value:.1}")
}
