//! Releases as changes to files: which bytes change, what is refused, who is told, and what a kill leaves.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod bytes;
mod hostile;
mod killed;
mod told;

use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tidegate_canary::{
    ActuatorError, Deployer, GitOps, InMemoryDeployer, Release, Slot, Weight, Workload, gitops::Place,
    testkit::fence,
};
use tidegate_registry::Digest;

/// A checkout, and a cluster that runs `fraud@1.1.0`.
struct Checkout {
    directory: TempDir,
    cluster: InMemoryDeployer,
}

impl Checkout {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("repository")).unwrap();
        let checkout = Self { directory, cluster: InMemoryDeployer::serving(release("fraud@1.1.0")) };
        for (file, text) in files {
            checkout.put(file, text.as_bytes());
        }
        checkout
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("repository").join(file)
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), bytes).unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn deployer(&self, places: impl IntoIterator<Item = Place>) -> GitOps {
        let state = self.directory.path().join("fraud.json");
        let deployer = GitOps::new(self.path(""), state, Arc::new(self.cluster.clone())).unwrap();
        places.into_iter().fold(deployer, GitOps::with)
    }
}

fn release(model: &str) -> Release {
    Release { model: model.parse().unwrap(), digest: Digest::of(model) }
}

fn stable(model: &str) -> Workload {
    Workload { slot: Slot::Stable, release: release(model), share: Weight::FULL }
}

async fn ensure(deployer: &GitOps, model: &str, n: u64) -> Result<(), ActuatorError> {
    deployer.ensure(&stable(model), fence(n)).await
}

/// The error and its causes as one text.
fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
