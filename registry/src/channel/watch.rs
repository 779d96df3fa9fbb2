//! Following a channel.

use std::time::Duration;

use fastrand::Rng;
use futures::stream::{self, Stream};

use super::{Channels, Move};
use crate::{Channel, Entry, LogKey, ModelName, ModelRef, Result, Seq, Stamp, catalogue::Fact};

/// How often a channel is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an interval and what makes it irregular")]
pub struct Poll {
    /// The mean time between two looks.
    pub every: Duration,
    /// Where the jitter comes from: each interval is between half and one and a half of the mean, so that a
    /// fleet which was started at once does not ask at once for ever. Give each machine another seed.
    pub seed: u64,
}

/// A channel came to point elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The record that says so. Give it to [`Channels::watch`] to go on from there.
    pub seq: Seq,
    /// Where the channel points from now on; `None` is nowhere.
    pub to: Option<ModelRef>,
    /// Who moved it, and when.
    pub stamp: Stamp,
}

/// What has been seen of the log, and what of that is still to be told.
struct Watch {
    channels: Channels,
    key: LogKey,
    channel: Channel,
    poll: Poll,
    rng: Rng,
    next: Option<Seq>,
    told: std::collections::VecDeque<Moved>,
}

impl Channels {
    /// Every change of where `channel` points, in order and without a gap, as it is found by looking again
    /// and again. Looking costs one request where there is nothing new.
    ///
    /// `after` is the [`Moved::seq`] to go on after. Without it, the first item is where the channel points
    /// now, at once, if it points anywhere.
    ///
    /// A failure is an item, and the stream goes on after it: whoever serves a model keeps serving what it
    /// has while a store is away. The stream ends only when it is dropped. Time is that of [`tokio::time`].
    ///
    /// # Errors
    ///
    /// Items are those of [`Log::read`](crate::Log::read), and [`Error::Corrupt`](crate::Error::Corrupt) or
    /// [`Error::TooNew`](crate::Error::TooNew) for a record that cannot be understood.
    pub fn watch(
        &self,
        name: &ModelName,
        channel: &Channel,
        after: Option<Seq>,
        poll: Poll,
    ) -> impl Stream<Item = Result<Moved>> + Send + use<> {
        let watch = Watch {
            channels: self.clone(),
            key: LogKey::model(name),
            channel: channel.clone(),
            poll,
            rng: Rng::with_seed(poll.seed),
            next: after.map(Seq::next),
            told: Default::default(),
        };
        let name = name.clone();
        stream::unfold((watch, name, true), |(mut watch, name, mut first)| async move {
            loop {
                if let Some(moved) = watch.told.pop_front() {
                    return Some((Ok(moved), (watch, name, first)));
                }
                if !std::mem::take(&mut first) {
                    tokio::time::sleep(watch.interval()).await;
                }
                if let Err(error) = watch.look(&name).await {
                    return Some((Err(error), (watch, name, first)));
                }
            }
        })
    }
}

impl Watch {
    fn interval(&mut self) -> Duration {
        // Never without a pause, and never for longer than anybody waits.
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        self.poll.every.clamp(Duration::from_millis(1), YEAR).mul_f64(0.5 + self.rng.f64())
    }

    async fn look(&mut self, name: &ModelName) -> Result<()> {
        let Some(next) = self.next else {
            let catalogue = self.channels.fold(name).await?;
            self.told.extend(catalogue.current(&self.channel).map(Moved::from));
            self.next = Some(catalogue.next());
            return Ok(());
        };
        for (at, record) in self.channels.log.read(&self.key, next).await?.iter().enumerate() {
            let seq = next.plus(at);
            let entry = Entry::decode(&self.key, seq, record)?;
            let moved = |to| Moved { seq, to, stamp: entry.stamp.clone() };
            for fact in &entry.facts {
                match fact {
                    Fact::Promote { channel, to, .. } if *channel == self.channel => {
                        self.told.push_back(moved(Some(to.clone())));
                    }
                    Fact::Demote { channel, .. } if *channel == self.channel => {
                        self.told.push_back(moved(None))
                    }
                    _ => {}
                }
            }
            self.next = Some(seq.next());
        }
        Ok(())
    }
}

impl From<&Move> for Moved {
    fn from(made: &Move) -> Self {
        Self { seq: made.seq, to: Some(made.to.clone()), stamp: made.stamp.clone() }
    }
}
