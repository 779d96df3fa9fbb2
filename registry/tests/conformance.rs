//! Every backend does what its traits promise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use object_store::{memory::InMemory as Bucket, prefix::PrefixStore};
use tidegate_registry::{
    InMemory, ObjectBacked,
    testkit::{log_conformance, model_store_conformance},
};

async fn bucket() -> ObjectBacked {
    ObjectBacked::open(Arc::new(PrefixStore::new(Bucket::new(), "team/registry"))).await.unwrap()
}

/// A factory of registries in a directory that lives as long as the factory.
macro_rules! directory {
    () => {{
        let directory = tempfile::tempdir().unwrap();
        async move || ObjectBacked::directory(directory.path().join("new/registry")).await.unwrap()
    }};
}

model_store_conformance!(in_memory, async || InMemory::new());
model_store_conformance!(in_a_bucket, async || bucket().await);
model_store_conformance!(in_a_directory, directory!());

log_conformance!(in_memory_log, async || InMemory::new());
log_conformance!(in_a_bucket_log, async || bucket().await);
log_conformance!(in_a_directory_log, directory!());
