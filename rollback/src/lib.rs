//! Find the last known good version and get there.
//!
//! * **Where to go** is a pure choice from the channel's history: [`Target::choose`] takes the newest version
//!   that finished its bake and was not rolled back from since, and says why it passed the others over.
//! * **Getting there** is a machine of its own, [`Undo`]: the target runs before traffic goes to it, traffic
//!   is seen to have gone before it counts, and what cannot be done ends in [`State::Stuck`] with what a person
//!   must do, never back at the bad version.
//! * **Pre-emption is one record.** [`Rollback`] seizes the route's journal; a rollout under way is over with
//!   it, and whatever its driver still tries is fenced off.
//! * **A [`Watch`]** guards what was promoted. No data is never health: a watch that sees nothing says that it
//!   is blind. A [`Guard`] acts on what the watch sees.
//!
//! ```
//! # use tidegate_canary::World;
//! use tidegate_rollback::{Intent, Order, Rollback, State};
//!
//! # async fn incident(world: World) -> Result<(), Box<dyn std::error::Error>> {
//! let intent = Intent::new("serving/fraud".parse()?, "fraud".parse()?, "it is slow");
//! let (order, choice) = Order::choose(&world, intent).await?;
//! for (model, why) in &choice.passed_over {
//!     println!("passed over {model}: it {why}");
//! }
//! match Rollback::open(world, "inc-17".parse()?, order).await?.run().await? {
//!     State::Done { .. } => println!("production is {} again", choice.to),
//!     stuck => println!("the rollback is {stuck}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | what | where |
//! |---|---|
//! | where to go | [`Target`], [`Choice`], [`PassedOver`] |
//! | what is to be undone | [`Intent`], [`Order`] |
//! | the machine | [`Undo`], [`State`], [`Event`], [`Duty`] |
//! | running it | [`Rollback`] |
//! | looking after a promoted release | [`Watch`], [`Guard`] |
//! | writing an incident down | `report` (feature `report`) |
//! | telling people | `notify` (feature `notify`) |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod brakes;
mod drill;
mod driver;
mod error;
mod guard;
mod instead;
mod intent;
mod ledger;
mod lookout;
#[cfg(feature = "notify")]
pub mod notify;
mod order;
mod packed;
mod recovery;
#[cfg(feature = "report")]
pub mod report;
mod search;
mod span;
mod survey;
mod target;
mod telemetry;
mod undo;
mod vigil;
mod vigilance;
mod watch;

#[cfg(feature = "telemetry")]
pub use crate::telemetry::describe_metrics;
pub use crate::{
    brakes::{Braked, Brakes},
    drill::{Part, Rehearsal, Step, drill},
    driver::Rollback,
    error::Error,
    guard::Guard,
    intent::Intent,
    ledger::{Ledger, Line, Machine, Record},
    lookout::Look,
    order::{InvalidOrder, Order},
    recovery::{Helped, InvalidRecovery, Recovery},
    survey::{Known, ROLLBACK_SAFE, Survey, Unfit},
    target::{Choice, NoTarget, PassedOver, Target},
    undo::{Duty, Event, IllegalEvent, State, Took, Undo, Way},
    vigil::{IllegalVigilEvent, Vigil, VigilEvent, VigilRequest},
    vigilance::Vigilance,
    watch::{Confirm, InvalidWatch, OnBlind, Verification, Watch},
};
