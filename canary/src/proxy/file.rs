//! A file that the drivers of one machine replace in turns, and that its reader never sees half.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::spawn_blocking;

/// The longest file that is read, in bytes. Those that are written are far below.
const LONGEST: u64 = 4 << 20;
/// How long another driver may have its turn before it is said that it does.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether the turn has come.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The right to replace one file, held against other drivers until it is dropped. It is an advisory lock
/// on a file beside it, which the system takes back when a driver dies.
#[derive(Debug)]
pub(crate) struct Turn {
    path: PathBuf,
    lock: Arc<File>,
}

/// What is in the file, if there is one.
pub(crate) async fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let path = path.to_owned();
    blocking(move || {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut content = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LONGEST {
            let long = format!("the file is longer than {LONGEST} bytes, so no router wrote it; remove it");
            return Err(io::Error::new(io::ErrorKind::InvalidFilename, long));
        }
        Ok(Some(content))
    })
    .await
}

impl Turn {
    /// Waits until nobody else has the turn for the file at `path`.
    pub(crate) async fn wait(path: PathBuf) -> io::Result<Self> {
        let beside = beside(&path, "lock")?;
        let lock =
            blocking(move || File::options().create(true).truncate(false).write(true).open(beside)).await?;
        let lock = Arc::new(lock);
        let mine = async {
            loop {
                match lock.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        };
        match tokio::time::timeout(TURN_WITHIN, mine).await {
            Ok(locked) => locked?,
            Err(_) => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "another driver is changing the route"));
            }
        }
        Ok(Self { path, lock })
    }

    /// What keeps the turn for work that goes on when whoever waits for it goes away.
    #[cfg(feature = "gitops")]
    pub(crate) fn held(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// What is in the file, if there is one.
    pub(crate) async fn read(&self) -> io::Result<Option<Vec<u8>>> {
        read(&self.path).await
    }

    /// Puts a file with `content` in its place, or none, and makes it last.
    pub(crate) async fn replace(&self, content: Option<&[u8]>) -> io::Result<()> {
        let (path, content) = (self.path.clone(), content.map(<[u8]>::to_vec));
        // The turn must not end before the work, even when whoever waits for it goes away.
        let lock = Arc::clone(&self.lock);
        blocking(move || {
            let _lock = lock;
            match content {
                Some(content) => {
                    let fresh = beside(&path, "new")?;
                    let mut file = File::create(&fresh)?;
                    file.write_all(&content)?;
                    file.sync_all()?;
                    fs::rename(fresh, &path)?;
                }
                None => fs::remove_file(&path)?,
            }
            File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
        })
        .await
    }
}

/// A hidden file beside `path`.
fn beside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidFilename, "no name of a file"))?;
    Ok(path.with_file_name(format!(".{name}.{suffix}")))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
