//! The versions of a model: many that do not change, in compressed pages, and the few that did lately.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    iter,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use semver::Version;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::version::{Precedence, Row};
use crate::{BoxError, Digest};

/// Rows of a page. A page is what has to be read to know about one version.
const ROWS: usize = 256;

/// Bytes that a page, or what stands before the pages, may have when it is no longer compressed.
const LONGEST: u64 = 256 << 20;

/// Every version of a model, those that were deleted included.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pages: Arc<Vec<Page>>,
    changed: BTreeMap<Precedence, Row>,
    /// Of `changed`, those that are in no page.
    new: usize,
}

/// Some rows, ascending by precedence, none of which lies between two rows of another page.
#[derive(Debug)]
struct Page {
    outline: Outline,
    bytes: Bytes,
    read: OnceLock<Arc<[Row]>>,
}

/// What can be said about a page without reading it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outline {
    first: Version,
    last: Version,
    rows: usize,
    /// Bytes of the compressed page.
    length: usize,
    /// Of the compressed page.
    sha256: Digest,
}

impl Rows {
    /// The row of `version`, or of the version that differs from it only in build metadata.
    pub(super) fn get(&self, version: &Version) -> Result<Option<Row>, BoxError> {
        let wanted = Precedence(version.clone());
        if let Some(row) = self.changed.get(&wanted) {
            return Ok(Some(row.clone()));
        }
        let at = self.pages.partition_point(|page| page.outline.last.cmp_precedence(version).is_lt());
        let Some(page) = self.pages.get(at).filter(|page| page.outline.first.cmp_precedence(version).is_le())
        else {
            return Ok(None);
        };
        let rows = page.rows()?;
        let found = rows.binary_search_by(|row| row.published.version.cmp_precedence(version));
        Ok(found.ok().map(|at| rows[at].clone()))
    }

    /// Sets the row of its version.
    pub(super) fn put(&mut self, row: Row) -> Result<(), BoxError> {
        let is_new = self.get(&row.published.version)?.is_none();
        self.new += usize::from(is_new);
        self.changed.insert(Precedence(row.published.version.clone()), row);
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pages.iter().fold(self.new, |sum, page| sum.saturating_add(page.outline.rows))
    }

    /// Whether what changed would fill a page.
    pub(super) fn changes_fill_a_page(&self) -> bool {
        self.changed.len() >= ROWS
    }

    /// All of them, the highest first; of those that are not below `beyond`, some may be left out. Pages are
    /// read as they are come to, and not kept.
    pub(super) fn descending(
        &self,
        beyond: Option<&Version>,
    ) -> impl Iterator<Item = Result<Row, BoxError>> + Send + use<> {
        let pages = Arc::clone(&self.pages);
        let below = beyond.map_or(pages.len(), |beyond| {
            pages.partition_point(|page| page.outline.first.cmp_precedence(beyond).is_lt())
        });
        let read = move |at: usize| match pages[at].read() {
            Ok(rows) => rows.into_iter().rev().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        };
        let mut kept = (0..below).rev().flat_map(read).peekable();
        let mut changed: Vec<Row> = self.changed.values().cloned().collect();
        iter::from_fn(move || {
            let order = match (kept.peek(), changed.last()) {
                (Some(Ok(kept)), Some(row)) => row.published.version.cmp_precedence(&kept.published.version),
                (None, Some(_)) => return changed.pop().map(Ok),
                _ => return kept.next(),
            };
            if order.is_lt() {
                return kept.next();
            }
            if order.is_eq() {
                kept.next();
            }
            changed.pop().map(Ok)
        })
    }

    /// Puts what changed into pages. Pages without a change stay as they are.
    pub(super) fn settle(&mut self) -> Result<(), BoxError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut changed = std::mem::take(&mut self.changed).into_values().peekable();
        let mut pages: Vec<Page> = Vec::new();
        for (at, page) in self.pages.iter().enumerate() {
            // Up to the first version of the next page, everything new belongs here.
            let next = self.pages.get(at + 1).map(|next| &next.outline.first);
            let mut here = Vec::new();
            while let Some(row) = changed
                .next_if(|row| next.is_none_or(|next| row.published.version.cmp_precedence(next).is_lt()))
            {
                here.push(row);
            }
            if here.is_empty() {
                pages.push(page.share());
            } else {
                pages.extend(paged(&merge(page.rows()?.to_vec(), here), next.is_none())?);
            }
        }
        pages.extend(paged(&changed.collect::<Vec<_>>(), true)?);
        (self.pages, self.new) = (Arc::new(pages), 0);
        Ok(())
    }

    /// The pages, for a snapshot; nothing must have changed since they were settled.
    pub(super) fn pages(&self) -> (Vec<Outline>, impl Iterator<Item = &Bytes>) {
        debug_assert!(self.changed.is_empty(), "only what is settled is complete");
        let outlines = self.pages.iter().map(|page| page.outline.clone()).collect();
        (outlines, self.pages.iter().map(|page| &page.bytes))
    }

    /// The rows in pages that follow one another in `bytes`, which are not read yet.
    pub(super) fn of_pages(outlines: Vec<Outline>, mut bytes: Bytes) -> Result<Self, BoxError> {
        let mut pages = Vec::new();
        for outline in outlines {
            if outline.length > bytes.len() {
                return Err("it is cut off".into());
            }
            let bytes = bytes.split_to(outline.length);
            // Before anything relies on it: a page that is only found damaged later would be kept on.
            if Digest::of(&bytes) != outline.sha256 {
                return Err("a page is not the one that was written".into());
            }
            pages.push(Page { outline, bytes, read: OnceLock::new() });
        }
        let ascend =
            pages.windows(2).all(|pair| pair[0].outline.last.cmp_precedence(&pair[1].outline.first).is_lt());
        if !ascend || !bytes.is_empty() {
            return Err("its pages do not follow one another".into());
        }
        Ok(Self { pages: Arc::new(pages), changed: BTreeMap::new(), new: 0 })
    }
}

impl Page {
    fn new(rows: &[Row]) -> Result<Self, BoxError> {
        let [first, .., last] = rows else {
            let [only] = rows else { return Err("a page has rows".into()) };
            return Self::between(&only.published.version, &only.published.version, rows);
        };
        Self::between(&first.published.version, &last.published.version, rows)
    }

    fn between(first: &Version, last: &Version, rows: &[Row]) -> Result<Self, BoxError> {
        let bytes = Bytes::from(compress(&rows)?);
        let outline = Outline {
            first: first.clone(),
            last: last.clone(),
            rows: rows.len(),
            length: bytes.len(),
            sha256: Digest::of(&bytes),
        };
        Ok(Self { outline, bytes, read: OnceLock::new() })
    }

    /// The rows, kept from then on: who asks about one version soon asks about another.
    fn rows(&self) -> Result<Arc<[Row]>, BoxError> {
        if let Some(rows) = self.read.get() {
            return Ok(Arc::clone(rows));
        }
        let rows = self.read()?;
        Ok(Arc::clone(self.read.get_or_init(|| rows.into())))
    }

    fn read(&self) -> Result<Vec<Row>, BoxError> {
        let (rows, rest) = decompress::<Vec<Row>>(&self.bytes)?;
        let ascend =
            rows.is_sorted_by(|a, b| a.published.version.cmp_precedence(&b.published.version).is_lt());
        let ends = rows.first().zip(rows.last()).map(|(a, b)| (&a.published.version, &b.published.version));
        if !rest.is_empty()
            || !ascend
            || rows.len() != self.outline.rows
            || ends != Some((&self.outline.first, &self.outline.last))
        {
            return Err("a page is not what it was said to be".into());
        }
        Ok(rows)
    }

    fn share(&self) -> Self {
        Self { outline: self.outline.clone(), bytes: self.bytes.clone(), read: self.read.clone() }
    }
}

/// As many pages as the rows need. The `last` pages of all are filled up, because versions ascend as a rule;
/// others are filled evenly, so that the next row in there does not split them again.
fn paged(rows: &[Row], last: bool) -> Result<Vec<Page>, BoxError> {
    let each = if last { ROWS } else { rows.len().div_ceil(rows.len().div_ceil(ROWS).max(1)).max(1) };
    rows.chunks(each).map(Page::new).collect()
}

/// Both, ascending; where a version is in both, the `new` row.
fn merge(old: Vec<Row>, new: Vec<Row>) -> Vec<Row> {
    let rows = old.into_iter().chain(new).map(|row| (Precedence(row.published.version.clone()), row));
    rows.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// `value` as one line of JSON, compressed as a member of a gzip file (RFC 1952). Such members may follow
/// one another, and `zcat` prints them all.
pub(super) fn compress<T: Serialize>(value: &T) -> Result<Vec<u8>, BoxError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, value)?;
    encoder.write_all(b"\n")?;
    Ok(encoder.finish()?)
}

/// The value in the first member of `bytes`, and the members behind it.
pub(super) fn decompress<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), BoxError> {
    let mut decoder = GzDecoder::new(bytes);
    let mut line = Vec::new();
    decoder.by_ref().take(LONGEST).read_to_end(&mut line)?;
    if line.len() as u64 == LONGEST {
        return Err("it is too long".into());
    }
    Ok((serde_json::from_slice(&line)?, decoder.into_inner()))
}
