//! A store that fails before and after the effect, and tells a writer that its own object exists.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use fastrand::Rng;
use futures::{StreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error as Failure, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, local::LocalFileSystem, memory::InMemory as Bucket, path::Path,
};
use tidegate_registry::ObjectBacked;

use crate::release::{LONG, release};

#[derive(Clone, Debug)]
struct Flaky {
    store: Arc<dyn ObjectStore>,
    weather: Arc<Weather>,
}

#[derive(Debug)]
struct Weather {
    rng: Mutex<Rng>,
    one_in: u32,
    faults: AtomicUsize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    After,
    Before,
    /// It is told that somebody else was first: after its own effect, as when a client repeats a request whose
    /// answer was lost, or with no effect, as when S3 answers 409.
    Conflict(bool),
    Never,
}

impl Weather {
    fn draw(&self, conditional: bool) -> Fault {
        let mut rng = self.rng.lock().unwrap();
        if rng.u32(0..self.one_in) > 0 {
            return Fault::Never;
        }
        self.faults.fetch_add(1, Ordering::SeqCst);
        match rng.u32(0..if conditional { 4 } else { 2 }) {
            0 => Fault::After,
            1 => Fault::Before,
            n => Fault::Conflict(n == 2),
        }
    }

    async fn meet<T>(
        &self,
        path: &Path,
        conditional: bool,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let conflict = || Failure::AlreadyExists { path: path.to_string(), source: "conflict".into() };
        match self.draw(conditional) {
            Fault::Never => work.await,
            Fault::Before => Err(lost()),
            Fault::After => work.await.and_then(|_| Err(lost())),
            Fault::Conflict(true) => work.await.and_then(|_| Err(conflict())),
            Fault::Conflict(false) => Err(conflict()),
        }
    }
}

fn lost() -> Failure {
    Failure::Generic { store: "flaky", source: "the connection is gone".into() }
}

#[derive(Debug)]
struct Upload(Box<dyn MultipartUpload>, Path, Arc<Weather>);

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, path, weather) = (self.0.put_part(data), self.1.clone(), Arc::clone(&self.2));
        Box::pin(async move { weather.meet(&path, false, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.2.meet(&self.1, false, self.0.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.2.meet(&self.1, false, self.0.abort()).await
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let conditional = options.mode == PutMode::Create;
        self.weather.meet(at, conditional, self.store.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.weather.meet(at, false, self.store.put_multipart_opts(at, options)).await?;
        Ok(Box::new(Upload(upload, at.clone(), Arc::clone(&self.weather))))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match self.weather.draw(false) {
            Fault::Never => self.store.get_opts(at, options).await,
            Fault::After => {
                let (got, head) = (self.store.get_opts(at, options.clone()).await?, options.head);
                let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
                let bytes = if head { Bytes::new() } else { got.bytes().await? };
                // Half of it, and then no more.
                let broken = stream::iter([Ok(bytes.slice(..bytes.len() / 2)), Err(lost())]).boxed();
                let payload = GetResultPayload::Stream(broken);
                Ok(GetResult { payload, meta, range, attributes, extensions: Default::default() })
            }
            _ => Err(lost()),
        }
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.weather.meet(at, false, self.store.get_ranges(at, ranges)).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.weather.draw(false) {
            Fault::Never => self.store.delete_stream(at),
            _ => stream::iter([Err(lost())]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.weather.meet(&"".into(), false, self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.weather.meet(to, false, self.store.copy_opts(from, to, options)).await
    }
}

/// The same place as without it.
impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

async fn flaky(seeds: impl Iterator<Item = u64>, make: impl Fn() -> Arc<dyn ObjectStore>) {
    let (mut runs, mut faults) = (0, 0);
    for seed in seeds {
        let store = make();
        let clear = ObjectBacked::open(Arc::clone(&store)).await.unwrap();
        let (rng, one_in) = (Mutex::new(Rng::with_seed(seed)), 8 + (seed % 9) as u32);
        let weather = Arc::new(Weather { rng, one_in, faults: AtomicUsize::new(0) });
        let open = async || loop {
            let flaky = Flaky { store: Arc::clone(&store), weather: Arc::clone(&weather) };
            if let Ok(opened) = ObjectBacked::open(Arc::new(flaky)).await {
                break opened;
            }
        };
        let long = if seed % 8 == 0 { LONG } else { 1000 };
        release(&format!("seed {seed}"), &clear, [open().await, open().await], long).await;
        faults += weather.faults.load(Ordering::SeqCst);
        runs += 1;
    }
    assert!(faults > 7 * runs, "{faults} faults in {runs} runs");
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_in_a_flaky_bucket() {
    flaky(0..60, || Arc::new(Bucket::new())).await;
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_in_a_flaky_directory() {
    let root = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    flaky(0..20, || {
        let directory = root.path().join(number.fetch_add(1, Ordering::SeqCst).to_string());
        std::fs::create_dir(&directory).unwrap();
        Arc::new(LocalFileSystem::new_with_prefix(directory).unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes (tests/run --soak): a flaky bucket with four hundred more seeds"]
async fn soak_nothing_is_lost_or_doubled_in_a_flaky_bucket() {
    flaky(1000..1400, || Arc::new(Bucket::new())).await;
}
