//! Counts keys one by one.

use std::sync::OnceLock;

use super::cells::Cells;

/// How many keys wait for each cell that there may be: with fewer, most of the time goes into merging.
const BATCH: usize = 4;

/// [`Cells`] that take keys one by one: they wait until there are enough of them to be sorted at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter {
    cells: Cells,
    waiting: Vec<u64>,
    /// Both together, once somebody has asked: a column is compared in more than one way.
    settled: OnceLock<Cells>,
}

impl Counter {
    pub(super) fn push(&mut self, key: u64, limit: usize) {
        if self.waiting.len() >= (BATCH * limit).max(1 << 12) {
            self.settle(limit);
        }
        self.settled.take();
        self.waiting.push(key);
    }

    pub(super) fn merge(&mut self, other: &Cells, limit: usize) {
        self.settle(limit);
        self.cells.merge(other, limit);
    }

    pub(super) fn total(&self) -> u64 {
        self.cells.total().saturating_add(self.waiting.len() as u64)
    }

    /// With nothing waiting.
    pub(super) fn settled(&self, limit: usize) -> &Cells {
        if self.waiting.is_empty() {
            return &self.cells;
        }
        self.settled.get_or_init(|| {
            let mut cells = self.cells.clone();
            cells.take(&mut self.waiting.clone(), limit);
            cells
        })
    }

    pub(super) fn into_cells(mut self, limit: usize) -> Cells {
        self.settle(limit);
        self.cells
    }

    fn settle(&mut self, limit: usize) {
        match self.settled.take() {
            Some(cells) => self.cells = cells,
            None => self.cells.take(&mut self.waiting, limit),
        }
        self.waiting.clear();
    }
}

impl From<Cells> for Counter {
    fn from(cells: Cells) -> Self {
        Self { cells, ..Self::default() }
    }
}
