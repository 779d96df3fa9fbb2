//! A publisher that dies at any write, and writers that meet.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt, fs, io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, future::join_all, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error as Failure, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, local::LocalFileSystem, memory::InMemory as Bucket, path::Path,
};
use tempfile::TempDir;
use tidegate_registry::{
    Cause, Channel, Channels, Content, Draft, Error, Expect, Filter, Log as _, LogKey, Manifest, ModelRef,
    ModelStore as _, ModelStoreExt as _, ObjectBacked, Seq, Stamp,
};

/// A store that fails at a write.
#[derive(Clone, Debug)]
struct Dying {
    bucket: Arc<dyn ObjectStore>,
    life: Arc<Life>,
}

/// How the write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// It has no effect, and the store never answers again.
    Before,
    /// It takes effect, and the store never answers again.
    After,
    /// It takes effect and is refused all the same; the store lives on.
    Refused,
}

#[derive(Debug)]
struct Life {
    /// So many more creations are refused though nothing is there.
    conflicts: AtomicUsize,
    /// Local files are said to lie where there is no directory.
    misplaced: AtomicBool,
    /// Whether what was to be created is overwritten.
    overwrites: bool,
    writes: AtomicUsize,
    last: usize,
    death: Death,
    struck: AtomicBool,
    dead: AtomicBool,
}

impl Dying {
    /// The `last`th write fails.
    fn new(bucket: &Arc<dyn ObjectStore>, last: usize, death: Death) -> Self {
        let life = Life {
            conflicts: AtomicUsize::new(0),
            misplaced: AtomicBool::new(false),
            overwrites: false,
            writes: AtomicUsize::new(0),
            last,
            death,
            struck: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        };
        Self { bucket: Arc::clone(bucket), life: Arc::new(life) }
    }
}

impl Life {
    fn check(&self) -> Result<()> {
        if !self.dead.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Failure::Generic { store: "dying", source: "the connection is gone".into() })
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        if self.writes.fetch_add(1, Ordering::SeqCst) + 1 != self.last {
            return write.await;
        }
        if self.death != Death::Before {
            let _ = write.await;
        }
        self.struck.store(true, Ordering::SeqCst);
        if self.death == Death::Refused {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return Err(Failure::Generic { store: "dying", source: full.into() });
        }
        self.dead.store(true, Ordering::SeqCst);
        Err(self.check().unwrap_err())
    }
}

#[derive(Debug)]
struct DyingUpload {
    upload: Box<dyn MultipartUpload>,
    life: Arc<Life>,
}

#[async_trait]
impl MultipartUpload for DyingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, life) = (self.upload.put_part(data), Arc::clone(&self.life));
        Box::pin(async move { life.write(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let life = Arc::clone(&self.life);
        life.write(self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.life.check()?;
        self.upload.abort().await
    }
}

#[async_trait]
impl ObjectStore for Dying {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if self.life.overwrites {
            options.mode = PutMode::Overwrite;
        }
        let conflicts = &self.life.conflicts;
        if options.mode == PutMode::Create
            && conflicts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
        {
            return Err(Failure::AlreadyExists { path: location.to_string(), source: "conflict".into() });
        }
        self.life.write(self.bucket.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.life.check()?;
        let upload = self.bucket.put_multipart_opts(at, options).await?;
        Ok(Box::new(DyingUpload { upload, life: Arc::clone(&self.life) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.life.check()?;
        let mut got = self.bucket.get_opts(location, options).await?;
        if let GetResultPayload::File(_, path) = &mut got.payload
            && self.life.misplaced.load(Ordering::SeqCst)
        {
            *path = "/nowhere/at/all".into();
        }
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.life.check()?;
        self.bucket.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.life.check() {
            Ok(()) => self.bucket.delete_stream(locations),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.life.check()?;
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.life.write(self.bucket.copy_opts(from, to, options)).await
    }
}

/// The same place as without it, so that it need not be tried out again.
impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bucket.fmt(f)
    }
}

fn model() -> ModelRef {
    "m@1.0.0".parse().unwrap()
}

/// Two small files and one that takes several parts.
async fn publish(registry: &ObjectBacked, model: ModelRef) -> Result<Manifest, Error> {
    let large = Bytes::from(vec![5; 40 << 20]);
    let files = [("a", Bytes::from("alpha")), ("b", large), ("c", Bytes::new())];
    let files = files.map(|(path, bytes)| (path.parse().unwrap(), bytes));
    registry.publish(Draft::new(model, Stamp::now("test")), Content::bytes(files), &()).await
}

#[tokio::test]
async fn after_a_crash_at_any_write_to_a_bucket_a_version_is_invisible_or_whole() {
    crash(|| (Arc::new(Bucket::new()), ())).await;
}

#[tokio::test]
async fn after_a_crash_at_any_write_to_a_directory_a_version_is_invisible_or_whole() {
    crash(directory).await;
}

fn directory() -> (Arc<dyn ObjectStore>, TempDir) {
    let root = tempfile::tempdir().unwrap();
    (Arc::new(LocalFileSystem::new_with_prefix(root.path()).unwrap()), root)
}

async fn crash<Guard>(make: impl Fn() -> (Arc<dyn ObjectStore>, Guard)) {
    let (mut points, mut invisible, mut whole) = (0, 0, 0);
    for last in 1.. {
        let mut struck = false;
        for death in [Death::Before, Death::After, Death::Refused] {
            let (bucket, _guard) = make();
            ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
            let dying = Dying::new(&bucket, last, death);
            let answer = match ObjectBacked::open(Arc::new(dying.clone())).await {
                Ok(registry) => publish(&registry, model()).await,
                Err(error) => Err(error),
            };
            struck = dying.life.struck.load(Ordering::SeqCst);
            points += usize::from(struck);
            let case = format!("write {last}, {death:?}");

            let registry = ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
            match registry.manifest(&model()).await {
                Ok(_) => {
                    whole += 1;
                    registry.verify(&model(), &()).await.unwrap();
                    if let Err(error) = &answer {
                        assert!(matches!(error, Error::CommitUnknown { .. }), "{case}: {error}");
                    }
                }
                Err(Error::NotFound { .. }) => {
                    invisible += 1;
                    assert!(answer.is_err(), "{case}");
                    assert!(registry.models().try_collect::<Vec<_>>().await.unwrap().is_empty(), "{case}");
                    let blobs = bucket.list(Some(&"models/m/blobs".into())).count().await;
                    assert!(blobs == 0 || death != Death::Refused, "{case} leaves {blobs} blobs");
                }
                Err(error) => panic!("{case}: {error}"),
            }
            publish(&registry, model()).await.unwrap();
            registry.verify(&model(), &()).await.unwrap();
            assert_eq!(registry.list(model().name(), Filter::default()).await.unwrap().len(), 1);
        }
        if !struck {
            break;
        }
    }
    // Two small blobs, two parts and a completion, the manifest, the record; each failing in three ways.
    // Only the record makes a version, and only when it takes effect. An upload that was completed and refused
    // all the same is found to be there, and the publication goes on.
    assert_eq!((points, invisible, whole), (21, 18, 6));
}

#[tokio::test]
async fn a_lost_answer_to_an_append_is_found_out() {
    for (death, wanted) in [(Death::Before, 0), (Death::After, 1)] {
        let bucket: Arc<dyn ObjectStore> = Arc::new(Bucket::new());
        ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
        let dying = Dying::new(&bucket, 1, death);
        let registry = ObjectBacked::open(Arc::new(dying.clone())).await.unwrap();
        let key = LogKey::new("route", "a").unwrap();
        let record = Bytes::from("mine");
        let error = registry.append(&key, Seq::FIRST, record.clone()).await.unwrap_err();
        assert!(matches!(error, Error::CommitUnknown { seq: Seq::FIRST, .. }), "{error}");
        dying.life.dead.store(false, Ordering::SeqCst);
        let other = ObjectBacked::open(bucket).await.unwrap();
        assert_eq!(other.read(&key, Seq::FIRST).await.unwrap().len(), wanted);
        other.append(&key, Seq::FIRST, record).await.unwrap();
        assert_eq!(other.read(&key, Seq::FIRST).await.unwrap().len(), 1);
    }
}

/// The record is linked, and syncing its name fails: that it is there does not make it durable.
#[tokio::test]
async fn a_record_whose_name_cannot_be_synced_is_not_known_to_be_written() {
    let (bucket, _guard) = directory();
    ObjectBacked::open(Arc::clone(&bucket)).await.unwrap();
    let dying = Dying::new(&bucket, 1, Death::Refused);
    let registry = ObjectBacked::open(Arc::new(dying.clone())).await.unwrap();
    let key = LogKey::new("route", "a").unwrap();
    let record = Bytes::from("mine");
    dying.life.misplaced.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let error = registry.append(&key, Seq::FIRST, record.clone()).await.unwrap_err();
        assert!(matches!(error, Error::CommitUnknown { seq: Seq::FIRST, .. }), "{error}");
    }
    dying.life.misplaced.store(false, Ordering::SeqCst);
    registry.append(&key, Seq::FIRST, record).await.unwrap();
}

#[tokio::test]
async fn a_store_that_overwrites_what_was_to_be_created_is_refused() {
    let mut dying = Dying::new(&(Arc::new(Bucket::new()) as _), usize::MAX, Death::Before);
    Arc::get_mut(&mut dying.life).unwrap().overwrites = true;
    for _ in 0..2 {
        let error = ObjectBacked::open(Arc::new(dying.clone())).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
}

/// Until it comes to the record, a publication that is dropped takes everything back.
#[tokio::test]
async fn a_dropped_publication_leaves_no_blobs() {
    let mut taken_back = 0;
    for polls in (1..).step_by(2) {
        let root = tempfile::tempdir().unwrap();
        let registry = ObjectBacked::directory(root.path()).await.unwrap();
        let done = {
            let mut publication = std::pin::pin!(publish(&registry, model()));
            let mut left: usize = polls;
            std::future::poll_fn(|wake| {
                let Some(fewer) = left.checked_sub(1) else { return Poll::Ready(false) };
                left = fewer;
                publication.as_mut().poll(wake).map(|answer| answer.is_ok())
            })
            .await
        };
        registry.clean_up().await;
        let path = |name: &str| root.path().join("models/m").join(name);
        if done {
            assert_eq!(fs::read_dir(path("blobs")).unwrap().count(), 3);
            break;
        }
        // From the manifest on a record may be under way, and so the blobs stay.
        if fs::read_dir(path("manifests")).is_err() {
            let blobs: Vec<_> = fs::read_dir(path("blobs")).into_iter().flatten().collect();
            assert!(blobs.is_empty(), "{polls} polls: {blobs:?}");
            taken_back += 1;
        }
    }
    assert!(taken_back > 5, "{taken_back}");
}

/// S3 answers a conflict to requests at the same time, of which none may have won.
#[tokio::test]
async fn a_conflict_over_nothing_is_tried_again() {
    let key = LogKey::new("route", "a").unwrap();
    for (conflicts, written) in [(1, true), (4, true), (1000, false)] {
        let dying = Dying::new(&(Arc::new(Bucket::new()) as _), usize::MAX, Death::Before);
        let registry = ObjectBacked::open(Arc::new(dying.clone())).await.unwrap();
        dying.life.conflicts.store(conflicts, Ordering::SeqCst);
        let answer = registry.append(&key, Seq::FIRST, Bytes::from("mine")).await;
        assert_eq!(answer.is_ok(), written, "{conflicts}: {answer:?}");
        assert!(answer.is_ok() || matches!(answer, Err(Error::CommitUnknown { .. })), "{answer:?}");
        assert_eq!(registry.read(&key, Seq::FIRST).await.unwrap().len(), usize::from(written));
    }
}

#[tokio::test]
async fn sixteen_registries_append_in_turn() {
    let bucket = Arc::new(Bucket::new());
    let key = LogKey::new("route", "a").unwrap();
    let registries =
        join_all((0..16).map(|_| ObjectBacked::open(Arc::clone(&bucket) as Arc<dyn ObjectStore>))).await;
    for round in 0..4 {
        let seq = Seq::FIRST.plus(round);
        let race = registries.iter().enumerate().map(|(n, registry)| {
            let key = &key;
            async move { registry.as_ref().unwrap().append(key, seq, format!("{n}").into()).await }
        });
        let answers = join_all(race).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_and_promoting_meet_in_a_directory() {
    let root = tempfile::tempdir().unwrap();
    let open = || ObjectBacked::directory(root.path());
    let small = |version: String| Draft::new(format!("m@{version}").parse().unwrap(), Stamp::now("test"));
    let content = || Content::bytes([("f".parse().unwrap(), Bytes::from("x"))]);
    open().await.unwrap().publish(small("1.0.0".to_owned()), content(), &()).await.unwrap();

    let mut tasks = Vec::new();
    for n in 0..8 {
        let (registry, draft, content) = (open().await.unwrap(), small(format!("2.{n}.0")), content());
        tasks.push(tokio::spawn(async move { registry.publish(draft, content, &()).await.map(|_| ()) }));
        let channels = Channels::new(Arc::new(open().await.unwrap()));
        tasks.push(tokio::spawn(async move {
            let cause = Cause::Rollout { id: n.to_string() };
            channels
                .promote(&model(), &Channel::production(), &Expect::Any, cause, Stamp::now("test"))
                .await
                .map(|_| ())
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let registry = Arc::new(open().await.unwrap());
    let name = model().name().clone();
    assert_eq!(registry.list(&name, Filter::default()).await.unwrap().len(), 9);
    assert_eq!(Channels::new(registry).history(&name, &Channel::production()).await.unwrap().len(), 8);
}
