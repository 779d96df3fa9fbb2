//! Signing in and out.

use axum::{
    Extension,
    extract::{Form, Query, State, rejection::FormRejection},
    http::{
        HeaderValue, StatusCode, Uri,
        header::{LOCATION, SET_COOKIE},
    },
    response::{Html, IntoResponse as _, Response},
};
use maud::html;
use serde::Deserialize;
use tidegate::canary::metrics::plot::words;
use url::form_urlencoded;

use crate::{Dashboard, listen::Peer, page::Page, refusal::Refusal, session::Session};

const LONGEST_NAME: usize = 60;

#[derive(Deserialize)]
pub(crate) struct Next {
    /// The page that was asked for.
    next: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    token: String,
    next: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Leaving {
    form_token: String,
}

/// The page to sign in on before `uri` is shown.
pub(crate) fn link(uri: &Uri) -> String {
    let next = uri.path_and_query().map_or("/", |next| next.as_str());
    format!("/sign-in?{}", form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish())
}

pub(crate) async fn show(Query(Next { next }): Query<Next>) -> Html<String> {
    form(next.as_deref(), "", None)
}

pub(crate) async fn take(
    State(dashboard): State<Dashboard>,
    Extension(Peer(address)): Extension<Peer>,
    credentials: Result<Form<Credentials>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Credentials { name, token, next }) =
        credentials.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    if let Some(wait) = dashboard.tries.wait(address) {
        let why = format!("Too many attempts failed. Try again in {} s.", wait.as_secs() + 1);
        return Err(Refusal::busy(StatusCode::TOO_MANY_REQUESTS, why, wait));
    }
    let name = name.trim();
    if !dashboard.token.is(&token) {
        dashboard.tries.fail(address);
        tracing::warn!(%address, "somebody tried to sign in with a wrong token");
        let page = form(next.as_deref(), name, Some("That is not the token."));
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    }
    if name.is_empty()
        || name.chars().count() > LONGEST_NAME
        || name.contains(|c| words::is_deceptive(c) || c.is_control())
    {
        let why = format!("Write your name in 1 to {LONGEST_NAME} letters; it goes into the journals.");
        return Ok((StatusCode::BAD_REQUEST, form(next.as_deref(), "", Some(&why))).into_response());
    }
    let cookie = dashboard.sessions.begin(name.to_owned())?;
    tracing::info!(%address, name, "somebody signed in");
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, location(next.as_deref()))]).into_response())
}

pub(crate) async fn leave(
    State(dashboard): State<Dashboard>,
    session: Session,
    form: Result<Form<Leaving>, FormRejection>,
) -> Result<Response, Refusal> {
    let Form(Leaving { form_token }) =
        form.map_err(|rejection| Refusal::new(rejection.status(), rejection.body_text()))?;
    session.admit(&form_token)?;
    let cookie = dashboard.sessions.end(&session)?;
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, HeaderValue::from_static("/sign-in"))])
        .into_response())
}

fn form(next: Option<&str>, name: &str, alert: Option<&str>) -> Html<String> {
    let next = ours(next);
    Page { title: "Sign in", ..Page::default() }.html(&html! {
        form.sign-in method="post" action="/sign-in" {
            h1 { "Sign in" }
            @if let Some(alert) = alert { p.notice.alert role="alert" { (alert) } }
            input type="hidden" name="next" value=(next);
            label for="name" { "Your name, for the journals" }
            input #name name="name" value=(name) required autocomplete="name" maxlength=(LONGEST_NAME);
            label for="token" { "Token" }
            input #token name="token" type="password" required autocomplete="current-password" maxlength="4096";
            button.main { "Sign in" }
            // A link from elsewhere comes without the cookie, which is strict; one from here has it.
            p.muted { "Signed in already, and here by a link? " a href=(next) { "Go on" } "." }
        }
    })
}

fn location(next: Option<&str>) -> HeaderValue {
    HeaderValue::from_str(ours(next)).unwrap_or(HeaderValue::from_static("/"))
}

/// Nobody is sent anywhere else.
fn ours(next: Option<&str>) -> &str {
    next.filter(|next| next.starts_with("/rollout?")).unwrap_or("/")
}
