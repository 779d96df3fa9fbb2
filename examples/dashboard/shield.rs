//! What holds for every request and every answer.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{Dashboard, refusal::Refusal};

/// A request that is not answered by then is given up. Streams begin at once, and then last as long as they like.
const PATIENCE: Duration = Duration::from_secs(20);

/// No script, style or picture but this program's own, in no frame, and never kept: what rollouts do is nobody
/// else's business.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    // Not `no-referrer`: with that, forms are sent with the origin `null`.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

pub(crate) async fn guard(State(dashboard): State<Dashboard>, request: Request, next: Next) -> Response {
    let mut response = match admit(&dashboard, &request) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| {
            Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                "This took too long. Whether it was done, the journal says.",
            )
            .into_response()
        }),
    };
    let headers = response.headers_mut();
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

fn admit(dashboard: &Dashboard, request: &Request) -> Result<(), Refusal> {
    if !dashboard.origins.expects(request) {
        let why = format!(
            "This dashboard is not known under that name. It is at {}.",
            dashboard.origins.advertised()
        );
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, why));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !dashboard.origins.sent(request.headers())
    {
        return Err(Refusal::forbidden(
            "The browser does not say that one of this dashboard's pages sent this, so nothing was done.",
        ));
    }
    Ok(())
}
