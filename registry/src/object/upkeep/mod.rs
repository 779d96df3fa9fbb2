//! Looking after what is stored: removing what nobody uses, and finding what is damaged.

mod collect;
mod fsck;
mod garbage;
#[cfg(feature = "fs")]
mod sweep;

pub use self::{
    collect::{Collected, Collection},
    fsck::{Inspection, Problem, Reread},
};
