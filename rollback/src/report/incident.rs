//! The lines of a route's journals that are about one incident.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_canary::{Entry, Plan, Record as RouteRecord, Release, RolloutId, RouteId, RouteJournal, World};
use tidegate_registry::{Channel, Channels, Move};

use crate::{Error, Ledger, Line, Order, Record, Survey, Undo, Vigil, VigilEvent, Watch, ledger::Machine};

/// What is read for a report: the journals of a route, oldest line first, and what the registry knows.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Records<'a> {
    /// The journal of the route's watches.
    pub watches: &'a [Line<Vigil>],
    /// The journal of its rollbacks.
    pub rollbacks: &'a [Line<Undo>],
    /// Its own journal, that of its rollouts.
    pub rollouts: &'a [Entry],
    /// The moves of the channel.
    pub history: &'a [Move],
    /// What is known of the versions in it besides.
    pub survey: &'a Survey,
}

/// What the journals of a route say of one incident.
#[derive(Clone, Debug)]
pub struct Incident {
    pub(super) watch: Option<Stretch<Vigil>>,
    pub(super) rollback: Option<Stretch<Undo>>,
    /// The rollout that had put in service what was watched or left.
    pub(super) rollout: Option<(RolloutId, Plan, Vec<Entry>)>,
    pub(super) history: Vec<Move>,
    pub(super) survey: Survey,
}

/// The lines from one opening to the next.
#[derive(Clone, Debug)]
pub(super) struct Stretch<M: Machine> {
    pub(super) id: RolloutId,
    pub(super) order: M::Order,
    /// Never empty; the first one opens it.
    pub(super) lines: Vec<Line<M>>,
}

/// How many versions of the channel are looked at, and how long the registry may take over each.
const SURVEYED: usize = 50;
const SURVEY_PATIENCE: Duration = Duration::from_secs(2);

impl Incident {
    /// The incident of the watch or rollback `id`, or of whichever was opened last. `None` where there is none.
    #[must_use]
    pub fn find(records: &Records<'_>, id: Option<&RolloutId>) -> Option<Self> {
        let (watches, rollbacks) = (stretches(records.watches), stretches(records.rollbacks));
        let named = |known: &RolloutId| id.is_none_or(|id| id == known);
        let watch = watches.iter().rev().find(|watch| named(&watch.id));
        let rollback = rollbacks.iter().rev().find(|rollback| named(&rollback.id));
        // Of both, whichever was opened last.
        let (watch, rollback) = match (watch, rollback) {
            (None, None) => return None,
            (watch, Some(rollback)) if watch.is_none_or(|watch| watch.began() < rollback.began()) => {
                (guarding(rollback, &watches), Some(rollback))
            }
            (watch, _) => {
                let its = |rollback: &&Stretch<Undo>| {
                    watch.map(|watch| &watch.id) == guarding(rollback, &watches).map(|watch| &watch.id)
                };
                (watch, rollbacks.iter().rev().find(its))
            }
        };
        let mut incident = Self {
            watch: watch.cloned(),
            rollback: rollback.cloned(),
            rollout: None,
            history: records.history.to_vec(),
            survey: records.survey.clone(),
        };
        let (left, began) = (incident.left().clone(), incident.began());
        incident.rollout = rollout(records.rollouts, &left, began);
        Some(incident)
    }

    /// Reads the journals of `route` and finds the incident of the watch or rollback `id`, or of whichever was opened
    /// last. Nothing is changed.
    ///
    /// # Errors
    ///
    /// Those of the journals; [`Error::Registry`] when the channel's history cannot be read.
    pub async fn read(world: &World, route: &RouteId, id: Option<&RolloutId>) -> Result<Option<Self>, Error> {
        let watches = Ledger::<Vigil>::open(Arc::clone(&world.log), route).await?;
        let rollbacks = Ledger::<Undo>::open(Arc::clone(&world.log), route).await?;
        // It only adds to the story, so that one which does not replay is left out.
        let rollouts = RouteJournal::open(Arc::clone(&world.log), route).await.ok();
        let rollouts = rollouts.as_ref().map_or(&[][..], RouteJournal::entries);
        let mut records = Records {
            watches: watches.lines(),
            rollbacks: rollbacks.lines(),
            rollouts,
            history: &[],
            survey: &Survey::default(),
        };
        let Some(found) = Self::find(&records, id) else { return Ok(None) };
        let name = found.left().model.name();
        let channels = Channels::new(Arc::clone(&world.log));
        let history = channels.history(name, found.channel()).await.map_err(Error::Registry)?;
        let survey = Survey::of(world, name, &history, SURVEYED, SURVEY_PATIENCE).await;
        records.history = &history;
        records.survey = &survey;
        Ok(Self::find(&records, id))
    }

    /// What was watched or left.
    #[must_use]
    pub fn left(&self) -> &Release {
        match (&self.rollback, &self.watch) {
            (Some(rollback), _) => &rollback.order.from,
            (None, Some(watch)) => &watch.order.release,
            (None, None) => unreachable!("an incident is of a watch or a rollback"),
        }
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &RouteId {
        self.by(|watch| &watch.route, |order| &order.route)
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        self.by(|watch| &watch.channel, |order| &order.channel)
    }

    fn by<'a, T>(&'a self, watch: impl Fn(&'a Watch) -> T, order: impl Fn(&'a Order) -> T) -> T {
        match (&self.watch, &self.rollback) {
            (Some(found), _) => watch(&found.order),
            (None, Some(found)) => order(&found.order),
            (None, None) => unreachable!("an incident is of a watch or a rollback"),
        }
    }

    pub(super) fn began(&self) -> SystemTime {
        let began = [self.watch.as_ref().map(Stretch::began), self.rollback.as_ref().map(Stretch::began)];
        began.into_iter().flatten().min().expect("an incident is of a watch or a rollback")
    }
}

impl<M: Machine> Stretch<M> {
    pub(super) fn began(&self) -> SystemTime {
        self.lines[0].at
    }
}

impl Stretch<Vigil> {
    /// The rollbacks that it has ordered.
    fn orders(&self) -> impl Iterator<Item = &RolloutId> {
        self.lines.iter().filter_map(|line| match &line.record {
            Record::Happen(VigilEvent::Begun { id, .. }) => Some(id),
            _ => None,
        })
    }
}

/// The watch that has ordered a rollback, or that guarded what a person left by it.
fn guarding<'a>(rollback: &Stretch<Undo>, watches: &'a [Stretch<Vigil>]) -> Option<&'a Stretch<Vigil>> {
    let ordered = |watch: &&Stretch<Vigil>| watch.orders().any(|id| *id == rollback.id);
    let left = &rollback.order.from.model;
    let last = || watches.iter().rev().find(|watch| watch.began() <= rollback.began());
    let guarded = || last().filter(|watch| watch.order.release.model == *left);
    watches.iter().rev().find(ordered).or_else(guarded)
}

/// Lines before the first opening are about nothing.
fn stretches<M: Machine>(lines: &[Line<M>]) -> Vec<Stretch<M>> {
    let mut stretches: Vec<Stretch<M>> = Vec::new();
    for line in lines {
        if let Record::Open { id, order } = &line.record {
            stretches.push(Stretch { id: id.clone(), order: (**order).clone(), lines: Vec::new() });
        }
        if let Some(last) = stretches.last_mut() {
            last.lines.push(line.clone());
        }
    }
    stretches
}

/// The last rollout of `candidate` that was opened before then.
fn rollout(
    entries: &[Entry],
    candidate: &Release,
    before: SystemTime,
) -> Option<(RolloutId, Plan, Vec<Entry>)> {
    let opens = entries.iter().enumerate().rev().filter(|(_, entry)| entry.at <= before);
    let (first, id, plan) = opens
        .filter_map(|(i, entry)| match &entry.record {
            RouteRecord::Open { id, plan } => Some((i, id, plan)),
            _ => None,
        })
        .find(|(_, _, plan)| plan.candidate.model == candidate.model)?;
    let next = entries[first + 1..].iter().position(|entry| matches!(entry.record, RouteRecord::Open { .. }));
    let last = next.map_or(entries.len(), |next| first + 1 + next);
    Some((id.clone(), (**plan).clone(), entries[first..last].to_vec()))
}
