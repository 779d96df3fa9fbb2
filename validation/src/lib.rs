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
//!   share itself, for lists of cases that are all there is to ask. [`Rule::Sequential`] stops asking when the answers decide.
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
//! | the model under test | [`Agent`], [`FnAgent`] for a closure, [`Replay`] for a recording, `OpenAi` and `HttpAgent` for what answers over HTTP (feature `openai`) |
//! | around it | [`Cached`], [`Recorder`], [`Limiter`] |
//! | texts as vectors | [`Embedder`], [`Embedding`], `OpenAiEmbeddings` (feature `openai`), `MiniLm` on this machine (feature `embeddings`) |
//! | what it may take | [`Budget`], [`Price`], [`Tokenizer`] |
//! | one check | [`Validator`]; those that come with the crate are in [`checks`] |
//! | questions in files | [`dataset`], asked by [`checks::Cases`] |
//! | what an answer is worth | [`scorer`], with [`scorer::Judge`] for another model's opinion |
//! | refusals told from answers | [`safety`], asked by [`checks::Safety`] and [`checks::OverRefusal`] |
//! | trials written down as they happen | [`Record`] |
//! | a run that is spread over machines | [`dataset::Shard`], [`Suite::merge`] |
//! | several checks | [`Suite`], on the terms of a [`Run`], about a [`Subject`] |
//! | what was found | [`Report`], [`Finding`], [`Evidence`], [`Case`], [`Issue`] |
//! | the same for pipelines and people | [`Projection`]: JUnit, SARIF, GitHub, Markdown, HTML (`junit` and `html` with the feature `report`) |
//! | what other scanners found | [`sarif`] |
//! | from trials to a verdict | [`Gate`], [`Rule`], [`Tally`]; asked until they decide: [`Sequence`] |
//! | what a model file would do to whoever loads it | `scan` (feature `scan`) |
//! | a candidate beside its baseline, asked or in production | [`compare`] |
//! | what a version withstands | `load` (feature `load`) |
//! | whether inputs or answers have changed | [`drift`] |
//! | the statistics alone | [`statistics`] |
//! | for tests | `testkit` (feature `testkit`), with mocks of the traits |
//!
//! # A suite file
//!
//! [`Suite::open`] reads a file and the datasets that it names; [`Suite::from_toml`] and [`Suite::from_json`] read
//! the same document from text. Only `checks` is required; a
//! check's `kind` says which of [`checks`] it is, and its other fields are those of that struct, with
//! the same defaults. A name that is not known is an error that says where it stands and what was
//! probably meant.
//!
//! ```toml
#![doc = include_str!("suite/example.toml")]
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod asking;
mod budget;
mod canonical;
pub mod checks;
pub mod compare;
pub mod dataset;
mod destination;
pub mod drift;
mod embedding;
mod error;
mod evidence;
mod excerpt;
mod finding;
mod flaw;
mod fold;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod issue;
mod lines;
#[cfg(feature = "load")]
pub mod load;
mod record;
mod report;
mod run;
pub mod safety;
pub mod sarif;
#[cfg(feature = "scan")]
pub mod scan;
pub mod scorer;
pub mod statistics;
mod suite;
mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod tokens;
mod validator;
mod verdict;

#[cfg(feature = "embeddings")]
pub use crate::embedding::{MiniLm, OpenModelError};
#[cfg(feature = "telemetry")]
pub use crate::telemetry::describe_metrics;
#[cfg(feature = "testkit")]
pub use crate::{
    agent::MockAgent, embedding::MockEmbedder, safety::MockClassifier, scorer::MockScorer,
    tokens::MockTokenizer, validator::MockValidator,
};
pub use crate::{
    agent::{
        Agent, AgentError, AgentId, Attempts, Cached, Call, Experience, FnAgent, Freshness, Limiter, Message,
        Pace, Permit, RateLimits, Recorder, Replay, Reply, Request, ResponseFormat, Role, TokenLogprob, Tool,
        ToolCall, ToolChoice, Usage,
    },
    asking::Sampling,
    budget::{Budget, Money, Price, Shortage, Spending},
    destination::{Destination, Destinations, Forbidden},
    embedding::{Embedder, Embedding},
    error::Error,
    evidence::{Evidence, Method, Unit},
    finding::{Case, Figure, Finding, Outcome},
    gate::{Gate, Rule, Sequence, Tally},
    issue::{Issue, Severity, Standing},
    record::{Gaps, Keep, Record, RecordError},
    report::{Projection, Report, ReportVersion},
    run::{Event, Run, Unanswered},
    statistics::{Proportion, lower_rank, sample_rank, trials_needed, upper_rank},
    suite::{InvalidSuite, MergeError, Sources, Suite},
    tokens::{ByteBound, Tokenizer},
    validator::{Cost, Subject, Validator},
    verdict::{Reason, Verdict},
};
#[cfg(feature = "openai")]
pub use crate::{
    agent::{HttpAgent, OpenAi, Retry, Template, TokenLimit},
    embedding::OpenAiEmbeddings,
};
