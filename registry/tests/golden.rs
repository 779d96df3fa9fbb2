//! What was once written is read for ever.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, sync::Arc};

use tidegate_registry::{
    Attestations, Cause, Channel, Channels, Filter, Journal, LogKey, ModelName, ModelRef, ModelStore as _,
    ModelStoreExt as _, ObjectBacked, Reread,
};

/// A registry as format 1 wrote it: two versions, two moves of `production`, one of them settled, an
/// attestation, and a journal of two records. Never change it; add another when a format is added.
const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/registry-v1");

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn format_1_is_read() {
    let root = tempfile::tempdir().unwrap();
    copy(Path::new(V1), root.path());
    let registry = Arc::new(ObjectBacked::directory(root.path()).await.unwrap());
    let model: ModelRef = "fraud-scorer@1.1.0".parse().unwrap();
    let manifest = registry.verify(&model, &()).await.unwrap();
    assert_eq!(
        manifest.digest.to_string(),
        "sha256:3108f54942f7c74b31295f2692a1ee4a180f63ff1f8d0a7d51df4c02eff1c0d7"
    );
    assert_eq!(manifest.card.metrics["accuracy"].to_bits(), 0.931_f64.to_bits());
    let versions = registry.list(model.name(), Filter::default()).await.unwrap();
    assert_eq!(
        versions.iter().map(|there| there.version.to_string()).collect::<Vec<_>>(),
        ["1.1.0", "1.0.0"]
    );

    let channels = Channels::new(Arc::<ObjectBacked>::clone(&registry));
    let history = channels.history(model.name(), &Channel::production()).await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!((&history[1].to, history[1].from.as_ref()), (&model, Some(&history[0].to)));
    assert!(history[0].settled.is_some() && history[1].settled.is_none());
    assert_eq!(history[1].cause, Cause::Rollout { id: "rollout-1".to_owned() });
    assert_eq!(Attestations::new(Arc::<ObjectBacked>::clone(&registry)).of(&model).await.unwrap().len(), 1);

    let key = LogKey::new("route", "serving/fraud").unwrap();
    let (_, records) = Journal::<String>::open(registry, key).await.unwrap();
    assert_eq!(records, ["opened", "closed"]);
}

/// A registry in which everything was said that can be said: two versions in one record, one of them with a
/// promotion; policies; a signature and an approval; a rollout, a revert, a rollback and a demotion; a yank, a
/// quarantine, a deletion, and a collection of its garbage. Never change it either.
const ALL_FACTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/registry-v1-all-facts");

#[tokio::test]
async fn every_fact_of_format_1_is_read() {
    let root = tempfile::tempdir().unwrap();
    copy(Path::new(ALL_FACTS), root.path());
    let registry = Arc::new(ObjectBacked::directory(root.path()).await.unwrap());
    let name: ModelName = "intent".parse().unwrap();
    let inspection = registry.inspect(&name, Reread::All, &()).await.unwrap();
    assert!(inspection.is_sound() && inspection.unused == 0, "{inspection:?}");
    assert_eq!((inspection.records, inspection.versions), (22, 2));

    let found = registry.list(&name, Filter::default()).await.unwrap();
    let [second, first] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((first.version.to_string(), second.version.to_string()), ("1.0.0".into(), "1.1.0".into()));
    assert_eq!(first.yanked.as_ref().unwrap().reason, "a flaw, really");
    assert_eq!(first.quarantined.as_ref().unwrap().reason, "it does");
    assert_eq!(
        (second.attested.len(), second.summary.metrics["accuracy"].to_bits()),
        (3, 0.93_f64.to_bits())
    );
    let model = name.at("1.2.0-rc.1".parse().unwrap());
    let error = registry.manifest(&model).await.unwrap_err().to_string();
    assert!(error.contains("release@example.com (2026-11-18T11:08:50Z) deleted it: never mind"), "{error}");

    let log = || Arc::<ObjectBacked>::clone(&registry);
    let (channels, attestations) = (Channels::new(log()), Attestations::new(log()));
    let moves = channels.history(&name, &Channel::production()).await.unwrap();
    assert_eq!(moves.len(), 4);
    assert_eq!(moves[2].cause, Cause::Revert { of: moves[1].seq, reason: "it is slow".to_owned() });
    let staging = channels.history(&name, &"staging".parse().unwrap()).await.unwrap();
    assert_eq!(staging[0].ended.as_ref().unwrap().reason, "staging is closed");
    let policies = channels.policies(&name).await.unwrap();
    assert_eq!(policies.keys().collect::<Vec<_>>(), [&Channel::production()]);
    let unmet = channels
        .unmet(&moves[1].to, &Channel::production(), &Cause::Promote, moves[3].stamp.at)
        .await
        .unwrap();
    assert_eq!(unmet, [], "attested, approved, signed and soaked");
    assert_eq!(attestations.of(&moves[1].to).await.unwrap().len(), 2);
}
