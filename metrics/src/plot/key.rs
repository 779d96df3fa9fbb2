//! How to read the pictures.

use maud::{Markup, html};

use super::chart::{Mark, mark, rule};

/// What stands for what in the pictures. For a page, once for any number of them.
#[must_use]
pub fn legend() -> Markup {
    html! {
        ul.legend {
            @for (sample, name) in of_evidence().into_iter().chain([of_confidence(), of_levels()]) {
                li { svg.key width="26" height="12" aria-hidden="true" { (sample) } (name) }
            }
            li { i.swatch.hatched {} "no evidence" }
        }
    }
}

/// What evidence and confidence sequences are, for the readers of a page.
#[must_use]
pub fn primer() -> Markup {
    html! {
        details {
            summary { "How to read the evidence" }
            p {
                "Evidence is an e-value: by how much the observations so far have multiplied a bet against a "
                "hypothesis. Evidence for worse is a bet against “the candidate is no worse than tolerated”, evidence for "
                "good one against “the candidate is worse than the margin or the limit allows”. While its hypothesis is "
                "true, a bet is unlikely to grow: the chance that it ever reaches 20 is at most 1 in 20, however often one "
                "looks (Ville 1939). So the first crossing of a dashed line decides, and later observations do not take it "
                "back. A window without data is no evidence, neither for nor against."
            }
            p {
                "The band is what the observations so far leave open of the difference, or of what is limited: its edges "
                "hold at all looks together, with the same chances of error. So it is wide at first and narrows. Where it "
                "lies wholly on the bad side of what is tolerated, the candidate is worse; where it lies wholly on the "
                "good side of what passes, it is good. A line without a band is a number that no chance of error stands "
                "behind."
            }
        }
    }
}

/// Samples, 26 wide and 12 high, with what they stand for.
pub(super) fn of_evidence() -> [(Markup, &'static str); 2] {
    let side =
        |class: &str, x, shape| html! { (across(&format!("line {class}"))) (mark(class, x, 6.0, shape)) };
    [
        (side("worse", 20.0, Mark::Diamond), "evidence for worse"),
        (side("good", 20.0, Mark::Disc), "evidence for good"),
    ]
}

pub(super) fn of_confidence() -> (Markup, &'static str) {
    let sample = html! { rect.band.surely x="0" y="0" width="26" height="12" {} (across("line estimate")) };
    (sample, "estimate and its bounds")
}

pub(super) fn of_levels() -> (Markup, &'static str) {
    (across("level either"), "what it takes")
}

pub(super) fn of_gaps() -> (Markup, &'static str) {
    (html! { rect.hatched x="0" y="0" width="26" height="12" {} }, "no evidence")
}

fn across(class: &str) -> Markup {
    rule(class, (0.0, 6.0), (26.0, 6.0))
}
