//! A registry in a bucket, reached as the environment says.

use std::{fmt, sync::Arc};

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme as Scheme, PutPayload,
    aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder,
    multipart::MultipartStore, parse_url_opts, path::Path, prefix::PrefixStore,
};
use reqwest::Url;
use tidegate::registry::{Error, ObjectBacked};
use uuid::Uuid;

use crate::{failure::Failure, transfer::Waiting};

/// The URL of a bucket and a prefix in it: `s3://`, `gs://`, `az://`, or `memory:///`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bucket(String);

impl Bucket {
    pub(crate) fn new(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The registry that is there.
    pub(crate) async fn find(&self) -> Result<Option<ObjectBacked>> {
        let found = ObjectBacked::find_url(&self.0, environment()).await?;
        found.map(|registry| self.resumable(registry)).transpose()
    }

    pub(crate) async fn find_or_begin(&self) -> Result<ObjectBacked> {
        if let Some(found) = self.find().await? {
            return Ok(found);
        }
        let (store, prefix) = self.client()?;
        let there = store.list(Some(&prefix)).try_next().await;
        if there.map_err(|error| self.failed("list what is there", error))?.is_some() {
            let why = "is not empty and no registry; name a prefix where nothing is yet";
            return Err(Failure::Misused(format!("{self} {why}")).into());
        }
        let _waiting = Waiting::new(format!("trying out {self}, which is new"));
        self.resumable(ObjectBacked::open_url(&self.0, environment()).await?)
    }

    /// Whether an object can be written and removed again.
    pub(crate) async fn expect_writable(&self) -> Result<()> {
        let (store, prefix) = self.client()?;
        let path = Path::from_iter(prefix.parts().chain(["check".into(), Uuid::now_v7().to_string().into()]));
        let written = store.put(&path, PutPayload::new()).await;
        written.map_err(|error| self.failed("write to it", error))?;
        let removed = store.delete(&path).await;
        Ok(removed.map_err(|error| self.failed("remove an object", error))?)
    }

    /// Other endpoints have other buckets of the same name.
    pub(crate) fn identity(&self) -> String {
        let mut endpoints: Vec<_> =
            environment().into_iter().filter(|(name, _)| name.contains("ENDPOINT")).collect();
        endpoints.sort_unstable();
        format!("{self} {endpoints:?}")
    }

    /// The same registry, whose uploads a later run can go on with or end, where the store is one for that.
    fn resumable(&self, registry: ObjectBacked) -> Result<ObjectBacked> {
        let url = self.url()?;
        match Scheme::parse(&url) {
            Ok((Scheme::AmazonS3, prefix)) => {
                let client = AmazonS3Builder::from_env().with_url(url).build();
                self.with_client(registry, client, prefix)
            }
            Ok((Scheme::GoogleCloudStorage, prefix)) => {
                let client = GoogleCloudStorageBuilder::from_env().with_url(url).build();
                self.with_client(registry, client, prefix)
            }
            Ok((Scheme::MicrosoftAzure, prefix)) => {
                let client = MicrosoftAzureBuilder::from_env().with_url(url).build();
                self.with_client(registry, client, prefix)
            }
            _ => Ok(registry),
        }
    }

    fn with_client<S: ObjectStore + MultipartStore>(
        &self,
        registry: ObjectBacked,
        client: object_store::Result<S>,
        prefix: Path,
    ) -> Result<ObjectBacked> {
        let client = client.map_err(|error| self.failed("set up its client", error))?;
        Ok(registry.with_multipart(Arc::new(PrefixStore::new(client, prefix))))
    }

    /// A client of the bucket, and the prefix, or the object, that the URL names in it.
    pub(crate) fn client(&self) -> Result<(Box<dyn ObjectStore>, Path)> {
        let made = parse_url_opts(&self.url()?, environment());
        Ok(made.map_err(|error| self.failed("set up its client", error))?)
    }

    fn url(&self) -> Result<Url> {
        Url::parse(&self.0).context("the registry's URL makes no sense")
    }

    pub(crate) fn failed(&self, action: &'static str, error: StoreError) -> Error {
        let (store, refused) = (
            self.to_string(),
            matches!(
                &error,
                StoreError::NotFound { .. }
                    | StoreError::PermissionDenied { .. }
                    | StoreError::Unauthenticated { .. }
            ),
        );
        let source = error.into();
        match refused {
            true => Error::Refused { store, action, source },
            false => Error::Unavailable { store, action, source },
        }
    }
}

/// Credentials, regions and endpoints. Other variables are not for stores: they take `TOKEN` as well.
fn environment() -> Vec<(String, String)> {
    let ours = |name: &str| ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix));
    let text = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = text.filter(|(name, _)| ours(name));
    ours.filter_map(|(name, value)| Some((name, value.into_string().ok()?))).collect()
}

/// Only for a URL with which a registry was looked for: one with a password was refused then.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}
