//! Where a record is: a file, or an object in a bucket, where the records of shards that run anywhere can meet.

use std::{
    fmt,
    io::{self, Write as _},
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
use serde_json::json;
use tempfile::TempDir;
use tidegate::validation::{Record, Report};
use tokio::io::AsyncWriteExt as _;

use super::{ashore::Ashore, raise};
use crate::{
    answer::{Answer, Status},
    bucket::Bucket,
    failure::{self, Failure},
    words::plain,
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
    url: Url,
    store: Box<dyn ObjectStore>,
    object: ObjectPath,
    directory: TempDir,
}

/// A record that could not be copied into its bucket at the end of its run, kept on this machine with what it shows.
#[derive(Debug)]
pub(super) struct Stranded {
    error: anyhow::Error,
    url: Url,
    record: PathBuf,
    /// Beside the record, unless it could not be written.
    report: Result<PathBuf>,
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
        if let Some(ashore) = Ashore::of(&bucket) {
            let kept =
                ashore.go_on(&path).context("the record that an earlier run kept here cannot be read")?;
            if let Some(kept) = kept {
                let kept = plain(&kept.display().to_string());
                let _ = writeln!(io::stderr(), "goes on from {kept}, which could not be uploaded");
            }
        }
        Ok(Kept { path, copy: Some(Copy { bucket, url, store, object, directory }) })
    }
}

impl Kept {
    pub(super) fn record(&self) -> Record {
        Record::at(&self.path)
    }

    /// What comes of `work`, with the record copied now and then, so that a machine that is lost loses no more than a
    /// few seconds.
    pub(super) async fn until<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(copy) = &self.copy else { return work.await };
        tokio::select! {
            done = work => done,
            () = copy.keep(&self.path) => unreachable!("it copies for as long as it is let"),
        }
    }

    /// Copies the record once more, now that the run is over. What it took hours to find is not thrown away if that
    /// fails: the record stays on this machine, and `report` with it.
    pub(super) async fn finish(self, report: &Report) -> Option<Stranded> {
        let copy = self.copy?;
        let ashore = Ashore::of(&copy.bucket);
        let Err(error) = copy.put(&self.path).await else {
            if let Some(ashore) = ashore {
                ashore.clear();
            }
            return None;
        };
        // Where it is found again; if there is no such place, where it is.
        let (record, path) = match ashore.and_then(|ashore| ashore.keep(&self.path).ok()) {
            Some(kept) => kept,
            None => {
                let directory = copy.directory.keep();
                (self.path, directory.join("report.json"))
            }
        };
        let written = serde_json::to_vec_pretty(report).map_err(anyhow::Error::from);
        let written = written.and_then(|text| Ok(std::fs::write(&path, text)?));
        Some(Stranded { error, url: copy.url, record, report: written.map(|()| path) })
    }
}

impl Stranded {
    /// Says where the record is, and how to get it where it belongs; what was found is answered all the same.
    pub(super) fn say(&self, answer: &mut Answer) {
        let shown = |path: &Path| plain(&path.display().to_string());
        let mut lines = vec![format!(
            "the record is not in {}: {}",
            plain(self.url.as_str()),
            plain(&format!("{:#}", self.error))
        )];
        let remedy = remedy(&self.error);
        lines.extend(remedy.map(|remedy| format!("  {remedy}; then the same command goes on")));
        lines.push(format!("  it is kept here: {}", shown(&self.record)));
        lines.push(match &self.report {
            Ok(report) => format!("  with the report: {}", shown(report)),
            Err(error) => {
                format!("  the report could not be kept beside it: {}", plain(&format!("{error:#}")))
            }
        });
        lines.push(format!("  upload it with `{}`; --merge takes the file as well", plain(&self.command())));
        answer.text.push_str(&format!("\n{}", lines.join("\n")));
        let (_, problem) = failure::describe(&self.error);
        answer.json["recordError"] = problem;
        answer.json["kept"] = json!({
            "record": self.record,
            "report": self.report.as_ref().ok(),
            "upload": self.command(),
            "remedy": remedy,
        });
        // What was asked for is not there.
        raise(answer, Status::Unavailable);
    }

    /// How the store's own program uploads it.
    fn command(&self) -> String {
        let (file, url) = (self.record.display(), &self.url);
        match url.scheme() {
            "gs" => format!("gcloud storage cp '{file}' '{url}'"),
            "az" => {
                let (container, name) =
                    (url.host_str().unwrap_or_default(), url.path().trim_start_matches('/'));
                format!(
                    "az storage blob upload --overwrite --container-name '{container}' --name '{name}' --file '{file}'"
                )
            }
            _ => format!("aws s3 cp '{file}' '{url}'"),
        }
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
                Err(error) => {
                    let then = remedy(&error).unwrap_or("it is tried again");
                    failure::warn(&error, &format!("the run goes on; {then}"));
                }
            }
        }
    }

    async fn put(&self, path: &Path) -> Result<()> {
        let bytes = tokio::fs::read(path).await.with_context(|| {
            format!("record `{}` cannot be read; let this program read it", path.display())
        })?;
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
    let unreadable = || {
        format!(
            "directory `{}` cannot be read; correct the path, or let this program read it",
            directory.display()
        )
    };
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
    Local(io::Error),
}

impl Lost {
    fn told(self, bucket: &Bucket) -> anyhow::Error {
        match self {
            Self::Store(error) => {
                let failed = anyhow::Error::from(bucket.failed("read a record", error));
                match remedy(&failed) {
                    Some(remedy) => failed.context(format!("{bucket}: {remedy}")),
                    None => failed,
                }
            }
            Self::Local(error) => anyhow::Error::new(error).context("a record cannot be written to a file"),
        }
    }
}

/// What has to change before a store does what it refused; nothing where it was only away.
fn remedy(error: &anyhow::Error) -> Option<&'static str> {
    match error.chain().find_map(|cause| cause.downcast_ref::<StoreError>())? {
        StoreError::NotFound { .. } => {
            Some("nothing is there of that name; correct the URL, or the endpoint in the environment")
        }
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Some(
            "the credentials are refused; put others into the environment, or let these read and write there",
        ),
        _ => None,
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
