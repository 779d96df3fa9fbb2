//! A store whose objects were changed behind the registry's back: nothing wrong is ever delivered.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use tempfile::TempDir;
use tidegate_registry::{
    Channel, Channels, Content, Digest, Draft, Error, Filter, Log as _, LogKey, ModelRef, ModelStore as _,
    ModelStoreExt as _, ObjectBacked, OpenOptions, Seq, Stamp,
};

/// A registry in a directory with `m@1.0.0` of two files and `m@1.1.0` of one.
struct Registry {
    root: TempDir,
}

fn model(version: &str) -> ModelRef {
    format!("m@{version}").parse().unwrap()
}

impl Registry {
    async fn new() -> Self {
        let made = Self { root: tempfile::tempdir().unwrap() };
        let registry = made.open().await;
        let draft = |version| Draft::new(model(version), Stamp::now("test"));
        let files =
            [("a".parse().unwrap(), Bytes::from("alpha")), ("b/c".parse().unwrap(), Bytes::from("gamma!"))];
        registry.publish(draft("1.0.0"), Content::bytes(files), &()).await.unwrap();
        let files = [("a".parse().unwrap(), Bytes::from("beta"))];
        registry.publish(draft("1.1.0"), Content::bytes(files), &()).await.unwrap();
        made
    }

    /// A view that has not cached anything.
    async fn open(&self) -> ObjectBacked {
        ObjectBacked::directory(self.path("")).await.unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join("registry").join(below)
    }

    fn only(&self, directory: &str, fits: impl Fn(&[u8]) -> bool) -> PathBuf {
        let entries = fs::read_dir(self.path(directory)).unwrap().map(|entry| entry.unwrap().path());
        let mut found = entries.filter(|path| fits(&fs::read(path).unwrap()));
        let only = found.next().unwrap();
        assert!(found.next().is_none());
        only
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        self.only("models/m/blobs", |there| there == bytes)
    }

    fn record(&self, seq: u64) -> PathBuf {
        self.path(&format!("models/m/log/{seq:020}.json"))
    }

    /// Neither download nor verify accepts `m@1.0.0`; both say so in the same way.
    async fn refuses(&self, expected: impl Fn(&Error) -> bool, case: &str) {
        let registry = self.open().await;
        let target = self.root.path().join("target");
        let download = registry.download(&model("1.0.0"), &target, &()).await.unwrap_err();
        assert!(expected(&download), "{case}: {download} ({download:?})");
        assert!(!target.exists(), "{case} delivers something");
        let verify = registry.verify(&model("1.0.0"), &()).await.unwrap_err();
        assert!(expected(&verify), "{case}: {verify} ({verify:?})");
        // The same into a directory that exists.
        fs::create_dir(&target).unwrap();
        registry.download(&model("1.0.0"), &target, &()).await.unwrap_err();
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "{case} leaves something");
        assert_eq!(fs::read_dir(self.root.path()).unwrap().count(), 2, "{case} leaves its staging");
    }
}

fn is_corrupt(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. })
}

#[tokio::test]
async fn a_changed_blob_is_a_mismatch() {
    let registry = Registry::new().await;
    fs::write(registry.blob(b"gamma!"), "gamma?").unwrap();
    let is_mismatch = |error: &Error| {
        matches!(error, Error::DigestMismatch { file, expected, actual, .. }
            if file.as_str() == "b/c" && *expected == Digest::of("gamma!") && *actual == Digest::of("gamma?"))
    };
    registry.refuses(is_mismatch, "a changed byte").await;
    // What had to be made for the download is gone as well.
    let deep = registry.root.path().join("new/and/deep");
    registry.open().await.download(&model("1.0.0"), &deep, &()).await.unwrap_err();
    assert!(!registry.root.path().join("new").exists());
    // The other version is not touched by it.
    registry.open().await.verify(&model("1.1.0"), &()).await.unwrap();
}

#[tokio::test]
async fn a_blob_of_another_length_is_corrupt() {
    for (bytes, case) in [
        ("gam", "truncated"),
        ("", "emptied"),
        ("gamma!!", "longer"),
        (&"gamma!".repeat(1000), "much longer"),
    ] {
        let registry = Registry::new().await;
        fs::write(registry.blob(b"gamma!"), bytes).unwrap();
        registry.refuses(is_corrupt, case).await;
    }
}

#[tokio::test]
async fn a_missing_blob_or_manifest_is_corrupt_and_not_unknown() {
    let registry = Registry::new().await;
    fs::remove_file(registry.blob(b"alpha")).unwrap();
    registry.refuses(is_corrupt, "a missing blob").await;
    let registry = Registry::new().await;
    fs::remove_file(registry.only("models/m/manifests", of_first)).unwrap();
    registry.refuses(is_corrupt, "a missing manifest").await;
}

fn of_first(manifest: &[u8]) -> bool {
    manifest.windows(7).any(|window| window == b"m@1.0.0")
}

#[tokio::test]
async fn a_damaged_manifest_is_corrupt() {
    type Edit = fn(String) -> String;
    let edits: [(&str, Edit); 4] = [
        ("truncated", |text| text[..text.len() / 2].to_owned()),
        ("lying size", |text| text.replace("\"size\":6", "\"size\":7000000000")),
        ("another path", |text| text.replace("b/c", "../")),
        ("white space", |text| text + " "),
    ];
    for (case, edit) in edits {
        let registry = Registry::new().await;
        let path = registry.only("models/m/manifests", of_first);
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(text.clone());
        assert_ne!(text, edited, "{case}");
        fs::write(path, edited).unwrap();
        registry.refuses(is_corrupt, case).await;
    }
}

/// Puts `document` in the place of the manifest of 1.0.0 in a registry whose log agrees with it: what
/// somebody who can write to the store could do.
async fn forge(edit: impl Fn(&mut serde_json::Value)) -> Registry {
    let registry = Registry::new().await;
    let path = registry.only("models/m/manifests", of_first);
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut document);
    let bytes = serde_json::to_vec(&document).unwrap();
    let digest = Digest::of(&bytes);
    fs::write(registry.path(&format!("models/m/manifests/{}.json", digest.hex())), bytes).unwrap();
    fs::remove_file(&path).unwrap();
    fs::remove_file(registry.record(2)).unwrap();
    edit_record(&registry.record(1), |record| {
        let publish = &mut record["facts"][0]["publish"];
        publish["manifest"] = digest.to_string().into();
        publish["digest"] = document["manifest"]["digest"].clone();
        publish["size"] = document["manifest"]["size"].clone();
    });
    registry
}

fn edit_record(path: &Path, edit: impl Fn(&mut serde_json::Value)) {
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    edit(&mut record);
    fs::write(path, serde_json::to_vec(&record).unwrap()).unwrap();
}

#[tokio::test]
async fn a_forged_manifest_cannot_lie_about_sizes_or_leave_the_directory() {
    type Edit = fn(&mut serde_json::Value);
    let edits: [(&str, Edit); 8] = [
        ("a file larger than its parts", |d| d["manifest"]["files"][0]["size"] = (1_u64 << 60).into()),
        ("a size that overflows", |d| {
            d["manifest"]["files"][0]["size"] = u64::MAX.into();
            d["manifest"]["files"][1]["size"] = u64::MAX.into();
        }),
        ("another total", |d| d["manifest"]["size"] = 12.into()),
        ("a path above", |d| d["manifest"]["files"][0]["path"] = "../a".into()),
        ("an absolute path", |d| d["manifest"]["files"][0]["path"] = "/etc/x".into()),
        ("a path below a file", |d| d["manifest"]["files"][1]["path"] = "a/c".into()),
        ("a key elsewhere", |d| d["segments"][0]["key"] = "../../n/blobs/x".into()),
        ("no files", |d| {
            d["manifest"]["files"] = serde_json::json!([]);
            d["segments"] = serde_json::json!([]);
        }),
    ];
    for (case, edit) in edits {
        forge(edit).await.refuses(is_corrupt, case).await;
    }
    // The forgery itself is sound: without a lie it is read.
    forge(|_| {}).await.open().await.verify(&model("1.0.0"), &()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_does_not_chain_is_corrupt_for_everybody() {
    type Break = fn(&Registry);
    let breaks: [(&str, Break); 6] = [
        ("an edited first record", |r| {
            edit_record(&r.record(1), |record| record["stamp"]["by"] = "mallory".into())
        }),
        ("another number", |r| edit_record(&r.record(2), |record| record["seq"] = 7.into())),
        ("no link", |r| {
            edit_record(&r.record(2), |record| drop(record.as_object_mut().unwrap().remove("prev")))
        }),
        ("a record twice", |r| assert!(fs::copy(r.record(2), r.record(3)).unwrap() > 0)),
        ("no JSON", |r| fs::write(r.record(2), "{").unwrap()),
        ("a missing first record", |r| fs::remove_file(r.record(1)).unwrap()),
    ];
    for (case, damage) in breaks {
        let registry = Registry::new().await;
        damage(&registry);
        registry.refuses(is_corrupt, case).await;
        let opened = registry.open().await;
        let name = "m".parse().unwrap();
        assert!(is_corrupt(&opened.list(&name, Filter::default()).await.unwrap_err()), "{case}");
        let draft = Draft::new(model("2.0.0"), Stamp::now("test"));
        let files = [("a".parse().unwrap(), Bytes::from("x"))];
        assert!(is_corrupt(&opened.publish(draft, Content::bytes(files), &()).await.unwrap_err()), "{case}");
        let channels = Channels::new(Arc::new(opened));
        assert!(is_corrupt(&channels.current(&name, &Channel::production()).await.unwrap_err()), "{case}");
    }
}

#[tokio::test]
async fn what_a_later_version_wrote_is_refused_as_such() {
    type Edit = fn(&mut serde_json::Value);
    let edits: [(&str, Edit); 2] = [
        ("format 2", |record| record["v"] = 2.into()),
        ("fact `recall`", |record| {
            record["facts"][0] = serde_json::json!({ "recall": { "version": "1.0.0" } })
        }),
    ];
    for (what, edit) in edits {
        let registry = Registry::new().await;
        edit_record(&registry.record(2), edit);
        let error = registry.open().await.list(&"m".parse().unwrap(), Filter::default()).await.unwrap_err();
        assert!(matches!(&error, Error::TooNew { .. }) && error.to_string().contains(what), "{error}");
    }
    let registry = Registry::new().await;
    fs::write(registry.path("tidegate.json"), r#"{"format":2}"#).unwrap();
    let error = ObjectBacked::directory(registry.path("")).await.unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    fs::write(registry.path("tidegate.json"), "x".repeat(1 << 20)).unwrap();
    assert!(is_corrupt(&ObjectBacked::directory(registry.path("")).await.unwrap_err()));
}

/// An error and its causes as one sentence.
fn said(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

/// Removed, its directory is not there; unmounted, it is there and empty.
#[tokio::test]
async fn a_directory_that_vanishes_is_no_empty_registry() {
    let registry = Registry::new().await;
    let opened = registry.open().await;
    let (key, name) = (LogKey::new("route", "fraud").unwrap(), "m".parse().unwrap());
    opened.append(&key, Seq::FIRST, Bytes::from("{}")).await.unwrap();
    opened.manifest(&model("1.0.0")).await.unwrap();
    // What nobody has written yet is absent, and nothing else.
    let other = LogKey::new("route", "other").unwrap();
    assert!(opened.read(&other, Seq::FIRST).await.unwrap().is_empty());
    assert_eq!(opened.record(&other, Seq::FIRST).await.unwrap(), None);
    let home = registry.root.path().canonicalize().unwrap().join("registry");
    let away = registry.root.path().join("away");
    for unmounted in [false, true] {
        fs::rename(&home, &away).unwrap();
        if unmounted {
            fs::create_dir(&home).unwrap();
        }
        let draft = Draft::new(model("2.0.0"), Stamp::now("test"));
        let content = || Content::bytes([("a".parse().unwrap(), Bytes::from("x"))]);
        let channels = Channels::new(Arc::new(opened.clone()));
        let errors = [
            ("read", opened.read(&key, Seq::FIRST).await.err()),
            ("read on", opened.read(&key, Seq::FIRST.plus(1)).await.err()),
            ("record", opened.record(&key, Seq::FIRST).await.err()),
            ("append", opened.append(&key, Seq::FIRST.plus(1), Bytes::from("{}")).await.err()),
            ("begin a log", opened.append(&other, Seq::FIRST, Bytes::from("{}")).await.err()),
            ("manifest", opened.manifest(&model("1.0.0")).await.err()),
            ("open", opened.open(&model("1.0.0"), &"a".parse().unwrap(), OpenOptions::default()).await.err()),
            ("list", opened.list(&name, Filter::default()).await.err()),
            ("models", opened.models().try_collect::<Vec<_>>().await.err()),
            ("publish", opened.publish(draft, content(), &()).await.err()),
            ("channel", channels.current(&name, &Channel::production()).await.err()),
        ];
        for (what, error) in errors {
            let error = error.unwrap_or_else(|| panic!("unmounted: {unmounted}: {what} went well"));
            let said = said(&error);
            assert!(error.is_transient(), "unmounted: {unmounted}: {what}: {said}");
            assert!(said.contains(&format!("the registry in {} is gone", home.display())), "{what}: {said}");
            assert!(said.contains("put it back"), "{what}: {said}");
        }
        // Nothing was written in its place.
        if unmounted {
            fs::remove_dir(&home).unwrap();
        }
        assert!(!home.exists());
        fs::rename(&away, &home).unwrap();
        assert_eq!(opened.read(&key, Seq::FIRST).await.unwrap().len(), 1);
        assert_eq!(opened.list(&name, Filter::default()).await.unwrap().len(), 2);
    }
}
