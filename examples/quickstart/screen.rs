//! What a person sees: bars while something moves, and a line for each decision with its evidence.
#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use std::{
    io::IsTerminal as _,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use indicatif::{ProgressBar, ProgressStyle};
use tidegate::{
    canary::{Entry, Event, Record, Rollout, State, Weight},
    registry::{Progress, Transfer},
    rollback,
};

/// A heading.
pub(crate) fn heading(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m{text}\x1b[0m");
    } else {
        println!("\n{text}");
    }
}

/// A line under a heading.
pub(crate) fn line(text: impl AsRef<str>) {
    for line in text.as_ref().lines() {
        println!("  {line}");
    }
}

/// A bar for the bytes of a transfer, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct TransferBar(ProgressBar);

/// A bar for the candidate's share of traffic, and lines for what its rollout decides.
#[derive(Debug)]
pub(crate) struct RolloutBar {
    bar: ProgressBar,
    last: Mutex<String>,
    start: SystemTime,
}

impl TransferBar {
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::no_length().with_message(what.to_owned());
        Self(bar.with_style(style("  {msg} {bar:30} {bytes}/{total_bytes}")))
    }
}

impl Progress for TransferBar {
    fn tell(&self, transfer: Transfer<'_>) {
        match transfer {
            Transfer::Start { bytes: Some(bytes), .. } => self.0.set_length(bytes),
            Transfer::Bytes(bytes) => self.0.inc(bytes),
            _ => {}
        }
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl RolloutBar {
    pub(crate) fn new(start: SystemTime) -> Self {
        let bar = ProgressBar::new(u64::from(Weight::FULL.as_basis_points()))
            .with_style(style("  candidate {bar:30} {percent:>3}%  {wide_msg}"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, last: Mutex::default(), start }
    }

    /// Shows a line of the journal, unless it says the same as the one before.
    pub(crate) fn show(&self, entry: &Entry, rollout: &Rollout) {
        let state = rollout.state();
        let share = match state {
            State::Analyse { step, .. } | State::Gate { step, .. } => rollout.plan().steps[*step].weight,
            State::Renew { .. } | State::Return { .. } => Weight::FULL,
            _ => Weight::NONE,
        };
        self.bar.set_position(u64::from(share.as_basis_points()));
        let judgements = rollout.judgements();
        if let Some(judgement) = judgements.first() {
            self.bar.set_message(judgement.to_string());
        }
        let mut last = self.last.lock().expect("no listener panics");
        if *last == state.to_string() {
            return;
        }
        *last = state.to_string();
        let text = match state {
            State::Shift { step, .. } => {
                format!("moving {} of traffic to the candidate", rollout.plan().steps[*step].weight)
            }
            // Why it turned back is said once.
            State::Ebb { .. } | State::Withdraw { .. } => state.doing().to_owned(),
            state => state.to_string(),
        };
        self.print(entry.at, &text);
        // A decision of evidence is shown with its evidence.
        if let (Record::Happen(Event::Observed { .. }), false) =
            (&entry.record, matches!(state, State::Retreat { .. }))
        {
            judgements.iter().for_each(|judgement| self.print(entry.at, &format!("    because {judgement}")));
        }
    }

    /// Shows a line of a rollback's journal.
    pub(crate) fn show_undo(&self, entry: &rollback::Line<rollback::Undo>, undo: &rollback::Undo) {
        self.print(entry.at, &undo.state().to_string());
    }

    fn print(&self, at: SystemTime, text: &str) {
        let since = at.duration_since(self.start).unwrap_or_default().as_secs_f64();
        self.bar.suspend(|| println!("  {since:5.1} s  {text}"));
    }
}

impl Drop for RolloutBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates here are well formed").progress_chars("━╸─")
}
