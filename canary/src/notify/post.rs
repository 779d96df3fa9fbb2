//! Posting something to a URL that is a secret, within bounds of time and size.

use std::{fmt, io, time::Duration};

use futures::stream;
use reqwest::{
    Body, Client, ClientBuilder, Response, StatusCode, Url,
    header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER},
};

use super::{InvalidSetting, Undelivered};
use crate::BoxError;

/// How much of what somebody else wrote goes into an error, in characters.
const EXCERPT: usize = 300;

/// A client that suits: one of `builder` that follows no redirects, which could carry what is secret elsewhere, and
/// names no referrer. TLS, proxy and roots are the builder's.
///
/// # Errors
///
/// Those of [`ClientBuilder::build`].
pub fn client(builder: ClientBuilder) -> reqwest::Result<Client> {
    builder.redirect(reqwest::redirect::Policy::none()).referer(false).build()
}

/// Where something is posted to, and how.
#[derive(Clone)]
pub(super) struct Post {
    client: Client,
    url: Url,
    /// The kind of server.
    what: &'static str,
    timeout: Duration,
    /// What stands in an answer of 400 that is not about the message.
    hints: &'static [(&'static str, Hint)],
    /// What must not be seen, the longest first.
    secrets: Vec<String>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The beginning of it.
    pub(super) body: Vec<u8>,
    /// Whether there was more.
    pub(super) more: bool,
    retry_after: Option<Duration>,
}

/// What a server means by 400, where it does not mean the message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hint {
    /// There were too many.
    #[cfg(feature = "sns")]
    Busy,
    /// The address or the key is wrong.
    Setting,
}

/// No answer that could be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    #[error("it answered HTTP {status}: {text}")]
    Status { status: StatusCode, text: String },
    #[error(
        "it redirects (HTTP {0}), and secrets are not taken elsewhere; give the address that it redirects to"
    )]
    Redirect(StatusCode),
    #[error(
        "it redirects, and the client followed; build it with `notify::client`, and give the address that it redirects to"
    )]
    Followed,
}

impl Post {
    /// Bytes of an answer that are read.
    pub(super) const MOST: usize = 64 << 10;

    pub(super) fn new(client: Client, what: &'static str, url: &str) -> Result<Self, InvalidSetting> {
        let invalid = || InvalidSetting::new(what, "its URL must be absolute, `http` or `https`");
        let url = Url::parse(url).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid());
        }
        let timeout = Duration::from_secs(10);
        let mut post = Self { client, url, what, timeout, hints: &[], secrets: Vec::new() };
        // What is secret in a URL are long words: a server may repeat them one by one.
        let url = post.url.clone();
        let words = url.path().split('/').chain([url.username()]).chain(url.password()).map(str::to_owned);
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let raw = url.query().unwrap_or_default().split(['&', '=']).map(str::to_owned);
        for word in words.chain(values).chain(raw).filter(|word| word.len() >= 8) {
            post.hide(word);
        }
        Ok(post)
    }

    pub(super) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// What stands in an answer of 400 decides what it means.
    pub(super) fn with_hints(self, hints: &'static [(&'static str, Hint)]) -> Self {
        Self { hints, ..self }
    }

    #[cfg(feature = "sns")]
    pub(super) fn to(self, url: Url) -> Self {
        Self { url, ..self }
    }

    /// Never shows `secret`.
    pub(super) fn hide(&mut self, secret: impl Into<String>) {
        self.secrets.push(secret.into());
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    #[cfg(feature = "sns")]
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Posts `body` and gives the answer, if that is a success.
    pub(super) async fn send(
        &self,
        content_type: &'static str,
        mut headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, Undelivered> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        // A body that cannot be repeated is not sent to where a redirect leads, even by a client that follows.
        let body = Body::wrap_stream(stream::iter([Ok::<_, io::Error>(body)]));
        let asked = async {
            let request = self.client.post(self.url.clone()).headers(headers).body(body);
            let response = request.send().await.map_err(|error| self.broken(error))?;
            if response.url() != &self.url {
                return Err(self.refused(Unanswered::Followed));
            }
            self.answer(response).await
        };
        let answer = tokio::time::timeout(self.timeout, asked)
            .await
            .unwrap_or_else(|_| Err(self.unavailable(None, Unanswered::Late(self.timeout))))?;
        let status = answer.status;
        if status.is_success() {
            return Ok(answer);
        }
        if status.is_redirection() {
            return Err(self.refused(Unanswered::Redirect(status)));
        }
        let source = Unanswered::Status { status, text: self.excerpt(&answer) };
        let hint = || {
            let text = String::from_utf8_lossy(&answer.body);
            self.hints.iter().find(|(words, _)| text.contains(words)).map(|(_, hint)| *hint)
        };
        Err(match status {
            StatusCode::BAD_REQUEST => match hint() {
                #[cfg(feature = "sns")]
                Some(Hint::Busy) => self.unavailable(answer.retry_after, source),
                Some(Hint::Setting) => self.refused(source),
                None => self.rejected(source),
            },
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                self.unavailable(answer.retry_after, source)
            }
            StatusCode::NOT_ACCEPTABLE
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => self.rejected(source),
            status if status.is_server_error() => self.unavailable(answer.retry_after, source),
            _ => self.refused(source),
        })
    }

    async fn answer(&self, mut response: Response) -> Result<Answer, Undelivered> {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let (mut body, mut more) = (Vec::new(), false);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let rest = Self::MOST - body.len();
                    body.extend_from_slice(chunk.get(..rest).unwrap_or(&chunk));
                    if chunk.len() > rest {
                        more = true;
                        break;
                    }
                }
                Ok(None) => break,
                // What it said first counts.
                Err(_) => {
                    more = true;
                    break;
                }
            }
        }
        Ok(Answer { status, body, more, retry_after })
    }

    pub(super) fn unavailable(
        &self,
        retry_after: Option<Duration>,
        source: impl Into<BoxError>,
    ) -> Undelivered {
        Undelivered::Unavailable { recipient: self.to_string(), retry_after, source: source.into() }
    }

    pub(super) fn refused(&self, source: impl Into<BoxError>) -> Undelivered {
        Undelivered::Refused { recipient: self.to_string(), source: source.into() }
    }

    pub(super) fn rejected(&self, source: impl Into<BoxError>) -> Undelivered {
        Undelivered::Rejected { recipient: self.to_string(), source: source.into() }
    }

    fn broken(&self, error: reqwest::Error) -> Undelivered {
        let hopeless = error.is_builder() || error.is_redirect();
        let error = error.without_url();
        if hopeless { self.refused(error) } else { self.unavailable(None, error) }
    }

    /// The beginning of what the server said, without what is secret.
    pub(super) fn excerpt(&self, answer: &Answer) -> String {
        let text = self.redacted(&String::from_utf8_lossy(&answer.body));
        let mut length = text.chars().count();
        if answer.more {
            // The end may be the beginning of a secret.
            length = length.saturating_sub(self.secrets.first().map_or(0, String::len));
        }
        let shown = text.chars().take(length.min(EXCERPT)).map(|c| if c.is_control() { ' ' } else { c });
        let mut shown: String = shown.collect();
        if answer.more || length > EXCERPT {
            shown.push('…');
        }
        shown
    }

    pub(super) fn redacted(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(secret)"))
    }
}

/// `Retry-After`, in seconds or as a date; a date is compared with the server's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let [then, now] = [Some(after), text(DATE)].map(|date| httpdate::parse_http_date(date?).ok());
    Some(then?.duration_since(now?).unwrap_or_default())
}

/// The server, without what its URL tells of secrets.
impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.url.origin().ascii_serialization())
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
