//! What somebody wants undone, before it is known where that leads.

use tidegate_canary::RouteId;
use tidegate_registry::{Channel, ModelName};

use crate::{Target, search::Reading};

/// That the traffic of a route goes back, and why. [`Order::choose`](crate::Order::choose) finds where that leads.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tidegate_rollback::{Intent, Target};
///
/// let intent = Intent::new("serving/fraud".parse()?, "fraud".parse()?, "it is slow");
/// let intent = intent.to(Target::Exactly("fraud@1.4.2".parse()?)).verified();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    pub(crate) route: RouteId,
    pub(crate) name: ModelName,
    pub(crate) channel: Channel,
    pub(crate) target: Target,
    pub(crate) reason: String,
    pub(crate) reading: Reading,
    pub(crate) unsure: bool,
}

impl Intent {
    /// To take `route` back to the last known good version of `name` in its production channel. Somebody will ask for
    /// the reason.
    pub fn new(route: RouteId, name: ModelName, reason: impl Into<String>) -> Self {
        let (channel, target) = (Channel::production(), Target::LastGood);
        Self { route, name, channel, target, reason: reason.into(), reading: Reading::No, unsure: false }
    }

    /// This intent, by the history of another channel, which records it.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = channel;
        self
    }

    /// This intent, to another target.
    #[must_use]
    pub fn to(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// This intent, having every byte of the target read first: one that is damaged is passed over, or refused where it
    /// was asked for. It takes the time that reading takes.
    #[must_use]
    pub const fn verified(mut self) -> Self {
        self.reading = Reading::Whole;
        self
    }

    /// This intent, also where it cannot be read what is in quarantine: a person's decision while something burns and the
    /// registry is away, since it may lead to content that was condemned. The [`Choice`](crate::Choice) says so, and with
    /// it the order on record.
    #[must_use]
    pub const fn unsure(mut self) -> Self {
        self.unsure = true;
        self
    }
}
