//! Who is signed in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, Method,
        header::{COOKIE, HeaderValue},
        request::Parts,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate::{canary::WallClock, registry::Digest};

use crate::{Dashboard, refusal::Refusal, sign_in, token};

/// Everybody who is signed in. They are forgotten when the program ends.
pub(crate) struct Sessions {
    clock: WallClock,
    lasts: Duration,
    has_tls: bool,
    /// By the digests of their cookies, so that looking one up tells nothing of the others.
    open: Mutex<HashMap<Digest, Session>>,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    /// What every form of this session holds, and no other page knows.
    pub(crate) form_token: String,
    pub(crate) key: Digest,
    expires: SystemTime,
}

/// More than that are not signed in at once; the oldest has to go.
const MOST: usize = 1000;

impl Sessions {
    pub(crate) fn new(clock: WallClock, lasts: Duration, has_tls: bool) -> Self {
        Self { clock, lasts, has_tls, open: Mutex::default() }
    }

    /// Signs somebody in, and gives the cookie that says so.
    pub(crate) fn begin(&self, name: String) -> Result<HeaderValue> {
        let (secret, form_token) = (random()?, random()?);
        let now = self.clock.now();
        let session = Session { name, form_token, key: Digest::of(&secret), expires: now + self.lasts };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.expires > now);
        let oldest = || open.values().min_by_key(|session| session.expires).map(|session| session.key);
        if open.len() >= MOST
            && let Some(oldest) = oldest()
        {
            open.remove(&oldest);
        }
        open.insert(session.key, session);
        self.cookie(&secret, self.lasts)
    }

    /// Signs somebody out, and gives the cookie that makes the browser forget.
    pub(crate) fn end(&self, session: &Session) -> Result<HeaderValue> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&session.key);
        self.cookie("", Duration::ZERO)
    }

    /// Whether a session that was there still is.
    pub(crate) fn knows(&self, key: &Digest) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(key).is_some_and(|session| session.expires > self.clock.now())
    }

    /// Returns once a session has lasted as long as it may.
    pub(crate) async fn over(&self, session: &Session) {
        self.clock.sleep_until(session.expires).await;
    }

    /// Who sends a request with these headers.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let secret =
            pairs.filter(|(name, _)| *name == self.cookie_name()).map(|(_, secret)| secret).next()?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&Digest::of(secret)).filter(|session| session.expires > self.clock.now()).cloned()
    }

    fn cookie(&self, secret: &str, lasts: Duration) -> Result<HeaderValue> {
        let (name, secure) = (self.cookie_name(), if self.has_tls { "; Secure" } else { "" });
        let seconds = lasts.as_secs();
        let text = format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
        HeaderValue::from_str(&text).context("a cookie is ASCII")
    }

    /// Browsers accept a cookie of the first name from nobody but this very host, over TLS.
    const fn cookie_name(&self) -> &'static str {
        if self.has_tls { "__Host-tidegate" } else { "tidegate" }
    }
}

impl Session {
    /// Refuses a form that does not come from one of this session's pages.
    pub(crate) fn admit(&self, form_token: &str) -> Result<(), Refusal> {
        if token::same(&self.form_token, form_token) {
            return Ok(());
        }
        Err(Refusal::forbidden(
            "This form is not of your session. Load its page again, and repeat what you did.",
        ))
    }
}

/// 256 bits that nobody can guess.
fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whoever looks at a page without being signed in is asked to; anything else is refused.
impl FromRequestParts<Dashboard> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, dashboard: &Dashboard) -> Result<Self, Refusal> {
        let found = dashboard.sessions.of(&parts.headers);
        found.ok_or_else(|| match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/" | "/rollout") => Refusal::elsewhere(sign_in::link(&parts.uri)),
            _ => Refusal::stranger(),
        })
    }
}
