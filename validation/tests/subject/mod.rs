//! A small version in a store.

use tidegate_registry::{Content, Draft, InMemory, Manifest, ModelStore as _, Stamp};

/// A published version of one file.
pub(crate) async fn publish() -> (InMemory, Manifest) {
    let store = InMemory::new();
    let stamp = Stamp { by: "test".into(), at: std::time::UNIX_EPOCH };
    let draft = Draft::new("support-bot@1.0.0".parse().unwrap(), stamp);
    let content = Content::bytes([("model.bin".parse().unwrap(), "weights".into())]);
    let manifest = store.publish(draft, content, &()).await.unwrap();
    (store, manifest)
}
