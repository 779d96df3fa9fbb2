//! The users: they ask the gateway, all the time, and notice when they get no answer.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{task::JoinSet, time::MissedTickBehavior};

use super::messages::Message;

/// What the users got.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Requests that were answered, or not.
    pub(crate) asked: AtomicU64,
    /// Requests that the model could not answer: HTTP 500.
    pub(crate) failed: AtomicU64,
    /// Requests that got no answer of the model at all.
    pub(crate) lost: AtomicU64,
}

/// Users who go on asking until this is dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) answers: Arc<Answers>,
    _users: JoinSet<()>,
}

const USERS: u64 = 6;

impl Traffic {
    /// `rate` requests a second to `gateway`, each with one of `messages`, drawn by `seed`.
    pub(crate) fn start(
        client: &reqwest::Client,
        gateway: SocketAddr,
        messages: Vec<Message>,
        rate: u32,
        seed: u64,
    ) -> Self {
        let (answers, messages) = (Arc::new(Answers::default()), Arc::new(messages));
        let mut users = JoinSet::new();
        for user in 0..USERS {
            let (answers, messages, client) = (Arc::clone(&answers), Arc::clone(&messages), client.clone());
            let mut chance = fastrand::Rng::with_seed(seed.wrapping_add(user));
            users.spawn(async move {
                let mut tick = tokio::time::interval(Duration::from_secs(USERS) / rate);
                tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
                loop {
                    tick.tick().await;
                    let text = &messages[chance.usize(..messages.len())].text;
                    let request = client.post(format!("http://{gateway}/v1/chat/completions")).json(
                        &json!({ "model": "intent", "messages": [{ "role": "user", "content": text }] }),
                    );
                    let status = request.send().await.map(|answer| answer.status().as_u16());
                    answers.asked.fetch_add(1, Relaxed);
                    match status {
                        Ok(200) => {}
                        Ok(500) => _ = answers.failed.fetch_add(1, Relaxed),
                        _ => _ = answers.lost.fetch_add(1, Relaxed),
                    }
                }
            });
        }
        Self { answers, _users: users }
    }
}
