//! Shows how a run stands while it runs: a picture on a terminal, else a line a check.

use std::{
    future::Future,
    io::{self, Write as _},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate::validation::{Event, Finding, Run};
use tokio::time::Instant;

use super::{
    frame::{frame, line},
    view::View,
};
use crate::picture::Screen;

/// How often a picture is drawn anew.
const EVERY: Duration = Duration::from_millis(200);

/// A run that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    view: Arc<Mutex<View>>,
    begin: Instant,
    screen: Option<Screen>,
}

impl Watched {
    /// `run`, watched; where nobody reads `json` but machines, nothing is shown.
    pub(super) fn new(view: View, run: Run, json: bool) -> (Self, Run) {
        let screen = Screen::of_answers().filter(|_| !json);
        let lines = screen.is_none() && !json;
        let (view, begin) = (Arc::new(Mutex::new(view)), Instant::now());
        let seen = Arc::clone(&view);
        let run = run.watch(move |event| {
            if let (Event::Finished(finding), true) = (&event, lines) {
                tell(finding);
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).see(&event, begin.elapsed());
        });
        (Self { view, begin, screen }, run)
    }

    /// What comes of `work`, shown until then.
    pub(super) async fn until<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let Some(screen) = &mut self.screen else { return work.await };
        let done = loop {
            let at = self.begin.elapsed();
            let picture =
                frame(&self.view.lock().unwrap_or_else(PoisonError::into_inner), at, screen.paper());
            // Whoever looks away has the report all the same.
            let _unseen = screen.draw(&picture);
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(EVERY) => {}
            }
        };
        let _unseen = screen.draw(&[]);
        done
    }
}

/// Says what a check found, on standard error: standard output is for the report.
fn tell(finding: &Finding) {
    let said = line(&finding.check, &finding.verdict, finding.evidence.last());
    let _unread = writeln!(io::stderr(), "{said}");
}
