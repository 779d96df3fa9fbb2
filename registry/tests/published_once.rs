//! A publication that is broken off while its record is under way, and begun again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use tidegate_registry::{
    Collection, Content, Draft, ModelRef, ModelStore as _, ModelStoreExt as _, ObjectBacked, Reread, Stamp,
    Transfers,
};

fn model() -> ModelRef {
    "m@1.0.0".parse().unwrap()
}

async fn open(root: &Path) -> ObjectBacked {
    let registry = ObjectBacked::directory(root.join("registry")).await.unwrap();
    registry.with_transfers(Transfers::new().journal(root.join("journals")))
}

async fn publish(registry: &ObjectBacked, root: &Path) -> tidegate_registry::Result<()> {
    let draft = Draft::new(model(), Stamp::now("test"));
    registry.publish(draft, Content::directory(root.join("files")), &()).await.map(drop)
}

/// Nobody goes on with blobs that a record may come to name: whoever did, and then lost to that record, would
/// remove what it names.
#[tokio::test]
async fn what_a_record_may_name_is_not_gone_on_with() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    fs::create_dir(root.join("files")).unwrap();
    for name in ["a", "b"] {
        fs::write(root.join("files").join(name), name.repeat(1000)).unwrap();
    }
    // The journal as it is when the record is under way: its last line says so.
    let journal = || fs::read_dir(root.join("journals")).unwrap().next().map(|entry| entry.unwrap().path());
    let records = root.join("registry/models/m/log");
    {
        let registry = open(root).await;
        let mut publication = Box::pin(publish(&registry, root));
        let mut seen = None;
        std::future::poll_fn(|wake| {
            let polled = publication.as_mut().poll(wake).map(drop);
            let text = root.join("journals").exists().then(journal).flatten();
            let text = text.and_then(|path| Some((fs::read(&path).ok()?, path)));
            if let Some((text, path)) = text.filter(|(text, _)| text.ends_with(b"\"committing\"\n")) {
                seen = Some((text, path));
            }
            polled
        })
        .await;
        let (text, path) = seen.expect("it is noted before the record is written");
        // As a killed program leaves it.
        fs::write(path, text).unwrap();
    }
    // The record lands late: the next publisher does not see it when it begins.
    let record = records.join("00000000000000000001.json");
    let late = fs::read(&record).unwrap();
    fs::remove_file(&record).unwrap();
    let registry = open(root).await;
    let blobs = || fs::read_dir(root.join("registry/models/m/blobs")).unwrap().count();
    let mut publication = Box::pin(publish(&registry, root));
    let mut landed = false;
    std::future::poll_fn(|wake| {
        let polled = publication.as_mut().poll(wake);
        if !landed && blobs() == 4 {
            fs::write(&record, &late).unwrap();
            landed = true;
        }
        polled
    })
    .await
    .unwrap();
    drop(publication);
    assert!(landed, "it wrote blobs of its own");
    let registry = open(root).await;
    registry.verify(&model(), &()).await.unwrap();
    let now = Collection { grace: std::time::Duration::ZERO, ..Collection::default() };
    registry.collect(model().name(), &now, &Stamp::now("test")).await.unwrap();
    let inspection = registry.inspect(model().name(), Reread::All, &()).await.unwrap();
    assert!(inspection.is_sound() && inspection.unused == 0, "{inspection:?}");
}
