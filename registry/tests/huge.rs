//! A file larger than 10 000 parts of the smallest size that S3 allows (48.8 GiB), there and back. Alone in its
//! process, because it looks at the memory of the process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt, fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Extensions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    memory::InMemory, path::Path,
};
use tidegate_registry::{Content, Draft, ModelRef, ModelStore as _, ModelStoreExt as _, ObjectBacked, Stamp};

const GIB: u64 = 1 << 30;

/// One byte more than 49 GiB, so that the last part is short.
const SIZE: u64 = 49 * GIB + 1;

/// Of so many zeros: `head -c 52613349377 /dev/zero | openssl dgst -sha256`.
const DIGEST: &str = "sha256:1b0b189c27088770dad24c3671f29b5caf57d116420d7d9def534f3833bdca6a";

/// A bucket that takes uploads of zeros in parts as S3 does, and gives the zeros back, without keeping them.
#[derive(Debug, Default)]
struct Zeros {
    bucket: InMemory,
    /// Bytes of each part of what is being uploaded.
    parts: Arc<Mutex<Vec<u64>>>,
    /// Bytes of the one blob.
    size: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Upload {
    parts: Arc<Mutex<Vec<u64>>>,
    size: Arc<AtomicU64>,
}

impl fmt::Display for Zeros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("zeros")
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.lock().unwrap().push(data.content_length() as u64);
        async { Ok(()) }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.size.store(self.parts.lock().unwrap().iter().sum(), Ordering::SeqCst);
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for Zeros {
    async fn put_opts(&self, at: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.bucket.put_opts(at, data, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // The store is tried out with small ones.
        if !at.as_ref().starts_with("models/") {
            return self.bucket.put_multipart_opts(at, how).await;
        }
        Ok(Box::new(Upload { parts: Arc::clone(&self.parts), size: Arc::clone(&self.size) }))
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        if !at.as_ref().contains("/blobs/") {
            return self.bucket.get_opts(at, how).await;
        }
        let size = self.size.load(Ordering::SeqCst);
        let range = how.range.map_or(0..size, |range| range.as_range(size).unwrap());
        let blocks = stream::unfold(range.end - range.start, |left| async move {
            static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
            let length = left.min(1 << 20);
            let block = Bytes::from_static(&ZEROS[..usize::try_from(length).unwrap()]);
            (length > 0).then_some((Ok(block), left - length))
        });
        let meta = ObjectMeta {
            location: at.clone(),
            last_modified: SystemTime::UNIX_EPOCH.into(),
            size,
            e_tag: None,
            version: None,
        };
        let payload = GetResultPayload::Stream(blocks.boxed());
        let (attributes, extensions) = Default::default();
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.bucket.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, how).await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: hashes 49 GiB twice"]
async fn a_file_of_49_gib_goes_there_and_back() {
    let directory = tempfile::tempdir().unwrap();
    // All of it a hole, which takes up nothing.
    fs::File::create(directory.path().join("zeros")).unwrap().set_len(SIZE).unwrap();
    let store = Arc::new(Zeros::default());
    let registry = ObjectBacked::open(Arc::clone(&store) as Arc<dyn ObjectStore>).await.unwrap();
    let model: ModelRef = "m@1.0.0".parse().unwrap();
    let draft = Draft::new(model.clone(), Stamp::now("test"));
    let manifest = registry.publish(draft, Content::directory(directory.path()), &()).await.unwrap();
    assert_eq!((manifest.size, manifest.files[0].digest.to_string().as_str()), (SIZE, DIGEST));

    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html; equal but for the last, as R2 demands.
    let parts = store.parts.lock().unwrap().clone();
    assert!(parts.len() <= 10_000, "{} parts", parts.len());
    assert!(parts.iter().all(|part| *part <= 5 * GIB));
    let (last, others) = parts.split_last().unwrap();
    assert!(others.iter().all(|part| *part == others[0] && *part >= 5 << 20) && *last <= others[0]);

    registry.verify(&model, &()).await.unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak < 256 << 10, "{peak} KiB");
}
