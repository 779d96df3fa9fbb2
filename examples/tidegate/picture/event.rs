//! What happened, and how long ago.

use std::time::Duration;

use console::Style;

use super::Paper;
use crate::words::roughly;

/// ` 3 min ago  the traffic is in force`
pub(crate) fn event(since: Duration, what: &str, paper: Paper) -> String {
    let when = format!("{:>10}", format!("{} ago", roughly(since)));
    let line = format!("{}  {what}", paper.paint(&when, Style::new().dim()));
    console::truncate_str(&line, paper.width, "…").into_owned()
}
