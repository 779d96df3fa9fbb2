//! Whether a container image is still where it was pushed.

use std::{fmt, str::FromStr};

use reqwest::Url;

use super::{
    OciAuth,
    failure::failure,
    place::{Place, is_repository},
    wire::Wire,
};
use crate::{Digest, Invalid, Result};

/// A container image by its digest, such as `registry.example.com:5000/team/fraud@sha256:…`. A tag between them is for
/// people, and left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciImage {
    /// Host and port.
    host: String,
    repository: String,
    digest: Digest,
}

/// An OCI registry that is asked for images. Nothing is read of them but that they are there.
#[derive(Clone, Debug)]
pub struct OciImages {
    wire: Wire,
}

/// Bytes of the longest reference.
const LONGEST: usize = 512;

impl OciImages {
    /// The images of the registry at `address`, such as `https://registry.example.com`. Asks it nothing yet.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `address` is no `http` or `https` address, or goes on after the port.
    pub fn new(client: reqwest::Client, auth: OciAuth, address: &str) -> std::result::Result<Self, Invalid> {
        let place: Place = address.parse()?;
        if place.root().as_str().trim_end_matches('/') != place.to_string().trim_end_matches('/') {
            return Err(Invalid::new("registry", host(place.root()), "leave out what follows the port"));
        }
        Ok(Self { wire: Wire::new(client, place.root().clone(), auth) })
    }

    /// Whether images of this host are this registry's. A port that is left out is the one of the registry's scheme, 443
    /// or 80, on either side.
    #[must_use]
    pub fn holds(&self, image: &OciImage) -> bool {
        let root = &self.wire.root;
        let there = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        let named = Url::parse(&format!("{}://{}", root.scheme(), image.host));
        named.is_ok_and(|named| there(&named) == there(root))
    }

    /// Whether it has the image, asked by a `HEAD` for its manifest.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for an image of another registry,
    /// [`Error::Refused`](crate::Error::Refused) and [`Error::Unavailable`](crate::Error::Unavailable) when it does not
    /// say: whatever is no plain yes or no.
    pub async fn has(&self, image: &OciImage) -> Result<bool> {
        if !self.holds(image) {
            let why = format!("it is not at {}; ask the registry that it names", host(&self.wire.root));
            return Err(Invalid::new("image", image.to_string(), why).into());
        }
        let has = self.wire.has_image(&image.repository, &image.digest).await;
        has.map_err(failure(&host(&self.wire.root), "say whether it has an image"))
    }
}

/// As an image names it.
fn host(root: &Url) -> String {
    let port = root.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", root.host_str().unwrap_or_default())
}

impl FromStr for OciImage {
    type Err = Invalid;

    fn from_str(s: &str) -> std::result::Result<Self, Invalid> {
        let wrong =
            |why: &'static str| Invalid::new("image", s.chars().take(LONGEST).collect::<String>(), why);
        if s.len() > LONGEST {
            return Err(wrong("it is longer than an image's name can be"));
        }
        let form =
            "write host/repository@sha256: and 64 hex digits; a tag alone may be moved to another image";
        let (name, digest) = s.split_once('@').ok_or_else(|| wrong(form))?;
        let (host, repository) = name.split_once('/').ok_or_else(|| wrong(form))?;
        let repository = match repository.rsplit_once(':') {
            Some((repository, _tag)) => repository,
            None => repository,
        };
        let is_host = host.contains(['.', ':']) || host == "localhost";
        let sound =
            host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b));
        if !is_host || !sound || !is_repository(repository) {
            return Err(wrong(form));
        }
        let digest = digest.parse().map_err(|_| wrong(form))?;
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), digest })
    }
}

impl fmt::Display for OciImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.host, self.repository, self.digest)
    }
}
