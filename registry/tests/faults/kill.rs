//! A publisher that is killed: no half of a version is seen, and the next publication succeeds.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, path::Path,
};
use tidegate_registry::{
    Collection, Error, Filter, Log as _, LogKey, ModelRef, ModelStore as _, ModelStoreExt as _, Reread, Seq,
    Stamp,
};

use crate::{
    child::{Child, Place, Task, publish, say},
    servers::s3::{S3, Writes},
};

/// Stops the program for ever at a write.
#[derive(Clone, Debug)]
pub(crate) struct Stepping {
    store: Arc<dyn ObjectStore>,
    steps: Arc<Steps>,
}

#[derive(Debug)]
struct Steps {
    write: usize,
    done: bool,
    writes: AtomicUsize,
}

impl Stepping {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, write: usize, done: bool) -> Self {
        Self { store, steps: Arc::new(Steps { write, done, writes: AtomicUsize::new(0) }) }
    }
}

impl Steps {
    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        if self.writes.fetch_add(1, Ordering::SeqCst) + 1 != self.write {
            return write.await;
        }
        let _done = if self.done { Some(write.await) } else { None };
        say("stopped");
        std::future::pending().await
    }
}

#[derive(Debug)]
struct Upload(Box<dyn MultipartUpload>, Arc<Steps>);

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, steps) = (self.0.put_part(data), Arc::clone(&self.1));
        Box::pin(async move { steps.write(part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.1.write(self.0.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await
    }
}

#[async_trait]
impl ObjectStore for Stepping {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.steps.write(self.store.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.steps.write(self.store.put_multipart_opts(at, options)).await?;
        Ok(Box::new(Upload(upload, Arc::clone(&self.steps))))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.steps.write(self.store.copy_opts(from, to, options)).await
    }
}

/// The same place as without it.
impl fmt::Display for Stepping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// Long enough for an upload in parts.
const LONG: usize = 40 << 20;

/// What is seen of a version by somebody who looks after its publisher was killed. Then it is published
/// again, by somebody else.
async fn aftermath(place: &Place, model: &ModelRef, byte: u8, length: usize, case: &str) -> bool {
    let registry = place.open().await;
    let whole = match registry.manifest(model).await {
        Ok(_) => {
            registry.verify(model, &()).await.unwrap();
            true
        }
        Err(Error::NotFound { .. }) => false,
        Err(error) => panic!("{case}: {error}"),
    };
    publish(&registry, model, byte, length).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    registry.verify(model, &()).await.unwrap();
    whole
}

/// Each version has one record, and each can be read.
async fn all_are_there(place: &Place, versions: usize) {
    let registry = place.open().await;
    let name = "m".parse().unwrap();
    assert_eq!(registry.list(&name, Filter::default()).await.unwrap().len(), versions);
    assert_eq!(registry.read(&LogKey::model(&name), Seq::FIRST).await.unwrap().len(), versions);

    // What the killed ones left is garbage, and nothing else is.
    let now = Collection { grace: Duration::ZERO, retention: Duration::ZERO, rehearse: false };
    let mut later = Stamp::now("test");
    later.at += Duration::from_secs(7200);
    registry.collect(&name, &now, &later).await.unwrap();
    let inspection = registry.inspect(&name, Reread::All, &()).await.unwrap();
    assert!(inspection.is_sound() && inspection.unused == 0 && inspection.uploads == 0, "{inspection:?}");
    assert_eq!(inspection.versions, versions);
    let again = registry.collect(&name, &now, &later).await.unwrap();
    assert_eq!((again.objects, again.uploads), (0, 0));
    if let Some(root) = place.root() {
        assert!(hidden(root).is_empty(), "{:?}", hidden(root));
    }
}

/// Files that nobody sees who lists the registry.
fn hidden(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(hidden(&path));
        } else if path.to_str().unwrap().contains('#') {
            found.push(path);
        }
    }
    found
}

/// After each write of a publication, and before the first.
async fn steps(place: &Place) {
    place.open().await;
    let (mut whole, mut versions, mut writes) = (0, 0, Vec::new());
    for (name, length) in [("small", 10), ("long", LONG)] {
        for step in 0.. {
            let (write, done) = if step == 0 { (1, false) } else { (step, true) };
            let model: ModelRef = format!("m@1.0.0-{name}.{step}").parse().unwrap();
            let task = Task::Stop { model: model.clone(), byte: 1, length, write, done };
            let mut child = Child::start(place, &task);
            child.begin();
            let said = child.says();
            child.kill();
            versions += 1;
            whole += usize::from(aftermath(place, &model, 1, length, &model.to_string()).await);
            if said == "done" {
                writes.push(step - 1);
                break;
            }
            assert_eq!(said, "stopped", "{model}");
        }
    }
    all_are_there(place, versions).await;
    // Two blobs, a manifest and a record, at the least; more for an upload in parts.
    assert!(writes[0] >= 4 && writes[1] > writes[0] + 1, "{writes:?}");
    // Only the record makes a version; and then there is the run that never stopped.
    assert_eq!(whole, 2 * 2, "of {versions}, after {writes:?} writes");
}

/// At any moment of `count` publications.
async fn moments(place: &Place, seed: u64, count: u64) {
    let registry = place.open().await;
    // How long it takes undisturbed, so that the moments are spread over it.
    let mut longest = Duration::ZERO;
    for length in [10, LONG] {
        let model = format!("m@0.0.{length}").parse().unwrap();
        let mut child = Child::start(place, &Task::Publish { model, byte: 2, length });
        let began = now();
        child.begin();
        assert_eq!(child.says(), "done");
        child.wait();
        longest = longest.max(began.elapsed());
    }
    drop(registry);
    let mut rng = Rng::with_seed(seed);
    let mut whole = 0;
    for n in 0..count {
        let length = if n % 8 == 0 { LONG } else { 10 };
        let limit = if length == LONG { longest } else { longest / 4 };
        let delay = Duration::from_micros(rng.u64(0..limit.as_micros() as u64 + 1000));
        let case = format!("seed {seed}, version {n}, killed after {delay:?}");
        let model: ModelRef = format!("m@1.{n}.0").parse().unwrap();
        let mut child = Child::start(place, &Task::Publish { model: model.clone(), byte: 3, length });
        child.begin();
        tokio::time::sleep(delay).await;
        child.kill();
        whole += u64::from(aftermath(place, &model, 3, length, &case).await);
    }
    all_are_there(place, 2 + count as usize).await;
    assert!(whole < count, "seed {seed}: every publication was faster than its killer");
}

#[expect(clippy::disallowed_methods, reason = "a program of its own runs in real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_write_to_a_directory() {
    let root = tempfile::tempdir().unwrap();
    steps(&Place::Directory(root.path().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_write_to_s3() {
    let server = S3::start(Writes::InTurn);
    steps(&Place::s3(&server, "a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_writing_to_a_directory() {
    let root = tempfile::tempdir().unwrap();
    moments(&Place::Directory(root.path().to_owned()), 1, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_of_writing_to_s3() {
    let server = S3::start(Writes::InTurn);
    moments(&Place::s3(&server, "a"), 2, 12).await;
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes (tests/run --soak): two hundred publishers killed at any moment of writing to a directory"]
async fn soak_two_hundred_killed_at_any_moment_of_writing_to_a_directory() {
    let root = tempfile::tempdir().unwrap();
    moments(&Place::Directory(root.path().to_owned()), 3, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes (tests/run --soak): two hundred publishers killed at any moment of writing to S3"]
async fn soak_two_hundred_killed_at_any_moment_of_writing_to_s3() {
    let server = S3::start(Writes::InTurn);
    moments(&Place::s3(&server, "a"), 4, 200).await;
    assert_eq!(server.unfinished(), 0);
}
