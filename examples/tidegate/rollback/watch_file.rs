//! A file that says what is guarded, and how.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tidegate::{
    canary::{Release, RouteId, RouteJournal},
    metrics::Criterion,
    registry::{Channel, ModelName, ModelStore as _},
    rollback::{Error, NoTarget, Recovery, Watch},
};

use crate::{document::Document, failure::Failure, registry::Registry};

pub(super) struct WatchFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

/// What a file says besides what a [`Watch`] has.
const MODEL: &str = "model";

impl WatchFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), fields: Document::parse_discreetly("watch", path)? })
    }

    pub(super) fn route(&self) -> Result<RouteId> {
        self.field("route")
    }

    /// What the file says, over the defaults for what is in service. What it leaves open is as in the watch that is gone
    /// on with. `reference` asks for what the version before has shown.
    pub(super) async fn watch(
        &self,
        registry: &Registry,
        before: Option<&Watch>,
        reference: bool,
    ) -> Result<Watch> {
        let route = self.route()?;
        let release = self.release(registry, before).await?;
        let Value::Object(mut whole) = serde_json::to_value(Watch::new(route.clone(), release))? else {
            unreachable!("a watch is written as an object")
        };
        whole.extend(self.fields.clone());
        whole.remove(MODEL);
        let watch = serde_path_to_error::deserialize::<_, Watch>(Value::Object(whole));
        let mut watch = watch.map_err(|error| self.wrong(&format!("{}: {}", error.path(), error.inner())))?;
        if self.fields.contains_key("criteria") && !self.fields.contains_key("recovery") {
            watch.recovery = proof(&watch.criteria);
        }
        if !reference {
            return Ok(watch);
        }
        if let Some(before) = before.filter(|before| !before.reference.is_empty()) {
            return Ok(Watch { reference: before.reference.clone(), ..watch });
        }
        let journal = RouteJournal::open(Arc::new(registry.store.clone()), &route).await?;
        Ok(match journal.latest() {
            Some((_, rollout)) => watch.with_reference(rollout),
            None => watch,
        })
    }

    async fn release(&self, registry: &Registry, before: Option<&Watch>) -> Result<Release> {
        if self.fields.contains_key("release") {
            return self.field("release");
        }
        let name: ModelName = self.field(MODEL)?;
        if let Some(before) = before.filter(|before| *before.release.model.name() == name) {
            return Ok(before.release.clone());
        }
        let channel = match self.fields.contains_key("channel") {
            true => self.field("channel")?,
            false => Channel::production(),
        };
        let current = registry.channels.current(&name, &channel).await?;
        let current = current.ok_or(Error::NoTarget(NoTarget::EmptyChannel))?;
        Ok(Release::from(&registry.store.manifest(&current.to).await?))
    }

    fn field<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.fields.get(name).ok_or_else(|| self.wrong(&format!("{name} is missing")))?;
        Ok(T::deserialize(value).map_err(|error| self.wrong(&format!("{name}: {error}")))?)
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::Misused(format!("watch `{}` is wrong: {why}", self.path.display()))
    }
}

/// What shows that going back has helped: the same conditions, as far as they need nothing to compare with.
pub(super) fn proof(criteria: &[Criterion]) -> Option<Recovery> {
    let alone: Vec<_> = criteria.iter().filter(|criterion| !criterion.needs_baseline()).cloned().collect();
    (!alone.is_empty()).then(|| Recovery::new(alone))
}
