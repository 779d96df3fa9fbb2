//! Find the last known good version and get there.

mod driver;
mod error;
mod guard;
mod order;
mod target;
mod undo;
mod watch;

pub use crate::{
    driver::{Entry, Record, Rollback},
    error::Error,
    guard::{Guard, Guarded},
    order::Order,
    target::{Choice, NoTarget, PassedOver, Target},
    undo::{Duty, Event, IllegalEvent, State, Undo},
    watch::{Outcome, Watch},
};
