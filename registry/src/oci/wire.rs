//! The requests of the OCI distribution specification that artifacts need.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Method, Request, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LINK, RANGE},
};
use serde::Deserialize;

use super::{
    artifact::{IMAGE_INDEX, IMAGE_MANIFEST, LONGEST_MANIFEST},
    auth::{Authority, Scope},
    failure::Failure,
    place::Name,
};
use crate::{Digest, OciAuth};

/// Bytes of the longest error, and of a body that nobody reads.
const LONGEST_ERROR: usize = 64 << 10;

/// Bytes of the longest page of the catalogue, and how many names are asked for at once.
const LONGEST_PAGE: usize = 4 << 20;
const PAGE: usize = 500;

/// How older tools call the manifest and the index of an image.
///
/// <https://distribution.github.io/distribution/spec/manifest-v2-2/>
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A registry at its address. Clones share the tokens they were given.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client,
    pub(super) root: Url,
    authority: Authority,
}

/// Bytes of a blob as they come.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) response: Response,
    /// Which bytes are coming: those asked for, or all of them.
    pub(super) range: Option<Range<u64>>,
    /// Bytes of the whole blob, if the registry says.
    pub(super) whole: Option<u64>,
}

impl Wire {
    pub(super) fn new(client: Client, root: Url, auth: OciAuth) -> Self {
        Self { client, root, authority: Authority::new(auth) }
    }

    /// Whether the registry has a blob.
    pub(super) async fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, Failure> {
        let request = self.request(Method::HEAD, self.url(repository, &format!("blobs/{digest}"))?);
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(response).await),
        }
    }

    /// Asks for a blob, or for a range of it, which must not be empty.
    pub(super) async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        range: Option<Range<u64>>,
    ) -> Result<Download, Failure> {
        let mut request = self.request(Method::GET, self.url(repository, &format!("blobs/{digest}"))?);
        if let Some(Range { start, end }) = &range {
            let wanted = HeaderValue::try_from(format!("bytes={start}-{}", end - 1));
            request.headers_mut().insert(RANGE, wanted.expect("numbers can be in a header"));
        }
        let response = self.send(&Scope::Pull(repository.to_owned()), request).await?;
        match response.status() {
            StatusCode::OK => {
                let whole = response.content_length();
                Ok(Download { response, range: None, whole })
            }
            StatusCode::PARTIAL_CONTENT if range.is_some() => {
                let (came, whole) = content_range(&response)?;
                Ok(Download { response, range: came.or(range), whole })
            }
            _ => Err(refused(response).await),
        }
    }

    /// A manifest as it lies there, or nothing.
    pub(super) async fn manifest(&self, repository: &str, name: &Name) -> Result<Option<Bytes>, Failure> {
        let response = self.ask_for_manifest(Method::GET, repository, name).await?;
        match response.status() {
            StatusCode::OK => body(response, LONGEST_MANIFEST).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(response).await),
        }
    }

    /// What a tag points to, or nothing.
    pub(super) async fn tagged(&self, repository: &str, tag: &str) -> Result<Option<Digest>, Failure> {
        let name = Name::Tag(tag.to_owned());
        let response = self.ask_for_manifest(Method::HEAD, repository, &name).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(refused(response).await),
        }
        if let Some(digest) = content_digest(&response) {
            return Ok(Some(digest));
        }
        Ok(self.manifest(repository, &name).await?.map(Digest::of))
    }

    /// Whether the registry has an image, whichever tool pushed it.
    pub(super) async fn has_image(&self, repository: &str, digest: &Digest) -> Result<bool, Failure> {
        let url = self.url(repository, &format!("manifests/{digest}"))?;
        let mut request = self.request(Method::HEAD, url);
        for kind in [IMAGE_MANIFEST, IMAGE_INDEX, DOCKER_MANIFEST, DOCKER_LIST] {
            request.headers_mut().append(ACCEPT, HeaderValue::from_static(kind));
        }
        let response = self.send(&Scope::Pull(repository.to_owned()), request).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(refused(response).await),
        }
    }

    /// Stores a manifest, by its digest or under a tag.
    pub(super) async fn put_manifest(
        &self,
        repository: &str,
        name: &Name,
        manifest: Bytes,
    ) -> Result<(), Failure> {
        let mut request = self.request(Method::PUT, self.url(repository, &format!("manifests/{name}"))?);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(IMAGE_MANIFEST));
        let digest = Digest::of(&manifest);
        *request.body_mut() = Some(manifest.into());
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        match content_digest(&response) {
            Some(other) if other != digest => {
                Err(Failure::Protocol("it stored another manifest than it was sent"))
            }
            _ => Ok(()),
        }
    }

    /// The repositories after `last` in the registry's order, some of them, and whether there are more.
    pub(super) async fn catalog(&self, last: Option<&str>) -> Result<(Vec<String>, bool), Failure> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let mut url = self.root.clone();
        url.set_path("/v2/_catalog");
        url.query_pairs_mut().append_pair("n", &PAGE.to_string());
        if let Some(last) = last {
            url.query_pairs_mut().append_pair("last", last);
        }
        let response = self.send(&Scope::Catalog, self.request(Method::GET, url)).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let more = response.headers().contains_key(LINK);
        let body = body(response, LONGEST_PAGE).await?;
        let page: Page = serde_json::from_slice(&body)
            .map_err(|_| Failure::Protocol("its catalogue is no list of repositories"))?;
        Ok((page.repositories.unwrap_or_default(), more))
    }

    async fn ask_for_manifest(
        &self,
        method: Method,
        repository: &str,
        name: &Name,
    ) -> Result<Response, Failure> {
        let mut request = self.request(method, self.url(repository, &format!("manifests/{name}"))?);
        for kind in [IMAGE_MANIFEST, IMAGE_INDEX] {
            request.headers_mut().append(ACCEPT, HeaderValue::from_static(kind));
        }
        self.send(&Scope::Pull(repository.to_owned()), request).await
    }

    pub(super) fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url)
    }

    pub(super) fn url(&self, repository: &str, rest: &str) -> Result<Url, Failure> {
        self.root
            .join(&format!("v2/{repository}/{rest}"))
            .map_err(|_| Failure::Protocol("its address cannot be completed"))
    }

    /// Sends a request, once more with credentials if the registry asks for them.
    ///
    /// Credentials go to the registry only, never where it sends an upload: the specification forbids it,
    /// and CVE-2020-15157 shows why. `reqwest` takes them off redirects to other hosts.
    pub(super) async fn send(&self, scope: &Scope, mut request: Request) -> Result<Response, Failure> {
        if request.url().origin() != self.root.origin() {
            return Ok(self.client.execute(request).await?);
        }
        let again = request.try_clone();
        let sent = self.authority.granted(scope);
        if let Some(header) = &sent {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        let response = self.client.execute(request).await?;
        let (StatusCode::UNAUTHORIZED, Some(mut again)) = (response.status(), again) else {
            return Ok(response);
        };
        let answer =
            self.authority.answer(&self.client, &self.root, scope, sent.as_ref(), response.headers());
        let Some(header) = answer.await? else { return Ok(response) };
        again.headers_mut().insert(AUTHORIZATION, header);
        Ok(self.client.execute(again).await?)
    }
}

/// The whole body of an answer, if it is not longer than `longest`.
pub(super) async fn body(mut response: Response, longest: usize) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > longest {
            return Err(Failure::Protocol("it answers with more than such an answer can have"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What an unexpected answer means.
pub(super) async fn refused(response: Response) -> Failure {
    let status = response.status();
    let body = body(response, LONGEST_ERROR).await.unwrap_or_default();
    if status.is_success() || status.is_informational() || status.is_redirection() {
        return Failure::Protocol("it answers with a status that the specification does not have there");
    }
    Failure::answer(status, &body)
}

fn content_digest(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// Which bytes of how many `Content-Range` says are coming.
fn content_range(response: &Response) -> Result<(Option<Range<u64>>, Option<u64>), Failure> {
    let Some(header) = response.headers().get(CONTENT_RANGE) else { return Ok((None, None)) };
    let parse = |header: &str| -> Option<(Range<u64>, Option<u64>)> {
        let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let range = first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?;
        Some((range, if whole == "*" { None } else { Some(whole.parse().ok()?) }))
    };
    let parsed = header.to_str().ok().and_then(parse);
    let (range, whole) = parsed.ok_or(Failure::Protocol("its Content-Range is none"))?;
    Ok((Some(range), whole))
}
