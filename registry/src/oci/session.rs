//! Sending a blob: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>

use bytes::Bytes;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION, RANGE},
};

use super::{
    auth::Scope,
    failure::Failure,
    wire::{Wire, refused},
};
use crate::Digest;

/// A blob on its way up: where the next bytes go, and how many are there.
#[derive(Debug)]
pub(super) struct Session {
    location: Url,
    pub(super) sent: u64,
}

impl Wire {
    /// Begins to send a blob.
    pub(super) async fn begin(&self, repository: &str) -> Result<Session, Failure> {
        let mut request = self.request(Method::POST, self.url(repository, "blobs/uploads/")?);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(refused(response).await);
        }
        Ok(Session { location: self.location(&response)?, sent: 0 })
    }

    /// Sends the next bytes of a blob, at least one.
    pub(super) async fn chunk(
        &self,
        repository: &str,
        session: &mut Session,
        chunk: Bytes,
    ) -> Result<(), Failure> {
        let end = session.sent + chunk.len() as u64;
        let mut request = self.request(Method::PATCH, session.location.clone());
        let range = HeaderValue::try_from(format!("{}-{}", session.sent, end - 1));
        request.headers_mut().insert(CONTENT_RANGE, range.expect("numbers can be in a header"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        *request.body_mut() = Some(chunk.into());
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(refused(response).await);
        }
        *session = Session { location: self.location(&response)?, sent: end };
        Ok(())
    }

    /// Asks how many bytes of a blob are there, after an answer was lost.
    pub(super) async fn look(&self, repository: &str, session: &mut Session) -> Result<(), Failure> {
        let request = self.request(Method::GET, session.location.clone());
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        if response.status() != StatusCode::NO_CONTENT {
            return Err(refused(response).await);
        }
        let range = response.headers().get(RANGE).and_then(|range| range.to_str().ok());
        let last = range.and_then(|range| range.strip_prefix("0-")?.parse::<u64>().ok());
        let last = last.ok_or(Failure::Protocol("it does not say how much of an upload it has"))?;
        // `0-0` is what registries say of nothing; nobody sends a single byte first.
        let sent = if last == 0 { 0 } else { last.saturating_add(1) };
        *session = Session { location: self.location(&response)?, sent };
        Ok(())
    }

    /// Completes a blob with its last bytes, which may be none or all.
    pub(super) async fn complete(
        &self,
        repository: &str,
        session: &Session,
        digest: &Digest,
        last: Bytes,
    ) -> Result<(), Failure> {
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut request = self.request(Method::PUT, url);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert(CONTENT_LENGTH, last.len().into());
        *request.body_mut() = Some(last.into());
        let response = self.send(&Scope::Push(repository.to_owned()), request).await?;
        if response.status() == StatusCode::CREATED { Ok(()) } else { Err(refused(response).await) }
    }

    /// Gives up a blob that was begun, so that the registry need not keep it until it forgets it.
    pub(super) async fn cancel(&self, repository: &str, session: &Session) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, session.location.clone());
        self.send(&Scope::Push(repository.to_owned()), request).await.map(drop)
    }

    /// Where an answer says that an upload goes on. It may be at another host, but no request goes there in
    /// the clear when the registry itself is asked in private.
    fn location(&self, response: &Response) -> Result<Url, Failure> {
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.ok_or(Failure::Protocol("it does not say where an upload goes on"))?;
        let location = response
            .url()
            .join(location)
            .map_err(|_| Failure::Protocol("it does not say where an upload goes on"))?;
        match location.scheme() {
            "https" => Ok(location),
            "http" if self.root.scheme() == "http" => Ok(location),
            _ => Err(Failure::Protocol("it wants an upload to go on in the clear")),
        }
    }
}
