//! Opening a registry by its URL.

use std::sync::Arc;

use object_store::{
    Error as Failure, ObjectStore, ObjectStoreScheme as Scheme, parse_url_opts, prefix::PrefixStore,
};
use url::{Position, Url};

use super::proven::Proven;
use crate::{Invalid, Result, object::ObjectBacked};

/// What a URL names.
enum Place {
    #[cfg(feature = "fs")]
    Directory(std::path::PathBuf),
    Store(Proven),
}

impl ObjectBacked {
    /// Opens the registry at `url`, or makes one where there is none yet.
    ///
    /// | URL | needs |
    /// |---|---|
    /// | `s3://bucket/prefix` | the feature `aws` of your own `object_store` dependency |
    /// | `gs://bucket/prefix` | its feature `gcp` |
    /// | `az://container/prefix`, `abfss://container@account.dfs.core.windows.net/prefix` | its feature `azure` |
    /// | `file:///a/directory` | the feature `fs`; the same as `ObjectBacked::directory` |
    /// | `memory:///` | nothing: a new, empty registry that ends with the program |
    ///
    /// The prefix may be empty or of several segments. Other URLs are those of
    /// [`ObjectStoreScheme::parse`](object_store::ObjectStoreScheme::parse).
    ///
    /// `options` are keys and values of
    /// [`AmazonS3ConfigKey`](https://docs.rs/object_store/0.14/object_store/aws/enum.AmazonS3ConfigKey.html)
    /// and the like, in either case: `aws_access_key_id`, `AWS_ENDPOINT`, `azure_storage_account_key`, ….
    /// Keys that mean nothing to the store are ignored, so a program may pass its whole environment. The
    /// library itself never reads it.
    ///
    /// With `aws_unsigned_payload=true` bytes on their way to S3 are hashed once, for the manifest, and not again
    /// for the signature of each request. TLS protects them as well, so this is only for `https`.
    ///
    /// Credentials go into `options`, never into the URL. Neither is repeated in an error or a `Debug`
    /// but for the URL's scheme, bucket and path.
    ///
    /// ```
    /// use tidegate_registry::ObjectBacked;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A program passes `std::env::vars()`.
    /// let options = [("aws_region", "eu-central-1")];
    /// let registry = ObjectBacked::open_url("memory:///team/models", options).await?;
    /// assert_eq!(registry.to_string(), "memory:///team/models");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for a URL that names no store, that holds a password or a
    /// query, or whose client this program was built without, and for options that the client refuses;
    /// otherwise as [`open`](Self::open).
    pub fn open_url<I, K, V>(
        url: &str,
        options: I,
    ) -> impl Future<Output = Result<Self>> + Send + use<I, K, V>
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let place = locate(url, options);
        async move {
            match place? {
                #[cfg(feature = "fs")]
                Place::Directory(path) => Self::directory(path).await,
                Place::Store(store) => Self::begin(store).await,
            }
        }
    }

    /// Opens the registry at `url`, a bucket's, if one is there; never makes one. For programs that only
    /// read, whose user may have named the wrong place. `url` and `options` are those of
    /// [`open_url`](Self::open_url), and it takes one request as well.
    ///
    /// # Errors
    ///
    /// As [`open_url`](Self::open_url), and [`Error::Invalid`](crate::Error::Invalid) for a directory, which
    /// the caller can look into without a registry.
    pub fn find_url<I, K, V>(
        url: &str,
        options: I,
    ) -> impl Future<Output = Result<Option<Self>>> + Send + use<I, K, V>
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let place = locate(url, options);
        async move {
            match place? {
                #[cfg(feature = "fs")]
                Place::Directory(path) => {
                    Err(invalid(&path.display().to_string(), "look into the directory instead").into())
                }
                Place::Store(store) => Self::find(store).await,
            }
        }
    }
}

fn locate(
    text: &str,
    options: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Result<Place, Invalid> {
    const WHY: &str =
        "name a bucket as `s3://bucket/prefix`, `gs://…` or `az://…`, or a directory as `file:///path`";
    let url = Url::parse(text).map_err(|error| invalid(&unparsed(text), format!("{error}; {WHY}")))?;
    let shown = shown(&url);
    let (scheme, prefix) = Scheme::parse(&url).map_err(|_| invalid(&shown, WHY))?;
    // Azure's URLs have the container where others have a user.
    let user = !url.username().is_empty() && scheme != Scheme::MicrosoftAzure;
    if user || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        let why = "it must end with its path and hold no user, password or token; pass credentials as options such as `aws_secret_access_key` or `azure_storage_sas_token` (the command line takes them from the environment)";
        return Err(invalid(&shown, why));
    }
    if scheme == Scheme::Local {
        return directory(&url, &shown);
    }
    let options = options.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Vec<_>>();
    let identity = identity(&url, &options);
    let store: Arc<dyn ObjectStore> = match parse_url_opts(&url, options.iter().cloned()) {
        Ok((store, _)) => store.into(),
        // So it answers when it was built without the client.
        Err(Failure::Generic { store: "parse_url", .. }) => return Err(invalid(&shown, without(&scheme))),
        Err(error) => return Err(invalid(&shown, without_secrets(error.to_string(), &options))),
    };
    let store =
        if prefix.parts().next().is_some() { Arc::new(PrefixStore::new(store, prefix)) } else { store };
    Ok(Place::Store(Proven::new(store).named(shown, &identity)))
}

#[cfg(feature = "fs")]
fn directory(url: &Url, shown: &str) -> Result<Place, Invalid> {
    let path = url.to_file_path().map_err(|()| invalid(shown, "it names no path on this system"))?;
    Ok(Place::Directory(path))
}

#[cfg(not(feature = "fs"))]
fn directory(_: &Url, shown: &str) -> Result<Place, Invalid> {
    Err(invalid(
        shown,
        "this program was built without the feature `fs` of tidegate-registry; enable it in its Cargo.toml",
    ))
}

fn without(scheme: &Scheme) -> String {
    let feature = match scheme {
        Scheme::AmazonS3 => "aws",
        Scheme::GoogleCloudStorage => "gcp",
        Scheme::MicrosoftAzure => "azure",
        _ => {
            return "a plain web server cannot hold a registry; for a store of one's own use `s3://bucket/prefix` and the option `aws_endpoint`".to_owned();
        }
    };
    format!(
        "this program was built without its client; enable the feature `{feature}` of `object_store` 0.14 in the Cargo.toml of the program"
    )
}

/// A bucket, whatever the prefix; the same bucket at another endpoint is another one.
fn identity(url: &Url, options: &[(String, String)]) -> String {
    let mut endpoints: Vec<_> = options
        .iter()
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
        .filter(|(key, _)| key.contains("endpoint") || key.contains("account_name"))
        .map(|(key, value)| format!("\n{key}={value}"))
        .collect();
    endpoints.sort_unstable();
    url[..Position::BeforePath].to_owned() + &endpoints.concat()
}

/// `url` without what may be secret.
fn shown(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return unparsed(url.as_str());
    }
    let mut shown = url.clone();
    let secret_user = !matches!(Scheme::parse(url), Ok((Scheme::MicrosoftAzure, _)));
    let hidden = url.password().is_some() || (secret_user && !url.username().is_empty());
    shown.set_query(url.query().map(|_| "***"));
    shown.set_fragment(None);
    if hidden {
        // Fails for a URL that has no host, and then it has no user either.
        let _ = shown.set_username("***");
        let _ = shown.set_password(None);
    }
    shown.into()
}

/// What cannot be parsed may still hold a secret, so only its beginning is repeated.
fn unparsed(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://***"),
        None if text.contains(['@', '?', '=']) => "***".to_owned(),
        None => text.to_owned(),
    }
}

/// A client that refuses an option may repeat it.
fn without_secrets(mut text: String, options: &[(String, String)]) -> String {
    const SECRET: [&str; 7] = ["credential", "key", "password", "sas", "secret", "signature", "token"];
    for (key, value) in options {
        let key = key.to_ascii_lowercase();
        if !value.is_empty() && SECRET.iter().any(|word| key.contains(word)) {
            text = text.replace(value.as_str(), "***");
        }
    }
    text
}

fn invalid(shown: &str, why: impl Into<String>) -> Invalid {
    Invalid::new("registry URL", shown, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Which clients a program has is for the whole build to say, so it takes no URL to see what is said.
    #[test]
    fn a_client_that_was_left_out_is_named() {
        for (url, feature) in [
            ("s3://bucket/prefix", "aws"),
            ("gs://bucket/prefix", "gcp"),
            ("az://container/prefix", "azure"),
            ("abfss://container@account.dfs.core.windows.net/prefix", "azure"),
        ] {
            let (scheme, _) = Scheme::parse(&Url::parse(url).unwrap()).unwrap();
            let said = without(&scheme);
            assert!(
                said.contains(&format!("enable the feature `{feature}` of `object_store`")),
                "{url}: {said}"
            );
        }
    }
}
