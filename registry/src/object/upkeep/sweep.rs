//! Hidden files that killed programs left in a registry's directory. `object_store` can neither list nor
//! remove them, so they are looked for by name.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{Result, object::Collected, transfer::blocking::local};

/// Files that are written through `object_store` are hidden for moments, and are not locked meanwhile. So
/// they are left alone for so long, whatever the grace.
const MOMENTS: Duration = Duration::from_secs(3600);

/// Removes what is hidden below `model`, older than `grace` at `at`, and not in use; or only counts it.
pub(in crate::object) fn sweep(
    model: &Path,
    grace: Duration,
    at: SystemTime,
    rehearse: bool,
) -> Result<Collected> {
    let mut swept = Collected::default();
    for folder in [".", "blobs", "log", "manifests", "snapshots"] {
        let directory = model.join(folder);
        // A blob is locked by whoever writes it, however slowly.
        let (grace, is_blob) = if folder == "blobs" { (grace, true) } else { (grace.max(MOMENTS), false) };
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(local("list", &directory)(error)),
        };
        for entry in entries {
            let path = entry.map_err(local("list", &directory))?.path();
            if !is_hidden(&path) {
                continue;
            }
            if let Some(bytes) =
                remove(&path, grace, at, is_blob, rehearse).map_err(local("remove", &path))?
            {
                swept.objects += 1;
                swept.bytes += bytes;
            }
        }
    }
    Ok(swept)
}

/// Whether it is the file of a name that is not whole yet: `object_store` ends those in `#` and a number.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// How many bytes it had, if it was removed or would be.
fn remove(
    path: &PathBuf,
    grace: Duration,
    at: SystemTime,
    is_blob: bool,
    rehearse: bool,
) -> io::Result<Option<u64>> {
    let gone = |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) => return gone(error),
    };
    let metadata = file.metadata()?;
    let age = at.duration_since(metadata.modified()?).unwrap_or_default();
    if !metadata.is_file() || age < grace {
        return Ok(None);
    }
    // Held until it is gone, so that nobody comes to go on with it meanwhile.
    if is_blob && file.try_lock().is_err() {
        return Ok(None);
    }
    if !rehearse {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) => return gone(error),
        }
    }
    Ok(Some(metadata.len()))
}
