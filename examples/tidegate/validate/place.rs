//! Where a record is: a file, or an object in a bucket, where the records of shards that run anywhere can meet.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path as ObjectPath,
};
use reqwest::Url;
use tempfile::TempDir;
use tidegate::validation::Record;
use tokio::io::AsyncWriteExt as _;

use crate::{
    bucket::Bucket,
    failure::{self, Failure},
};

/// How often a record is copied into its bucket while it grows.
const EVERY: Duration = Duration::from_secs(15);

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    /// A URL as it was written: there may be a secret in it, and until it is looked at nobody has objected.
    Bucket(String),
}

/// A record that is written, and the bucket that it is copied into.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    copy: Option<Copy>,
}

#[derive(Debug)]
struct Copy {
    bucket: Bucket,
    store: Box<dyn ObjectStore>,
    object: ObjectPath,
    _directory: TempDir,
}

/// Records that are read, as files.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    _directory: TempDir,
}

impl Place {
    /// The record that is there, or will be.
    pub(super) async fn open(&self) -> Result<Kept> {
        let url = match self {
            Self::File(path) => return Ok(Kept { path: path.clone(), copy: None }),
            Self::Bucket(url) => look_at(url)?,
        };
        let bucket = Bucket::new(url.as_str());
        let (store, object) = bucket.client()?;
        let directory = tempfile::tempdir().context("cannot make a directory for the record")?;
        let path = directory.path().join("record.jsonl");
        match fetch(store.as_ref(), &object, &path).await {
            // This is the first time.
            Ok(()) | Err(Lost::Store(StoreError::NotFound { .. })) => {}
            Err(lost) => return Err(lost.told(&bucket)),
        }
        Ok(Kept { path, copy: Some(Copy { bucket, store, object, _directory: directory }) })
    }
}

impl Kept {
    pub(super) fn record(&self) -> Record {
        Record::at(&self.path)
    }

    /// What comes of `work`, with the record copied now and then, and once more when it is done: so a machine that is
    /// lost loses no more than a few seconds.
    pub(super) async fn until<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let Some(copy) = &self.copy else { return Ok(work.await) };
        let done = tokio::select! {
            done = work => done,
            () = copy.keep(&self.path) => unreachable!("it copies for as long as it is let"),
        };
        copy.put(&self.path).await?;
        Ok(done)
    }
}

impl Copy {
    async fn keep(&self, path: &Path) {
        let mut length = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            let now = tokio::fs::metadata(path).await.map_or(0, |file| file.len());
            if now == length {
                continue;
            }
            match self.put(path).await {
                Ok(()) => length = now,
                Err(error) => failure::warn(&error, "the run goes on, and it is tried again"),
            }
        }
    }

    async fn put(&self, path: &Path) -> Result<()> {
        let bytes = tokio::fs::read(path).await.context("the record cannot be read")?;
        let put = self.store.put(&self.object, PutPayload::from(bytes)).await;
        put.map_err(|error| self.bucket.failed("write the record", error))?;
        Ok(())
    }
}

impl Found {
    /// The records at `places`; a directory, or a URL that ends in `/`, stands for all `.jsonl` in it.
    pub(super) async fn at(places: &[Place]) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory for the records")?;
        let mut records = Vec::new();
        for (i, place) in places.iter().enumerate() {
            match place {
                Place::File(path) if path.is_dir() => {
                    let mut files = lines_in(path)?;
                    files.sort_unstable();
                    records.extend(files.into_iter().map(Record::at));
                }
                Place::File(path) => records.push(Record::at(path)),
                Place::Bucket(url) => {
                    let below = directory.path().join(i.to_string());
                    std::fs::create_dir(&below).context("cannot make a directory for the records")?;
                    records.extend(download(&look_at(url)?, &below).await?);
                }
            }
        }
        Ok(Self { records, _directory: directory })
    }
}

fn lines_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("directory `{}` cannot be read", directory.display());
    let entries = std::fs::read_dir(directory).with_context(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut paths = paths.with_context(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    Ok(paths)
}

/// Every record at `url`, in the order of their names.
async fn download(url: &Url, directory: &Path) -> Result<Vec<Record>> {
    let bucket = Bucket::new(url.as_str());
    let (store, prefix) = bucket.client()?;
    let mut objects = vec![prefix.clone()];
    if url.path().ends_with('/') {
        let listed = store.list(Some(&prefix)).map_ok(|object| object.location).try_collect().await;
        objects = listed.map_err(|error| bucket.failed("list the records", error))?;
        objects.retain(|object: &ObjectPath| object.extension() == Some("jsonl"));
        objects.sort_unstable();
    }
    let mut records = Vec::with_capacity(objects.len());
    for (i, object) in objects.iter().enumerate() {
        // Names of different folders may be the same.
        let path = directory.join(format!("{i}-{}", object.filename().unwrap_or("record.jsonl")));
        fetch(store.as_ref(), object, &path).await.map_err(|lost| lost.told(&bucket))?;
        records.push(Record::at(path));
    }
    Ok(records)
}

/// Why an object is not in a file.
enum Lost {
    Store(StoreError),
    Local(std::io::Error),
}

impl Lost {
    fn told(self, bucket: &Bucket) -> anyhow::Error {
        match self {
            Self::Store(error) => bucket.failed("read a record", error).into(),
            Self::Local(error) => anyhow::Error::new(error).context("a record cannot be written to a file"),
        }
    }
}

/// Writes an object to a file, a part at a time.
async fn fetch(store: &dyn ObjectStore, object: &ObjectPath, path: &Path) -> Result<(), Lost> {
    let mut parts = store.get(object).await.map_err(Lost::Store)?.into_stream();
    let mut file = tokio::fs::File::create(path).await.map_err(Lost::Local)?;
    while let Some(part) = parts.next().await {
        file.write_all(&part.map_err(Lost::Store)?).await.map_err(Lost::Local)?;
    }
    file.flush().await.map_err(Lost::Local)
}

/// The URL, if it is one of a bucket and has no secrets in it.
fn look_at(text: &str) -> Result<Url, Failure> {
    let known = |url: &Url| matches!(url.scheme(), "s3" | "gs" | "az");
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let url = Url::parse(text).ok().filter(|url| known(url) && bare(url));
    url.ok_or_else(|| {
        let why = "a record is in a file, or at a URL such as s3://BUCKET/PREFIX/0.jsonl, s3://, gs:// or az://; \
                   credentials are taken from the environment only";
        Failure::Misused(why.to_owned())
    })
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty; write a file or a URL".to_owned()),
            // What is wrong with it is said later, without the secrets that may be in it.
            text if text.contains("://") => Ok(Self::Bucket(text.to_owned())),
            text => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Bucket(url) => url.fmt(f),
        }
    }
}
