//! Where a version is delivered, and what may lie there already.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use bytes::Bytes;
use tempfile::TempDir;
use tidegate_registry::{
    Content, Draft, Error, FilePath, InMemory, ModelRef, ModelStore as _, ModelStoreExt as _, Stamp,
    Transfer, testkit::Flaky,
};

const FILES: [(&str, &str); 4] = [("config.json", "{}"), ("empty", ""), ("w/1", "one"), ("w/2", "two")];

fn model() -> ModelRef {
    "m@1.0.0".parse().unwrap()
}

async fn published() -> (InMemory, TempDir) {
    let store = InMemory::new();
    let files = FILES.map(|(path, bytes)| (path.parse::<FilePath>().unwrap(), Bytes::from(bytes)));
    store.publish(Draft::new(model(), Stamp::now("test")), Content::bytes(files), &()).await.unwrap();
    (store, tempfile::tempdir().unwrap())
}

/// Every file below `root` with its content, hidden ones included.
fn tree(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Whether anything is staged in `root`.
fn staged(root: &Path) -> bool {
    let mut names = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_str().unwrap().starts_with(".tidegate-"))
}

fn whole() -> Vec<(PathBuf, String)> {
    FILES.map(|(path, bytes)| (path.into(), bytes.to_owned())).into()
}

#[tokio::test]
async fn into_a_missing_an_empty_and_a_full_directory() {
    let (store, root) = published().await;
    let missing = root.path().join("a/b");
    store.download(&model(), &missing, &()).await.unwrap();
    assert_eq!(tree(&missing), whole());
    store.download(&model(), &missing, &()).await.unwrap();
    assert_eq!(tree(&missing), whole());
    let empty = root.path().join("empty");
    fs::create_dir(&empty).unwrap();
    store.download(&model(), &empty, &()).await.unwrap();
    assert_eq!(tree(&empty), whole());
    assert_eq!(tree(root.path()).len(), 2 * FILES.len(), "no staging is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_downloads_into_one_directory_agree() {
    for _ in 0..10 {
        let (store, root) = published().await;
        let target = root.path().join("target");
        let model = model();
        for done in futures::future::join_all((0..8).map(|_| store.download(&model, &target, &()))).await {
            done.unwrap();
        }
        assert_eq!(tree(root.path()).len(), FILES.len(), "no staging is left");
    }
}

#[tokio::test]
async fn a_dropped_download_leaves_nothing_partial() {
    let (store, root) = published().await;
    let model = model();
    let (mut nothing, mut whole_ones) = (0, 0);
    for polls in 1.. {
        let target = root.path().join(format!("{polls}"));
        let mut download = Box::pin(store.download(&model, &target, &()));
        let mut polled = 0;
        let stopped = futures::future::poll_fn(|wake| {
            polled += 1;
            if polled > polls {
                return std::task::Poll::Ready(None);
            }
            download.as_mut().poll(wake).map(Some)
        });
        let done = stopped.await;
        drop(download);
        // A step that has begun is finished by its thread, which then removes what is staged.
        while staged(root.path()) {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
        if target.exists() {
            whole_ones += 1;
            assert_eq!(tree(&target), whole(), "{polls} polls");
        } else {
            nothing += 1;
        }
        if let Some(done) = done {
            done.unwrap();
            break;
        }
    }
    assert!(nothing > 2 && whole_ones > 0, "{nothing} times nothing, {whole_ones} times all");
}

#[tokio::test]
async fn only_what_is_missing_is_fetched() {
    let (store, root) = published().await;
    fs::create_dir(root.path().join("w")).unwrap();
    fs::write(root.path().join("w/1"), "one").unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    let told = Mutex::new(Vec::new());
    let progress = |transfer: Transfer<'_>| told.lock().unwrap().push(format!("{transfer:?}"));
    store.download(&model(), root.path(), &progress).await.unwrap();
    let told = told.into_inner().unwrap();
    let start = told.iter().find(|event| event.starts_with("Start"));
    assert_eq!(start.unwrap(), "Start { files: 3, bytes: Some(5) }");
    assert!(!told.iter().any(|event| event.contains("w/1")), "{told:?}");
    let found = tree(root.path());
    assert_eq!(found.len(), FILES.len() + 1);
    assert!(whole().iter().all(|file| found.contains(file)));
}

/// Puts something at a path.
type Place = fn(&Path);

#[tokio::test]
async fn anything_else_in_the_way_stops_it_before_it_starts() {
    let in_the_way: &[(&str, Place)] = &[
        ("w/2", |path| fs::write(path, "xxx").unwrap()),
        ("config.json", |path| fs::write(path, "longer than it").unwrap()),
        ("config.json", |path| fs::create_dir(path).unwrap()),
        #[cfg(unix)]
        ("empty", |path| std::os::unix::fs::symlink("/dev/null", path).unwrap()),
        #[cfg(unix)]
        ("w", |path| {
            fs::remove_dir(path).unwrap();
            std::os::unix::fs::symlink("/tmp", path).unwrap();
        }),
    ];
    for (name, place) in in_the_way {
        let (store, root) = published().await;
        fs::create_dir(root.path().join("w")).unwrap();
        place(&root.path().join(name));
        let entries = || fs::read_dir(root.path()).unwrap().count();
        let before = entries();
        let error = store.download(&model(), root.path(), &()).await.unwrap_err();
        assert!(matches!(&error, Error::Occupied { path } if path.ends_with(name)), "{error}");
        assert_eq!(entries(), before, "{name}");
    }
    let (store, root) = published().await;
    let file = root.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = store.download(&model(), &file, &()).await.unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
}

#[tokio::test]
async fn broken_connections_deliver_all_or_nothing() {
    let (mut delivered, mut failed, mut faults) = (0, 0, 0);
    for seed in 0..200 {
        let (store, root) = published().await;
        let target = root.path().join("target");
        let flaky = Flaky::new(store, seed, 3);
        match flaky.download(&model(), &target, &()).await {
            Ok(_) => {
                delivered += 1;
                assert_eq!(tree(&target), whole(), "seed {seed}");
            }
            Err(error) => {
                failed += 1;
                assert!(error.is_transient(), "seed {seed}: {error}");
                assert!(!target.exists(), "seed {seed}");
            }
        }
        let left = fs::read_dir(root.path()).unwrap().count();
        assert_eq!(left, usize::from(target.exists()), "seed {seed} leaves its staging");
        faults += flaky.faults();
    }
    assert!(
        delivered > 20 && failed > 20 && faults > 200,
        "{delivered} delivered, {failed} failed, {faults} faults"
    );
}

/// Two versions with the same names: one directory holds one of them, and only whoever delivered it says so.
#[tokio::test(flavor = "multi_thread")]
async fn two_versions_never_mix_in_one_directory() {
    const COUNT: usize = 20;
    let store = InMemory::new();
    let versions: [ModelRef; 2] = [model(), "m@2.0.0".parse().unwrap()];
    for model in &versions {
        let bytes = model.to_string();
        let files = (0..COUNT).map(|n| (format!("d{}/f{n}", n % 3).parse().unwrap(), bytes.clone().into()));
        let draft = Draft::new(model.clone(), Stamp::now("test"));
        store.publish(draft, Content::bytes(files), &()).await.unwrap();
    }
    for existing in [true, false].repeat(30) {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        if existing {
            fs::create_dir(&target).unwrap();
        }
        let pulls = [0, 1, 0, 1].map(|n| {
            let (store, model, target) = (store.clone(), versions[n].clone(), target.clone());
            tokio::spawn(async move { store.download(&model, &target, &()).await.map(|_| model) })
        });
        let mut delivered = Vec::new();
        for pull in pulls {
            match pull.await.unwrap() {
                Ok(model) => delivered.push(model),
                Err(error) => assert!(matches!(error, Error::Occupied { .. }), "{error}"),
            }
        }
        delivered.dedup();
        assert_eq!(delivered.len(), 1, "{delivered:?}");
        let there = tree(root.path());
        assert_eq!(there.len(), COUNT, "nothing more is left: {there:?}");
        assert!(there.iter().all(|(_, bytes)| *bytes == delivered[0].to_string()), "{there:?}");
    }
}

#[tokio::test]
async fn a_failed_delivery_takes_back_what_it_delivered() {
    let (store, root) = published().await;
    let target = root.path().join("target");
    fs::create_dir(&target).unwrap();
    // Comes into the way after everything was looked at: the last file is there, and is another one.
    let progress = |transfer: Transfer<'_>| {
        if matches!(transfer, Transfer::Start { .. }) {
            fs::create_dir(target.join("w")).unwrap();
            fs::write(target.join("w/2"), "mine").unwrap();
        }
    };
    let error = store.download(&model(), &target, &progress).await.unwrap_err();
    assert!(matches!(&error, Error::Occupied { path } if path.ends_with("w/2")), "{error}");
    assert_eq!(tree(root.path()), [("target/w/2".into(), "mine".to_owned())]);
}

#[tokio::test]
#[cfg(unix)]
async fn what_a_killed_download_left_is_removed_and_nothing_else() {
    let (store, root) = published().await;
    let stale = |n: u32| root.path().join(format!(".tidegate-01a20521-8cce-7188-a49d-28b5deed68c{n}"));
    for directory in [stale(1), stale(2), root.path().join(".tidegate-mine")] {
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("f"), "x").unwrap();
    }
    fs::write(stale(3), "a file").unwrap();
    let in_use = fs::File::open(stale(2)).unwrap();
    in_use.try_lock().unwrap();
    store.download(&model(), &root.path().join("target"), &()).await.unwrap();
    let left = [stale(1), stale(2), stale(3), root.path().join(".tidegate-mine")].map(|path| path.exists());
    assert_eq!(left, [false, true, true, true]);
    drop(in_use);
    store.download(&model(), root.path(), &()).await.unwrap();
    assert!(!stale(2).exists());
}
