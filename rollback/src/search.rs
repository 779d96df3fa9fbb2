//! The search for a target in the world: what is known of each version, and what is found by trying it.

use std::{sync::Arc, time::Duration};

use tidegate_canary::{Patience, Release, RolloutId, RouteId, RouteJournal, State, World};
use tidegate_registry::{Channel, Channels, ModelName, ModelRef, Move, Seq};
use tracing::{Instrument as _, field};

use crate::{Choice, Error, Ledger, Survey, Target, Undo, telemetry};

/// How many versions are looked at for one to go back to.
const SURVEYED: usize = 50;

/// For how long it is tried to read what is in quarantine, and how long the registry may take over it each time.
const QUARANTINES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long the registry may take over each of them, and whatever would run it over the one that is chosen.
const SURVEY_PATIENCE: Duration = Duration::from_secs(2);
const REHEARSAL_PATIENCE: Duration = Duration::from_secs(5);

/// Versions whose bytes are not what their manifests say, and what was found.
pub(crate) type Damaged = Vec<(ModelRef, String)>;

/// What a target is looked for by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) world: &'a World,
    pub(crate) route: &'a RouteId,
    pub(crate) leaving: Leaving<'a>,
    pub(crate) channel: &'a Channel,
    pub(crate) target: &'a Target,
    pub(crate) reading: Reading,
    /// Whether a person goes on where it cannot be read what is in quarantine.
    pub(crate) unsure: bool,
}

/// What is to be left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leaving<'a> {
    /// What a watch guards, whatever is tried beside it: nobody has looked, so what cannot be read of a version is waited
    /// for.
    This(&'a Release),
    /// What the route of a model is on the way to, as a person sees it.
    WhatIs(&'a ModelName),
}

/// What a search has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) from: Release,
    pub(crate) to: Release,
    pub(crate) choice: Choice,
    /// The channel's last move.
    pub(crate) head: Option<Seq>,
}

/// Whether every byte of a target is read before it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    No,
    /// However long it takes; that they cannot be read is an error.
    Whole,
    /// Unless it takes longer than this, or they cannot be read.
    Within(Duration),
}

impl Search<'_> {
    /// What is to be left, where to go, and why there. What is `damaged` is not gone to; what is found to be is added.
    pub(crate) async fn run(&self, damaged: &mut Damaged) -> Result<Found, Error> {
        let name = match self.leaving {
            Leaving::This(release) => release.model.name(),
            Leaving::WhatIs(name) => name,
        };
        let span = tracing::info_span!(
            "tidegate.rollback.search",
            tidegate.route = %self.route,
            tidegate.model = %name,
            tidegate.channel = %self.channel,
            tidegate.target = field::Empty,
            tidegate.outcome = field::Empty,
            error.message = field::Empty
        );
        let found = self.find(damaged).instrument(span.clone()).await;
        telemetry::searched(&span, &found);
        found
    }

    async fn find(&self, damaged: &mut Damaged) -> Result<Found, Error> {
        let Self { world, route, leaving, channel, target, .. } = *self;
        let name = match leaving {
            Leaving::This(release) => release.model.name(),
            Leaving::WhatIs(name) => name,
        };
        let channels = Channels::new(Arc::clone(&world.log));
        let history = channels.history(name, channel).await.map_err(Error::Registry)?;
        let tried = match leaving {
            Leaving::This(release) => Some(release.clone()),
            Leaving::WhatIs(_) => tried(world, route, channel, history.last()).await,
        };
        let mut survey = self.survey(name, &history).await?;
        if let Some(tried) = &tried
            && !survey.knows(&tried.model)
        {
            survey.include(world, &tried.model, SURVEY_PATIENCE).await;
        }
        for (model, why) in &*damaged {
            survey.damaged(model, why);
        }
        // What speaks against a target is known from then on, so that this ends.
        let (to, choice) = loop {
            let choice = target.choose(&history, tried.as_ref().map(|tried| &tried.model), &survey)?;
            // Whoever names a version may name one that was never here, or is too old to have been looked at.
            if !survey.knows(&choice.to) {
                survey.include(world, &choice.to, SURVEY_PATIENCE).await;
                continue;
            }
            self.is_sure(&survey, name)?;
            if survey.read_on(world, &choice, matches!(leaving, Leaving::This(_))).await? {
                continue;
            }
            let to = release(world, &choice.to).await?;
            if survey.rehearse(world, &to, REHEARSAL_PATIENCE).await
                && self.is_sound(&mut survey, &to.model, damaged).await?
            {
                break (to, choice);
            }
        };
        let from = match tried {
            Some(tried) => tried,
            None => release(world, &choice.from).await?,
        };
        let choice = Choice { unsure: survey.unsure().map(str::to_owned), ..choice };
        Ok(Found { from, to, choice, head: history.last().map(|head| head.seq) })
    }

    /// Looks at the versions of `history`. What is in quarantine runs as well as what is not, so nothing would be found
    /// later: nothing is gone back to that may be, unless a person says so.
    async fn survey(&self, name: &ModelName, history: &[Move]) -> Result<Survey, Error> {
        let look = async |patience| Survey::of(self.world, name, history, SURVEYED, patience).await;
        let mut survey = look(SURVEY_PATIENCE).await;
        let (all, each) = QUARANTINES;
        let mut patience = Patience::new(self.world.clock, self.world.clock.now() + all);
        while survey.unsure().is_some() && !self.unsure {
            if patience.wait(String::new).await.is_err() {
                break;
            }
            survey = look(each).await;
        }
        self.is_sure(&survey, name)?;
        Ok(survey)
    }

    fn is_sure(&self, survey: &Survey, name: &ModelName) -> Result<(), Error> {
        match survey.unsure().filter(|_| !self.unsure) {
            Some(why) => Err(Error::Unsure { name: name.clone(), why: why.to_owned() }),
            None => Ok(()),
        }
    }

    async fn is_sound(
        &self,
        survey: &mut Survey,
        model: &ModelRef,
        damaged: &mut Damaged,
    ) -> Result<bool, Error> {
        let verified = match self.reading {
            Reading::No => return Ok(true),
            Reading::Whole => survey.verify(self.world, model).await?,
            Reading::Within(time) => {
                let verified = tokio::time::timeout(time, survey.verify(self.world, model)).await;
                // Bytes that could not be read may be good.
                verified.ok().and_then(Result::ok).unwrap_or(true)
            }
        };
        if let Some(crate::Unfit::Damaged { why }) = survey.unfit(model).filter(|_| !verified) {
            damaged.push((model.clone(), why.clone()));
        }
        Ok(verified)
    }
}

async fn release(world: &World, model: &ModelRef) -> Result<Release, Error> {
    let manifest = world.store.manifest(model).await.map_err(Error::Registry)?;
    Ok(Release::from(&manifest))
}

/// The candidate of a rollout to `channel` that is under way; or that got stuck or was taken from its driver, while the
/// channel is where it was and no rollback has got traffic away from it. A journal that cannot be read is no reason not to
/// go back: then the channel alone says what is in service.
async fn tried(world: &World, route: &RouteId, channel: &Channel, head: Option<&Move>) -> Option<Release> {
    let journal = RouteJournal::open(Arc::clone(&world.log), route).await.ok()?;
    let (_, rollout) = journal.latest()?;
    let plan = rollout.plan();
    if plan.channel != *channel || rollout.promotion_is_recorded() {
        return None;
    }
    let is_tried = match rollout.state() {
        State::Seized { .. } | State::Stuck { .. } => {
            let ledger = Ledger::<Undo>::open(Arc::clone(&world.log), route).await.ok()?;
            let is_left = |(_, undo): &(RolloutId, Undo)| {
                undo.state().is_end() && undo.is_home() && undo.order().from == plan.candidate
            };
            head.is_none_or(|head| head.to == plan.stable.model) && !ledger.latest().is_some_and(is_left)
        }
        state => !state.is_end(),
    };
    is_tried.then(|| plan.candidate.clone())
}
