//! Reports as one HTML page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    projection::{Projection, Weight},
    scale,
};
use crate::{Case, Evidence, Figure, Finding, Issue, Outcome, Standing, Verdict, excerpt::excerpt};

const STYLE: &str = include_str!("style.css");
/// Longest text that is shown, in characters.
const SHOWN: usize = 1000;
/// Numbers, cases and issues of a check that are shown.
const LISTED: usize = 200;

impl Projection<'_> {
    /// As one HTML page: what it comes to, for each check its numbers as pictures of the bounds against what they are held to,
    /// and what was found, the worst first.
    ///
    /// The page needs nothing but itself: no script, no link, no font. It is for light and dark, narrow and wide, and
    /// paper. Everything in the report is text to it, never markup; a Content-Security-Policy that lets it load and run nothing keeps a mistake
    /// in that from mattering.
    #[must_use]
    pub fn html(&self) -> String {
        let title = excerpt(&self.title, SHOWN);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header.page {
                        h1 { bdi { (title) } (badge(if self.accepted { "pass" } else { self.class() }, &self.lead)) }
                        @if !self.facts.is_empty() {
                            dl.facts {
                                @for (name, value) in &self.facts { div { dt { (name) } dd { bdi { (excerpt(value, SHOWN)) } } } }
                            }
                        }
                    }
                    main {
                        (self.contents())
                        @if self.findings.is_empty() { p { "Nothing was checked, and that is no pass." } }
                        @for (n, (finding, weight)) in self.weighed().enumerate() { (article(n + 1, finding, weight)) }
                    }
                    footer.muted {
                        p { "A bar is where the number lies, at the confidence that stands beside it; the dot is what was measured, and the broken line what it is held against. "
                            "A bar that ends at the edge is open on that side." }
                    }
                }
            }
        };
        page.into_string()
    }

    fn class(&self) -> &'static str {
        let failed = self.findings.iter().any(|finding| finding.verdict == Verdict::Fail);
        if failed { "fail" } else { "inconclusive" }
    }

    fn contents(&self) -> Markup {
        html! {
            @if self.findings.len() > 1 {
                nav aria-label="Contents" {
                    @for (n, (finding, weight)) in self.weighed().enumerate() {
                        a href={ "#" (n + 1) } {
                            span.what { bdi { (excerpt(&finding.check, 100)) } " " span.muted { (excerpt(&finding.claim, 200)) } }
                            (badge(finding.verdict.word(), weight.word()))
                        }
                    }
                }
            }
        }
    }
}

fn badge(class: &str, word: &str) -> Markup {
    html! { span class={ "badge " (class) } { (word) } }
}

fn article(n: usize, finding: &Finding, weight: Weight) -> Markup {
    html! {
        article id=(n) {
            h2 { bdi { (excerpt(&finding.check, SHOWN)) } (badge(finding.verdict.word(), weight.word())) }
            p { bdi { (excerpt(&finding.claim, SHOWN)) } }
            @if let Verdict::Inconclusive(reason) = &finding.verdict {
                p.why { bdi { (excerpt(&reason.to_string(), SHOWN)) } }
            }
            @for note in &finding.notes { p.muted { "Note: " bdi { (excerpt(note, SHOWN)) } } }
            @for evidence in foremost(&finding.evidence) { (measured(evidence, finding.verdict.word())) }
            (more(finding.evidence.len()))
            (figures(&finding.figures))
            (issues(&finding.issues))
            (cases(&finding.cases))
        }
    }
}

/// All numbers in their order; of more than are shown those that are furthest beyond what they are held to.
fn foremost(evidence: &[Evidence]) -> Vec<&Evidence> {
    let mut shown: Vec<&Evidence> = evidence.iter().collect();
    if shown.len() > LISTED {
        shown.sort_by(|one, other| strain(other).total_cmp(&strain(one)));
        shown.truncate(LISTED);
    }
    shown
}

/// How many times its limit a number with a chance is; what has none comes first.
fn strain(evidence: &Evidence) -> f64 {
    match evidence.p {
        Some(_) if evidence.threshold > 0.0 => evidence.estimate / evidence.threshold,
        _ => f64::INFINITY,
    }
}

/// The pictures escape what they are told.
fn figures(figures: &[Figure]) -> Markup {
    html! {
        @if !figures.is_empty() {
            section {
                h3 { "What drifted most" }
                p.muted { "Grey is the reference, orange what there is now: the shares of values, and of numbers the distribution functions with D where they are furthest apart." }
                @for shown in figures.iter().take(Finding::MOST_FIGURES) {
                    figure { (PreEscaped(shown.picture.inline(&excerpt(&shown.title, 100)))) }
                }
            }
        }
    }
}

fn measured(evidence: &Evidence, verdict: &str) -> Markup {
    html! {
        figure {
            figcaption { bdi { (excerpt(&evidence.to_string(), SHOWN)) } }
            @if let Some(picture) = scale::picture(evidence, verdict) { (picture) }
        }
    }
}

fn issues(issues: &[Issue]) -> Markup {
    html! {
        @if !issues.is_empty() {
            section {
                h3 { "Issues" }
                ul.rows {
                    @for issue in issues.iter().take(LISTED) {
                        li {
                            span class={ "severity " (issue.severity.word()) } { (issue.severity.word()) }
                            div {
                                p {
                                    b { bdi { (excerpt(&issue.rule, SHOWN)) } }
                                    @if !issue.place().is_empty() { " " code { bdi { (excerpt(&issue.place(), SHOWN)) } } }
                                }
                                p { bdi { (excerpt(&issue.message, SHOWN)) } }
                                @if let Some(about) = &issue.about { p.muted { bdi { (excerpt(about, SHOWN)) } } }
                                @match &issue.standing {
                                    Standing::Open => {}
                                    Standing::Undecided => p.muted { "A person has to decide whether it is one." },
                                    Standing::Waived(why) => p.muted { "It does not count: " bdi { (excerpt(why, SHOWN)) } },
                                }
                            }
                        }
                    }
                }
                (more(issues.len()))
            }
        }
    }
}

/// Those that missed, then those without a result; those that hit can be unfolded.
fn cases(cases: &[Case]) -> Markup {
    let of = |outcome| cases.iter().filter(move |case| case.outcome == outcome);
    let (misses, unknown, hits) = (of(Outcome::Miss), of(Outcome::Unknown), of(Outcome::Hit));
    let told = misses.clone().count() + unknown.clone().count();
    let good = hits.clone().count();
    html! {
        @if told > 0 {
            section {
                h3 { "Cases that did not hit" }
                ul.rows { @for case in misses.chain(unknown).take(LISTED) { (one(case)) } }
                (more(told))
            }
        }
        @if good > 0 {
            details {
                summary { (good) @if good == 1 { " case hit" } @else { " cases hit" } }
                ul.rows { @for case in hits.take(LISTED) { (one(case)) } }
                (more(good))
            }
        }
    }
}

fn one(case: &Case) -> Markup {
    let (class, word) = match case.outcome {
        Outcome::Hit => ("none", "hit"),
        Outcome::Miss => ("critical", "missed"),
        Outcome::Unknown => ("low", "no result"),
    };
    html! {
        li {
            span class={ "severity " (class) } { (word) }
            div { p { bdi { (excerpt(&case.input, SHOWN)) } } p.muted { bdi { (excerpt(&case.detail, SHOWN)) } } }
        }
    }
}

fn more(all: usize) -> Markup {
    html! { @if let Some(more @ 1..) = all.checked_sub(LISTED) { p.muted { "and " (more) " more, which are in the report as JSON" } } }
}
