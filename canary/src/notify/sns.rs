//! Amazon SNS.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Url};
use serde_json::json;
use tidegate_metrics::{
    cloudwatch::{Credentials, ProvideCredentials},
    query::Failure,
};

use super::{
    InvalidSetting, Notice, Recipient, Undelivered, id,
    post::{Hint, Post},
    text::escaped,
};
use crate::WallClock;

/// A topic of Amazon SNS, and what subscribes to it: mail, queues, functions.
///
/// The message is the [`Notice`] as JSON, the subject its sentence. Subscribers can filter by the attributes `id`,
/// `kind`, `severity` and `route`. A topic of type FIFO keeps the order of a route, and drops what comes twice within
/// five minutes; other receivers look at `id`.
///
/// Requests are signed with what the [`ProvideCredentials`] gives and at the time that the clock shows. They need the
/// permission `sns:Publish`.
///
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
#[derive(Clone)]
pub struct Sns {
    post: Post,
    topic: String,
    region: String,
    credentials: Arc<dyn ProvideCredentials>,
    clock: WallClock,
}

const TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

impl Sns {
    /// The topic with this ARN, in its region.
    ///
    /// # Errors
    ///
    /// It is no ARN of a topic.
    pub fn new(
        client: Client,
        topic: &str,
        credentials: impl ProvideCredentials,
        clock: WallClock,
    ) -> Result<Self, InvalidSetting> {
        let invalid = || {
            InvalidSetting::new(
                "the topic of SNS",
                "write its ARN, `arn:aws:sns:eu-central-1:123456789012:deploys`",
            )
        };
        let parts: Vec<&str> = topic.split(':').collect();
        let ["arn", partition, "sns", region, _account, _name] = parts[..] else { return Err(invalid()) };
        let sayable = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || !region.bytes().all(sayable) || topic.len() > 512 {
            return Err(invalid());
        }
        let domain = match partition {
            "aws-cn" => "amazonaws.com.cn",
            "aws-eusc" => "amazonaws.eu",
            "aws-iso" => "c2s.ic.gov",
            "aws-iso-b" => "sc2s.sgov.gov",
            "aws-iso-f" => "csp.hci.ic.gov",
            _ => "amazonaws.com",
        };
        let post = Post::new(client, "SNS", &format!("https://sns.{region}.{domain}/"))?;
        Ok(Self {
            // AWS says in a 400, too, that there were too many requests.
            post: post.with_hints(&[("Throttl", Hint::Busy)]),
            topic: topic.to_owned(),
            region: region.to_owned(),
            credentials: Arc::new(credentials),
            clock,
        })
    }

    /// At this URL in place of the region's own: an endpoint in a VPC, or an imitation.
    ///
    /// # Errors
    ///
    /// The URL must be absolute, `http` or `https`, without a password.
    pub fn at(self, url: &str) -> Result<Self, InvalidSetting> {
        let invalid =
            || InvalidSetting::new("SNS", "its URL must be absolute, `http` or `https`, without a password");
        let url = Url::parse(url).map_err(|_| invalid())?;
        if !matches!(url.scheme(), "http" | "https") || url.password().is_some() || !url.username().is_empty()
        {
            return Err(invalid());
        }
        Ok(Self { post: self.post.to(url), ..self })
    }

    /// How long a message may take; default 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { post: self.post.with_timeout(timeout), ..self }
    }

    /// The body of a request, in the protocol `query`.
    fn publish(&self, notice: &Notice) -> String {
        let message = json!(notice).to_string();
        let subject = subject(&notice.summary);
        let (kind, severity) = (notice.kind.to_string(), notice.severity.to_string());
        let attributes = [
            ("id", &notice.id),
            ("kind", &kind),
            ("severity", &severity),
            ("route", &notice.route.to_string()),
        ]
        .map(|(name, value)| (name, value.clone()));
        // The parser of URLs has the form's encoding.
        let mut form = Url::parse("form:").expect("that is a URL");
        {
            let mut pairs = form.query_pairs_mut();
            let fields = [
                ("Action", "Publish"),
                ("Version", "2010-03-31"),
                ("TopicArn", &self.topic),
                ("Subject", &subject),
                ("Message", &message),
            ];
            pairs.extend_pairs(fields);
            for (n, (name, value)) in (1..).zip(attributes) {
                let field = |what| format!("MessageAttributes.entry.{n}.{what}");
                pairs.append_pair(&field("Name"), name);
                pairs.append_pair(&field("Value.DataType"), "String");
                pairs.append_pair(&field("Value.StringValue"), &value);
            }
            if self.topic.ends_with(".fifo") {
                // Both take 128 characters, and not every one.
                pairs.append_pair("MessageGroupId", &id::hash(notice.route.as_str()));
                pairs.append_pair("MessageDeduplicationId", &id::hash(&notice.id));
            }
        }
        form.query().unwrap_or_default().to_owned()
    }

    fn no_credentials(&self, failure: Failure) -> Undelivered {
        match failure {
            Failure::Unavailable(source) => self.post.unavailable(None, source),
            Failure::Denied(source) | Failure::Malformed(source) => self.post.refused(source),
            other => self.post.unavailable(None, format!("{other:?}")),
        }
    }

    /// `error` without the secrets in it: a server that refuses a signature repeats what should have been signed, and
    /// the session token is part of that.
    fn kept_from(&self, credentials: &Credentials, error: Undelivered) -> Undelivered {
        let clean = |source: crate::BoxError| {
            let text = source.to_string();
            let redacted = credentials.redacted(&text);
            if redacted == text { source } else { redacted.into() }
        };
        match error {
            Undelivered::Refused { source, .. } => self.post.refused(clean(source)),
            Undelivered::Rejected { source, .. } => self.post.rejected(clean(source)),
            Undelivered::Unavailable { retry_after, source, .. } => {
                self.post.unavailable(retry_after, clean(source))
            }
        }
    }
}

#[async_trait]
impl Recipient for Sns {
    async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let now = self.clock.now();
        let credentials =
            self.credentials.credentials(now).await.map_err(|error| self.no_credentials(error.into()))?;
        let body = self.publish(notice);
        let headers = credentials
            .sign("sns", &self.region, now, self.post.url(), &[("content-type", TYPE)], &body)
            .map_err(|failure| self.no_credentials(failure))?;
        let sent = self.post.send(TYPE, headers, body.into_bytes()).await;
        sent.map(drop).map_err(|error| self.kept_from(&credentials, error))
    }
}

/// A subject has at most 100 characters of ASCII on one line, and begins with one that can be seen.
fn subject(summary: &str) -> String {
    let subject = escaped(summary, 100, |c| match c {
        ' '..='~' => None,
        _ => Some("?"),
    });
    subject.trim_start().replace('…', ".")
}

/// Without the credentials, whatever their `Debug` says.
impl fmt::Debug for Sns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sns").field("post", &self.post).field("topic", &self.topic).finish_non_exhaustive()
    }
}
