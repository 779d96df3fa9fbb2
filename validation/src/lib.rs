//! Evidence that a model or agent may take traffic.
mod agent;
mod asking;
pub mod checks;
mod error;
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

#[cfg(feature = "openai")]
pub use crate::agent::{OpenAi, Retry};
#[cfg(feature = "testkit")]
pub use crate::{agent::MockAgent, validator::MockValidator};
pub use crate::{
    agent::{Agent, AgentError, AgentId, Call, FnAgent, Message, Reply, Request, Role, Usage},
    asking::Sampling,
    error::Error,
    finding::{Case, Evidence, Finding, Method, Outcome, Reason, Unit, Verdict},
    gate::{Gate, Rule, Tally},
    proportion::{Proportion, trials_needed},
    quantile::{lower_rank, sample_rank, upper_rank},
    report::Report,
    run::{Event, Run},
    suite::{InvalidSuite, Suite},
    validator::{Cost, Subject, Validator},
};
