//! `tidegate history NAME --channel C`

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::registry::{Cause, Channel, ModelName, Move};

use crate::{
    Session,
    answer::Answer,
    words::{row, table, time},
};

#[derive(Debug, Args)]
pub(crate) struct History {
    /// The model
    #[arg(value_name = "NAME")]
    name: ModelName,
    /// The channel, for example production
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
}

impl History {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let (name, channel) = (self.name, self.channel);
        let registry = session.location()?.open().await?;
        // A model that is not there has no empty history: it is a typo.
        registry.expect_model(&name).await?;
        let mut moves = registry.channels.history(&name, &channel).await?;
        moves.reverse();
        let text = if moves.is_empty() {
            format!("{channel} of {name} points nowhere yet; `tidegate promote` moves it")
        } else {
            let heading = row(["SEQ", "AT", "TO", "FROM", "WHY", "SETTLED", "BY"]);
            table(&std::iter::once(heading).chain(moves.iter().flat_map(lines)).collect::<Vec<_>>())
        };
        Ok(Answer::done(text, json!({ "name": name, "channel": channel, "moves": moves })))
    }
}

/// A move, below its end if that was not another move.
fn lines(made: &Move) -> impl Iterator<Item = Vec<String>> {
    let end = made.ended.as_ref().map(|end| {
        let (seq, at, from) = (end.seq.to_string(), time(end.stamp.at), made.to.version().to_string());
        row([&seq, &at, "-", &from, &format!("demoted: {}", end.reason), "-", &end.stamp.by])
    });
    end.into_iter().chain([line(made)])
}

fn line(made: &Move) -> Vec<String> {
    let from = made.from.as_ref().map_or_else(|| "-".to_owned(), |from| from.version().to_string());
    let settled = made.settled.as_ref().map_or_else(|| "-".to_owned(), |stamp| time(stamp.at));
    let why = match &made.cause {
        Cause::Promote => "promoted".to_owned(),
        Cause::Revert { of, reason } => format!("reverted {of}: {reason}"),
        Cause::Rollout { id } => format!("rollout {id}"),
        Cause::Rollback { id, reason } => format!("rollback {id}: {reason}"),
        _ => "other".to_owned(),
    };
    let (seq, at, to) = (made.seq.to_string(), time(made.stamp.at), made.to.version().to_string());
    row([&seq, &at, &to, &from, &why, &settled, &made.stamp.by])
}
