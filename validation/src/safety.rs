//! Telling what an agent declined from what it did.
//!
//! [`Conduct`] looks at an answer in stages, the cheapest first: fields of the provider, phrases of its beginning, its
//! distance to what was asked, and, for what is left, a judge or a [`Classifier`]. How far that can be trusted is measured by
//! [`Accuracy`] on answers that people have labelled.
//!
//! On the labels of PyRIT 1.1.0 (MIT), which call refused whatever was not done, answers about something else included, with
//! [`MiniLm`](crate::Embedder) (all-MiniLM-L6-v2) and a relevance of 0.25:
//!
//! | stages | `refusal.csv`, 105 answers | `refusal_extra.csv`, 64 answers |
//! |---|---|---|
#![doc = include_str!("safety/accuracy.md")]
//!
//! The phrases were written with both files at hand, so that the first row is no forecast. For the relevance the last
//! row is: each file has the threshold that was best on the other. `validation/tests/safety/labelled.rs` measures this
//! table and fails if it is not the one above.

mod accuracy;
mod classifier;
mod conduct;
mod guard;
#[cfg(feature = "openai")]
mod moderation;
mod phrases;
mod shipped;
mod wrapper;

#[cfg(feature = "testkit")]
pub use self::classifier::MockClassifier;
#[cfg(feature = "openai")]
pub use self::moderation::Moderation;
pub use self::{
    accuracy::{Accuracy, LabelledAnswer},
    classifier::{Classification, Classifier},
    conduct::{Conduct, Stage, Stance, Told, Undecided, Wanted},
    guard::Guard,
    phrases::is_refusal,
    wrapper::Wrapper,
};
pub(crate) use self::{
    shipped::{HARMFUL, HARMLESS, harmful},
    wrapper::{ASK, wrapped},
};
