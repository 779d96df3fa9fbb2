//! What was judged of each criterion, with its pictures.

use maud::{Markup, html};
use tidegate_metrics::{
    Criterion, Evidence, judge,
    plot::{self, TimeAxis},
};

use super::{criterion, words};

/// A section with a card for each criterion on `side`. The pictures of all share one time axis.
pub(super) fn section(name: &str, side: &str, criteria: &[Criterion], evidence: &[Evidence]) -> Markup {
    html! {
        section {
            h3 { (name) }
            @if let Some(time) = TimeAxis::of(evidence) {
                (plot::legend())
                div.cards {
                    @for (criterion, evidence) in criteria.iter().zip(evidence) { (card(side, criterion, evidence, time)) }
                }
            } @else {
                p.muted { "No window was observed." }
            }
        }
    }
}

fn card(side: &str, criterion: &Criterion, evidence: &Evidence, time: TimeAxis) -> Markup {
    let judgement = judge(criterion, evidence);
    let picture = plot::judged(criterion, evidence, time);
    html! {
        // Five children, each a row of the grid, so that neighbours line up.
        figure.card {
            figcaption {
                h4 {
                    bdi { (words::clip(&criterion.metric, 60)) } " " span.muted { (criterion::brief(criterion)) }
                    span.badge.(judgement.verdict) { (judgement.verdict) }
                }
                p.rule.muted { (criterion::rule(criterion)) }
            }
            div { (picture) }
            (criterion::counts(side, criterion, &judgement))
            p.judgement { bdi { (words::clip(&judgement, 600)) } }
            div { (criterion::reasons(picture.gaps())) }
        }
    }
}
