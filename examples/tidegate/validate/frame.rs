//! What a person who waits for a verdict sees: a pure function of how the run stands and of the paper it is drawn on.

use std::time::Duration;

use console::Style;
use tidegate::validation::{Evidence, Money, Unit, Verdict};

use super::view::{Asks, Check, State, View};
use crate::{
    picture::Paper,
    words::{ago, count, plain},
};

/// Columns of an interval.
const SCALE: usize = 33;

/// Lines no wider than the paper, and no more than it has; `at` is the time since the beginning.
pub(super) fn frame(view: &View, at: Duration, paper: Paper) -> Vec<String> {
    let paper = paper.of_bearable_width();
    let mut lines = head(view, at, paper);
    let tail = spent(view, paper);
    let room = paper.height.map(|height| height.saturating_sub(lines.len() + tail.len() + 2));
    lines.push(String::new());
    lines.extend(checks(view, room.unwrap_or(usize::MAX), paper));
    lines.push(String::new());
    lines.extend(tail);
    if let Some(height) = paper.height {
        lines.truncate(height);
    }
    lines
}

/// One line about a check that is over, for those who have no terminal.
pub(super) fn line(name: &str, verdict: &Verdict, evidence: Option<&Evidence>) -> String {
    plain(format!("{:<12}  {name}  {}", verdict.word(), found(verdict, evidence)).trim_end())
}

/// What a check found, in numbers, or why it has none.
pub(super) fn found(verdict: &Verdict, evidence: Option<&Evidence>) -> String {
    match (verdict, evidence) {
        (Verdict::Inconclusive(reason), None) => reason.to_string(),
        (_, Some(evidence)) => evidence.to_string(),
        (_, None) => String::new(),
    }
}

fn head(view: &View, at: Duration, paper: Paper) -> Vec<String> {
    let mut about = vec![ago(at)];
    about.extend(view.left(at).map(|left| format!("about {} left at most", ago(left))));
    about.push(format!("ends within {}", ago(view.most.time.saturating_sub(at))));
    let mut lines =
        paper.beside(&plain(&view.title), Style::new().bold(), "VALIDATING", Style::new().bold().cyan());
    let about = paper.wrapped(&about.join(" · "), 0).into_iter();
    lines.extend(about.map(|line| paper.paint(&line, Style::new().dim())));
    let asked = console::truncate_str(&plain(&view.agent), paper.width, "…").into_owned();
    lines.push(paper.paint(&asked, Style::new().dim()));
    lines
}

/// The checks; of more than there is room for, those around the one that asks.
fn checks(view: &View, room: usize, paper: Paper) -> Vec<String> {
    let width = view.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0).min(24);
    let drawn: Vec<_> = view.checks.iter().map(|check| draw(check, width, paper)).collect();
    let asks = view.checks.iter().position(|check| !matches!(check.state, State::Over { .. }));
    let (mut first, mut last) = (0, drawn.len());
    let lines = |range: &[Vec<String>]| range.iter().map(Vec::len).sum::<usize>();
    while lines(&drawn[first..last]) > room && last - first > 1 {
        let asks = asks.unwrap_or(last);
        if asks.saturating_sub(first) > 1 || last - 1 <= asks { first += 1 } else { last -= 1 }
    }
    drawn[first..last].concat()
}

fn draw(check: &Check, width: usize, paper: Paper) -> Vec<String> {
    let name = console::truncate_str(&plain(&check.name), width, "…").into_owned();
    let titled = |mark: &str, style: Style, text: &str| {
        let text = format!("{name:<width$}  {text}");
        let text = console::truncate_str(&text, paper.width.saturating_sub(4), "…").into_owned();
        format!("  {} {}", paper.paint(mark, style), text.trim_end())
    };
    match &check.state {
        State::Waits => vec![titled("·", Style::new().dim(), "")],
        State::Asks(asks) => {
            let mut lines = vec![titled("▸", Style::new().cyan().bold(), &progress(asks))];
            lines.extend(asks.evidence.iter().flat_map(|evidence| numbers(evidence, width, paper)));
            lines
        }
        State::Over { verdict, claim, evidence } => {
            let (mark, style) = match verdict {
                Verdict::Pass => ("✓", Style::new().green()),
                Verdict::Fail => ("✗", Style::new().red().bold()),
                Verdict::Inconclusive(_) => ("?", Style::new().yellow()),
            };
            let mut lines = vec![titled(mark, style, &plain(claim))];
            match (verdict, evidence) {
                (_, Some(evidence)) => lines.extend(numbers(evidence, width, paper)),
                (Verdict::Inconclusive(reason), None) => {
                    lines.extend(paper.wrapped(&plain(&reason.to_string()), width + 6).into_iter().take(2));
                }
                _ => {}
            }
            lines
        }
    }
}

fn progress(asks: &Asks) -> String {
    match asks.trials {
        Some((made, of)) => format!("{made} of {}", count(of.try_into().unwrap_or(usize::MAX), "trial")),
        None if asks.cost.calls > 0 => format!("{} of at most {} calls", asks.calls, asks.cost.calls),
        None => "reads".to_owned(),
    }
}

/// The interval against what it is held against, and in numbers.
fn numbers(evidence: &Evidence, indent: usize, paper: Paper) -> Vec<String> {
    let pad = " ".repeat(indent + 6);
    // What is measured, the line above says.
    let text = plain(&evidence.to_string());
    let text = text.strip_prefix(plain(&evidence.measure).as_str()).unwrap_or(&text).trim_start();
    let text = console::truncate_str(text, paper.width - indent - 6, "…").into_owned();
    let mut lines = Vec::new();
    let scale = SCALE.min(paper.width.saturating_sub(indent + 6 + 14));
    // Narrower, nobody could tell where anything lies.
    if evidence.unit == Unit::Share && scale >= 10 {
        let floor = format!("  least {}", evidence.threshold);
        lines.push(format!("{pad}{}{}", interval(evidence, scale), paper.paint(&floor, Style::new().dim())));
    }
    lines.push(format!("{pad}{}", paper.paint(&text, Style::new().dim())));
    lines
}

/// A share from 0 to 1: `·····┃──●───·`, where the bar is what it is held against; `◉` is both.
fn interval(evidence: &Evidence, width: usize) -> String {
    let place = |share: f64| (share.clamp(0.0, 1.0) * (width - 1) as f64).round() as usize;
    let (low, high) = (place(evidence.lower.unwrap_or(0.0)), place(evidence.upper.unwrap_or(1.0)));
    let (estimate, floor) = (place(evidence.estimate), place(evidence.threshold));
    let column = |at: usize| match at {
        _ if at == floor && at == estimate => '◉',
        _ if at == floor => '┃',
        _ if at == estimate => '●',
        _ if (low..=high).contains(&at) => '─',
        _ => '·',
    };
    (0..width).map(column).collect()
}

/// What was taken, of what may be.
fn spent(view: &View, paper: Paper) -> Vec<String> {
    let (spent, most) = (view.spent, &view.most);
    let calls = most.budget.map_or(most.calls, |budget| budget.min(most.calls));
    let mut parts = vec![format!("{} of at most {calls} calls", spent.calls)];
    parts.push(match most.tokens {
        Some(tokens) => format!("{} of {tokens} tokens", spent.tokens),
        None => format!("{} tokens", spent.tokens),
    });
    match most.money {
        Some(money) => parts.push(format!("{} of {money} of money", spent.money)),
        None if spent.money != Money::ZERO => {
            parts.push(format!("{} of money", spent.money));
        }
        None => {}
    }
    paper.wrapped(&parts.join(" · "), 2)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tidegate::{
        registry::{Content, Draft, InMemory, ModelStore as _, Stamp},
        validation::{
            FnAgent, Reply, Run, Subject, Suite,
            checks::{AnswerCase, Answers, Cases, Integrity},
            dataset::Dataset,
        },
    };

    use super::*;
    use crate::validate::view::Most;

    /// How a real run stood after `events`, one of which came every 50 ms.
    fn after(events: usize) -> View {
        let line = |n: usize| {
            format!("{{\"input\": \"{n}\", \"target\": \"{n}\", \"assert\": [{{\"kind\": \"number\"}}]}}\n")
        };
        let lines: String = (0..200).map(line).collect();
        let dataset = Dataset::from_bytes("numbers", lines, &Default::default()).unwrap();
        let case = AnswerCase { input: "7".to_owned(), target: "7".to_owned() };
        let suite = Suite::new("s")
            .with(Integrity::default())
            .with(Cases { name: "numbers".to_owned(), ..Cases::new(dataset) })
            .with(Answers { name: "facts".to_owned(), cases: vec![case], ..Answers::default() });
        let agent = FnAgent::new("model at http://127.0.0.1:8000/v1", |request| {
            let number: u32 = request.prompt().parse().unwrap();
            let text = if number % 7 == 3 { "no idea".to_owned() } else { number.to_string() };
            async move { Ok(Reply::text(text).with_usage(9, 3)) }
        });
        let most = Most {
            time: Duration::from_secs(900),
            calls: 201,
            budget: Some(150),
            tokens: Some(20_000),
            money: Some("2.50".parse().unwrap()),
        };
        let title = "support@1.4.0 by suite s".to_owned();
        let view = View::new(title, "model at http://127.0.0.1:8000/v1".to_owned(), most, suite.checks());
        let seen = Arc::new(Mutex::new((view, 0)));
        let folded = Arc::clone(&seen);
        let run = Run::new(7).max_calls(150).watch(move |event| {
            let (view, so_far) = &mut *folded.lock().unwrap();
            if *so_far < events {
                *so_far += 1;
                view.see(&event, Duration::from_millis(50) * u32::try_from(*so_far).unwrap());
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = InMemory::new();
            let files = Content::bytes([("model.bin".parse().unwrap(), "weights".into())]);
            let draft = Draft::new("support@1.4.0".parse().unwrap(), Stamp::now("test"));
            let manifest = store.publish(draft, files, &()).await.unwrap();
            drop(suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &run).await);
        });
        drop(run);
        let view = seen.lock().unwrap().0.clone();
        view
    }

    fn picture(view: &View, seconds: u64, width: usize, height: Option<usize>) -> String {
        let lines = frame(view, Duration::from_secs(seconds), Paper { width, height, colours: false });
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        lines.join("\n") + "\n"
    }

    #[test]
    fn pictures_are_as_somebody_found_them_good() {
        assert_eq!(picture(&after(0), 0, 80, None), include_str!("../../../tests/cli/validate/begin-80.txt"));
        assert_eq!(
            picture(&after(123), 6, 80, None),
            include_str!("../../../tests/cli/validate/amid-80.txt")
        );
        assert_eq!(
            picture(&after(123), 6, 40, None),
            include_str!("../../../tests/cli/validate/amid-40.txt")
        );
        let end = after(usize::MAX);
        assert_eq!(picture(&end, 75, 100, None), include_str!("../../../tests/cli/validate/end-100.txt"));
    }

    #[test]
    fn a_low_terminal_keeps_the_check_that_asks() {
        let low = picture(&after(123), 6, 80, Some(9));
        assert!(low.lines().count() <= 9 && low.contains("▸ numbers"), "{low}");
    }

    #[test]
    fn the_time_left_follows_the_pace() {
        let view = after(123);
        // 60 calls in 6 s, and 90 of the budget are left.
        assert_eq!(view.spent.calls, 60);
        assert_eq!(view.left(Duration::from_secs(6)), Some(Duration::from_secs(9)));
        // Never beyond the end of the run.
        assert_eq!(view.left(Duration::from_secs(890)), Some(Duration::from_secs(10)));
        assert_eq!(after(0).left(Duration::from_secs(6)), None);
    }

    #[test]
    fn an_interval_is_drawn_where_it_lies() {
        let view = after(usize::MAX);
        let State::Over { evidence: Some(evidence), .. } = &view.checks[1].state else {
            panic!("it is over")
        };
        let drawn = interval(evidence, 21);
        assert_eq!(drawn.chars().count(), 21);
        assert_eq!(drawn.chars().nth(18), Some('┃'), "the floor of 0.9: {drawn}");
    }
}
