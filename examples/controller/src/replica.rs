//! One replica of the controller, which looks at releases and their journals and does what is to be done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    runtime::{
        controller::Action,
        events::{EventType, Recorder},
        reflector::Store,
    },
};
use serde_json::json;
use tidegate::{
    canary::{Plan, Request, RolloutId, RouteId, RouteJournal, WallClock},
    registry::ObjectBacked,
};

use crate::{
    course::{Course, Past, Wish},
    lease::{Elector, Sight, Taken, is_conflict},
    post::{Listeners, Post},
    resource::{Release, ReleaseStatus},
    setting::Setting,
    status::{Outlook, Problem, status},
    tidings::told,
    versions::Versions,
};

/// A release under way is not let go before its traffic is back.
const FINALIZER: &str = "tidegate.dev/rollout";

/// One replica.
pub(crate) struct Replica {
    pub(crate) client: Client,
    pub(crate) http: reqwest::Client,
    pub(crate) registry: ObjectBacked,
    pub(crate) releases: Store<Release>,
    pub(crate) versions: Versions,
    pub(crate) elector: Arc<Elector>,
    pub(crate) listeners: Listeners,
    pub(crate) clock: WallClock,
    /// How often a release is looked at that nothing happens to: its registry may say something new.
    pub(crate) look_every: Duration,
    pub(crate) desks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Desk>>>>,
}

/// What is kept of one release.
#[derive(Default)]
pub(crate) struct Desk {
    post: Option<Post>,
    sight: Option<Sight>,
    journal: Option<(RouteId, RouteJournal)>,
    /// The last failure that was told.
    told: Option<String>,
}

/// Why a look at a release came to nothing.
#[derive(Debug)]
pub(crate) struct Failed(anyhow::Error);

/// Whether this replica drives.
enum Manned {
    Elsewhere(Duration),
    Here,
    Nowhere(Problem),
}

/// Looks at one release.
pub(crate) async fn reconcile(release: Arc<Release>, replica: Arc<Replica>) -> Result<Action, Failed> {
    let desk = replica.desk(&release);
    let mut desk = desk.lock().await;
    match replica.look(&release, &mut desk).await {
        Ok(action) => {
            desk.told = None;
            Ok(action)
        }
        Err(error) => {
            let said = format!("{error:#}");
            if desk.told.as_ref() != Some(&said) {
                let event = told(EventType::Warning, "Failed", "Reconcile", &said);
                let recorder: &Recorder = &replica.listeners.recorder;
                if let Err(error) = recorder.publish(&event, &release.object_ref(&())).await {
                    tracing::warn!(%error, "an event was not recorded");
                }
                desk.told = Some(said);
            }
            Err(Failed(error))
        }
    }
}

impl Replica {
    /// Stops acting, and lets other replicas go on at once.
    pub(crate) async fn leave(&self) {
        let desks = std::mem::take(&mut *self.desks.lock().unwrap_or_else(PoisonError::into_inner));
        let leaving = desks.into_values().map(async |desk| {
            if let Some(post) = desk.lock().await.post.take() {
                post.leave().await;
            }
        });
        futures::future::join_all(leaving).await;
    }

    fn desk(&self, release: &Release) -> Arc<tokio::sync::Mutex<Desk>> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        // Releases at rest are deleted without a look at them.
        if desks.len() > 2 * self.releases.len() + 16 {
            let there: BTreeSet<_> =
                self.releases.state().iter().filter_map(|release| release.uid()).collect();
            desks.retain(|uid, _| there.contains(uid));
        }
        Arc::clone(desks.entry(release.uid().unwrap_or_default()).or_default())
    }

    fn forget(&self, release: &Release) {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.remove(&release.uid().unwrap_or_default());
    }

    async fn look(&self, release: &Release, desk: &mut Desk) -> Result<Action> {
        if desk.post.as_ref().is_some_and(Post::is_left) {
            desk.post = None;
        }
        let uid = release.uid().context("the API server gives every object a uid")?;
        let mut wish = Wish {
            name: format!("{}/{}", release.namespace().unwrap_or_default(), release.name_any()),
            uid: &uid,
            generation: release.meta().generation.unwrap_or_default(),
            spec: &release.spec,
            ending: release.meta().deletion_timestamp.is_some(),
            stable: None,
            candidate: None,
            plan: None,
        };
        let (route, moved) = self.route(release, &wish, desk).await?;
        let journal = desk.read(&self.registry, &route).await?;
        let mut outlook = Outlook { route: route.to_string(), problem: moved, ..Outlook::default() };
        let problem = self.versions.complete(&mut wish, &route, Past::of(journal)).await?;
        if outlook.problem.is_some() {
            wish.plan = None;
        }
        outlook.problem = outlook.problem.or(problem);
        let course = wish.course(Past::of(journal), self.clock.now());
        tracing::debug!(release = wish.name, ?course, "looked");
        let (begun, asked) = match course {
            Course::Rest => (None, None),
            Course::Yield(others) => {
                outlook.others = Some(others);
                (None, None)
            }
            Course::Open { id, plan } => (Some((id, *plan)), None),
            Course::Drive => (begun(journal), None),
            Course::Ask(request) => (begun(journal), Some(*request)),
        };
        match begun {
            None => self.let_go(release).await?,
            Some(begun) => match self.man(release, desk, begun).await? {
                Manned::Elsewhere(left) => {
                    return Ok(Action::requeue(left.min(self.elector.terms.retry)));
                }
                Manned::Here => {
                    outlook.holder = Some(self.elector.replica.clone());
                    self.ask(desk, asked).await?;
                }
                Manned::Nowhere(problem) => outlook.problem = outlook.problem.or(Some(problem)),
            },
        }
        let journal = desk.read(&self.registry, &route).await?;
        let before = release.status.as_ref();
        let status = status(&wish, Past::of(journal), &outlook, before, self.clock.now());
        let over = wish.ending && outlook.holder.is_none();
        if over {
            self.forget(release);
        } else if before != Some(&status) {
            self.say(release, status).await?;
        }
        Ok(Action::requeue(self.look_every))
    }

    /// The route whose journal counts: that of a rollout under way, even if the release has another by now.
    async fn route(
        &self,
        release: &Release,
        wish: &Wish<'_>,
        desk: &mut Desk,
    ) -> Result<(RouteId, Option<Problem>)> {
        let namespace = release.namespace().unwrap_or_default();
        let wanted: RouteId = format!("{namespace}/{}", release.spec.route.name).parse()?;
        let before = release.status.as_ref().and_then(|status| status.route.as_ref());
        let Some(before) = before.and_then(|before| before.parse().ok()).filter(|before| *before != wanted)
        else {
            return Ok((wanted, None));
        };
        let journal = desk.read(&self.registry, &before).await?;
        Ok(match Past::of(journal).under_way() {
            Some((id, _)) if wish.opened(id) => {
                let message =
                    format!("a rollout is under way on {before}; let it end, or abort it, before {wanted}");
                (before, Some(Problem { reason: "RouteChanged", message }))
            }
            _ => (wanted, None),
        })
    }

    /// Takes the post at a release, if it can be had.
    async fn man(&self, release: &Release, desk: &mut Desk, (id, plan): (RolloutId, Plan)) -> Result<Manned> {
        let namespace = release.namespace().unwrap_or_default();
        let setting = match Setting::of(&release.spec, &namespace, &self.client, &self.http).await {
            Ok(setting) => setting,
            // It goes on with what was said before.
            Err(_) if desk.post.is_some() => return Ok(Manned::Here),
            Err(error) => {
                return Ok(Manned::Nowhere(Problem { reason: "Unusable", message: format!("{error:#}") }));
            }
        };
        match desk.post.take() {
            Some(post) if post.mark == setting.mark => {
                desk.post = Some(post);
                return Ok(Manned::Here);
            }
            Some(post) => post.leave().await,
            None => {}
        }
        let held = match self.elector.take(release, &mut desk.sight).await? {
            Taken::Ours(held) => held,
            Taken::Theirs(left) => return Ok(Manned::Elsewhere(left)),
        };
        if let Err(error) = self.hold_on(release).await {
            held.give_back().await;
            return Err(error);
        }
        let world = (setting.world(&self.registry, self.clock), setting.mark);
        desk.post = Some(Post::take(release, (id, plan), world, held, self.listeners.clone()).await?);
        Ok(Manned::Here)
    }

    async fn ask(&self, desk: &Desk, request: Option<Request>) -> Result<()> {
        let (Some(post), Some(request)) = (&desk.post, request) else { return Ok(()) };
        post.ask(request).await.context("the rollout did not do as it was asked")
    }

    /// Keeps the release there until its rollout has ended.
    async fn hold_on(&self, release: &Release) -> Result<()> {
        let mut finalizers = release.finalizers().to_vec();
        if finalizers.iter().any(|there| there == FINALIZER) || release.meta().deletion_timestamp.is_some() {
            return Ok(());
        }
        finalizers.push(FINALIZER.to_owned());
        self.put_finalizers(release, finalizers).await
    }

    async fn let_go(&self, release: &Release) -> Result<()> {
        let mut finalizers = release.finalizers().to_vec();
        if !finalizers.iter().any(|there| there == FINALIZER) {
            return Ok(());
        }
        finalizers.retain(|there| there != FINALIZER);
        self.put_finalizers(release, finalizers).await
    }

    async fn put_finalizers(&self, release: &Release, finalizers: Vec<String>) -> Result<()> {
        // Of a release that was deleted since and made again, nothing is changed.
        let patch = json!({"metadata": {"uid": release.uid(), "finalizers": finalizers}});
        let name = release.name_any();
        let patched = self.api(release).patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            patched => patched.map(drop).context("the finalizer of the release cannot be changed"),
        }
    }

    async fn say(&self, release: &Release, status: ReleaseStatus) -> Result<()> {
        let mut said = release.clone();
        said.status = Some(status);
        let name = release.name_any();
        match self.api(release).replace_status(&name, &PostParams::default(), &said).await {
            // There is a newer one, which is looked at next.
            Err(error) if is_conflict(&error) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            replaced => replaced.map(drop).context("the status of the release cannot be written"),
        }
    }

    fn api(&self, release: &Release) -> Api<Release> {
        Api::namespaced(self.client.clone(), &release.namespace().unwrap_or_default())
    }
}

impl Desk {
    /// The journal of `route` as it is now. Of one that was read before, only what is new is.
    async fn read(&mut self, registry: &ObjectBacked, route: &RouteId) -> Result<&RouteJournal> {
        let journal = match self.journal.take().filter(|(of, _)| of == route) {
            Some((_, mut journal)) => journal.catch_up().await.map(|_| journal),
            None => RouteJournal::open(Arc::new(registry.clone()), route).await,
        };
        let journal = journal.context("the route's journal cannot be read")?;
        let (_, journal) = self.journal.insert((route.clone(), journal));
        Ok(journal)
    }
}

/// The rollout that is under way, to go on with.
fn begun(journal: &RouteJournal) -> Option<(RolloutId, Plan)> {
    let (id, rollout) = Past::of(journal).under_way()?;
    Some((id.clone(), rollout.plan().clone()))
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Failed {}
