//! Users ask all the while.

use std::{fs, path::Path, sync::atomic::Ordering::Relaxed};

use crate::story::{FEATURES, Stage};

async fn stage(root: &Path, one_in: u32) -> Stage {
    let mut stage = Stage::set_up(root.to_owned(), one_in).await.expect("a server");
    for minor in 1..=6 {
        stage.publish_good(minor).await.expect("it is published");
    }
    stage.promote(1).await.expect("it is promoted");
    stage.until_serving(1).await.expect("it answers");
    stage.let_users_ask();
    stage.answers(100).await;
    stage
}

fn assert_all_well(stage: &Stage) {
    let wrong = stage.seen.wrong.lock().expect("no user panics").clone();
    assert_eq!(wrong, None, "after {} answers", stage.seen.answers.load(Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_promotion_is_noticed_but_by_the_version() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let stage = stage(root.path(), 0).await;
    // Forth, back, and two at once, of which the last counts.
    for minor in [2, 3, 1, 6] {
        stage.promote(minor).await.expect("it is promoted");
        stage.until_serving(minor).await.expect("it answers");
        stage.answers(100).await;
    }
    stage.promote(4).await.expect("it is promoted");
    stage.promote(5).await.expect("it is promoted");
    stage.until_serving(5).await.expect("it answers");
    stage.answers(100).await;
    assert_all_well(&stage);
    let left: Vec<_> = fs::read_dir(root.path().join("delivered")).expect("a directory").collect();
    assert_eq!(left.len(), 1, "only what is served is kept: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_loaded_is_said_and_the_old_one_stays() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let stage = stage(root.path(), 0).await;
    stage.publish(7, "this is no model".into()).await.expect("it is published");
    stage.promote(7).await.expect("it is promoted");
    let said = stage.until_behind().await.expect("it is said");
    assert!(
        said.starts_with("\"scorer@1.1.0\" goes on") && said.contains("scorer@1.7.0 cannot be served"),
        "{said}"
    );
    assert!(said.contains("model.safetensors is not whole"), "{said}");
    stage.answers(100).await;
    // The next one is served as if nothing had been.
    stage.promote(2).await.expect("it is promoted");
    stage.until_serving(2).await.expect("it answers");
    stage.answers(100).await;
    assert_all_well(&stage);
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_that_are_not_what_was_published_are_not_served() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let stage = stage(root.path(), 0).await;
    let mut weights = crate::weights::Weights::new(vec![3.0; FEATURES]).bytes().expect("bytes");
    let found = find(&root.path().join("registry"), &weights).expect("they lie in the registry");
    // One bit of one weight: it loads as well as before.
    *weights.last_mut().expect("a byte") ^= 1;
    fs::write(found, weights).expect("it is ours");
    stage.promote(3).await.expect("it is promoted");
    let said = stage.until_behind().await.expect("it is said");
    assert!(said.starts_with("\"scorer@1.1.0\" goes on") && said.contains("scorer@1.3.0"), "{said}");
    stage.answers(100).await;
    assert_all_well(&stage);
}

/// Half of the calls fail. A registry that is away is asked again, and its last word counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_asked_again() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let stage = stage(root.path(), 2).await;
    for minor in [2, 3, 4, 5, 6] {
        stage.promote(minor).await.expect("it is promoted");
        stage.until_serving(minor).await.expect("it answers");
    }
    assert_all_well(&stage);
}

/// The file below `directory` that holds exactly `bytes`.
fn find(directory: &Path, bytes: &[u8]) -> Option<std::path::PathBuf> {
    fs::read_dir(directory).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, bytes) } else { (fs::read(&path).ok()? == bytes).then_some(path) }
    })
}
