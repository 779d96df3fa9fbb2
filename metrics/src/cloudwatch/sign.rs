//! Signature Version 4.

use std::time::SystemTime;

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::credentials::Credentials;
use crate::query::Failure;

/// The headers that a POST of `body` to `url` needs besides `headers`, which are signed with the rest.
pub(super) fn headers(
    credentials: &Credentials,
    service: &str,
    region: &str,
    at: SystemTime,
    url: &Url,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> Result<HeaderMap, Failure> {
    let unfit = |_| Failure::Denied("the credentials hold characters that no HTTP header can carry".into());
    let identity = credentials.for_signing().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| Failure::malformed(format!("nothing was sent: {error}")))?
        .into();
    let request = SignableRequest::new(
        "POST",
        url.as_str(),
        headers.iter().copied(),
        SignableBody::Bytes(body.as_bytes()),
    );
    // At level TRACE the signer writes down the canonical request, in some versions with the session token.
    let signed = tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        request.and_then(|request| sign(request, &parameters))
    });
    let (instructions, _) = signed.map_err(|_| unfit(()))?.into_parts();
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unfit(()))?;
        value.set_sensitive(true);
        all.insert(name, value);
    }
    Ok(all)
}
