//! `tidegate watch NAME --channel C`

use std::{
    io,
    pin::pin,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use clap::Args;
use futures::StreamExt as _;
use serde_json::json;
use tidegate::registry::{Channel, ModelName, Moved, Poll, Seq};

use crate::{
    Session,
    answer::{self, Answer},
    arguments::{self, positive, seq},
    failure::{self, Failure},
    registry::Registry,
    words::stamp,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Watch {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel to follow
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
    /// Go on after this move: the number that its line begins with [default: begin with where the channel
    /// points now]
    #[arg(long, value_name = "SEQ", value_parser = seq)]
    after: Option<Seq>,
    /// How often to look; each time it is up to a half sooner or later, so that many do not look at once
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = interval)]
    every: Duration,
    /// End after so many lines
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    count: Option<usize>,
    /// End after the first move from now on, or after --after
    #[arg(long, conflicts_with = "count")]
    until_change: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate watch fraud-scorer --channel production
  tidegate watch fraud-scorer --channel production --until-change && systemctl reload scorer
  tidegate watch fraud-scorer --channel production --json | while read -r move; do echo \"$move\"; done

A line a move, written out at once: its number, where the channel points from then on, when and by
whom. With --json a document a line. While the store is away, standard error says so, and watching goes on.
It ends at Ctrl-C, quietly and with status 130; with 0 if what --count or --until-change wait for has come.";

impl Watch {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let registry = session.location()?.open().await?;
        registry.expect_model(&self.name).await?;
        let after = self.begin(&registry).await?;
        let poll = Poll { every: self.every, seed: seed(session.stamp().at) };
        let mut moves = pin!(registry.channels.watch(&self.name, &self.channel, after, poll));
        let mut left = if self.until_change { 1 } else { self.count.unwrap_or(usize::MAX) };
        while left > 0
            && let Some(moved) = moves.next().await
        {
            match moved {
                Ok(moved) => match answer::say(&self.line(&moved, session.json)) {
                    Ok(()) => left -= 1,
                    // The reader has seen enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                    Err(error) => return Err(error).context("cannot write the answer"),
                },
                Err(error) => failure::warn(&error.into(), "watching goes on"),
            }
        }
        Ok(Answer::said())
    }

    /// The move to go on after.
    async fn begin(&self, registry: &Registry) -> Result<Option<Seq>> {
        let history = registry.channels.history(&self.name, &self.channel).await?;
        let Some(after) = self.after else {
            let current = history.last().filter(|last| last.ended.is_none());
            return Ok(current.map(|current| current.seq).filter(|_| self.until_change));
        };
        let known = history.iter().flat_map(|made| [Some(made.seq), made.ended.as_ref().map(|end| end.seq)]);
        if known.flatten().all(|seq| seq != after) {
            let (name, channel) = (&self.name, &self.channel);
            let why = format!(
                "--after {after} is no move of {channel}; `tidegate history {name} --channel {channel}` lists them"
            );
            return Err(Failure::Misused(why).into());
        }
        Ok(Some(after))
    }

    fn line(&self, moved: &Moved, json: bool) -> String {
        let Moved { seq, to, stamp: by, .. } = moved;
        if json {
            return json!({ "channel": self.channel, "seq": seq, "to": to, "stamp": by }).to_string();
        }
        let to = to.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
        format!("{seq}  {to}  {}", stamp(by))
    }
}

/// How often to look.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = arguments::span(text)?;
    if interval < Duration::from_millis(100) || interval > Duration::from_secs(24 * 3600) {
        return Err("write a time from 100ms to 1day".to_owned());
    }
    Ok(interval)
}

/// Another one for each program that is started.
fn seed(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ u64::from(since.subsec_nanos()).rotate_left(32) ^ u64::from(std::process::id())
}
