//! From a plan file to a plan that is about certain bytes.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, Result};
use tidegate::{
    canary::{
        Plan, Release,
        plan_file::{Format, PlanFile, Wanted},
    },
    registry::{Channel, ModelName, ModelStore as _},
};

use crate::{
    failure::{Failure, unreadable},
    registry::Registry,
};

/// Reads a plan; `-` is standard input, and holds YAML or JSON.
pub(super) fn read(path: &Path) -> Result<PlanFile> {
    let shown = path.display();
    let misused = |why: String| Failure::Misused(format!("plan `{shown}` {why}"));
    let (format, text) = if path.as_os_str() == "-" {
        (Format::Yaml, text(io::stdin().lock()))
    } else {
        let format = Format::of(path).ok_or_else(|| {
            misused("is none of .yaml, .toml and .json; name it after its format".to_owned())
        })?;
        (format, File::open(path).and_then(text))
    };
    let text = text.map_err(|error| misused(unreadable(&error)))?;
    PlanFile::read(&text, format).with_context(|| format!("plan `{shown}` cannot be used"))
}

/// One byte more than a plan may have says that it has too many.
fn text(reader: impl Read) -> io::Result<String> {
    let mut text = String::new();
    reader.take(PlanFile::LONGEST as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// The plan, with what it leaves open pinned: as a rollout that is gone on with has it, or by what the registry says.
pub(super) async fn pin(file: PlanFile, registry: &Registry, before: Option<&Plan>) -> Result<Plan> {
    let (name, channel) = (file.candidate().model().clone(), file.spec().channel.clone());
    let before = before.filter(|plan| *plan.candidate.model.name() == name);
    let candidate = match (file.candidate(), before) {
        (Wanted::Selected(_), Some(before)) => before.candidate.clone(),
        (wanted, _) => release(wanted, registry).await?,
    };
    let stable = match (file.stable(), before) {
        (None | Some(Wanted::Selected(_)), Some(before)) => before.stable.clone(),
        (Some(wanted), _) => release(wanted, registry).await?,
        (None, None) => in_service(registry, &name, &channel).await?,
    };
    Ok(file.pin(stable, candidate)?)
}

async fn release(wanted: &Wanted, registry: &Registry) -> Result<Release> {
    match wanted {
        Wanted::Pinned(release) => Ok(release.clone()),
        Wanted::Selected(selector) => {
            let model = registry.resolve(selector).await?;
            Ok(Release::from(&registry.store.manifest(&model).await?))
        }
    }
}

async fn in_service(registry: &Registry, name: &ModelName, channel: &Channel) -> Result<Release> {
    let Some(current) = registry.channels.current(name, channel).await? else {
        let why = format!(
            "the plan leaves `stable` out, but {name}:{channel} points nowhere yet; `tidegate promote` what is in service first"
        );
        return Err(Failure::Misused(why).into());
    };
    Ok(Release::from(&registry.store.manifest(&current.to).await?))
}

/// A plan that is to take the place of another one, which is from `stable`.
pub(super) async fn replacement(file: PlanFile, registry: &Registry, stable: Release) -> Result<Plan> {
    let candidate = release(file.candidate(), registry).await?;
    let stable = match file.stable() {
        Some(wanted @ Wanted::Pinned(_)) => release(wanted, registry).await?,
        _ => stable,
    };
    Ok(file.pin(stable, candidate)?)
}
