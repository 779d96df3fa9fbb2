//! Transfers that are killed or broken off, and gone on with.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a child process is told what to do by its environment")]
#![expect(clippy::print_stdout, reason = "a child process answers by it")]

use std::{
    collections::HashSet,
    env, fmt, fs,
    io::Write as _,
    num::{NonZeroU64, NonZeroUsize},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error as Failure, GetOptions, GetResult, ListResult, MultipartId, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    memory::InMemory as Bucket,
    multipart::{MultipartStore, PartId},
    path::Path as Key,
};
use tempfile::TempDir;
use tidegate_registry::{
    ByteStream, Collection, Content, Draft, Error, FilePath, Filter, InMemory, Manifest, ModelName, ModelRef,
    ModelStore, ModelStoreExt as _, ObjectBacked, OpenOptions, Progress, Published, Result, Stamp, Transfer,
    Transfers,
};

const MIB: u64 = 1 << 20;

fn model() -> ModelRef {
    "m@1.0.0".parse().unwrap()
}

/// A file of several parts and some small ones.
fn write_files(directory: &Path, large: u64, small: usize) -> u64 {
    fs::create_dir(directory).unwrap();
    let mut rng = fastrand::Rng::with_seed(large);
    let mut block = vec![0; MIB as usize];
    let mut file = fs::File::create(directory.join("large")).unwrap();
    for _ in 0..large / MIB {
        rng.fill(&mut block);
        file.write_all(&block).unwrap();
    }
    for n in 0..small {
        rng.fill(&mut block);
        fs::write(directory.join(format!("small-{n:03}")), &block[..100 << 10]).unwrap();
    }
    large + small as u64 * (100 << 10)
}

async fn publish(registry: &ObjectBacked, version: &str, from: &Path, progress: &dyn Progress) -> Manifest {
    let draft = Draft::new(format!("m@{version}").parse().unwrap(), Stamp::now("test"));
    registry.publish(draft, Content::directory(from), progress).await.unwrap()
}

/// Counts the bytes that pass, and kills this process when they are enough.
fn kill_after(limit: Option<u64>) -> impl Progress {
    let bytes = AtomicU64::new(0);
    move |transfer: Transfer<'_>| {
        let Transfer::Bytes(more) = transfer else { return };
        if limit.is_some_and(|limit| bytes.fetch_add(more, Ordering::SeqCst) + more >= limit) {
            let pid = std::process::id().to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
        }
    }
}

/// Runs in a process of its own: see [`child`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_transfers() {
    let Ok(told) = env::var("TIDEGATE_RESUME_CHILD") else { return };
    let told: Vec<&str> = told.split('\n').collect();
    let [what, registry, other, journal, limit] = told[..] else { panic!("{told:?}") };
    let transfers = Transfers::new().journal(journal).concurrency(NonZeroUsize::new(2).unwrap());
    let registry = ObjectBacked::directory(registry).await.unwrap().with_transfers(transfers);
    let progress = kill_after(limit.parse().ok());
    match what {
        "publish" => drop(publish(&registry, "1.0.0", Path::new(other), &progress).await),
        _ => drop(registry.download(&model(), Path::new(other), &progress).await.unwrap()),
    }
    // Bytes that this process has handed to the system to write.
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    println!("\nwritten {written}");
}

/// Runs the test above as a process of its own. Returns the bytes that it wrote, or nothing if it was killed.
fn child(what: &str, registry: &Path, other: &Path, journal: &Path, limit: Option<u64>) -> Option<u64> {
    let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    let [registry, other, journal] = [registry, other, journal].map(|path| path.to_str().unwrap());
    let output = Command::new(env::current_exe().unwrap())
        .args(["a_child_that_transfers", "--exact", "--nocapture"])
        .env("TIDEGATE_RESUME_CHILD", [what, registry, other, journal, &limit].join("\n"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let written = said.lines().find_map(|line| line.strip_prefix("written "));
    assert_eq!(written.is_some(), output.status.success(), "{said}");
    written.map(|written| written.parse().unwrap())
}

#[tokio::test]
async fn a_killed_publication_into_a_directory_writes_only_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let total = write_files(&path("files"), 160 * MIB, 40);
    assert_eq!(child("publish", &path("registry"), &path("files"), &path("journal"), Some(120 * MIB)), None);
    let blobs = path("registry/models/m/blobs");
    let there = || fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    let before: u64 = there().map(|file| file.blocks() * 512).sum();
    assert!(before > 80 * MIB, "the killed one had written {before} bytes");
    let written = child("publish", &path("registry"), &path("files"), &path("journal"), None).unwrap();
    let missing = total - before.min(total);
    assert!(written <= missing + missing / 10 + 2 * MIB, "{written} of {missing} missing bytes");
    let registry = ObjectBacked::directory(path("registry")).await.unwrap();
    registry.verify(&model(), &()).await.unwrap();
    assert_eq!(there().count(), 41, "nothing hidden is left");
    assert_eq!(fs::read_dir(path("journal")).unwrap().count(), 0, "nor a journal");
}

#[tokio::test]
async fn a_publication_of_other_bytes_after_a_kill_is_of_those() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    write_files(&path("files"), 80 * MIB, 3);
    assert_eq!(child("publish", &path("registry"), &path("files"), &path("journal"), Some(50 * MIB)), None);
    fs::remove_dir_all(path("files")).unwrap();
    write_files(&path("files"), 72 * MIB, 3);
    child("publish", &path("registry"), &path("files"), &path("journal"), None).unwrap();
    let registry = ObjectBacked::directory(path("registry")).await.unwrap();
    registry.download(&model(), &path("out"), &()).await.unwrap();
    for file in ["large", "small-000"] {
        assert!(fs::read(path("out").join(file)).unwrap() == fs::read(path("files").join(file)).unwrap());
    }
}

#[tokio::test]
async fn a_killed_download_fetches_only_what_is_missing_and_hashes_what_is_not() {
    for damaged in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let total = write_files(&path("files"), 160 * MIB, 40);
        let registry = ObjectBacked::directory(path("registry")).await.unwrap();
        publish(&registry, "1.0.0", &path("files"), &()).await;
        assert_eq!(child("pull", &path("registry"), &path("out"), &path("none"), Some(140 * MIB)), None);
        let staging = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().path());
        let staging = staging.into_iter().find(|path| path.to_str().unwrap().contains(".tidegate-")).unwrap();
        let notes = fs::read_to_string(staging.join("parts")).unwrap();
        // The large file sorts first, so it is file 0.
        let verified = notes.lines().filter(|line| line.starts_with("0 ")).count() as u64;
        assert!(verified >= 1, "{notes:?}");
        let mut missing = total - verified * 64 * MIB;
        if damaged {
            // Trusted, this would be delivered; and other lines lead nowhere.
            let part: u64 = notes.lines().find_map(|line| line.strip_prefix("0 ")).unwrap().parse().unwrap();
            let large = staging.join("files/large");
            let mut bytes = fs::read(&large).unwrap();
            bytes[usize::try_from(part * 64 * MIB).unwrap() + 5] ^= 1;
            fs::write(large, bytes).unwrap();
            fs::write(staging.join("parts"), format!("{notes}x y\n99999 7\n0 99\n{}", u64::MAX)).unwrap();
            missing += 64 * MIB;
        }
        let counting = Counting::new(registry, u64::MAX);
        counting.download(&model(), &path("out"), &()).await.unwrap();
        let fetched = counting.bytes.load(Ordering::SeqCst);
        assert!(fetched <= missing + missing / 10, "{fetched} of {missing} missing bytes");
        assert!(fs::read(path("out/large")).unwrap() == fs::read(path("files/large")).unwrap());
        assert!(!staging.exists());
    }
}

/// Counts the bytes that are fetched, and breaks every stream after some.
#[derive(Debug)]
struct Counting {
    inner: ObjectBacked,
    breaks_after: u64,
    bytes: Arc<AtomicU64>,
    opened: AtomicUsize,
}

impl Counting {
    fn new(inner: ObjectBacked, breaks_after: u64) -> Self {
        Self { inner, breaks_after, bytes: Arc::default(), opened: AtomicUsize::new(0) }
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

#[async_trait]
impl ModelStore for Counting {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        self.inner.publish(draft, content, progress).await
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        self.inner.manifest(model).await
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let stream = self.inner.open(model, file, options).await?;
        let (bytes, mut left) = (Arc::clone(&self.bytes), self.breaks_after);
        let pass = move |chunk: Result<Bytes>| {
            let chunk = chunk?;
            let taken = chunk.slice(..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            bytes.fetch_add(taken.len() as u64, Ordering::SeqCst);
            left -= taken.len() as u64;
            if left > 0 {
                return Ok(vec![Ok(taken)]);
            }
            let slow =
                Error::Unavailable { store: "counting".into(), action: "read", source: "time-out".into() };
            Ok::<_, Error>(vec![Ok(taken), Err(slow)])
        };
        Ok(stream.map(pass).flat_map(|chunks| stream::iter(chunks.unwrap_or_else(|e| vec![Err(e)]))).boxed())
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.inner.versions(name, filter)
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        self.inner.models()
    }
}

#[tokio::test]
async fn a_body_that_never_comes_in_one_request_is_fetched_in_many_and_no_byte_twice() {
    let root = tempfile::tempdir().unwrap();
    let total = write_files(&root.path().join("files"), 70 * MIB, 2);
    let registry = ObjectBacked::directory(root.path().join("registry")).await.unwrap();
    publish(&registry, "1.0.0", &root.path().join("files"), &()).await;
    let slow = Counting::new(registry, MIB);
    slow.download(&model(), &root.path().join("out"), &()).await.unwrap();
    assert_eq!(slow.bytes.load(Ordering::SeqCst), total);
    assert!(slow.opened.load(Ordering::SeqCst) >= 70);
    // Where nothing comes at all, it ends.
    let dead = Counting::new(slow.inner, 0);
    let error = dead.download(&model(), &root.path().join("other"), &()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

/// A bucket that counts what is sent, and can lose parts, answers and uploads.
#[derive(Debug)]
struct Counted {
    bucket: Bucket,
    sent: AtomicU64,
    stop_after: AtomicU64,
    /// Uploads that it has not forgotten.
    uploads: Mutex<HashSet<MultipartId>>,
    /// So many more parts fail.
    fails: AtomicUsize,
}

impl Counted {
    fn new(stop_after: u64) -> Arc<Self> {
        Arc::new(Self {
            bucket: Bucket::new(),
            sent: AtomicU64::new(0),
            stop_after: AtomicU64::new(stop_after),
            uploads: Mutex::default(),
            fails: AtomicUsize::new(0),
        })
    }

    fn go_on(&self) {
        self.stop_after.store(u64::MAX, Ordering::SeqCst);
    }

    fn knows(&self, path: &Key, id: &MultipartId) -> object_store::Result<()> {
        if self.uploads.lock().unwrap().contains(id) {
            return Ok(());
        }
        Err(Failure::NotFound { path: path.to_string(), source: "NoSuchUpload".into() })
    }

    /// Hangs where a process would be killed.
    async fn pass(&self, bytes: usize) {
        while self.sent.load(Ordering::SeqCst) + bytes as u64 > self.stop_after.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.sent.fetch_add(bytes as u64, Ordering::SeqCst);
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

#[async_trait]
impl MultipartStore for Counted {
    async fn create_multipart(&self, path: &Key) -> object_store::Result<MultipartId> {
        let id = self.bucket.create_multipart(path).await?;
        self.uploads.lock().unwrap().insert(id.clone());
        Ok(id)
    }

    async fn put_part(
        &self,
        path: &Key,
        id: &MultipartId,
        at: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        self.knows(path, id)?;
        if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Failure::Generic { store: "counted", source: "time-out".into() });
        }
        self.pass(data.content_length()).await;
        self.knows(path, id)?;
        self.bucket.put_part(path, id, at, data).await
    }

    async fn complete_multipart(
        &self,
        path: &Key,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        self.knows(path, id)?;
        let completed = self.bucket.complete_multipart(path, id, parts).await?;
        self.uploads.lock().unwrap().remove(id);
        Ok(completed)
    }

    async fn abort_multipart(&self, path: &Key, id: &MultipartId) -> object_store::Result<()> {
        self.uploads.lock().unwrap().remove(id);
        self.bucket.abort_multipart(path, id).await
    }
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(&self, at: &Key, data: PutPayload, how: PutOptions) -> object_store::Result<PutResult> {
        if at.as_ref().contains("/blobs/") {
            self.pass(data.content_length()).await;
        }
        self.bucket.put_opts(at, data, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Key,
        how: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Key, how: GetOptions) -> object_store::Result<GetResult> {
        self.bucket.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Key>>,
    ) -> BoxStream<'static, object_store::Result<Key>> {
        self.bucket.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> object_store::Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, how: CopyOptions) -> object_store::Result<()> {
        self.bucket.copy_opts(from, to, how).await
    }
}

struct Broken {
    root: TempDir,
    bucket: Arc<Counted>,
    total: u64,
}

impl Broken {
    /// A publication into a bucket that stopped after `stop_after` bytes.
    async fn off(stop_after: u64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let total = write_files(&root.path().join("files"), 104 * MIB, 30);
        let broken = Self { root, bucket: Counted::new(stop_after), total };
        let registry = broken.open().await;
        let from = broken.root.path().join("files");
        let publication = publish(&registry, "1.0.0", &from, &());
        let mut stopped = std::pin::pin!(publication);
        // Until nothing moves any more: every part that was let through has been answered.
        let mut still = 0;
        while still < 50 {
            let before = broken.bucket.sent.load(Ordering::SeqCst);
            let pause = tokio::time::sleep(Duration::from_millis(20));
            tokio::select! {
                _ = &mut stopped => panic!("it was to stop"),
                () = pause => {}
            }
            still = if broken.bucket.sent.load(Ordering::SeqCst) == before { still + 1 } else { 0 };
        }
        broken.bucket.go_on();
        broken
    }

    async fn open(&self) -> ObjectBacked {
        let transfers = Transfers::new().journal(self.root.path().join("journal"));
        ObjectBacked::resumable(Arc::clone(&self.bucket)).await.unwrap().with_transfers(transfers)
    }

    /// Publishes again. Returns the bytes sent.
    async fn go_on(&self) -> u64 {
        let registry = self.open().await;
        let before = self.bucket.sent.load(Ordering::SeqCst);
        publish(&registry, "1.0.0", &self.root.path().join("files"), &()).await;
        registry.verify(&model(), &()).await.unwrap();
        assert_eq!(fs::read_dir(self.root.path().join("journal")).unwrap().count(), 0);
        self.bucket.sent.load(Ordering::SeqCst) - before
    }
}

#[tokio::test]
async fn a_broken_upload_sends_only_what_is_missing() {
    let broken = Broken::off(70 * MIB).await;
    let there = broken.bucket.sent.load(Ordering::SeqCst);
    assert!(there > 50 * MIB, "{there}");
    assert_eq!(broken.go_on().await, broken.total - there);
}

#[tokio::test]
async fn a_changed_part_is_sent_again_and_a_part_that_fails_is_sent_once_more() {
    let broken = Broken::off(70 * MIB).await;
    let there = broken.bucket.sent.load(Ordering::SeqCst);
    let large = broken.root.path().join("files/large");
    let mut bytes = fs::read(&large).unwrap();
    bytes[usize::try_from(20 * MIB).unwrap()] ^= 1;
    fs::write(&large, bytes).unwrap();
    broken.bucket.fails.store(2, Ordering::SeqCst);
    let sent = broken.go_on().await;
    // The first 64 MiB are compared by what precedes in them.
    assert!(sent > broken.total - there && sent <= broken.total - there + 48 * MIB, "{sent}");
}

#[tokio::test]
async fn an_upload_that_has_expired_begins_again() {
    let broken = Broken::off(70 * MIB).await;
    broken.bucket.uploads.lock().unwrap().clear();
    // The large file anew, and those of the small ones that are not there.
    let sent = broken.go_on().await;
    assert!((104 * MIB..=broken.total).contains(&sent), "{sent}");
}

fn at_once(rehearse: bool) -> Collection {
    Collection { grace: Duration::ZERO, retention: Duration::ZERO, rehearse }
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_ended_by_a_collection() {
    let broken = Broken::off(70 * MIB).await;
    fs::remove_dir_all(broken.root.path().join("journal")).unwrap();
    let registry = broken.open().await;
    let name = model().name().clone();
    let unfinished = || broken.bucket.uploads.lock().unwrap().len();
    let young = registry.collect(&name, &Collection::default(), &Stamp::now("test")).await.unwrap();
    assert_eq!((young.uploads, unfinished()), (0, 1));
    let rehearsed = registry.collect(&name, &at_once(true), &Stamp::now("test")).await.unwrap();
    assert_eq!((rehearsed.uploads, unfinished()), (1, 1));
    let collected = registry.collect(&name, &at_once(false), &Stamp::now("test")).await.unwrap();
    assert_eq!((collected.uploads, unfinished()), (1, 0));
    assert_eq!(broken.go_on().await, broken.total);
    let after = registry.collect(&name, &at_once(false), &Stamp::now("test")).await.unwrap();
    assert_eq!((after.uploads, after.objects, unfinished()), (0, 0, 0));
    let notes = broken.bucket.list(Some(&Key::from("models/m/uploads"))).count().await;
    assert_eq!(notes, 0);
}

/// Without a journal nobody could go on, so whoever gives up cleans up.
#[tokio::test]
async fn an_upload_that_is_dropped_is_ended() {
    for journaled in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let files = root.path().join("files");
        write_files(&files, 104 * MIB, 3);
        let bucket = Counted::new(70 * MIB);
        let mut registry = ObjectBacked::resumable(Arc::clone(&bucket)).await.unwrap();
        if journaled {
            registry = registry.with_transfers(Transfers::new().journal(root.path().join("journal")));
        }
        let begun = async {
            while bucket.sent.load(Ordering::SeqCst) < 50 * MIB {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = publish(&registry, "1.0.0", &files, &()) => panic!("it was to stop"),
            () = begun => {}
        }
        registry.clean_up().await;
        let left = bucket.list(None).map(|object| object.unwrap().location.to_string());
        let left: Vec<_> =
            left.filter(|path| std::future::ready(path.starts_with("models/"))).collect().await;
        let unfinished = bucket.uploads.lock().unwrap().len();
        if journaled {
            assert_eq!(unfinished, 1, "{left:?}");
        } else {
            assert!(unfinished == 0 && left.is_empty(), "{unfinished} {left:?}");
        }
    }
}

#[tokio::test]
async fn a_publication_whose_upload_is_ended_under_it_begins_again() {
    let root = tempfile::tempdir().unwrap();
    let files = root.path().join("files");
    let total = write_files(&files, 104 * MIB, 3);
    let bucket = Counted::new(70 * MIB);
    let registry = ObjectBacked::resumable(Arc::clone(&bucket)).await.unwrap();
    let collected = async {
        while bucket.sent.load(Ordering::SeqCst) < 50 * MIB {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let name = model().name().clone();
        let collected = registry.collect(&name, &at_once(false), &Stamp::now("test")).await.unwrap();
        assert_eq!(collected.uploads, 1);
        bucket.sent.store(0, Ordering::SeqCst);
        bucket.go_on();
    };
    tokio::join!(publish(&registry, "1.0.0", &files, &()), collected);
    // Once more, under another name, as no record would have taken it under this one; and what was on its way.
    let sent = bucket.sent.load(Ordering::SeqCst);
    assert!(sent < total + 64 * MIB, "{sent} of {total}");
    registry.verify(&model(), &()).await.unwrap();
    let left = registry.collect(model().name(), &at_once(false), &Stamp::now("test")).await.unwrap();
    assert_eq!((left.uploads, bucket.uploads.lock().unwrap().len()), (0, 0));
}

#[tokio::test]
async fn equal_files_of_the_version_before_are_not_sent_again() {
    let root = tempfile::tempdir().unwrap();
    let files = root.path().join("files");
    write_files(&files, 72 * MIB, 5);
    let registry = ObjectBacked::directory(root.path().join("registry")).await.unwrap();
    publish(&registry, "1.0.0", &files, &()).await;
    let count = || fs::read_dir(root.path().join("registry/models/m/blobs")).unwrap().count();
    assert_eq!(count(), 6);
    // Another first part, another end, another name, another small file.
    let flip = |name: &str, at: usize| {
        let mut bytes = fs::read(files.join(name)).unwrap();
        bytes[at] ^= 1;
        fs::write(files.join(name), bytes).unwrap();
    };
    let mut expected = 6;
    for (version, change, new) in [("1.1.0", None, 0), ("1.2.0", Some(5), 1), ("1.3.0", Some(70 << 20), 1)] {
        if let Some(at) = change {
            flip("large", at);
        }
        publish(&registry, version, &files, &()).await;
        expected += new;
        assert_eq!(count(), expected, "{version}");
        registry.verify(&format!("m@{version}").parse().unwrap(), &()).await.unwrap();
    }
    fs::rename(files.join("small-000"), files.join("renamed")).unwrap();
    flip("small-001", 7);
    publish(&registry, "1.4.0", &files, &()).await;
    assert_eq!(count(), expected + 1);
    registry.verify(&"m@1.4.0".parse().unwrap(), &()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_bandwidth_holds_in_both_directions() {
    let root = tempfile::tempdir().unwrap();
    let total = write_files(&root.path().join("files"), 8 * MIB, 2);
    let registry = ObjectBacked::directory(root.path().join("registry")).await.unwrap();
    let rate = NonZeroU64::new(MIB).unwrap();
    let registry = registry.with_transfers(Transfers::new().bandwidth(rate));
    let start = tokio::time::Instant::now();
    publish(&registry, "1.0.0", &root.path().join("files"), &()).await;
    let up = start.elapsed().as_secs_f64();
    registry.download(&model(), &root.path().join("out"), &()).await.unwrap();
    let both = start.elapsed().as_secs_f64();
    let least = total as f64 / MIB as f64;
    // What is promised last is paid for by who comes next: a block of 4 MiB.
    assert!((least - 4.2..least + 0.5).contains(&up), "{up} of {least}");
    assert!((2.0 * least - 4.2..2.0 * least + 0.5).contains(&both), "{both} of {least} twice");
    let memory = InMemory::new();
    assert!(format!("{:?}", memory.transfers()).contains("None"));
}
