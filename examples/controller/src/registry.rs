//! The registry, where versions, channels and the journals of routes are.

use anyhow::{Context as _, Result, bail};
use tidegate::registry::ObjectBacked;

/// The file that every registry has.
const MARKER: &str = "tidegate.json";

/// Opens the registry in a directory, or in a bucket that the environment has the credentials of. Never begins one.
pub(crate) async fn open(location: &str) -> Result<ObjectBacked> {
    let found = if location.contains("://") {
        ObjectBacked::find_url(location, credentials()).await.context("the registry cannot be opened")?
    } else if std::path::Path::new(location).join(MARKER).is_file() {
        let opened = ObjectBacked::directory(location).await;
        Some(opened.with_context(|| format!("the registry {location} cannot be opened"))?)
    } else {
        None
    };
    match found {
        Some(found) => Ok(found),
        None => bail!("there is no registry at --registry; publish a version there first"),
    }
}

/// Credentials, regions and endpoints of buckets.
fn credentials() -> impl Iterator<Item = (String, String)> {
    let text = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    text.filter(|(name, _)| ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix)))
}
