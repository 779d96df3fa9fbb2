//! The canary: users are moved to the version step by step, by the plan, while it is judged.

#[path = "../../tidegate/rollout/end.rs"]
mod end;
#[expect(dead_code, reason = "the command line also replaces plans")]
#[path = "../../tidegate/rollout/plan.rs"]
mod plan;

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use serde::Deserialize;
use tidegate::{
    canary::{
        Driver, Error, Fence, Plan, Readiness, RolloutId, RouteJournal, Slot, State, Weight, Workload, report,
    },
    registry::{self, Seq},
};

use super::{At, Ending, Preview, unread};
use crate::{
    answer::Status,
    environment::{Environment, EnvironmentFile, Taken},
    evidence,
    failure::Failure,
    formats::replace,
    ground::Ground,
    preview::undemanded_text,
    progress::{Outcome, Verdict},
    signed,
};

/// A plan, and where it is carried out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollout {
    /// As for `tidegate rollout start`.
    plan: PathBuf,
    pub(super) environment: String,
}

impl Rollout {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        self.expect_allowed(ground).await?;
        let registry = ground.registry()?;
        let file = plan::read(&ground.release.path(&self.plan))?;
        let environment = EnvironmentFile::read(&ground.release.path(self.file(ground)?))?;
        let route = file.spec().route.clone();
        let log = Arc::new(registry.store.clone());
        let journal = RouteJournal::open(Arc::clone(&log) as _, &route).await?;
        // The same id is the same rollout: it is gone on with, or is what it came to already.
        let model = &ground.release.model;
        let id: RolloutId =
            format!("{}-{}-{}-{}", model.name(), model.version(), at.stage, at.round).parse()?;
        let before = journal.latest().filter(|(latest, _)| *latest == id);
        let plan = plan::pin(file, registry, before.map(|(_, rollout)| rollout.plan())).await?;
        self.expect_same(ground, &plan)?;

        let environment = environment.open(registry, &route, ground.clock, Taken::AtOnce).await?;
        if before.is_none() {
            bring_up(&environment, &plan, journal.fence()).await?;
        }
        let (driver, handle) = Driver::open(environment.world(registry, ground.clock), id, plan).await?;
        // Whoever drops the handle says that nobody is there to be waited for.
        let handle = (!ground.unattended).then_some(handle);
        let stage = at.stage;
        let (say, said) = (ground.sayer().say_news(), format!("{stage}: the rollout is "));
        let driver = driver.on_record(move |_, rollout| say(format!("{said}{}", rollout.state())));
        let driven = tokio::select! {
            driven = driver.run() => driven,
            () = environment.scrape(ground.clock) => unreachable!("it scrapes for as long as it is let"),
            () = environment.tell() => unreachable!("it tells for as long as it is let"),
        };
        drop(handle);
        environment.tell_the_end().await;

        let journal = RouteJournal::open(log, &route).await?;
        let page = format!("{stage}.html");
        replace(
            &ground.outputs()?.join(&page),
            report::html(&format!("{model}: {stage}"), journal.entries()).as_bytes(),
        )
        .map_err(|source| Failure::Lost { what: format!("page `{page}` cannot be written"), source })?;
        let state = match driven {
            Err(Error::Unattended) => {
                return Ok(Ending::Waits(format!(
                    "a person has to speak to it, by `tidegate rollout … --route {route}`"
                )));
            }
            state => state?,
        };
        let sentence =
            journal.latest().map_or_else(|| state.to_string(), |(_, rollout)| end::sentence(rollout));
        Ok(outcome(&state, sentence).with_file("page", page).into())
    }

    pub(super) async fn preview(&self, ground: &Ground) -> Result<Preview> {
        let path = ground.release.path(&self.plan);
        let mut preview = Preview::new(format!(
            "moves the users of {} to {}",
            ground.release.channel, ground.release.model
        ));
        match plan::read(&path) {
            Ok(file) => {
                let steps: Vec<_> = file.spec().steps.iter().map(|step| step.weight.to_string()).collect();
                preview.does.push_str(&format!(
                    " on the route {} by {}",
                    file.spec().route,
                    steps.join(", ")
                ));
            }
            Err(error) => preview = preview.lacking([format!("{error:#}")]),
        }
        preview = preview
            .taking(format!("the plan `{}`", path.display()))
            .taking(format!("the environment {}, and a version that is in service there", self.environment));
        let preview = match self.file(ground) {
            Ok(file) => preview.lacking(unread(ground, file)),
            Err(error) => preview.lacking([error.to_string()]),
        };
        signed::preview(preview, ground).await
    }

    fn file<'g>(&self, ground: &'g Ground) -> Result<&'g PathBuf, Failure> {
        ground.environment_file(&self.environment)
    }

    /// Nothing is let near users that the channel would refuse at the end, or would take around a stage.
    async fn expect_allowed(&self, ground: &Ground) -> Result<()> {
        let signers = signed::read(&ground.release)?;
        let undemanded = evidence::undemanded(ground, &signers).await?;
        if !undemanded.is_empty() {
            return Err(Failure::Misused(undemanded_text(ground, &undemanded)).into());
        }
        let (model, channel) = (&ground.release.model, &ground.release.channel);
        let unmet = evidence::unmet(ground, &signers).await?;
        if unmet.is_empty() {
            return Ok(());
        }
        Err(registry::Error::NotAllowed { model: model.clone(), channel: channel.clone(), unmet }.into())
    }

    fn expect_same(&self, ground: &Ground, plan: &Plan) -> Result<(), Failure> {
        let (release, path) = (&ground.release, self.plan.display());
        let misused = |why: String| Err(Failure::Misused(format!("plan `{path}` {why}")));
        if plan.candidate.model != release.model {
            let why = format!(
                "is about {}, but the release about {}; name that there",
                plan.candidate.model, release.model
            );
            return misused(why);
        }
        if plan.channel != release.channel {
            return misused(format!(
                "leads to {}, but the release to {}; correct one",
                plan.channel, release.channel
            ));
        }
        Ok(())
    }
}

fn outcome(state: &State, sentence: String) -> Outcome {
    let verdict = match end::status(state) {
        Status::Done => Verdict::Passed,
        Status::Inconclusive => Verdict::Undecided,
        _ => Verdict::Failed,
    };
    Outcome::new(verdict, sentence).with_fact("end", end::word(state))
}

/// On a new machine, what is in service is made to run first. A rollout's fences are at least as high.
async fn bring_up(environment: &Environment, plan: &Plan, fence: Option<Fence>) -> Result<()> {
    if environment.deployer.status(Slot::Stable).await? == Readiness::Absent {
        let stable = Workload { slot: Slot::Stable, release: plan.stable.clone(), share: Weight::FULL };
        environment.deployer.ensure(&stable, fence.unwrap_or(Fence::new(Seq::FIRST))).await?;
    }
    Ok(())
}
