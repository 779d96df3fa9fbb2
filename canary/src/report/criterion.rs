//! A criterion in words, what was counted for it, and the windows that said nothing.

use std::{collections::BTreeMap, time::SystemTime};

use maud::{Markup, html};
use tidegate_metrics::{
    Bound, Comparison, Criterion, Evidence, Importance, Judgement, Limit, Metric, Rule, Statistic, Tally,
    Window, judge,
};

use super::{calendar, words};

/// `at most 5%`, `95th percentile at most 5 s`, `against stable`.
pub(super) fn brief(criterion: &Criterion) -> String {
    match &criterion.rule {
        Rule::Limit(Limit { statistic, bound, .. }) => {
            let (word, value) = match bound {
                Bound::AtMost(value) => ("at most", value),
                Bound::AtLeast(value) => ("at least", value),
            };
            let unit = if criterion.metric.as_str() == Metric::LATENCY { " s" } else { "" };
            match statistic {
                Statistic::Share => format!("{word} {}", words::percent(*value)),
                Statistic::Mean => format!("mean {word} {}{unit}", words::number(*value)),
                Statistic::Quantile(q) => {
                    format!("p{} {word} {}{unit}", words::number(q * 100.0), words::number(*value))
                }
                _ => word.to_owned(),
            }
        }
        _ => "against stable".to_owned(),
    }
}

/// What decides, in a few words.
pub(super) fn rule(criterion: &Criterion) -> String {
    let mut text = match &criterion.rule {
        Rule::Compare(Comparison { alpha, beta, tolerated, margin, negligible, .. }) => {
            let share = match negligible {
                0.0 => String::new(),
                share => format!(", or on a share below {}", words::percent(*share)),
            };
            let (tolerated, worst) = (words::number(*tolerated), words::number(tolerated * (1.0 + margin)));
            let chances = chances(*alpha, *beta);
            format!(
                "Fails on odds above {tolerated}× stable’s, passes on odds below {worst}×{share}. {chances}"
            )
        }
        Rule::Limit(Limit { statistic: Statistic::Mean, min_samples, .. }) => {
            let count = words::count(*min_samples);
            format!("The mean decides, from {count} values on. No error bound stands behind it.")
        }
        Rule::Limit(Limit { alpha, beta, min_samples, .. }) => {
            let (count, chances) = (words::count(*min_samples), chances(*alpha, *beta));
            format!("Fails when that is broken, passes when it is kept, from {count} requests on. {chances}")
        }
        _ => String::new(),
    };
    if criterion.importance == Importance::Advisory {
        text.push_str(" It is shown and decides nothing.");
    }
    text
}

fn chances(alpha: f64, beta: f64) -> String {
    let (alpha, beta) = (words::percent(alpha), words::percent(beta));
    if alpha == beta {
        format!("Either is wrong at most {alpha} of the time.")
    } else {
        format!("They are wrong at most {alpha} and {beta} of the time.")
    }
}

/// What was counted on each side, as a table of two rows at most.
pub(super) fn counts(criterion: &Criterion, judgement: &Judgement) -> Markup {
    let (hits, trials) = match &criterion.rule {
        Rule::Limit(Limit { statistic: Statistic::Quantile(_), .. }) => ("beyond", "values"),
        Rule::Limit(Limit { statistic: Statistic::Mean, .. }) => ("", "values"),
        _ => ("hits", "trials"),
    };
    let side = |name, Tally { hits: count, trials }| {
        html! {
            tr {
                th scope="row" { (name) }
                @if !hits.is_empty() {
                    td { (words::count(count)) }
                    td { @if trials > 0 { (words::percent(count as f64 / trials as f64)) } @else { "–" } }
                }
                td { (words::count(trials)) }
            }
        }
    };
    html! {
        table.counts {
            tr {
                td {}
                @if !hits.is_empty() { th scope="col" { (hits) } th scope="col" { "share" } }
                th scope="col" { (trials) }
            }
            (side("candidate", judgement.candidate))
            @if let Some(baseline) = judgement.baseline { (side("stable", baseline)) }
        }
    }
}

/// The windows that were no evidence, each with the reason.
pub(super) fn gaps(criterion: &Criterion, evidence: &Evidence) -> Vec<(Window, String)> {
    let gap = |(window, pair): (&Window, &tidegate_metrics::Pair)| {
        // The judge knows best what it cannot use, so it is asked about this window alone.
        let mut alone = Evidence::new();
        alone.add(*window, pair.candidate.clone(), pair.baseline.clone());
        let judgement = judge(criterion, &alone);
        let reason = judgement.reason.filter(|_| judgement.candidate.trials == 0)?;
        Some((*window, reason))
    };
    evidence.windows().filter_map(gap).collect()
}

/// Why windows were no evidence: each reason once, with how often and from when to when.
pub(super) fn reasons(gaps: &[(Window, String)]) -> Markup {
    const MOST: usize = 4;
    let mut reasons: BTreeMap<&str, (usize, SystemTime, SystemTime)> = BTreeMap::new();
    for (window, reason) in gaps {
        let (count, _, last) = reasons.entry(reason).or_insert_with(|| (0, window.start(), window.end()));
        *count += 1;
        *last = window.end();
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|&(_, (_, first, _))| first);
    html! {
        @if !reasons.is_empty() {
            ul.gaps {
                @for (reason, (count, first, last)) in reasons.iter().take(MOST) {
                    li {
                        i.swatch.hatched {}
                        span {
                            (words::counted(*count, "window")) " without evidence, "
                            (calendar::time_of_day(*first)) " to " (calendar::time_of_day(*last)) ": " bdi { (words::clip(reason, 200)) }
                        }
                    }
                }
                @if reasons.len() > MOST { li { "and " (words::counted(reasons.len() - MOST, "other reason")) } }
            }
        }
    }
}
