//! A file that is one JSON document, from its first byte to its last.

use std::fmt;

use super::{
    json::{Json, See},
    reading::{Damage, Facts, Settings},
    steps::Scan,
};

/// What was seen of a document says something about a model.
pub(super) trait Say: See + Default + fmt::Debug + Send + Sync {
    /// MiB that such a file may have.
    const LARGEST_MIB: u64;

    /// What it says.
    fn settings(self) -> Settings;
}

/// Reads such a file.
#[derive(Debug, Default)]
pub(super) struct JsonFile<S> {
    json: Json,
    fed: u64,
    found: S,
}

impl<S: Say> Scan for JsonFile<S> {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        self.fed = self.fed.saturating_add(bytes.len() as u64);
        if self.fed > S::LARGEST_MIB << 20 {
            return Err(Damage::said(format!("it is larger than {} MiB", S::LARGEST_MIB)));
        }
        self.json.feed(bytes, &mut self.found)
    }

    fn idle(&self) -> u64 {
        0
    }

    fn pass(&mut self, _: u64) {}

    fn finish(self: Box<Self>, _: u64) -> Result<Facts, Damage> {
        if !self.json.is_complete() {
            return Err(Damage::new("it ends before its JSON does"));
        }
        Ok(Facts::Settings(self.found.settings()))
    }
}
