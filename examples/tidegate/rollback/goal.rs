//! What is to be left, and where to go.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::{
    canary::{Gatekeepers, InMemoryDeployer, InMemoryRouter, RouteId, WallClock, World, metrics::Recorded},
    registry::{self, Cause, Channel, Channels, ModelName, ModelRef, Move},
    rollback::{Choice, Intent, Order, PassedOver, Target},
};

use crate::{
    failure::Failure,
    registry::Registry,
    words::{plain, time},
};

#[derive(Debug, Args)]
pub(super) struct Goal {
    /// The model
    #[arg(value_name = "NAME")]
    pub(super) name: ModelName,
    /// The route whose traffic goes back
    #[arg(long, value_name = "ROUTE")]
    pub(super) route: RouteId,
    /// The channel that says what is in service
    #[arg(long, value_name = "CHANNEL", default_value = "production")]
    pub(super) channel: Channel,
    /// To exactly this version [default: the last known good one]
    #[arg(long, value_name = "NAME@VERSION", conflicts_with = "back")]
    pub(super) to: Option<ModelRef>,
    /// So many versions back in the channel's history
    #[arg(long, value_name = "N")]
    pub(super) back: Option<NonZeroUsize>,
    /// Read every byte of the target first: what is damaged is not gone back to
    #[arg(long)]
    verify: bool,
    /// Go on where it cannot be read what is in quarantine; that goes on record
    #[arg(long, conflicts_with = "verify")]
    pub(super) unsure: bool,
    /// How long requests in flight may take to end before their side is replaced or removed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) drain: Duration,
    /// How long a side may take to become ready, and a router to obey
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(super) patience: Duration,
}

impl Goal {
    /// The order to go there, and why there.
    pub(super) async fn order(&self, world: &World, reason: &str) -> Result<(Order, Choice)> {
        if let Some(to) = &self.to {
            self.expect_version(world, to).await?;
        }
        let mut intent = Intent::new(self.route.clone(), self.name.clone(), reason)
            .channel(self.channel.clone())
            .to(self.target());
        if self.verify {
            intent = intent.verified();
        }
        if self.unsure {
            intent = intent.unsure();
        }
        let (order, choice) = Order::choose(world, intent).await?;
        Ok((Order { drain: self.drain, patience: self.patience, ..order }, choice))
    }

    pub(super) fn target(&self) -> Target {
        match (&self.to, self.back) {
            (Some(to), _) => Target::Exactly(to.clone()),
            (None, Some(back)) => Target::Back(back),
            (None, None) => Target::LastGood,
        }
    }

    /// The moves of the channel, oldest first.
    pub(super) async fn history(&self, world: &World) -> Result<Vec<Move>> {
        Ok(Channels::new(Arc::clone(&world.log)).history(&self.name, &self.channel).await?)
    }

    /// What `from` is in service by, if a rollback has put it there.
    pub(super) async fn returned(&self, world: &World, from: &ModelRef) -> Result<Option<String>> {
        let head = self.history(world).await?.pop().filter(|head| head.to == *from);
        Ok(head.and_then(|head| match head.cause {
            Cause::Rollback { id, reason } => Some(format!(
                "{from} is in {} since {}, when rollback {} had gone back to it: {}",
                self.channel,
                time(head.stamp.at),
                plain(&id),
                plain(&reason)
            )),
            _ => None,
        }))
    }

    /// A typo is told from a store that is away.
    async fn expect_version(&self, world: &World, to: &ModelRef) -> Result<()> {
        if *to.name() != self.name {
            let name = &self.name;
            let why = format!("--to {to} is another model than {name}; write {name}@VERSION");
            return Err(Failure::Misused(why).into());
        }
        match world.store.manifest(to).await {
            Err(error @ registry::Error::NotFound { .. }) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The world of those who only read: nothing is moved, made to run or observed.
pub(super) fn looked_at(registry: &Registry) -> World {
    World {
        store: Arc::new(registry.store.clone()),
        log: Arc::new(registry.store.clone()),
        metrics: Arc::new(Recorded::default()),
        router: Arc::new(InMemoryRouter::default()),
        deployer: Arc::new(InMemoryDeployer::default()),
        gates: Gatekeepers::new(),
        clock: WallClock::system(),
    }
}

/// `fraud@1.1.0 → fraud@1.0.0`, and why not to those that are newer.
pub(super) fn words(choice: &Choice) -> String {
    let mut lines = vec![format!("{} → {}", choice.from, choice.to)];
    lines.extend(choice.passed_over.iter().map(|(model, why)| not(model, why)));
    if let Some(why) = &choice.unsure {
        lines.push(format!("  though it is not known what is in quarantine: {}", plain(why)));
    }
    lines.join("\n")
}

/// Why not to those that are older, a line each.
pub(super) fn older(choice: &Choice) -> Vec<String> {
    let line = |(model, why): &(ModelRef, Option<PassedOver>)| match why {
        Some(why) => not(model, why),
        None => format!("  not {model}: it would do, but is older"),
    };
    choice.older.iter().map(line).collect()
}

fn not(model: &ModelRef, why: &PassedOver) -> String {
    format!("  not {model}: it {}", plain(&why.to_string()))
}

pub(super) fn document(choice: &Choice) -> Value {
    let passed_over =
        choice.passed_over.iter().map(|(model, why)| json!({ "model": model, "why": why.to_string() }));
    let older = choice
        .older
        .iter()
        .map(|(model, why)| json!({ "model": model, "why": why.as_ref().map(ToString::to_string) }));
    json!({
        "from": choice.from,
        "to": choice.to,
        "passedOver": passed_over.collect::<Vec<_>>(),
        "older": older.collect::<Vec<_>>(),
        "unsure": choice.unsure,
    })
}
