//! Why a workload cannot be taken back, with the remedy.

use super::super::deployment::rollout;
use crate::{Release, Slot};

/// A workload that cannot be taken back as it is.
#[derive(Debug, thiserror::Error)]
pub(in crate::kubernetes) enum Unfit {
    #[error(
        "none of its revisions runs {} with the content {} any more; they run {known}; deploy that version anew, and raise `spec.revisionHistoryLimit` so that the next one is kept",
        .release.model, .release.digest
    )]
    Gone { release: Release, known: String },
    #[error(
        "the image of its container `{container}` is `{image}`, which is that of no release that is known here; add the release to those given to `with_image`"
    )]
    ImageUnknown { container: String, image: String },
    #[error("its pod template has no container `{container}` with an image; name another to `with_image`")]
    NoImage { container: String },
    #[error(
        "it replaces one release by another in place, so it has no {slot} slot; for slots of their own use `Deployments`"
    )]
    OneSlot { slot: Slot },
    #[error(transparent)]
    Still(#[from] Still),
    #[error(
        "another of the same name has taken its place meanwhile; look at what it runs, then go back again"
    )]
    Replaced,
    #[error("it was not made by tidegate, so it is not removed; remove it yourself")]
    Foreign,
    #[error(transparent)]
    Rollout(#[from] rollout::Unfit),
    #[error("it does not read as a StatefulSet of apps/v1")]
    Unreadable(#[source] serde_json::Error),
    #[error("its selector cannot be read, so its pods and revisions are not found")]
    Unselective,
}

/// A workload whose pods stay as they are when its template changes.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::kubernetes) enum Still {
    #[error(
        "its updateStrategy is OnDelete, so its pods would stay as they are; set it to RollingUpdate, or remove the pods yourself"
    )]
    OnDelete,
    #[error(
        "its updateStrategy has the partition {partition}, so pods with lower numbers would stay as they are; set it to 0"
    )]
    Partition { partition: i64 },
    #[error(
        "it is paused, so its pods would stay as they are; resume it by `kubectl rollout resume deployment/{name} -n {namespace}`, then go back again"
    )]
    Paused { namespace: String, name: String },
}
