//! Bars that show what a transfer does, on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tidegate::registry::{Phase, Progress, Transfer};

/// Shows a transfer until it is dropped. indicatif draws nothing where there is no terminal.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// `verb` says what is being done: `publishing`.
    pub(crate) fn new(verb: &'static str) -> Self {
        let style = "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} {wide_msg}";
        let style = ProgressStyle::with_template(style).expect("the template is a constant and valid");
        Self(ProgressBar::no_length().with_style(style).with_prefix(verb))
    }
}

/// Says what is waited for, where nothing can be counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    pub(crate) fn new(what: String) -> Self {
        let spinner = ProgressBar::new_spinner().with_message(what);
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self(spinner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn tell(&self, transfer: Transfer<'_>) {
        match transfer {
            // One after the other, where several versions are read.
            Transfer::Start { bytes: Some(bytes), .. } => {
                self.0.set_length(self.0.length().unwrap_or(0).saturating_add(bytes));
            }
            Transfer::Bytes(bytes) => self.0.inc(bytes),
            Transfer::File(path) => self.0.set_message(path.to_string()),
            // Between the files, this is what the bar waits for.
            Transfer::Phase(phase) => self.0.set_message(match phase {
                Phase::Preparing => "looking at what is there",
                Phase::Hashing => "it is there; comparing",
                Phase::Committing => "committing",
                Phase::Finishing => "syncing",
                _ => "",
            }),
            _ => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
