//! The users: they ask the gateway, all the time, and remember what they got.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tidegate::canary::WallClock;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{messages::Message, server::Intent};

/// What came of one request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) asked: SystemTime,
    pub(crate) took: Duration,
    /// Which version has answered, if any did.
    pub(crate) version: Option<String>,
    /// Whether it is what a person would have said.
    pub(crate) right: bool,
}

/// Users who go on asking until this is dropped.
#[derive(Debug)]
pub(crate) struct Users {
    answers: Arc<Mutex<Vec<Answer>>>,
    _asking: JoinSet<()>,
}

impl Users {
    /// Users who ask `rate` times a second together, each with one of `messages`, drawn by `seed`, and tell `told`
    /// of it. There are so many that slow answers do not make them ask less.
    pub(crate) fn start(
        ask: &Ask,
        messages: Vec<Message>,
        rate: u32,
        seed: u64,
        told: impl Fn(&Answer) + Clone + Send + 'static,
    ) -> Self {
        let (answers, messages) = (Arc::<Mutex<Vec<Answer>>>::default(), Arc::new(messages));
        let mut asking = JoinSet::new();
        // Each asks every two seconds.
        let users = 2 * rate;
        let (now, between) = (Instant::now(), Duration::from_secs(1) / rate);
        for user in 0..users {
            let (ask, answers, messages) = (ask.clone(), Arc::clone(&answers), Arc::clone(&messages));
            let mut chance = fastrand::Rng::with_seed(seed.wrapping_add(u64::from(user)));
            let told = told.clone();
            asking.spawn(async move {
                let mut tick = interval_at(now + between * user, between * users);
                tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
                loop {
                    tick.tick().await;
                    let answer = ask.about(&messages[chance.usize(..messages.len())]).await;
                    told(&answer);
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                }
            });
        }
        Self { answers, _asking: asking }
    }

    /// The answers to what was asked after `since`.
    pub(crate) fn since(&self, since: SystemTime) -> Vec<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter(|answer| answer.asked > since).cloned().collect()
    }
}

/// Where to ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) client: reqwest::Client,
    pub(crate) gateway: SocketAddr,
    pub(crate) clock: WallClock,
}

impl Ask {
    async fn about(&self, message: &Message) -> Answer {
        let asked = self.clock.now();
        let intent = async {
            let request = self.client.post(format!("http://{}/classify", self.gateway));
            let answer = request.body(message.text.clone()).send().await?.error_for_status()?;
            answer.json::<Intent>().await
        };
        let intent = intent.await.ok();
        Answer {
            asked,
            took: self.clock.now().duration_since(asked).unwrap_or_default(),
            right: intent.as_ref().is_some_and(|intent| intent.label == message.label),
            version: intent.map(|intent| intent.version),
        }
    }
}
