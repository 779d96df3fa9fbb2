//! Agents behind HTTP: one way to call, for every protocol.

mod bearer;
mod body;
mod custom;
mod endpoint;
mod problem;
mod retry;
mod sse;
mod template;

pub(crate) use self::{
    body::Body,
    endpoint::{Endpoint, Exchange, Fault},
    problem::Problem,
    sse::{Event, Parser},
};
pub use self::{custom::HttpAgent, retry::Retry, template::Template};
