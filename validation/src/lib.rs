//! Evidence that a model or agent may take traffic.
//!
//! A [`Suite`] makes several checks of a version, of its stored files and of what it answers when
//! asked, and gives one [`Report`]. Three things set it apart from a script of assertions:
//!
//! * **A verdict has three values.** [`Verdict::Pass`] and [`Verdict::Fail`] are about the model. What
//!   is about anything else, a server that is down, too few trials, a budget used up, is
//!   [`Verdict::Inconclusive`], and by default it keeps a version out as a failure does.
//! * **A sample is not the rate behind it.** Ten right answers of ten prove, with 95 % confidence,
//!   that more than 74 % of answers are right. Under [`Rule::Bound`], the default, a floor is passed by the bound and
//!   not by the estimate, and a report says how many trials are missing. [`Rule::Point`] compares the
//!   share itself, for lists of cases that are all there is to ask.
//! * **Trials without a result are counted as neither.** A verdict is one that holds however they
//!   would have come out.
//!
//! ```
//! use tidegate_registry::{Content, Draft, InMemory, ModelStore, Stamp};
//! use tidegate_validation::{FnAgent, Reply, Run, Subject, Suite, checks::{Consistency, Integrity}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = InMemory::new();
//! let draft = Draft::new("support-bot@1.4.0".parse()?, Stamp::now("ada"));
//! let files = Content::bytes([("model.bin".parse()?, "weights".into())]);
//! let manifest = store.publish(draft, files, &()).await?;
//!
//! // In earnest this is an `OpenAi` at the address of a server that runs the version.
//! let agent = FnAgent::new("support-bot", |_| async { Ok(Reply::text("Paris.")) });
//!
//! let suite = Suite::new("before release").with(Integrity::default()).with(Consistency {
//!     prompts: vec!["What is the capital of France?".to_owned()],
//!     repeats: 59,
//!     ..Consistency::default()
//! });
//! let report = suite.run(&Subject::new(&manifest, &store).with_agent(&agent), &Run::new(7)).await;
//!
//! println!("{report}");
//! assert!(report.accepted());
//! let attestation = report.attestation(Stamp::now("ci")); // to be recorded beside the version
//! # let _ = attestation;
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! | what | where |
//! |---|---|
//! | the model under test | [`Agent`], [`FnAgent`] for a closure, `OpenAi` for an endpoint (feature `openai`) |
//! | one check | [`Validator`]; those that come with the crate are in [`checks`] |
//! | several checks | [`Suite`], on the terms of a [`Run`], about a [`Subject`] |
//! | what was found | [`Report`], [`Finding`], [`Evidence`], [`Case`] |
//! | from trials to a verdict | [`Gate`], [`Rule`], [`Tally`] |
//! | the statistics alone | [`Proportion`], [`trials_needed`], [`upper_rank`], [`lower_rank`] |
//! | for tests | `testkit` (feature `testkit`), with mocks of the traits |
//!
//! # A suite file
//!
//! [`Suite::from_toml`] and [`Suite::from_json`] read the same document. Only `checks` is required; a
//! check's `kind` says which of [`checks`] it is, and its other fields are those of that struct, with
//! the same defaults. A name that is not known is an error that says where it stands and what was
//! probably meant.
//!
//! ```toml
#![doc = include_str!("suite/example.toml")]
//! ```

mod agent;
mod asking;
pub mod checks;
mod error;
mod evidence;
mod excerpt;
mod finding;
mod fold;
mod gate;
mod proportion;
mod quantile;
mod report;
mod run;
mod suite;
#[cfg(feature = "testkit")]
pub mod testkit;
mod validator;
mod verdict;

#[cfg(feature = "openai")]
pub use crate::agent::{OpenAi, Retry, TokenLimit};
#[cfg(feature = "testkit")]
pub use crate::{agent::MockAgent, validator::MockValidator};
pub use crate::{
    agent::{Agent, AgentError, AgentId, Call, FnAgent, Message, Reply, Request, Role, Usage},
    asking::Sampling,
    error::Error,
    evidence::{Evidence, Method, Unit},
    finding::{Case, Finding, Outcome},
    gate::{Gate, Rule, Tally},
    proportion::{Proportion, trials_needed},
    quantile::{lower_rank, sample_rank, upper_rank},
    report::Report,
    run::{Event, Run},
    suite::{InvalidSuite, Suite},
    validator::{Cost, Subject, Validator},
    verdict::{Reason, Verdict},
};
