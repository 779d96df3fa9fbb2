//! Images that versions need, and whether they are still there.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::{Either, select};
use tidegate_registry::{ModelStore, OciImage, OciImages};

use crate::{ActuatorError, Deployer, Fence, Readiness, Rehearsed, Release, Slot, Workload};

/// The label of a version that says which container image runs it, by its digest:
/// `registry.example.com/team/fraud@sha256:…`.
pub const IMAGE: &str = "tidegate.dev/image";

/// How long a rehearsal waits for what is known of an image. Whoever rehearses has not much more for all of it.
const ASKED: Duration = Duration::from_secs(2);

/// A [`Deployer`] that also knows of images: a release whose [`IMAGE`] its registry has lost is refused in a rehearsal,
/// before it is needed, and not when it is to be made to run. Everything else is the inner deployer's.
///
/// An image of a registry that is not among those given, and one of which its registry says neither yes nor no, or nothing
/// within two seconds of a rehearsal, is left to the inner deployer: whatever starts it will see. [`check`](Self::check) asks for a release before a rollout of it.
#[derive(Clone)]
pub struct Pinned<D> {
    inner: D,
    store: Arc<dyn ModelStore>,
    registries: Arc<[OciImages]>,
}

impl<D> Pinned<D> {
    /// `inner`, for versions whose labels are in `store` and whose images are in `registries`.
    #[must_use]
    pub fn new(
        inner: D,
        store: Arc<dyn ModelStore>,
        registries: impl IntoIterator<Item = OciImages>,
    ) -> Self {
        Self { inner, store, registries: registries.into_iter().collect() }
    }
}

impl<D: Deployer> Pinned<D> {
    /// Whether anything speaks against the image of `release`. The inner deployer is not asked.
    ///
    /// # Errors
    ///
    /// [`ActuatorError::Refused`] when its registry has lost it, or when the label of the version names no image by its
    /// digest; the store's errors when that is not known.
    pub async fn check(&self, release: &Release) -> Result<(), ActuatorError> {
        match self.lost(release).await? {
            Some(image) => {
                Err(ActuatorError::Refused { target: release.to_string(), source: Box::new(Lost(image)) })
            }
            None => Ok(()),
        }
    }

    /// The image of a release that is lost, if it is.
    async fn lost(&self, release: &Release) -> Result<Option<OciImage>, ActuatorError> {
        let refused = |source| ActuatorError::Refused { target: release.to_string(), source };
        let manifest = self.store.manifest(&release.model).await?;
        let Some(label) = manifest.card.labels.get(IMAGE) else { return Ok(None) };
        let image: OciImage = label.parse().map_err(|invalid| refused(Box::new(invalid)))?;
        let Some(registry) = self.registries.iter().find(|registry| registry.holds(&image)) else {
            return Ok(None);
        };
        match registry.has(&image).await {
            Ok(has) => Ok((!has).then_some(image)),
            Err(error) => {
                tracing::warn!(%release, %image, %error, "nobody says whether the image is there");
                Ok(None)
            }
        }
    }
}

/// Why a release would not run.
#[derive(Debug, thiserror::Error)]
#[error("its image {0} is not in its registry any more; push it there again, or take another version")]
struct Lost(OciImage);

#[async_trait]
impl<D: Deployer> Deployer for Pinned<D> {
    fn in_place(&self) -> bool {
        self.inner.in_place()
    }

    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.ensure(workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        let release = &workload.release;
        // Neither waits for the other: a registry that hangs must not keep it from being heard what the deployer refuses.
        let image = pin!(async {
            tokio::time::timeout(ASKED, self.check(release)).await.unwrap_or_else(|_| {
                tracing::warn!(%release, "nobody says in time whether the image is there");
                Ok(())
            })
        });
        let (image, inner) = match select(image, self.inner.rehearse(workload)).await {
            Either::Left((image, _)) if is_final(&image) => return image.map(|()| Rehearsed::Accepted),
            Either::Left((image, inner)) => (image, inner.await),
            Either::Right((inner, _)) if is_final(&inner) => return inner,
            Either::Right((inner, image)) => (image.await, inner),
        };
        // What asking again does not help is said first.
        if is_final(&inner) { inner } else { image.and(inner) }
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.inner.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.inner.remove(slot, fence).await
    }
}

/// Whether asking again does not help.
fn is_final<T>(answer: &Result<T, ActuatorError>) -> bool {
    answer.as_ref().is_err_and(|error| !error.is_transient())
}

impl<D: fmt::Debug> fmt::Debug for Pinned<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("inner", &self.inner)
            .field("registries", &self.registries)
            .finish_non_exhaustive()
    }
}
