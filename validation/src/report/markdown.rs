//! Reports as Markdown.

use super::projection::{Projection, Weight};
use crate::{Case, Evidence, Finding, Outcome, Standing, Verdict, excerpt::excerpt};

/// Longest text of a line, in characters.
const SHOWN: usize = 500;
/// Cases and issues of a check that are listed.
const LISTED: usize = 50;
/// Bytes kept free for the line that says what is left out.
const RESERVED: usize = 200;

impl Projection<'_> {
    /// Bytes of the longest summary that GitHub takes from a step
    /// (<https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>).
    pub const STEP_SUMMARY: usize = 1 << 20;

    /// As Markdown of at most `longest` bytes: a table of the checks, and below it what did not pass, the first
    /// cases and issues of each. What there is no room for is left out from the end, and a line says so.
    #[must_use]
    pub fn markdown(&self, longest: usize) -> String {
        let mut page = Page { text: String::new(), room: longest.saturating_sub(RESERVED), left_out: 0 };
        page.add(&format!("## {}: {}\n\n", plain(&self.title), plain(&self.lead)));
        if !self.facts.is_empty() {
            let facts = self.facts.iter().map(|(name, value)| format!("{name} {}", code(value)));
            page.add(&format!("{}\n\n", facts.collect::<Vec<_>>().join(" · ")));
        }
        if self.findings.is_empty() {
            page.add("Nothing was checked, and that is no pass.\n\n");
        } else {
            page.add("| | check | verdict | what was measured |\n|---|---|---|---|\n");
            for (finding, weight) in self.weighed() {
                page.add(&row(finding, weight));
            }
            page.add("\n");
        }
        for (finding, weight) in self.weighed() {
            section(&mut page, finding, weight);
        }
        if page.left_out > 0 {
            page.text.push_str(&format!(
                "\n*{} lines are left out, since there is no room for them; they are in the report.*\n",
                page.left_out
            ));
        }
        page.text.truncate(longest.min(page.text.len()));
        page.text
    }
}

/// Text that takes pieces as long as there is room, and none after the first that did not fit.
struct Page {
    text: String,
    room: usize,
    left_out: usize,
}

impl Page {
    fn add(&mut self, piece: &str) {
        if self.left_out == 0 && self.text.len() + piece.len() <= self.room {
            self.text.push_str(piece);
        } else {
            self.left_out += 1;
        }
    }
}

fn row(finding: &Finding, weight: Weight) -> String {
    let sign = match weight {
        Weight::Passed => "✅",
        Weight::Allowed => "➖",
        Weight::Undecided => "❔",
        Weight::Failed => "❌",
    };
    let measured: Vec<_> = finding.evidence.iter().map(numbers).collect();
    format!("| {sign} | {} | {} | {} |\n", plain(&finding.check), weight.word(), measured.join("<br>"))
}

fn numbers(evidence: &Evidence) -> String {
    format!("{}, held against {}", plain(&evidence.to_string()), plain(&format!("{:.3}", evidence.threshold)))
}

fn section(page: &mut Page, finding: &Finding, weight: Weight) {
    let shown = |case: &&Case| case.outcome != Outcome::Hit;
    let mut cases: Vec<_> = finding.cases.iter().filter(shown).collect();
    cases.sort_by_key(|case| case.outcome == Outcome::Unknown);
    if weight == Weight::Passed && cases.is_empty() && finding.issues.is_empty() && finding.notes.is_empty() {
        return;
    }
    page.add(&format!("### {}: {}\n\n", plain(&finding.check), weight.word()));
    page.add(&format!("{}\n\n", paragraph(&finding.claim)));
    if let Verdict::Inconclusive(reason) = &finding.verdict {
        page.add(&format!("**{}**\n\n", plain(&reason.to_string())));
    }
    for note in &finding.notes {
        page.add(&format!("- note: {}\n", plain(note)));
    }
    for issue in finding.issues.iter().take(LISTED) {
        let said = match &issue.standing {
            Standing::Open => String::new(),
            Standing::Undecided => ", a person has to decide".to_owned(),
            Standing::Waived(why) => format!(", does not count: {}", plain(why)),
        };
        let place = match issue.place() {
            place if place.is_empty() => String::new(),
            place => format!(" in {}", code(&place)),
        };
        let (severity, rule, message) = (issue.severity, code(&issue.rule), code(&issue.message));
        page.add(&format!("- **{severity}** {rule}{place}: {message}{said}\n"));
    }
    more(page, finding.issues.len());
    for case in cases.iter().take(LISTED) {
        let word = if case.outcome == Outcome::Miss { "missed" } else { "without a result" };
        page.add(&format!("- {word}: {} → {}\n", code(&case.input), code(&case.detail)));
    }
    more(page, cases.len());
    page.add("\n");
}

fn more(page: &mut Page, all: usize) {
    if let Some(more @ 1..) = all.checked_sub(LISTED) {
        page.add(&format!("- and {more} more\n"));
    }
}

/// Text from outside inside of a line: whatever could be markup, a link, or a name that somebody would be told of, stands
/// there as the number of its character, which is never structure
/// (<https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references>).
fn plain(text: &str) -> String {
    let text = excerpt(text, SHOWN);
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let escaped = match c {
            '`' | '*' | '_' | '~' | '^' | '[' | ']' | '{' | '}' | '<' | '>' => true,
            '&' | '|' | '\\' | '@' | '#' | '$' | '!' | '"' => true,
            // `https://` and `:name:`, but not `name: value`.
            ':' => chars.peek().is_some_and(|next| *next != ' '),
            '.' => matches!(before, 'w' | 'W'),
            _ => false,
        };
        if escaped {
            shown.push_str(&number_of(c))
        } else {
            shown.push(c)
        }
        before = c;
    }
    shown
}

/// The same at the beginning of a line, where some more would begin a list or a heading.
fn paragraph(text: &str) -> String {
    let text = plain(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let lists = digits > 0 && text[digits..].starts_with(['.', ')']);
    match text.chars().next() {
        Some(first @ ('-' | '+' | '=')) => number_of(first) + &text[1..],
        Some(first) if lists => number_of(first) + &text[1..],
        _ => text,
    }
}

/// The same as code, where nobody is told of their name and nothing becomes a link.
fn code(text: &str) -> String {
    format!("<code>{}</code>", plain(text))
}

fn number_of(c: char) -> String {
    format!("&#{};", u32::from(c))
}
