//! Google Cloud Storage as far as its XML API is that of S3, within the test: `s3s-fs` behind a translation of
//! the rest. There is no emulator of it that can be installed without a container, so this shows what our side
//! and the client do, and not what Google does.
//!
//! <https://docs.cloud.google.com/storage/docs/xml-api/reference-headers>

use hyper::{Request, body::Incoming, header};

use super::s3::S3;

pub(crate) fn start() -> S3 {
    S3::translated(translate)
}

/// What a program passes to `open_url`.
pub(crate) fn options(server: &S3) -> [(&'static str, String); 2] {
    let key = serde_json::json!({
        "gcs_base_url": server.endpoint(), "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    [("google_service_account_key", key.to_string()), ("google_allow_http", "true".to_owned())]
}

fn translate(request: &mut Request<Incoming>) {
    let headers = request.headers_mut();
    headers.remove(header::AUTHORIZATION);
    if let Some(generation) = headers.remove("x-goog-if-generation-match") {
        assert_eq!(generation, "0", "objects are created, never updated");
        headers.insert(header::IF_NONE_MATCH, header::HeaderValue::from_static("*"));
    }
}
