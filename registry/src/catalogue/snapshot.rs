//! A catalogue written down, so that nobody has to fold a long log from its start.
//!
//! A snapshot is a gzip file of lines of JSON: what is not about a single version first, then pages of
//! versions. It follows from the log and is never trusted beyond it: the record after it must continue the
//! chain of hashes where the snapshot says that it ends, and one that cannot be read is as good as none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Catalogue, Ledger,
    pages::{Outline, Rows, compress, decompress},
};
use crate::{BoxError, Digest, ModelName, Seq, Snapshot};

const FORMAT: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Front<L> {
    v: u32,
    /// The last record that is folded in, and its digest.
    seq: Seq,
    head: Digest,
    pages: Vec<Outline>,
    #[serde(flatten)]
    ledger: L,
}

impl Catalogue {
    /// How many records a log may have beyond its last snapshot before there should be another.
    const TAIL: u64 = 64;

    /// Whether it is time for a snapshot.
    pub(super) fn is_due(&self) -> bool {
        self.next.get() - self.kept.map_or(1, |kept| kept.next().get()) >= Self::TAIL
    }

    /// Puts what changed into pages, and counts from here to the next snapshot.
    pub(super) fn settle(&mut self) -> Result<(), BoxError> {
        self.rows.settle()?;
        self.kept = self.next.previous();
        Ok(())
    }

    /// What is settled, to be read back by [`restore`](Self::restore).
    pub(super) fn snapshot(&self) -> Result<Snapshot, BoxError> {
        let (seq, head) = self.next.previous().zip(self.head).ok_or("nothing has been said yet")?;
        let (outlines, pages) = self.rows.pages();
        let front = Front { v: FORMAT, seq, head, pages: outlines, ledger: &*self.ledger };
        let mut bytes = compress(&front)?;
        pages.for_each(|page| bytes.extend_from_slice(page));
        Ok(Snapshot { seq, bytes: bytes.into() })
    }

    /// The catalogue that `snapshot` was made of.
    pub(super) fn restore(name: ModelName, snapshot: &Snapshot) -> Result<Self, BoxError> {
        let (front, pages) = decompress::<Front<Ledger>>(&snapshot.bytes)?;
        if (front.v, front.seq) != (FORMAT, snapshot.seq) {
            return Err(format!("it is of format {} and record {}", front.v, front.seq).into());
        }
        let rows = Rows::of_pages(front.pages, snapshot.bytes.slice_ref(pages))?;
        Ok(Self {
            next: front.seq.next(),
            head: Some(front.head),
            rows,
            ledger: Arc::new(front.ledger),
            kept: Some(front.seq),
            ..Self::new(name)
        })
    }

    #[cfg(feature = "object-store")]
    /// Whether `snapshot`, which lies where it was found, says what this catalogue says, which was folded
    /// from the first record to the one it was made at.
    pub(crate) fn agrees_with(&self, snapshot: &Snapshot) -> Result<(), BoxError> {
        let restored = Self::restore(self.name.clone(), snapshot)?;
        if (restored.next, restored.head) != (self.next, self.head) {
            return Err("it ends with another record".into());
        }
        if restored.ledger != self.ledger {
            return Err(
                "its channels, policies, quarantines or condemnations are not those of the log".into()
            );
        }
        let (mut ours, mut theirs) = (self.rows.descending(None), restored.rows.descending(None));
        loop {
            match (ours.next().transpose()?, theirs.next().transpose()?) {
                (None, None) => return Ok(()),
                (ours, theirs) if ours == theirs => {}
                (Some(row), _) | (None, Some(row)) => {
                    return Err(format!(
                        "what it says of {} is not what the log says",
                        row.published.version
                    )
                    .into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn garbage_is_no_snapshot() {
        for bytes in [&b""[..], b"{}", b"\x1f\x8b", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"] {
            let snapshot = Snapshot { seq: Seq::FIRST, bytes: Bytes::copy_from_slice(bytes) };
            Catalogue::restore("m".parse().unwrap(), &snapshot).unwrap_err();
        }
    }
}
