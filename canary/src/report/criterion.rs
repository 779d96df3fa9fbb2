//! A criterion in words, what was counted for it, and the windows that said nothing.

use std::{collections::BTreeMap, time::SystemTime};

use maud::{Markup, html};
use tidegate_metrics::{
    Bound, BurnRate, Comparison, Criterion, Importance, Judgement, Limit, MeanComparison, Metric,
    RankComparison, Readings, Rule, ScoreComparison, Statistic, Tally,
    plot::{Gap, calendar},
};

use super::words;

/// `at most 5%`, `95th percentile at most 5 s`, `against stable`.
pub(super) fn brief(criterion: &Criterion) -> String {
    let unit = if criterion.metric.as_str() == Metric::LATENCY { " s" } else { "" };
    match &criterion.rule {
        Rule::BurnRate(BurnRate { objective, factor, .. }) => {
            let (factor, allowed) = (words::number(*factor), words::percent(1.0 - objective));
            format!("under {factor} times {allowed}")
        }
        Rule::Limit(Limit { statistic, bound, .. }) => match statistic {
            Statistic::Share => bounded(*bound, words::percent),
            Statistic::Mean => format!("mean {}{unit}", bounded(*bound, words::number)),
            Statistic::Quantile(q) => {
                format!("p{} {}{unit}", words::number(q * 100.0), bounded(*bound, words::number))
            }
            _ => bounded(*bound, words::number),
        },
        Rule::Readings(Readings { bound, .. }) => format!("{}{unit}", bounded(*bound, words::number)),
        _ => "against stable".to_owned(),
    }
}

fn bounded(bound: Bound, say: fn(f64) -> String) -> String {
    let word = match bound {
        Bound::AtMost(_) => "at most",
        Bound::AtLeast(_) => "at least",
    };
    format!("{word} {}", say(bound.value()))
}

/// What decides, in a few words.
pub(super) fn rule(criterion: &Criterion) -> String {
    let mut text = match &criterion.rule {
        Rule::BurnRate(BurnRate { factor, long, short, .. }) => {
            let (long, short) = (words::duration(*long), words::duration(*short));
            format!(
                "Fails once bad requests come {}× as fast as allowed over {long} and over {short}. {HEURISTIC}",
                words::number(*factor)
            )
        }
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
        Rule::CompareMeans(MeanComparison { alpha, beta, tolerated, margin, .. }) => {
            let (tolerated, worst) = (words::percent(*tolerated), words::percent(tolerated + margin));
            let chances = chances(*alpha, *beta);
            format!(
                "Fails on a mean that is worse than stable’s by more than {tolerated}, passes on one that is worse by \
                 less than {worst}. {chances} This holds the better the more values there are."
            )
        }
        Rule::CompareRanks(RankComparison { alpha, beta, windows, looks, margin, .. }) => {
            let (margin, chances) = (words::percent(*margin), chances(*alpha, *beta));
            let looks = words::counted(*looks as usize, "look");
            format!(
                "Fails on worse values than stable’s, passes where they are worse by less than {margin} of stable’s \
                 median, at {looks} {windows} windows apart. {chances}"
            )
        }
        Rule::CompareScores(ScoreComparison { alpha, beta, tolerated, margin, .. }) => {
            let (tolerated, worst) = (words::number(*tolerated), words::number(tolerated + margin));
            let chances = chances(*alpha, *beta);
            format!(
                "Fails on a mean that is worse than stable’s by more than {tolerated}, passes on one that is worse by \
                 less than {worst}. {chances}"
            )
        }
        Rule::Limit(Limit { statistic: Statistic::Mean, min_samples, .. }) => {
            format!("The mean decides, from {} values on. {HEURISTIC}", words::count(*min_samples))
        }
        Rule::Limit(Limit { alpha, beta, min_samples, .. }) => {
            let (count, chances) = (words::count(*min_samples), chances(*alpha, *beta));
            format!("Fails when that is broken, passes when it is kept, from {count} requests on. {chances}")
        }
        Rule::Readings(Readings { breaches, of, .. }) => {
            format!("Fails once {breaches} of the last {of} readings break that. {HEURISTIC}")
        }
        _ => String::new(),
    };
    if criterion.importance == Importance::Advisory {
        text.push_str(" It is shown and decides nothing.");
    }
    text
}

const HEURISTIC: &str = "No error bound stands behind it.";

fn chances(alpha: f64, beta: f64) -> String {
    let (alpha, beta) = (words::percent(alpha), words::percent(beta));
    if alpha == beta {
        format!("Either is wrong at most {alpha} of the time.")
    } else {
        format!("They are wrong at most {alpha} and {beta} of the time.")
    }
}

/// What was counted on the `judged` side and on the one it is compared with, as a table of two rows at most.
pub(super) fn counts(judged: &str, criterion: &Criterion, judgement: &Judgement) -> Markup {
    let (hits, trials) = match &criterion.rule {
        Rule::Limit(Limit { statistic: Statistic::Quantile(_), .. }) => ("beyond", "values"),
        Rule::CompareMeans(_) | Rule::CompareRanks(_) | Rule::CompareScores(_) => ("", "values"),
        Rule::Limit(Limit { statistic: Statistic::Mean, .. }) => ("", "values"),
        Rule::Readings(_) => ("broken", "readings"),
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
            (side(judged, judgement.candidate))
            @if let Some(baseline) = judgement.baseline { (side("stable", baseline)) }
        }
    }
}

/// Why windows were no evidence: each reason once, with how often and from when to when.
pub(super) fn reasons(gaps: &[Gap]) -> Markup {
    const MOST: usize = 4;
    let mut reasons: BTreeMap<&str, (usize, SystemTime, SystemTime)> = BTreeMap::new();
    for Gap { window, reason } in gaps {
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
