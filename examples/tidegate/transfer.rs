//! Bars that show what a transfer does, on standard error if that is a terminal.

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
