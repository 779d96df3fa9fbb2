//! What was found, as one HTML page.

use std::fmt::Write as _;

use super::{
    Drift, FeatureDrift,
    picture::{BEFORE, NOW, escaped},
};
use crate::{Evidence, Verdict};

const STYLE: &str = include_str!("page.css");

impl Drift {
    /// As one HTML page for people: the features, first the one that takes the most of its limit, each with why it has
    /// its verdict, its numbers and its pictures. `reference` and `current` say what was compared.
    ///
    /// The page needs nothing but itself: no script, no link, no font, and it is for light and dark screens. Names are
    /// text to it, never markup. The same findings give the same bytes.
    ///
    /// ```
    /// # use tidegate_validation::drift::{DriftGate, Summary};
    /// let drift = DriftGate::default().compare_summaries(&Summary::default(), &Summary::default(), &Default::default());
    /// assert!(drift.html("train.csv", "today.csv").starts_with("<!DOCTYPE html>"));
    /// ```
    #[must_use]
    pub fn html(&self, reference: &str, current: &str) -> String {
        let (reference, current) = (escaped(reference), escaped(current));
        let word = self.verdict().word();
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Drift: {current}</title><style>{STYLE}</style></head><body>\
             <header><h1>{} <span class=\"badge {word}\">{word}</span></h1>\
             <dl class=\"facts\"><div><dt><i style=\"background:{BEFORE}\"></i>reference</dt><dd><bdi>{reference}</bdi></dd></div>\
             <div><dt><i style=\"background:{NOW}\"></i>current</dt><dd><bdi>{current}</bdi></dd></div></dl></header><main>",
            self.headline(),
        );
        self.table(&mut page);
        for (at, feature) in self.by_effect().into_iter().enumerate() {
            feature.article(at, &mut page);
        }
        page.push_str("</main></body></html>\n");
        page
    }

    /// How many features have drifted, in words.
    #[must_use]
    pub fn headline(&self) -> String {
        let count =
            |is: fn(&Verdict) -> bool| self.features.iter().filter(|feature| is(&feature.verdict)).count();
        let all = self.features.len();
        let drifted = count(|verdict| *verdict == Verdict::Fail);
        let unknown = count(|verdict| matches!(verdict, Verdict::Inconclusive(_)));
        let features = if all == 1 { "feature" } else { "features" };
        let mut headline = match (all, drifted) {
            (0, _) => return "Nothing was compared".to_owned(),
            (_, 0) => format!("None of {all} {features} is known to have drifted"),
            (_, 1) => format!("1 of {all} {features} has drifted"),
            _ => format!("{drifted} of {all} {features} have drifted"),
        };
        match unknown {
            0 => {}
            _ => _ = write!(headline, ", {unknown} undecided"),
        }
        headline
    }

    fn table(&self, page: &mut String) {
        page.push_str(
            "<section class=\"wide\"><table><thead><tr><th>feature</th><th>verdict</th><th>measured</th>\
             <th class=\"n\">effect</th><th class=\"n\">limit</th><th class=\"n\">p</th></tr></thead><tbody>",
        );
        for (at, feature) in self.by_effect().into_iter().enumerate() {
            let (name, word) = (escaped(&feature.name), feature.verdict.word());
            let _ = write!(
                page,
                "<tr><th scope=\"row\"><a href=\"#f{at}\"><bdi>{name}</bdi></a></th><td><span class=\"badge {word}\">{word}</span></td>"
            );
            match feature.foremost() {
                Some(evidence) => row(evidence, page),
                None => page.push_str("<td>nothing</td><td></td><td></td><td></td>"),
            }
            page.push_str("</tr>");
        }
        page.push_str("</tbody></table></section>");
    }
}

impl FeatureDrift {
    fn article(&self, at: usize, page: &mut String) {
        let (name, word) = (escaped(&self.name), self.verdict.word());
        let _ = write!(
            page,
            "<article id=\"f{at}\"><h2><bdi>{name}</bdi> <span class=\"badge {word}\">{word}</span></h2><p class=\"why {word}\">{}</p>",
            escaped(&self.why())
        );
        if let Some(comparison) = &self.comparison {
            let ((n, m), (lost, gone)) = (comparison.counts, comparison.missing);
            let _ = write!(
                page,
                "<dl class=\"facts\"><div><dt>values</dt><dd>{n} and {m}</dd></div><div><dt>rows without</dt><dd>{lost} and {gone}</dd></div></dl>\
                 <figure>{}</figure>",
                comparison.svg()
            );
        }
        if !self.evidence.is_empty() {
            page.push_str(
                "<table><thead><tr><th>measured</th><th class=\"n\">effect</th><th class=\"n\">limit</th>\
                 <th class=\"n\">p</th></tr></thead><tbody>",
            );
            for evidence in &self.evidence {
                page.push_str("<tr>");
                row(evidence, page);
                page.push_str("</tr>");
            }
            page.push_str("</tbody></table>");
        }
        page.push_str("</article>");
    }
}

fn row(evidence: &Evidence, page: &mut String) {
    let p = match evidence.p {
        Some(p) if p < 0.001 => "&lt; 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
        None => String::new(),
    };
    let class = if evidence.estimate > evidence.threshold { "n beyond" } else { "n" };
    let _ = write!(
        page,
        "<td>{}</td><td class=\"{class}\">{:.3}</td><td class=\"n\">{}</td><td class=\"n\">{p}</td>",
        escaped(&evidence.measure),
        evidence.estimate,
        evidence.threshold,
    );
}
