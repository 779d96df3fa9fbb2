//! A criterion, and what the evidence says of it.

use console::Style;
use tidegate::{
    canary::report,
    metrics::{Criterion, Importance, Judgement, Verdict},
};

use super::Paper;
use crate::words::plain;

/// The columns that names of metrics get.
pub(crate) fn widest(criteria: &[Criterion]) -> usize {
    let widths = criteria.iter().map(|criterion| criterion.metric.as_str().chars().count());
    widths.max().unwrap_or(0).min(20)
}

/// What it asks for and whether it holds, and below it the numbers. Names have `width` columns.
pub(crate) fn criterion(
    criterion: &Criterion,
    judgement: &Judgement,
    width: usize,
    paper: Paper,
) -> Vec<String> {
    let (mark, style) = match judgement.verdict {
        Verdict::Pass => ("✓", Style::new().green()),
        Verdict::Fail => ("✗", Style::new().red().bold()),
        Verdict::Inconclusive => ("?", Style::new().yellow()),
    };
    let advisory = if judgement.importance == Importance::Advisory { ", shown only" } else { "" };
    let name = plain(criterion.metric.as_str());
    let demand = plain(&report::demand(criterion));
    let asked = format!("{name:<width$}  {demand}: {}{advisory}", judgement.verdict);
    let asked = console::truncate_str(&asked, paper.width - 4, "…").into_owned();
    let mut lines = vec![format!("  {} {asked}", paper.paint(mark, style))];
    let counted = paper.wrapped(&numbers(judgement), 6);
    lines.extend(counted.iter().map(|line| paper.paint(line, Style::new().dim())));
    lines
}

/// The numbers of a judgement, without what stands before them already.
fn numbers(judgement: &Judgement) -> String {
    let said = plain(&judgement.to_string());
    let said = said.strip_prefix(judgement.metric.as_str()).unwrap_or(&said);
    let said = said.trim_start_matches([' ', ':', ',']);
    let verdict = judgement.verdict.to_string();
    let end = format!(": {verdict}");
    match said.split_once(&end) {
        Some((before, after)) => format!("{before}{after}"),
        None => said.strip_prefix(verdict.as_str()).unwrap_or(said).trim_start().to_owned(),
    }
}
