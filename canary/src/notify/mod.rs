//! What happened, told to people and machines.
//!
//! Notices follow the journal of a route, and are nothing of their own: what a line of it means for people is a pure
//! function of the lines up to it ([`Narrator`]; the crate `tidegate-rollback` has those of the journals of watches and
//! rollbacks), and a [`Courier`] brings it to one [`Recipient`], with a cursor that
//! lies in the log too. Whatever process dies, the next one goes on where it stood, so nothing is lost; what was on
//! its way may come twice, always under the same [`Notice::id`].
//!
//! | to | by |
//! |---|---|
//! | people in Slack or Teams | [`Slack`], [`Teams`] |
//! | whoever is on call | [`PagerDuty`] |
//! | machines | [`Webhook`] (Standard Webhooks, CloudEvents), `Sns` (feature `sns`) |
//! | anything else | your own [`Recipient`] |
//!
//! The other way round, a [`WebhookGate`] asks a server of yours whether a rollout may go on.
//!
//! URLs and keys are secrets here: no error, no `Debug` and no log shows them. Recipients speak over the caller's
//! [`reqwest::Client`], which should follow no redirects and name no referrer: [`client`] makes one of a builder.
//!
//! ```
//! use std::sync::Arc;
//!
//! use tidegate_canary::{WallClock, notify::{self, Courier, Slack}};
//! use tidegate_registry::InMemory;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = notify::client(reqwest::Client::builder())?;
//! let slack = Slack::new(client, "https://hooks.slack.com/services/T000/B000/XXXX")?;
//! let log = Arc::new(InMemory::new()); // where the rollouts are recorded
//! let courier = Courier::new(log, "serving/fraud".parse()?, "slack", slack, WallClock::system())?;
//! let follows = async move { courier.run().await }; // to be spawned; another one for another recipient
//! # drop(follows);
//! # Ok(())
//! # }
//! ```

mod cloud_event;
mod courier;
mod cursor;
mod gate;
mod id;
mod kind;
mod narrate;
mod narrator;
mod notice;
mod pagerduty;
mod post;
mod recipient;
mod round;
mod secret;
mod slack;
#[cfg(feature = "sns")]
mod sns;
mod teams;
mod telling;
mod text;
mod webhook;

#[cfg(feature = "testkit")]
pub use self::recipient::MockRecipient;
#[cfg(feature = "sns")]
pub use self::sns::Sns;
pub use self::{
    courier::Courier,
    cursor::Delivery,
    gate::WebhookGate,
    kind::Kind,
    narrate::Narrate,
    narrator::{Narrator, notices},
    notice::{Incident, Notice, Place, Severity},
    pagerduty::PagerDuty,
    post::client,
    recipient::{InvalidSetting, Recipient, Undelivered},
    secret::Secret,
    slack::Slack,
    teams::Teams,
    webhook::{Format, Webhook},
};
