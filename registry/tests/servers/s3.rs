//! An S3 server within the test: `s3s-fs`, whose conditional writes become atomic behind a lock.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Method, Request,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    prefix::PrefixStore,
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tempfile::TempDir;
use tidegate_registry::ObjectBacked;
use tokio::sync::OnceCell;

use super::Serving;

pub(crate) const BUCKET: &str = "models";
pub(crate) const ACCESS_KEY: &str = "tidegate";
pub(crate) const SECRET_KEY: &str = "a-secret-that-nobody-prints";

/// How the server writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// One at a time under each path, so that looking and then writing is atomic.
    InTurn,
    /// As `s3s-fs` does it: several writers find nothing there, and all of them win.
    Racing,
}

#[derive(Debug)]
pub(crate) struct S3 {
    // Before the directory, so that nothing is served from it any more when it is removed.
    serving: Serving,
    root: TempDir,
    received: Arc<AtomicU64>,
}

type Locks = Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>;

impl S3 {
    pub(crate) fn start(writes: Writes) -> Self {
        let auth = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        Self::serving(|builder| builder.set_auth(auth), writes, |_| {})
    }

    /// With other words for some things, which `translate` finds in requests; and nobody is asked who they are.
    pub(super) fn translated(translate: fn(&mut Request<Incoming>)) -> Self {
        Self::serving(|_| {}, Writes::InTurn, translate)
    }

    fn serving(
        build: impl FnOnce(&mut S3ServiceBuilder),
        writes: Writes,
        translate: fn(&mut Request<Incoming>),
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        // A bucket is a directory.
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        build(&mut builder);
        let (service, locks, received) = (builder.build(), Locks::default(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&received);
        let serving = Serving::start(move |connection| {
            let (service, locks, received) = (service.clone(), Arc::clone(&locks), Arc::clone(&counted));
            async move {
                let answer = service_fn(|mut request| {
                    translate(&mut request);
                    received.fetch_add(request.body().size_hint().lower(), Ordering::Relaxed);
                    serve(writes, &service, &locks, request)
                });
                // A client may go away at any time.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), answer).await;
            }
        });
        Self { serving, root, received }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.serving.url()
    }

    /// Where the objects of the bucket lie.
    pub(crate) fn directory(&self) -> std::path::PathBuf {
        self.root.path().join(BUCKET)
    }

    /// Bytes of all that it was sent so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Parts of uploads that were neither completed nor aborted.
    pub(crate) fn unfinished(&self) -> usize {
        let names = fs::read_dir(self.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().is_some_and(|name| name.contains(".part-"))).count()
    }

    /// A registry that nobody has used; one a server. The servers are all alike, so only the first is tried
    /// out.
    pub(crate) async fn registry(&self) -> ObjectBacked {
        static MARKER: OnceCell<Bytes> = OnceCell::const_new();
        let (store, path) = (self.store("registry"), "tidegate.json".into());
        let marker = MARKER.get_or_init(async || {
            ObjectBacked::open(Arc::clone(&store)).await.unwrap();
            store.get(&path).await.unwrap().bytes().await.unwrap()
        });
        store.put(&path, marker.await.clone().into()).await.unwrap();
        ObjectBacked::open(store).await.unwrap()
    }

    pub(crate) fn store(&self, prefix: &str) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(client(&self.endpoint()), prefix))
    }
}

async fn serve(
    writes: Writes,
    service: &S3Service,
    locks: &Locks,
    request: Request<Incoming>,
) -> Result<s3s::HttpResponse, s3s::HttpError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let lock = (writes == Writes::InTurn && !reads).then(|| {
        let mut locks = locks.lock().unwrap();
        Arc::clone(locks.entry(request.uri().path().to_owned()).or_default())
    });
    let service = service.clone();
    // To its end, as a server does what it was asked, also when the client is gone by then.
    let served = tokio::spawn(async move {
        let _held = match &lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        hyper::service::Service::call(&service, request).await
    });
    served.await.unwrap()
}

/// What a program passes to `open_url`.
pub(crate) fn options(endpoint: &str) -> Vec<(String, String)> {
    let options = [
        ("aws_endpoint", endpoint),
        ("aws_allow_http", "true"),
        ("aws_region", "us-east-1"),
        ("aws_access_key_id", ACCESS_KEY),
        ("aws_secret_access_key", SECRET_KEY),
    ];
    options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// A client that gives up soon: what happens then is for the registry to find out.
pub(crate) fn client(endpoint: &str) -> AmazonS3 {
    let quick = BackoffConfig {
        init_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(8),
        base: 2.0,
    };
    options(endpoint)
        .into_iter()
        .fold(AmazonS3Builder::new(), |builder, (key, value)| {
            builder.with_config(key.parse().unwrap(), value)
        })
        .with_bucket_name(BUCKET)
        .with_unsigned_payload(true)
        .with_retry(RetryConfig { backoff: quick, max_retries: 2, retry_timeout: Duration::from_secs(20) })
        .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(20)))
        .build()
        .unwrap()
}
