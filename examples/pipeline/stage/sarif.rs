//! What other scanners found, as SARIF: Trivy, bandit, pip-audit, clippy, semgrep, CodeQL.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use serde::Deserialize;
use tidegate::{
    registry::{Content, Draft, InMemory, Manifest, ModelStore, Stamp},
    validation::{Run, Subject, Suite, sarif::Sarif},
};

use super::{At, Ending, Preview, reported};
use crate::{failure::Failure, formats::replace, ground::Ground, words::count};

/// A check of what scanners wrote, with the fields of a suite's check of the kind `sarif`: files, `fail_at`,
/// exceptions with a reason and an end.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Scans(Sarif);

impl Scans {
    pub(super) async fn run(&self, at: At<'_>) -> Result<Ending> {
        let ground = at.ground;
        let mut check = self.0.clone();
        for file in &mut check.files {
            *file = ground.release.path(file);
        }
        let suite = Suite::new(at.stage).with(check);
        let (nowhere, stamp) = (InMemory::new(), ground.stamp());
        let published = ground.published().await?;
        let is_published = published.is_some();
        let (manifest, store): (Manifest, &dyn ModelStore) = match published {
            Some(manifest) => (manifest, &ground.registry()?.store),
            // The check looks at no file of it.
            None => (stand_in(&nowhere, ground, &stamp).await?, &nowhere),
        };
        let report = suite.run(&Subject::new(&manifest, store), &Run::new(0).at(stamp.at)).await;
        let mut projection = report.projection().with_fact("Images", images(at.images));
        if !is_published {
            projection = projection.with_fact("Content", "not known: the version was not published yet");
        }
        let page = format!("{}.html", at.stage);
        replace(&ground.outputs()?.join(&page), projection.html().as_bytes())
            .map_err(|source| Failure::Lost { what: format!("page `{page}` cannot be written"), source })?;
        Ok(reported(&report).with_file("page", page).into())
    }

    pub(super) fn preview(&self, ground: &Ground) -> Preview {
        let Sarif { files, fail_at, exceptions, .. } = &self.0;
        let does = format!(
            "reads {} of SARIF, and fails on what is {fail_at:?} or worse, with {}",
            count(files.len(), "file"),
            count(exceptions.len(), "exception")
        );
        // Whoever writes them may be a stage before.
        files.iter().fold(Preview::new(does.to_lowercase()), |preview, file| {
            preview.taking(format!("`{}`, by a scanner before it", ground.release.path(file).display()))
        })
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        self.0
            .files
            .is_empty()
            .then(|| ("files", "is empty, and nothing read is no pass; name one".to_owned()))
    }
}

/// What stands for a version that does not exist yet.
async fn stand_in(nowhere: &InMemory, ground: &Ground, stamp: &Stamp) -> Result<Manifest> {
    let draft = Draft::new(ground.release.model.clone(), stamp.clone());
    let file = ("release".parse()?, Bytes::from(ground.release.digest.to_string()));
    Ok(nowhere.publish(draft, Content::bytes([file]), &()).await?)
}

/// What scanners had before them, as far as that is known.
fn images(made: &BTreeMap<String, String>) -> String {
    if made.is_empty() {
        return "none known: no stage before it has made one".to_owned();
    }
    made.iter().map(|(name, image)| format!("{name}: {image}")).collect::<Vec<_>>().join(", ")
}
