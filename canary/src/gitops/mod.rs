//! Releases as changes to files, which a GitOps controller puts in force.

mod checkout;
mod place;
mod yaml;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate_registry::{Digest, Invalid};
use tokio::task::spawn_blocking;

pub use self::place::Place;
use self::{
    checkout::{Checkout, Edit, Unusable},
    place::Difference,
};
use crate::{
    ActuatorError, BoxError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload,
    command::{Failed, run},
    pattern::Pattern,
    proxy::file::Turn,
};

/// How long the command may take.
const WITHIN: Duration = Duration::from_secs(60);

/// A deployer whose stable slot is what files in a checked-out repository say. It changes the files and leaves the rest to
/// the GitOps controller (Argo CD, Flux), which would undo a change in the cluster. It has the stable slot only, where it
/// [replaces releases in place](Deployer::in_place).
///
/// ```no_run
/// use std::sync::Arc;
///
/// use tidegate_canary::{Deployer, GitOps, gitops::Place};
///
/// # fn deployer(cluster: Arc<dyn Deployer>) -> Result<GitOps, Box<dyn std::error::Error>> {
/// let pods = "$.spec.template";
/// Ok(GitOps::new("/srv/deploy", "/var/lib/tidegate/fraud.json", cluster)?
///     .with(Place::new("fraud.yaml", &format!("{pods}.metadata.annotations['tidegate.dev/release']"), "{name}@{version}")?)
///     .with(Place::new("fraud.yaml", &format!("{pods}.metadata.annotations['tidegate.dev/digest']"), "{digest}")?)
///     .with(Place::new("kustomization.yaml", "$.images[?@.name=='registry.example/fraud'].newTag", "{version}")?.as_image())
///     .with_command(["./release.sh", "{name} {version}"])?)
/// # }
/// ```
///
/// # What is changed
///
/// The scalars to which the [`Place`]s lead, and no other byte: comments, order and quotes stay. A scalar without quotes
/// gets them where its new text would be read as a number or the like. All files are looked at before any is written, and
/// each is replaced as a whole; should one fail, those before it get their old content back. A process that is killed in
/// between leaves some files old and some new, each of them whole, and the next `ensure` completes them; the command is not
/// run before.
///
/// A file that lacks a place, is no YAML, is longer than 1 MiB or lies outside the checkout, also by a link, is refused, and
/// so is a scalar that an alias shares.
///
/// # The command
///
/// It commits, pushes, opens a merge request: whatever the team does. It is run in the checkout, once for each change and
/// again if it was not seen to succeed, so it must bear that:
///
/// ```sh
/// #!/bin/sh -e
/// git add fraud.yaml kustomization.yaml
/// git diff --cached --quiet || git commit --quiet -m "Now $1"
/// git push --quiet
/// ```
///
/// There is no shell; `{name}`, `{version}`, `{digest}` and `{hex}` in its arguments are the release's. It inherits the
/// environment, may take a minute, and only the end of what it writes to its standard error is kept.
///
/// # What is committed
///
/// Others commit, too, and a merge request may be merged long after somebody has given up on it. The command given to
/// [`with_refresh`](Self::with_refresh) makes the checkout what the controller reads, before files are looked at: what is
/// committed by then and is not what was ordered is changed again, and the command above told of it, though the same was
/// told before. A change that was proposed and is not merged yet is told once to each driver.
///
/// ```sh
/// #!/bin/sh -e
/// git fetch --quiet origin main
/// git reset --quiet --hard origin/main
/// ```
///
/// A `git pull` does not do here: the command above commits in this checkout, and what was not pushed, or not merged, would
/// stay there. Only with a refresh is a command that fails run again, since then it works on what is committed by then.
///
/// Without it the checkout is taken for what is committed.
///
/// # When it is ready
///
/// When the deployer for the cluster says so of the release that all places name. So a rollback waits for the controller
/// with its own patience, and when that ends it says that the files were written and what still runs.
///
/// # The state file
///
/// It holds the highest [`Fence`] and what was told to the command. Keep it beside the checkout, not in it. A checkout that
/// is made anew each time begins without it: then only the route's journal and the server's refusal of a push keep
/// drivers apart.
///
/// # Errors
///
/// [`ActuatorError::Refused`], with the remedy as the source: files and places that do not fit, a command that cannot be
/// run, or that fails where the checkout is not refreshed. [`ActuatorError::Unavailable`]: somebody else is writing, a
/// command that takes too long or fails on a checkout that is refreshed, as when somebody else has pushed in between; a
/// checkout that cannot be refreshed. [`ActuatorError::Displaced`]: the files are not in force yet, or not any more.
#[derive(Clone)]
pub struct GitOps {
    checkout: Checkout,
    state: PathBuf,
    cluster: Arc<dyn Deployer>,
    places: Arc<[Place]>,
    command: Arc<[Pattern]>,
    refresh: Arc<[String]>,
    within: Duration,
}

/// What is known of the files: the state file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Known {
    format: u32,
    fence: Option<Fence>,
    /// What was written last.
    wanted: Option<Release>,
    /// Whether the command has succeeded for it.
    told: bool,
    /// What was committed where that was another release then, by its digest: as long as it stays so, the change waits to
    /// be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<Digest>,
}

/// Why files are not changed, or not in force.
#[derive(Debug, thiserror::Error)]
enum Unready {
    #[error(
        "`{file}` says `{wanted}` no more but `{says}` at `{path}`, while {runs} runs; where that was just written, see that the commit or merge request has reached what the GitOps controller reads, and what the controller says"
    )]
    Ahead { file: String, path: String, says: String, wanted: String, runs: Release },
    #[error("it has no places; name one by `with`")]
    NoPlaces,
    #[error("it has the stable slot only, whose release is replaced in place; there is no {slot} slot")]
    OneSlot { slot: Slot },
    #[error("what others have deployed is not removed; remove it from the repository yourself")]
    NotOurs,
    #[error("its files are written, but nobody was told")]
    Untold(#[source] Failed),
    #[error("it is not known what is committed; see that the checkout can be refreshed")]
    Stale(#[source] Failed),
    #[error("`{}` is not what was written there; restore it or remove it", .path.display())]
    Garbled { path: PathBuf, source: Option<serde_json::Error> },
}

impl GitOps {
    const FORMAT: u32 = 1;

    /// A deployer for the repository checked out at `root`; `cluster` says what has become of it. What it knows is kept in
    /// the file `state`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when there is no such directory.
    pub fn new(
        root: impl AsRef<Path>,
        state: impl Into<PathBuf>,
        cluster: Arc<dyn Deployer>,
    ) -> Result<Self, Invalid> {
        let root = root.as_ref();
        let checkout = Checkout::open(root).map_err(|error| {
            Invalid::new("checkout", root.to_string_lossy(), format!("it cannot be opened: {error}"))
        })?;
        let (places, command, refresh) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { checkout, state: state.into(), cluster, places, command, refresh, within: WITHIN })
    }

    /// This deployer, which changes `place`, too.
    #[must_use]
    pub fn with(mut self, place: Place) -> Self {
        self.places = self.places.iter().cloned().chain([place]).collect();
        self
    }

    /// This deployer, which runs `command`, the program first, when the files were changed.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it has other places than those of a release.
    pub fn with_command<T: AsRef<str>>(
        mut self,
        command: impl IntoIterator<Item = T>,
    ) -> Result<Self, Invalid> {
        let parts = command.into_iter().map(|part| Pattern::loose("command", part.as_ref()));
        self.command = parts.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// This deployer, which runs `refresh`, the program first, in the checkout before it looks at the files to change them:
    /// it makes them what the GitOps controller reads, whatever they were.
    #[must_use]
    pub fn with_refresh<T: Into<String>>(mut self, refresh: impl IntoIterator<Item = T>) -> Self {
        self.refresh = refresh.into_iter().map(Into::into).collect();
        self
    }

    /// This deployer, whose commands may take so long each.
    #[must_use]
    pub const fn with_command_timeout(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    fn target(&self) -> String {
        format!("files in {}", self.checkout.root().display())
    }

    fn refused(&self, why: impl Into<BoxError>) -> ActuatorError {
        ActuatorError::Refused { target: self.target(), source: why.into() }
    }

    fn later(&self, why: impl Into<BoxError>) -> ActuatorError {
        ActuatorError::Unavailable { target: self.target(), source: why.into() }
    }

    fn unusable(&self, unusable: Unusable) -> ActuatorError {
        if unusable.is_transient() { self.later(unusable) } else { self.refused(unusable) }
    }

    fn expect_places(&self, slot: Slot) -> Result<(), ActuatorError> {
        if slot != Slot::Stable {
            return Err(self.refused(Unready::OneSlot { slot }));
        }
        if self.places.is_empty() {
            return Err(self.refused(Unready::NoPlaces));
        }
        Ok(())
    }

    /// What is known, unless a later driver has acted.
    async fn admit(&self, turn: &Turn, offered: Fence) -> Result<Known, ActuatorError> {
        let garbled = |source| self.refused(Unready::Garbled { path: self.state.clone(), source });
        let known = match turn.read().await.map_err(|error| self.later(error))? {
            None => Known { format: Self::FORMAT, ..Known::default() },
            Some(text) => serde_json::from_slice::<Known>(&text).map_err(|error| garbled(Some(error)))?,
        };
        if known.format != Self::FORMAT {
            return Err(garbled(None));
        }
        match known.fence.filter(|held| *held > offered) {
            Some(held) => Err(ActuatorError::Fenced { offered, held }),
            None => Ok(known),
        }
    }

    async fn remember(&self, turn: &Turn, known: &Known) -> Result<(), ActuatorError> {
        let text = serde_json::to_vec_pretty(known).expect("it has text for keys");
        turn.replace(Some(&text)).await.map_err(|error| self.later(error))
    }

    /// Does `work` on the files, which goes on when whoever waits for it goes away.
    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Checkout, &[Place]) -> Result<T, Unusable> + Send + 'static,
    ) -> Result<T, ActuatorError> {
        let (checkout, places) = (self.checkout.clone(), Arc::clone(&self.places));
        match spawn_blocking(move || work(&checkout, &places)).await {
            Ok(done) => done.map_err(|unusable| self.unusable(unusable)),
            Err(ended) => Err(self.later(ended)),
        }
    }

    /// Makes the checkout what is committed, if somebody has said how.
    async fn refresh(&self) -> Result<(), ActuatorError> {
        if self.refresh.is_empty() {
            return Ok(());
        }
        run(&self.refresh, Some(self.checkout.root()), self.within).await.map_err(|failed| match failed {
            Failed::NotRun { .. } => self.refused(Unready::Stale(failed)),
            // A server that is away comes back.
            failed => self.later(Unready::Stale(failed)),
        })
    }

    /// What is committed, where it is known to be something else than what `edits` make of it.
    fn over(&self, edits: &[Edit]) -> Option<Digest> {
        let line = |edit: &Edit, difference: &Difference| {
            format!("{}\0{}\0{}\n", edit.file.display(), difference.path, difference.says)
        };
        let lines = edits.iter().flat_map(|edit| edit.differences.iter().map(move |one| line(edit, one)));
        let committed: String = lines.collect();
        (!self.refresh.is_empty() && !committed.is_empty()).then(|| Digest::of(committed))
    }

    async fn tell(&self, release: &Release) -> Result<(), ActuatorError> {
        if self.command.is_empty() {
            return Ok(());
        }
        let command: Vec<_> = self.command.iter().map(|part| part.text(release)).collect();
        run(&command, Some(self.checkout.root()), self.within).await.map_err(|failed| match failed {
            Failed::Late { .. } => self.later(Unready::Untold(failed)),
            // Others push, too: what was refused for that is made anew from what they have pushed.
            Failed::Complained { .. } if !self.refresh.is_empty() => self.later(Unready::Untold(failed)),
            failed => self.refused(Unready::Untold(failed)),
        })
    }
}

#[async_trait]
impl Deployer for GitOps {
    fn in_place(&self) -> bool {
        true
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let release = &workload.release;
        self.expect_places(workload.slot)?;
        let turn = Turn::wait(self.state.clone()).await.map_err(|error| self.later(error))?;
        let known = self.admit(&turn, fence).await?;
        self.refresh().await?;
        let wanted = release.clone();
        let edits = self.on_files(move |checkout, places| checkout.plan(places, &wanted)).await?;
        let (is_same, over) = (known.wanted.as_ref() == Some(release), self.over(&edits));
        let untold = is_same && !known.told;
        let proposed =
            is_same && known.told && known.fence == Some(fence) && over.is_some() && over == known.over;
        let next =
            |told| Known { fence: Some(fence), wanted: Some(release.clone()), told, over, ..known.clone() };
        if !edits.is_empty() || untold {
            // Before the first byte: whoever comes after a kill must know that somebody is still to be told.
            if !proposed {
                self.remember(&turn, &next(false)).await?;
            }
            let held = turn.held();
            let write = move |checkout: &Checkout, places: &[Place]| {
                let _held = held;
                checkout.write(places, &edits)
            };
            self.on_files(write).await?;
            if !proposed {
                self.tell(release).await?;
            }
        }
        let next = next(true);
        if next == known { Ok(()) } else { self.remember(&turn, &next).await }
    }

    /// Whether all places could be written. What the command and the controller will say is not known.
    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.expect_places(workload.slot)?;
        let wanted = workload.release.clone();
        self.on_files(move |checkout, places| checkout.plan(places, &wanted)).await?;
        Ok(Rehearsed::Accepted)
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        if slot != Slot::Stable {
            return Ok(Readiness::Absent);
        }
        let seen = self.cluster.status(Slot::Stable).await?;
        let runs = match &seen {
            Readiness::Absent => return Ok(seen),
            Readiness::Failed { release, .. }
            | Readiness::Ready { release }
            | Readiness::Starting { release } => release.clone(),
        };
        let release = runs.clone();
        let edits = self.on_files(move |checkout, places| checkout.plan(places, &release)).await?;
        let first = edits.into_iter().find_map(|mut edit| Some((edit.differences.pop()?, edit.file)));
        match first {
            None => Ok(seen),
            Some((Difference { path, says, wanted }, file)) => {
                let clip = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
                let file = file.display().to_string();
                let displaced = Box::new(runs.clone());
                let ahead = Unready::Ahead { file, path, says: clip(says), wanted, runs };
                Err(ActuatorError::Displaced { target: self.target(), runs: displaced, source: ahead.into() })
            }
        }
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        let turn = Turn::wait(self.state.clone()).await.map_err(|error| self.later(error))?;
        self.admit(&turn, fence).await?;
        match slot {
            Slot::Stable => Err(self.refused(Unready::NotOurs)),
            Slot::Baseline | Slot::Candidate => Ok(()),
        }
    }
}

impl fmt::Debug for GitOps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitOps")
            .field("checkout", &self.checkout.root())
            .field("state", &self.state)
            .field("cluster", &self.cluster)
            .field("places", &self.places.len())
            .finish_non_exhaustive()
    }
}
