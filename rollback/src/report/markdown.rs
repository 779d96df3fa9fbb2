//! The text.

use std::fmt::Write as _;

use tidegate_canary::{
    metrics::plot::{
        calendar,
        words::{clip, duration},
    },
    report::demand,
};

use super::{
    page::{NAME, TEXT, sentence},
    proof::Proof,
    story::Story,
    tell,
};

pub(super) fn text(story: &Story<'_>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, story);
    text
}

fn write(out: &mut String, story: &Story<'_>) -> std::fmt::Result {
    let outcome = &story.outcome;
    writeln!(out, "# {}\n", name(story.title()))?;
    writeln!(out, "**{}** – {}\n", sentence(outcome.word), quoted(&outcome.text, 2 * TEXT))?;
    writeln!(out, "| | |\n|---|---|")?;
    for (what, value) in story.facts() {
        writeln!(out, "| {what} | {} |", name(value))?;
    }
    writeln!(out, "\nAll times are UTC; those with a sign are counted from when {}.\n", story.counted)?;
    if !story.to_do.is_empty() {
        writeln!(out, "## What to do now\n")?;
        for what in &story.to_do {
            writeln!(out, "- [ ] {}", quoted(&sentence(what), TEXT))?;
        }
        writeln!(out)?;
    }
    length(out, story)?;
    happened(out, story)?;
    seen(out, story)?;
    choice(out, story)?;
    out.push_str(FOR_PEOPLE);
    Ok(())
}

/// What no journal knows. It asks for causes and changes, not for whose fault it was.
const FOR_PEOPLE: &str = "\
## Who was affected

_How many users, how badly, for how long?_

## Root cause

_What made it possible, and why did nothing before production show it? Systems and circumstances, not people._

## What went well, and where we were lucky

_What should stay as it is?_

## What we change

| What | Who | Until when |
|---|---|---|
| | | |
";

fn length(out: &mut String, story: &Story<'_>) -> std::fmt::Result {
    if story.milestones.is_empty() {
        return Ok(());
    }
    writeln!(out, "## How long it took\n\n| | UTC | | Since the line before |\n|---|---|---|---|")?;
    for (milestone, took) in story.steps() {
        let took = took.map(duration).unwrap_or_default();
        let (at, offset) = (calendar::clock(milestone.at), story.offset(milestone.at));
        writeln!(out, "| {} | {at} | {offset} | {took} |", milestone.what)?;
    }
    writeln!(out)
}

fn happened(out: &mut String, story: &Story<'_>) -> std::fmt::Result {
    writeln!(out, "## What happened\n")?;
    let mut day = String::new();
    for (n, moment) in story.moments.iter().enumerate() {
        let date = calendar::date(moment.at);
        if date != day {
            writeln!(
                out,
                "{}**{date}**\n\n| UTC | | Who | What |\n|---|---|---|---|",
                if day.is_empty() { "" } else { "\n" }
            )?;
            day = date;
        }
        if let Some((_, over)) = story.left_out.filter(|(from, _)| *from == n) {
            writeln!(out, "| | | | … {over} more are left out here … |")?;
        }
        let (at, offset) = (calendar::clock(moment.at), story.offset(moment.at));
        writeln!(out, "| {at} | {offset} | {} | {} |", name(&moment.who), quoted(&moment.what, TEXT))?;
    }
    writeln!(out)
}

fn seen(out: &mut String, story: &Story<'_>) -> std::fmt::Result {
    if let Some(alarm) = &story.alarm {
        writeln!(out, "## What was seen\n")?;
        for why in alarm.why.iter().take(20) {
            writeln!(out, "- Why: {}", quoted(why, TEXT))?;
        }
        if let Some(began) = alarm.onset {
            let (at, offset) = (calendar::clock(began), story.offset(began));
            let or = if alarm.perhaps_earlier { ", or one before those in the journal" } else { "" };
            writeln!(out, "- The first window that was bad began at {at} ({offset}){or}.")?;
        }
        writeln!(out)?;
        if let Some(proof) = &alarm.proof {
            windows(out, proof)?;
        }
    }
    if let Some(recovery) = &story.recovery {
        writeln!(out, "## Whether going back helped\n")?;
        for judgement in &recovery.judgements {
            writeln!(out, "- The target: {}", quoted(&judgement.to_string(), TEXT))?;
        }
        writeln!(out)?;
        windows(out, recovery)?;
    }
    Ok(())
}

fn windows(out: &mut String, proof: &Proof<'_>) -> std::fmt::Result {
    write!(out, "| Window |")?;
    for criterion in proof.criteria {
        write!(out, " {} ({}) |", name(&criterion.metric), name(demand(criterion)))?;
    }
    writeln!(out, "\n|---|{}", "---|".repeat(proof.criteria.len()))?;
    for (window, seen) in proof.newest() {
        write!(out, "| {} – {} |", calendar::clock(window.start()), calendar::clock(window.end()))?;
        for (criterion, seen) in proof.criteria.iter().zip(seen) {
            write!(out, " {} |", name(tell::measured(criterion, *window, seen)))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn choice(out: &mut String, story: &Story<'_>) -> std::fmt::Result {
    let Some(choosing) = &story.choosing else { return Ok(()) };
    writeln!(out, "## {}\n\n{}\n", choosing.title, quoted(&choosing.asked, TEXT))?;
    writeln!(out, "| Version | In service since | By | Settled | Why |\n|---|---|---|---|---|")?;
    for version in choosing.shown() {
        let model = name(&version.model);
        let model = if version.chosen { format!("**{model}**") } else { model };
        let since = format!("{} {}", calendar::date(version.put), calendar::clock(version.put));
        let settled = if version.settled { "yes" } else { "no" };
        let (by, why) = (name(&version.by), quoted(&version.why, TEXT));
        writeln!(out, "| {model} | {since} | {by} | {settled} | {why} |")?;
    }
    writeln!(out)
}

fn name(text: impl std::fmt::Display) -> String {
    quoted(&text.to_string(), NAME)
}

/// Text from outside as text: no markup, no line of its own, no cell of its own, and at most so many characters of it.
/// What some make links or mentions of is code.
fn quoted(text: &str, most: usize) -> String {
    let text = clip(text, most);
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let lower = word.to_lowercase();
    if !["@", "://", "www.", "mailto:", "xmpp:"].iter().any(|sign| lower.contains(sign)) {
        return escaped(word);
    }
    if word.contains(['<', '>', '`']) {
        return escaped(word).replace(':', "\\:").replace('.', "\\.").replace('@', "@\u{2060}");
    }
    let inside = word.trim_end_matches([',', ';', '.', ':', ')', '…']).trim_start_matches('(');
    let (before, after) = word.split_once(inside).unwrap_or(("", ""));
    // Even in code, `|` ends a cell.
    format!("{}`{}`{}", escaped(before), inside.replace('|', "\\|"), escaped(after))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(
            quoted("a|b\n<script> [x](https://evil) WWW.evil @ada (fraud@1.0.0), *x*", 100),
            "a\\|b &lt;script&gt; `[x](https://evil`) `WWW.evil` `@ada` (`fraud@1.0.0`), \\*x\\*"
        );
        assert_eq!(quoted("<a href=www.evil>@b`", 100), "&lt;a href=www\\.evil&gt;@\u{2060}b\\`");
        assert_eq!(quoted("xyz", 2), "xy…");
    }
}
