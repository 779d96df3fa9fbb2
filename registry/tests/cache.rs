//! The cache of a serving machine.
#![cfg(feature = "fs")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that is a program talks to the other"
)]

use std::{
    fmt, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{future::join_all, stream::BoxStream};
use tempfile::TempDir;
use tidegate_registry::{
    ByteStream, Cache, Content, Draft, Error, FilePath, Filter, InMemory, Link, Manifest, ModelName,
    ModelRef, ModelStore, ObjectBacked, OpenOptions, Progress, Published, Result, Stamp, Transfer, Transfers,
};

/// A store that counts the files that are fetched from it, and can be away.
#[derive(Clone, Debug)]
struct Counted {
    store: InMemory,
    name: &'static str,
    opened: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
}

impl Counted {
    fn new(name: &'static str) -> Self {
        Self { store: InMemory::new(), name, opened: Arc::default(), away: Arc::default() }
    }

    /// Publishes a version of these files.
    async fn with(self, version: &str, files: &[(&str, &str)]) -> Self {
        let files =
            files.iter().map(|(path, bytes)| (path.parse().unwrap(), Bytes::from((*bytes).to_owned())));
        let draft = Draft::new(model(version), Stamp::now("test"));
        self.store.publish(draft, Content::bytes(files), &()).await.unwrap();
        self
    }

    fn opened(&self) -> usize {
        self.opened.swap(0, Ordering::SeqCst)
    }

    fn answer(&self) -> Result<()> {
        if !self.away.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::Unavailable { store: self.to_string(), action: "answer", source: "unplugged".into() })
    }
}

#[async_trait]
impl ModelStore for Counted {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        self.store.publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        self.answer()?;
        self.store.manifest(model).await
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        self.answer()?;
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.store.open(model, file, options).await
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.store.versions(name, filter)
    }

    fn transfers(&self) -> Transfers {
        self.store.transfers()
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        self.store.models()
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn model(version: &str) -> ModelRef {
    format!("m@{version}").parse().unwrap()
}

struct Desk {
    root: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    async fn cache(&self, limit: u64) -> Cache {
        Cache::open(self.path("cache"), limit).await.unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The one cached file that holds `bytes`.
    fn cached(&self, bytes: &str) -> PathBuf {
        let hex = tidegate_registry::Digest::of(bytes).hex();
        self.path("cache/files").join(&hex[..2]).join(hex)
    }
}

const PLENTY: u64 = 1 << 30;

#[tokio::test]
async fn what_is_there_is_not_fetched_again() {
    let desk = Desk::new();
    let store = Counted::new("store")
        .with("1.0.0", &[("a", "alpha"), ("d/b", "beta"), ("same", "alpha"), ("empty", "")])
        .await
        .with("1.1.0", &[("a", "alpha"), ("d/b", "gamma")])
        .await;
    let cache = desk.cache(PLENTY).await;
    cache.deliver(&store, &model("1.0.0"), &desk.path("one"), &()).await.unwrap();
    // An empty file is not asked for, and equal files are fetched once.
    assert_eq!(store.opened(), 2);
    cache.deliver(&store, &model("1.0.0"), &desk.path("two"), &()).await.unwrap();
    assert_eq!(store.opened(), 0);
    let manifest = cache.deliver(&store, &model("1.1.0"), &desk.path("three"), &()).await.unwrap();
    assert_eq!((store.opened(), manifest.files.len()), (1, 2), "only what is new");
    for name in ["one", "two"] {
        assert_eq!(desk.read(&format!("{name}/a")) + &desk.read(&format!("{name}/d/b")), "alphabeta");
        assert_eq!(desk.read(&format!("{name}/same")) + &desk.read(&format!("{name}/empty")), "alpha");
    }
    assert_eq!(desk.read("three/d/b"), "gamma");
    let usage = cache.usage().await.unwrap();
    assert_eq!((usage.files, usage.bytes), (4, 14));
    // Into a directory that has some of it, and something of somebody else's.
    fs::write(desk.path("two/mine"), "mine").unwrap();
    fs::remove_file(desk.path("two/a")).unwrap();
    cache.deliver(&store, &model("1.0.0"), &desk.path("two"), &()).await.unwrap();
    assert_eq!(desk.read("two/a") + &desk.read("two/mine"), "alphamine");
    let error = cache.deliver(&store, &model("1.1.0"), &desk.path("two"), &()).await.unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error}");
}

#[tokio::test]
async fn exact_versions_are_delivered_while_the_store_is_away() {
    let desk = Desk::new();
    let store =
        Counted::new("store").with("1.0.0", &[("a", "alpha")]).await.with("2.0.0", &[("a", "two")]).await;
    let other = Counted::new("other").with("1.0.0", &[("a", "of another store")]).await;
    let cache = desk.cache(PLENTY).await;
    for store in [&store, &other] {
        cache.deliver(store, &model("1.0.0"), &desk.path(store.name), &()).await.unwrap();
        store.away.store(true, Ordering::SeqCst);
    }
    cache.deliver(&store, &model("1.0.0"), &desk.path("again"), &()).await.unwrap();
    cache.deliver(&other, &model("1.0.0"), &desk.path("again of other"), &()).await.unwrap();
    assert_eq!(desk.read("again/a") + &desk.read("again of other/a"), "alphaof another store");
    for (store, version) in [(&store, "2.0.0"), (&Counted { name: "third", ..store.clone() }, "1.0.0")] {
        let error = cache.deliver(store, &model(version), &desk.path("never"), &()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    // A manifest that was changed is none.
    for entry in fs::read_dir(desk.path("cache/manifests")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace("\"path\":\"a\"", "\"path\":\"b\"");
        fs::write(path, text).unwrap();
    }
    assert!(
        cache.deliver(&store, &model("1.0.0"), &desk.path("never"), &()).await.unwrap_err().is_transient()
    );
}

#[tokio::test]
async fn the_least_recently_used_go_first() {
    let desk = Desk::new();
    let mut store = Counted::new("store");
    for n in 0..4 {
        store = store.with(&format!("1.{n}.0"), &[("f", &format!("{n}").repeat(100))]).await;
    }
    let cache = desk.cache(300).await;
    let deliver = async |n: u32| {
        let target = desk.path("target");
        let _ = fs::remove_dir_all(&target);
        // File systems count time in ticks.
        std::thread::yield_now();
        cache.deliver(&store, &model(&format!("1.{n}.0")), &target, &()).await.unwrap();
        for wait in 0.. {
            let probe = desk.path(&format!("probe {wait}"));
            fs::write(&probe, "").unwrap();
            let newest = fs::read_dir(desk.path("cache/used")).unwrap();
            let newest = newest.map(|entry| entry.unwrap().metadata().unwrap().modified().unwrap()).max();
            let later =
                newest.is_none_or(|newest| fs::metadata(&probe).unwrap().modified().unwrap() > newest);
            fs::remove_file(probe).unwrap();
            if later {
                break;
            }
        }
    };
    for n in [0, 1, 2, 0, 3] {
        deliver(n).await;
    }
    let usage = cache.usage().await.unwrap();
    assert_eq!((usage.files, usage.bytes, store.opened()), (3, 300, 4));
    assert!(!desk.cached(&"1".repeat(100)).exists(), "the first but for what was used since");
    deliver(0).await;
    assert_eq!(store.opened(), 0);
    assert_eq!(cache.shrink(150).await.unwrap().files, 2);
    assert!(desk.cached(&"0".repeat(100)).exists());

    let small = desk.cache(50).await;
    small.deliver(&store, &model("1.2.0"), &desk.path("large"), &()).await.unwrap();
    assert_eq!(desk.read("large/f"), "2".repeat(100));
    assert_eq!(small.usage().await.unwrap().files, 0, "delivered, and not kept");
}

#[tokio::test]
async fn a_changed_file_is_found_and_a_destination_is_its_own() {
    let desk = Desk::new();
    let store = Counted::new("store").with("1.0.0", &[("a", "alpha")]).await;
    let cache = desk.cache(PLENTY).await.with_link(Link::Copy);
    cache.deliver(&store, &model("1.0.0"), &desk.path("one"), &()).await.unwrap();
    fs::write(desk.path("one/a"), "edited").unwrap();
    cache.deliver(&store, &model("1.0.0"), &desk.path("two"), &()).await.unwrap();
    assert_eq!((store.opened(), desk.read("two/a").as_str()), (1, "alpha"));

    let hard = desk.cache(PLENTY).await.with_link(Link::Hard);
    hard.deliver(&store, &model("1.0.0"), &desk.path("three"), &()).await.unwrap();
    assert!(fs::metadata(desk.path("three/a")).unwrap().permissions().readonly());

    let cached = desk.cached("alpha");
    let damage = |bytes: &str| {
        fs::remove_file(&cached).unwrap();
        fs::write(&cached, bytes).unwrap();
    };
    damage("alphA");
    cache.deliver(&store, &model("1.0.0"), &desk.path("four"), &()).await.unwrap();
    assert_eq!((store.opened(), desk.read("four/a").as_str()), (1, "alpha"), "fetched again");
    damage("alphA");
    let removed = cache.verify().await.unwrap();
    assert_eq!((removed.files, removed.bytes), (1, 5));
    // What is in there under that name and is no file is not followed.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", &cached).unwrap();
        cache.deliver(&store, &model("1.0.0"), &desk.path("five"), &()).await.unwrap();
        assert_eq!(desk.read("five/a"), "alpha");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_the_same_one_fetches_it() {
    let desk = Desk::new();
    let store = Counted::new("store").with("1.0.0", &[("a", "alpha"), ("b", "beta")]).await;
    let deliveries = (0..12).map(|n| {
        let (store, target, cache) = (store.clone(), desk.path(&format!("to {n}")), desk.path("cache"));
        tokio::spawn(async move {
            let cache = Cache::open(cache, PLENTY).await.unwrap();
            cache.deliver(&store, &model("1.0.0"), &target, &()).await.unwrap();
        })
    });
    join_all(deliveries).await.into_iter().for_each(Result::unwrap);
    assert_eq!(store.opened(), 2);
    assert!(
        (0..12).all(|n| desk.read(&format!("to {n}/a")) + &desk.read(&format!("to {n}/b")) == "alphabeta")
    );
}

const CHILD: &str = "TIDEGATE_TEST_CACHE_CHILD";
const PARTS: usize = 4;

/// What a child does, which is this program again: it delivers, and says so for every file.
#[tokio::test]
#[ignore = "is what another test starts as a program of its own; by itself it does nothing"]
async fn child() {
    let Ok(root) = std::env::var(CHILD) else { return };
    let root = Path::new(&root);
    let store = ObjectBacked::directory(root.join("registry")).await.unwrap();
    let cache = Cache::open(root.join("cache"), PLENTY).await.unwrap();
    let say = |transfer: Transfer<'_>| {
        if let Transfer::Bytes(_) = transfer {
            println!("bytes");
        }
    };
    cache.deliver(&store, &model("1.0.0"), &root.join("target"), &say).await.unwrap();
    println!("done");
}

/// Killed at each moment that can be told apart, the cache stays one, and the next delivery succeeds.
#[tokio::test]
async fn a_killed_delivery_leaves_a_cache() {
    let desk = Desk::new();
    let store = ObjectBacked::directory(desk.path("registry")).await.unwrap();
    let files = (0..PARTS).map(|n| (format!("f{n}").parse().unwrap(), Bytes::from(vec![n as u8; 6 << 20])));
    let draft = Draft::new(model("1.0.0"), Stamp::now("test"));
    store.publish(draft, Content::bytes(files), &()).await.unwrap();
    for kill_after in 0..=2 * PARTS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD, desk.root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let bytes = said.map_while(std::result::Result::ok).filter(|line| line.ends_with("bytes"));
        bytes.take(kill_after).for_each(drop);
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = desk.cache(PLENTY).await;
        assert_eq!(cache.verify().await.unwrap().files, 0, "nothing wrong is in there");
        cache.deliver(&store, &model("1.0.0"), &desk.path("after"), &()).await.unwrap();
        assert_eq!(cache.usage().await.unwrap().files, PARTS);
        for n in 0..PARTS {
            assert!(fs::read(desk.path(&format!("after/f{n}"))).unwrap() == vec![n as u8; 6 << 20]);
        }
        assert_eq!(fs::read_dir(desk.path("cache/incoming")).unwrap().count(), 0);
        cache.shrink(0).await.unwrap();
        fs::remove_dir_all(desk.path("after")).unwrap();
        let _ = fs::remove_dir_all(desk.path("target"));
    }
}
