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
    assert_eq!(delivered(root.path()), ["scorer@1.5.0"], "only what is served is kept");
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
    assert_eq!(delivered(root.path()), ["scorer@1.1.0"], "it does not lie around");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_there_is_removed_and_nothing_else() {
    let root = tempfile::tempdir().expect("a temporary directory");
    for left in ["scorer@0.9.0/model", ".tidegate-0/files", "somebody's/things"] {
        fs::create_dir_all(root.path().join("delivered").join(left)).expect("it is ours");
    }
    let stage = stage(root.path(), 0).await;
    assert_eq!(delivered(root.path()), ["scorer@1.1.0", "somebody's"]);
    assert_all_well(&stage);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_no_fault_of_the_version() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let stage = stage(root.path(), 0).await;
    let file = root.path().join("delivered/scorer@1.2.0");
    fs::write(&file, "no directory").expect("it is ours");
    stage.promote(2).await.expect("it is promoted");
    let said = stage.until_behind().await.expect("it is said");
    assert!(said.contains("scorer@1.2.0 cannot be served"), "{said}");
    fs::remove_file(&file).expect("it is still there");
    stage.until_serving(2).await.expect("it answers");
    stage.answers(100).await;
    assert_all_well(&stage);
}

/// What lies in the directory of delivered versions.
fn delivered(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("delivered")).expect("a directory").flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().expect("names of ours are UTF-8")).collect();
    names.sort_unstable();
    names
}

/// The file below `directory` that holds exactly `bytes`.
fn find(directory: &Path, bytes: &[u8]) -> Option<std::path::PathBuf> {
    fs::read_dir(directory).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path, bytes) } else { (fs::read(&path).ok()? == bytes).then_some(path) }
    })
}
