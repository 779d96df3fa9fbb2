//! `tidegate rollout start PLAN --environment FILE`

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tidegate::{
    canary::{Driver, Fence, Plan, Readiness, RolloutId, RouteJournal, Slot, WallClock, Weight, Workload},
    registry::Seq,
};
use tokio::sync::Notify;

use super::{end, follower::Follower, plan};
use crate::{
    Session,
    answer::{self, Answer},
    environment::{Environment, EnvironmentFile, Taken},
    failure,
    words::short,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Start {
    /// The plan: a .yaml, .toml or .json file, or - for YAML or JSON on standard input
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Where things are: a .yaml, .toml or .json file
    #[arg(long, short, value_name = "FILE")]
    environment: PathBuf,
    /// What the rollout is to be called, such as the id of a pipeline run; the same id is the same rollout
    /// [default: that of the one under way, or a new one]
    #[arg(long, value_name = "ID")]
    id: Option<RolloutId>,
    /// End with status 5 where only a person makes it go on, instead of waiting
    #[arg(long)]
    unattended: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate rollout start plan.yaml --environment machine.yaml --id ci-8841

A plan says what is to happen, `tidegate plan-schema` what one may say:
  route: serving/fraud
  candidate: fraud@^1.2                 # pinned when it starts; stable is what production points to
  steps:
    - { weight: 10%, soak: 5m, minTrials: 100 }
    - { weight: 50%, soak: 5m, require: pass, gates: [approval] }
    - { weight: 100%, soak: 5m }
  criteria:
    - { metric: errors, rule: { compare: {} } }
    - { metric: errors, rule: { limit: { statistic: share, bound: { atMost: 0.05 } } } }
  timing: { bake: 0s, lag: 10s }

An environment says where things are:
  router: { haproxy: { socket: /run/haproxy/admin.sock, maps: /etc/haproxy/maps } }
  deployer:
    processes:
      directory: /var/lib/tidegate/fraud
      server:
        ready: http://127.0.0.1:{port}/health
        ports: { stable: 9001, candidate: 9002 }
        command: { program: llama-server, args: [--model, '{directory}/model.gguf', --port, '{port}'] }
  metrics: { prometheus: { url: http://localhost:9090, queries: … } }      # as `tidegate query` has it
  images: { ours: { url: https://registry.example.com, username: ci, password: { env: IMAGES_TOKEN } } }
  gates: { smoke: { webhook: { url: { env: SMOKE_URL } } } }
  notify: { chat: { to: { slack: { url: { file: /run/secrets/slack } } } } }
Routers: haproxy, haproxy-weights, envoy, nginx; and in a cluster, with NAMESPACE/NAME as the route:
  kubernetes: { kubeconfig: /etc/tidegate/kubeconfig, context: production }   # not needed inside a cluster
  router: { http-route: { stable: fraud-stable, candidate: fraud-candidate } }   # virtual-service, traefik, ingress
  deployer:
    deployments: { namespace: serving, template: fraud.yaml, images: { server: 'fraud:{version}' } }
Routers there are also `replicas: { total: 10 }`, and `unsplit: {}` where releases are replaced in place by one of
  deployer: { revisions: { namespace: serving, workload: { deployment: fraud } } }      # or stateful-set
  deployer: { gitops: { checkout: deploy, state: state.json,
    refresh: [sh, -c, 'git fetch -q origin main && git reset -q --hard origin/main'],
    command: [sh, -c, 'git diff --quiet || git commit -qam \"fraud $0\" && git push -q origin HEAD:main', '{version}'],
    places: [{ file: fraud.yaml, path: $.image.tag, pattern: '{version}' }], cluster: { revisions: … } } }
A deployer may be `inference-services` as well. Told are slack, teams, pagerduty, sns, webhook.

`images` are the OCI registries of container images. Where the label tidegate.dev/image of a version names one there, by
its digest, a rollout whose image is lost is refused before anything moves, and a rollback passes such a target over.

Whatever happens to this program, the rollout is where its journal says, and the same command goes on with it;
a second one takes it over, and the first one ends. Servers go on as they are.
Exit status: 0 promoted or compared; 1 rolled back, stuck, refused or taken over; 3 undecided; 5 it waits for a
person and is --unattended; 130 interrupted.";

pub(crate) const PARTING: &str =
    "stopped driving; the rollout stays as its journal says, and the same command goes on with it";

impl Start {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let file = plan::read(&self.plan)?;
        let environment = EnvironmentFile::read(&self.environment)?;
        let route = file.spec().route.clone();
        let location = session.location()?;
        let registry = location.open().await?;
        location.expect_writable().await?;

        let clock = WallClock::system();
        let log = Arc::new(registry.store.clone());
        let journal = RouteJournal::open(Arc::clone(&log) as _, &route).await?;
        let before = self.before(&journal);
        let is_new = before.is_none();
        let plan = plan::pin(file, &registry, before.as_ref().map(|(_, plan)| plan)).await?;
        let id = match (self.id, before) {
            (Some(id), _) | (None, Some((id, _))) => id,
            (None, None) => fresh(&plan, clock)?,
        };
        say_pinned(session, &id, &plan)?;

        let environment = environment.open(&registry, &route, clock, Taken::AtOnce).await?;
        if is_new {
            check_images(&environment, &plan).await?;
        }
        bring_up(&environment, &plan, journal.fence()).await?;
        let (driver, handle) = Driver::open(environment.world(&registry, clock), id, plan).await?;
        // Whoever drops the handle says that nobody is there to be waited for.
        let handle = (!self.unattended).then_some(handle);

        let happened = Arc::new(Notify::new());
        let bell = Arc::clone(&happened);
        let driver = driver.on_record(move |_, _| bell.notify_one());
        let mut follower = Follower::new(RouteJournal::open(log, &route).await?, session.json)?;
        let driven = tokio::select! {
            driven = driver.run() => driven,
            () = show(&mut follower, &happened, clock) => unreachable!("it shows for as long as it is let"),
            () = environment.scrape(clock) => unreachable!("it scrapes for as long as it is let"),
            () = environment.tell() => unreachable!("it tells for as long as it is let"),
        };
        drop(handle);
        // What happened last is shown, whatever it was.
        if let Err(error) = follower.catch_up().await.and_then(|()| follower.tell(clock.now()).map(drop)) {
            failure::warn(&error, "the end is not shown");
        }
        environment.tell_the_end().await;
        let state = driven?;
        let sentence = follower.rollout().map(end::sentence).unwrap_or_default();
        let text = if follower.draws() { String::new() } else { sentence.clone() };
        let json = json!({ "id": follower.id(), "end": end::word(&state), "said": sentence });
        Ok(Answer { text, json, status: end::status(&state) })
    }

    /// The rollout that this is to go on with: the one of that id, or without one the one that is under way.
    fn before(&self, journal: &RouteJournal) -> Option<(RolloutId, Plan)> {
        let (id, rollout) = journal.latest()?;
        let same = match &self.id {
            Some(wanted) => wanted == id,
            None => !rollout.state().is_end(),
        };
        same.then(|| (id.clone(), rollout.plan().clone()))
    }
}

/// `fraud-1.2.3-2026-11-29T07:12:01Z`
fn fresh(plan: &Plan, clock: WallClock) -> Result<RolloutId> {
    let model = &plan.candidate.model;
    let now = humantime::format_rfc3339_seconds(clock.now());
    Ok(format!("{}-{}-{now}", model.name(), model.version()).parse()?)
}

fn say_pinned(session: &Session, id: &RolloutId, plan: &Plan) -> Result<()> {
    let line = if session.json {
        json!({ "id": id, "route": plan.route, "stable": plan.stable, "candidate": plan.candidate })
            .to_string()
    } else {
        let [was, is] = [&plan.stable, &plan.candidate].map(|r| format!("{r} ({})", short(&r.digest)));
        format!("rollout {id}: {was} → {is} on {}", plan.route)
    };
    // Whoever does not read it can have the rollout all the same.
    let _unread = answer::say(&line);
    Ok(())
}

/// A candidate whose image is lost is refused before anything is moved. That of stable is not needed to go on, but to come
/// back: whoever starts a rollout knows.
async fn check_images(environment: &Environment, plan: &Plan) -> Result<()> {
    environment.check_image(&plan.candidate).await?;
    if let Err(error) = environment.check_image(&plan.stable).await {
        failure::warn(&error.into(), "stable might not come up again");
    }
    Ok(())
}

/// On a new machine, what is in service is made to run first. A rollout's fences are at least as high.
async fn bring_up(environment: &Environment, plan: &Plan, fence: Option<Fence>) -> Result<()> {
    if environment.deployer.status(Slot::Stable).await? == Readiness::Absent {
        let stable = Workload { slot: Slot::Stable, release: plan.stable.clone(), share: Weight::FULL };
        environment.deployer.ensure(&stable, fence.unwrap_or(Fence::new(Seq::FIRST))).await?;
    }
    Ok(())
}

/// Shows what happens, for as long as it is let. Nothing that goes wrong with that is the rollout's.
async fn show(follower: &mut Follower, happened: &Notify, clock: WallClock) {
    let mut is_read = true;
    loop {
        if let Err(error) = follower.catch_up().await {
            failure::warn(&error, "the rollout goes on, unseen");
        }
        if is_read {
            is_read = follower.tell(clock.now()).unwrap_or(false);
        }
        // Clocks on the picture move on, even while nothing happens.
        let second = pin!(tokio::time::sleep(Duration::from_secs(1)));
        if follower.draws() {
            tokio::select! {
                () = happened.notified() => {}
                () = second => {}
            }
        } else {
            happened.notified().await;
        }
    }
}
