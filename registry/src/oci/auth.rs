//! Credentials, and what a registry wants to see of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{
    Client, Request, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{failure::Failure, wire::body};

/// Who asks. `Debug` shows no secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum OciAuth {
    /// Nobody in particular. Registries that give tokens to anybody are asked for one.
    Anonymous,
    /// A user, whose password may also be an access token. Sent to the registry, or to the token server that
    /// it names, as HTTP Basic authentication.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token that the caller has got from the registry's token server; it is sent as it is.
    Bearer(String),
}

/// What a request is for: the scope that a token is asked for, as the token specification of
/// distribution writes it.
///
/// <https://distribution.github.io/distribution/spec/auth/scope/>
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Catalog,
    Pull(String),
    Push(String),
}

/// Credentials, and the headers that were made from them. Clones share those.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    auth: OciAuth,
    granted: Arc<Mutex<HashMap<Scope, HeaderValue>>>,
}

/// What a registry asks for in `WWW-Authenticate`.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Authority {
    /// Bytes of the longest answer of a token server.
    const LONGEST: usize = 256 << 10;

    pub(super) fn new(auth: OciAuth) -> Self {
        Self { auth, granted: Arc::default() }
    }

    /// The header that was good for `scope` last.
    pub(super) fn granted(&self, scope: &Scope) -> Option<HeaderValue> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// Answers the challenge of `root` that came with a 401 to a request with the header `sent`: another
    /// header to try, if there is one.
    pub(super) async fn answer(
        &self,
        client: &Client,
        root: &Url,
        scope: &Scope,
        sent: Option<&HeaderValue>,
        challenge: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Failure> {
        let header = match (&self.auth, Challenge::of(challenge)) {
            (_, None) | (OciAuth::Anonymous, Some(Challenge::Basic)) => return Ok(None),
            (OciAuth::Bearer(token), Some(_)) => bearer(token)?,
            (OciAuth::Basic { user, password }, Some(Challenge::Basic)) => {
                basic(client, root, user, password)?
            }
            (auth, Some(Challenge::Bearer { realm, service })) => {
                bearer(&token(client, root, auth, scope, &realm, service.as_deref()).await?)?
            }
        };
        if sent == Some(&header) {
            return Ok(None);
        }
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).insert(scope.clone(), header.clone());
        Ok(Some(header))
    }
}

/// Fetches a token: <https://distribution.github.io/distribution/spec/auth/token/>.
async fn token(
    client: &Client,
    root: &Url,
    auth: &OciAuth,
    scope: &Scope,
    realm: &str,
    service: Option<&str>,
) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let mut url = Url::parse(realm).map_err(|_| Failure::Protocol("its token server has no address"))?;
    if url.scheme() != "https" && (root.scheme() == "https" || url.scheme() != "http") {
        return Err(Failure::Protocol("its token server would get the credentials in the clear"));
    }
    {
        let mut query = url.query_pairs_mut();
        service.map(|service| query.append_pair("service", service));
        query.append_pair("scope", &scope.to_string());
    }
    let request = client.get(url);
    let request = match auth {
        OciAuth::Basic { user, password } => request.basic_auth(user, Some(password)),
        _ => request,
    };
    let response = request.send().await?;
    let status = response.status();
    let body = body(response, Authority::LONGEST).await?;
    if !status.is_success() {
        return Err(Failure::answer(status, &body));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| Failure::Protocol("its token server answers something else than a token"))?;
    answer.token.or(answer.access_token).ok_or(Failure::Protocol("its token server gives no token"))
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Failure::Protocol("the token has characters that no header may have"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn basic(client: &Client, root: &Url, user: &str, password: &str) -> Result<HeaderValue, Failure> {
    let request: Request = client.get(root.clone()).basic_auth(user, Some(password)).build()?;
    let header = request.headers().get(AUTHORIZATION).cloned();
    header.ok_or(Failure::Protocol("the credentials have characters that no header may have"))
}

impl Challenge {
    /// The challenge that can be answered with the least given away.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let all = headers.get_all(WWW_AUTHENTICATE);
        let all: Vec<_> = all.iter().filter_map(|value| Self::parse(value.to_str().ok()?)).collect();
        let is_bearer = |challenge: &Self| matches!(challenge, Self::Bearer { .. });
        let at = all.iter().position(is_bearer).unwrap_or(0);
        all.into_iter().nth(at)
    }

    /// Parses `Bearer realm="…",service="…"` or `Basic …`.
    fn parse(s: &str) -> Option<Self> {
        let s = s.trim();
        let (scheme, parameters) = s.split_once(' ').unwrap_or((s, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = parameters;
        while let Some((key, value)) = rest.split_once('=') {
            let (value, after) = match value.trim_start().strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_at(value.find(',').unwrap_or(value.len())),
            };
            match key.trim().to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
            rest = after.trim_start().trim_start_matches(',');
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

impl fmt::Debug for OciAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic { .. }",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Pull(repository) => write!(f, "repository:{repository}:pull"),
            Self::Push(repository) => write!(f, "repository:{repository}:pull,push"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_servers_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (header, wanted) in [
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://a/t",service="r.io",scope="repository:a:pull,push",error="x""#,
                bearer("https://a/t", Some("r.io")),
            ),
            (r#"bearer service=r.io, Realm = "https://a/t?x=y""#, bearer("https://a/t?x=y", Some("r.io"))),
            (r#"Bearer realm="https://a/t"#, None),
            ("Bearer", None),
            ("Negotiate abc", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), wanted, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_challenge_is_too_odd_to_be_read(
            scheme in "(?i)(basic|bearer|x)?", rest in r#"([ =,"a-zü]|realm|service)*"#,
        ) {
            let _read = Challenge::parse(&format!("{scheme} {rest}"));
        }
    }

    #[tokio::test]
    async fn credentials_do_not_go_out_in_the_clear() {
        let auth = OciAuth::Basic { user: "u".to_owned(), password: "hunter2".to_owned() };
        let root = Url::parse("https://registry.invalid").unwrap();
        for realm in ["http://registry.invalid/token", "ftp://registry.invalid", "file:///etc", "/token", ""]
        {
            let scope = Scope::Pull("m".to_owned());
            let asked = token(&Client::new(), &root, &auth, &scope, realm, None).await;
            assert!(matches!(asked, Err(Failure::Protocol(_))), "{realm}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for auth in [
            OciAuth::Basic { user: "u".to_owned(), password: "hunter2".to_owned() },
            OciAuth::Bearer("hunter2".to_owned()),
        ] {
            let shown = format!("{:?}", Authority::new(auth));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let error = bearer("hunter2\n").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(!format!("{:?}", bearer("hunter2").unwrap()).contains("hunter2"));
    }
}
