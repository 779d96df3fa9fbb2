//! A gate that a server keeps.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{
    Client, StatusCode,
    header::{HeaderName, HeaderValue},
};

use super::{
    InvalidSetting, Secret, Undelivered, id,
    post::{Answer as HttpAnswer, Post},
    text::cut,
    webhook::Signer,
};
use crate::{Answer, BoxError, Gatekeeper, Question, WallClock};

/// Asks a server whether a rollout may go on: one that runs smoke tests, a scan, a change board.
///
/// It gets the [`Question`] as JSON by POST, signed as a [`Webhook`](super::Webhook) is. [`Question::key`],
/// percent-encoded (and hashed where that is longer than 255 bytes), is its `webhook-id` and its `Idempotency-Key`: the
/// same key is the same question, asked again until it is decided, also by other processes. What it answers:
///
/// | status | body | meaning |
/// |---|---|---|
/// | 200 | `{"answer": "open"}` | it may go on |
/// | 200 | `{"answer": "shut", "reason": …}` | it may not, for good: traffic returns to stable |
/// | 200 | `{"answer": "notYet"}` | ask again |
/// | 202, 204 | nothing | as `notYet`: it is being worked on |
/// | anything else | | no answer, and asked again; so is 404, since a wrong address must decide nothing |
///
/// ```
/// use std::sync::Arc;
///
/// use tidegate_canary::{Gatekeeper, Gatekeepers, WallClock, notify::{self, WebhookGate}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = notify::client(reqwest::Client::builder())?;
/// let smoke = WebhookGate::new(client, "https://ci.example/gates/smoke", WallClock::system())?
///     .signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?);
/// let gates = Gatekeepers::from([("smoke".to_owned(), Arc::new(smoke) as Arc<dyn Gatekeeper>)]);
/// # drop(gates);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WebhookGate {
    post: Post,
    signer: Signer,
}

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("it answered HTTP {0}, which is neither an answer (200) nor a promise of one (202, 204)")]
    Status(StatusCode),
    #[error("it answered `{text}`, which is none of the answers open, notYet and shut")]
    Unreadable { text: String, source: serde_json::Error },
}

impl WebhookGate {
    /// Of the server at `url`, unsigned. `clock` says when a question is signed.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`.
    pub fn new(client: Client, url: &str, clock: WallClock) -> Result<Self, InvalidSetting> {
        let post = Post::new(client, "the gate", url)?;
        Ok(Self { post, signer: Signer { secrets: Vec::new(), clock } })
    }

    /// Signed with `secret` too.
    #[must_use]
    pub fn signed(mut self, secret: Secret) -> Self {
        self.signer.add(secret, &mut self.post);
        self
    }

    /// How long a question may take; default 10 s. What takes longer is better answered by 202.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout), ..self }
    }

    fn read(&self, answer: &HttpAnswer) -> Result<Answer, Undelivered> {
        let no = |source: NoAnswer| self.post.unavailable(None, source);
        match answer.status {
            StatusCode::OK => {
                let unreadable = |source| NoAnswer::Unreadable { text: self.post.excerpt(answer), source };
                let read = serde_json::from_slice(&answer.body).map_err(unreadable).map_err(no)?;
                Ok(match read {
                    // It goes into the journal.
                    Answer::Shut { reason } => {
                        Answer::Shut { reason: cut(&self.post.redacted(&reason), 2_000) }
                    }
                    answer => answer,
                })
            }
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(Answer::NotYet),
            status => Err(no(NoAnswer::Status(status))),
        }
    }
}

#[async_trait]
impl Gatekeeper for WebhookGate {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        let body = serde_json::to_vec(question)?;
        let key = id::at_most(255, "question/", id::encoded(&question.key()));
        let mut headers = self.signer.headers(&key, &body);
        headers.insert(HeaderName::from_static("idempotency-key"), HeaderValue::from_str(&key)?);
        let answer = self.post.send("application/json", headers, body).await?;
        Ok(self.read(&answer)?)
    }
}
