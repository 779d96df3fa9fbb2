//! Asking a server whether it can take requests.

use std::time::Duration;

use reqwest::{Client, Url};

use super::log::clean;
use crate::patience::chain;

/// How much of an answer that is not good is read, for the message.
const SHOWN: usize = 300;

/// Whether `GET` on `url` answers 2xx within `patience`; why not otherwise.
pub(super) async fn ask(client: &Client, url: &Url, patience: Duration) -> Result<(), String> {
    let answer = async {
        let mut response = client.get(url.clone()).send().await.map_err(|error| shown(&chain(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes[..bytes.len().min(SHOWN - body.len())]);
            if body.len() == SHOWN {
                break;
            }
        }
        Err(format!("it answers {status}: {}", shown(&String::from_utf8_lossy(&body))))
    };
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("it does not answer within {}", humantime::format_duration(patience))),
    }
}

/// Asks every `pause` until the answer is good. What it was last is left in `why`.
pub(super) async fn until_ready(
    client: &Client,
    url: &Url,
    patience: Duration,
    pause: Duration,
    why: &mut String,
) {
    while let Err(error) = ask(client, url, patience).await {
        *why = error;
        tokio::time::sleep(pause).await;
    }
}

/// The beginning of a text that comes from outside, fit for a message.
fn shown(text: &str) -> String {
    clean(text).trim().chars().take(SHOWN).collect()
}
