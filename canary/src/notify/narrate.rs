//! What a courier follows.

use std::fmt;

use serde::de::DeserializeOwned;
use tidegate_registry::{LogKey, Seq};

use super::Notice;
use crate::BoxError;

/// Reads a journal line by line and says what is worth telling: what a [`Courier`](super::Courier) follows.
///
/// # Contract
///
/// * What is said of a line depends on the lines since the one that [opened](Self::opened) what it is about, and on
///   nothing else; so whoever reads them says the same, under the same [`Notice::id`](super::Notice::id).
/// * A line that opens something has a field `open` and needs none of the lines before it.
/// * The value that a courier is made with has read nothing yet; its clones begin anew.
pub trait Narrate: Clone + fmt::Debug + Send + Sync + 'static {
    /// What a line of the journal says.
    type Line: DeserializeOwned + Send + Sync;

    /// Where the journal lies.
    fn journal(&self) -> LogKey;

    /// What the next line, record `seq`, is to people; `None` if it is nothing new.
    fn tell(&mut self, seq: Seq, line: &Self::Line) -> Option<Notice>;

    /// As [`tell`](Self::tell), of a record that cannot be read.
    fn cannot_read(&mut self, seq: Seq, why: &BoxError) -> Option<Notice>;

    /// The record by which what is told of was opened. A narrator that begins there says the same.
    fn opened(&self) -> Option<Seq>;
}
