//! What a server says when it does not answer.

use serde_json::Value;

/// What a server says when it does not answer, in one of the usual forms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    /// The status that it gives itself, where the response has none: in the middle of a stream.
    pub(crate) status: Option<u16>,
    /// The field of the request that it is about.
    pub(crate) param: Option<String>,
}

impl Problem {
    /// Reads the usual forms of an error, and takes anything else as text.
    pub(crate) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(value) => Self::of(&value),
            Err(_) => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    /// The error in a JSON document; its message is empty if there is none.
    pub(crate) fn of(value: &Value) -> Self {
        let error = value.get("error").unwrap_or(value);
        let text = |key| error.get(key).and_then(Value::as_str).map(str::to_owned);
        let message =
            text("message").or_else(|| text("detail")).or_else(|| error.as_str().map(str::to_owned));
        let status = ["code", "status"].iter().find_map(|&key| error.get(key)?.as_u64());
        Self {
            message: message.unwrap_or_default(),
            code: text("code").or_else(|| text("type")),
            status: status.and_then(|status| u16::try_from(status).ok()),
            param: text("param"),
        }
    }

    /// What helps against a field that the model does not take, after `; `.
    pub(crate) fn remedy(&self) -> &'static str {
        match self.param.as_deref() {
            Some("max_tokens") => "; say the limit as max_completion_tokens (`OpenAi::token_limit`)",
            Some("max_completion_tokens") => "; say the limit as max_tokens (`OpenAi::token_limit`)",
            Some("temperature") => "; leave the temperature to the model (`temperature = \"default\"`)",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_in_every_form() {
        let read = |body: &str| Problem::read(body.as_bytes()).message;
        assert_eq!(read(r#"{"error":{"message":"no","type":"t"}}"#), "no");
        assert_eq!(read(r#"{"error":"no"}"#), "no");
        assert_eq!(read(r#"{"detail":"no"}"#), "no");
        assert_eq!(read("<html>no"), "<html>no");
        assert_eq!(read("{}"), "");
        let status = Problem::read(br#"{"error":{"code":503,"message":"Loading model"}}"#).status;
        assert_eq!(status, Some(503));
    }
}
