//! Who asks, and what they may: bearer tokens (RFC 6750), each with a name and a role.

use std::{fmt, path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use axum::{
    extract::{Request, State},
    http::{Method, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq as _;
use tidegate::registry::Digest;

use crate::{
    api,
    problem::{Kind, Problem},
};

/// Somebody whose token is known.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What journals call them. Tokens have names so that nobody can ask in the name of another.
    pub(crate) name: Arc<str>,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Reader,
    Operator,
}

/// Whoever has a token, by its digest.
pub(crate) struct Tokens(Vec<(Caller, Digest)>);

/// A token that can be guessed is none: 20 random characters cannot.
const FEWEST: usize = 20;

impl Tokens {
    /// Of a file that nobody but its owner can read.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let named = || format!("the token file {}", file.display());
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", named()))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;

            let mode = std::fs::metadata(file)?.permissions().mode();
            ensure!(
                mode & 0o077 == 0,
                "{} can be read by others; run chmod 600 on it, and better make new tokens",
                named()
            );
        }
        Self::parse(&text).with_context(|| format!("{} cannot be used", named()))
    }

    /// Lines of `ROLE NAME TOKEN`. What is wrong is said without the token.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = index + 1;
            let [role, name, token] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                bail!("line {number} is not `ROLE NAME TOKEN`");
            };
            let role = match role {
                "reader" => Role::Reader,
                "operator" => Role::Operator,
                // The word is not repeated: in a line that is the wrong way round it is the token.
                _ => bail!("line {number} begins with no role; write reader or operator"),
            };
            ensure!(token.len() >= FEWEST, "the token of line {number} is shorter than {FEWEST} characters");
            let digest = Digest::of(token);
            ensure!(tokens.iter().all(|(_, known)| *known != digest), "line {number} repeats a token");
            tokens.push((Caller { name: name.into(), role }, digest));
        }
        ensure!(!tokens.is_empty(), "there is no token; write a line such as `operator ada TOKEN`");
        Ok(Self(tokens))
    }

    /// Whose token it is. All are compared, whole, so how long that takes tells nothing.
    fn caller(&self, offered: &str) -> Option<&Caller> {
        let offered = Digest::of(offered);
        let same = |known: &Digest| bool::from(known.as_bytes().ct_eq(offered.as_bytes()));
        self.0.iter().fold(None, |found, (caller, known)| if same(known) { Some(caller) } else { found })
    }
}

/// Whether strangers may ask it too: those who watch over services have no token.
fn is_open(request: &Request) -> bool {
    request.uri().path() == api::HEALTH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Lets nobody in without a token, wherever they want to go but for [`api::HEALTH`], and readers only to look.
pub(crate) async fn admit(
    State(tokens): State<Arc<Tokens>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let offered = header.and_then(|value| value.split_once(' '));
    let caller = match offered {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => tokens.caller(token.trim()),
        _ => None,
    };
    let Some(caller) = caller.cloned() else {
        if is_open(&request) {
            return Ok(next.run(request).await);
        }
        let detail = match offered {
            None => "The request has no token.",
            Some(_) => "The token of the request is not known.",
        };
        return Err(Problem::new(Kind::Unauthorized, detail, "Send `Authorization: Bearer TOKEN`."));
    };
    if caller.role == Role::Reader && !request.method().is_safe() {
        let detail = format!("{} may only read.", caller.name);
        return Err(Problem::new(Kind::Forbidden, detail, "Ask with the token of an operator."));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(caller, _)| caller)).finish()
    }
}
