//! What a person sees: a line that moves while something is waited for, and a line for each thing that happened.
#![expect(clippy::print_stdout, reason = "a program talks to its user")]

use std::{
    io::IsTerminal as _,
    time::{Duration, SystemTime},
};

use indicatif::{ProgressBar, ProgressStyle};

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
    println!("  {}", text.as_ref());
}

pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// What happens, with the seconds since it began. What is under way moves at the bottom of a terminal, and is not
/// there in a pipe.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    bar: ProgressBar,
    start: SystemTime,
}

impl Story {
    pub(crate) fn begin(start: SystemTime, under_way: impl Into<String>) -> Self {
        let style =
            ProgressStyle::with_template("  {spinner} {wide_msg}").expect("the template is well formed");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(under_way.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, start }
    }

    pub(crate) fn say(&self, at: SystemTime, text: impl AsRef<str>) {
        let since = at.duration_since(self.start).unwrap_or_default().as_secs_f64();
        self.bar.suspend(|| println!("  {since:5.1} s  {}", text.as_ref()));
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
