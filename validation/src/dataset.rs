//! Questions in files: what is asked, and what is known about a good answer.
//!
//! A [`Dataset`] is read as a stream, never held as a whole where its format allows that, and is refused as a
//! whole if anything about it is wrong: a misspelt field, a question that is there twice, an assertion that
//! does not exist. Opening reads it once, to say all that before the first question is asked; asking reads it again.
//!
//! ```
//! use tidegate_validation::dataset::Dataset;
//!
//! let lines = r#"{"id": "fr", "input": "What is the capital of France?", "target": "Paris"}
//! {"id": "de", "input": "What is the capital of Germany?", "traget": "Berlin"}"#;
//! let error = Dataset::from_bytes("capitals.jsonl", lines, &Default::default()).unwrap_err();
//! assert_eq!((error.line(), error.path(), error.suggestion()), (Some(2), "traget", Some("target")));
//! ```
//!
//! # Our own format
//!
//! One JSON object a line (or one array of them, or CSV under a header with the same names):
//!
//! | field | meaning |
//! |---|---|
//! | `id` | what the question is called; else the beginning of the SHA-256 of what it asks and expects |
//! | `input`, or `messages` | what the user says, or a list of `{"role", "content"}` |
//! | `target` | the right answer, or a list of them |
//! | `choices` | what there is to choose from |
//! | `assert` | a list of [assertions](crate::scorer::Assertion) |
//! | `threshold` | the least weighted mean of the assertions; all must hold without it |
//! | `cluster` | what it shares with questions that are no independent evidence beside it |
//! | `weight` | how much it counts |
//! | `metadata` | anything; in CSV also columns `metadata.name` |
//!
//! In CSV `assert`, `choices`, `messages`, `metadata`, `threshold` and `weight` are JSON, and empty cells are absent.

mod csv;
mod fields;
mod format;
mod harmbench;
mod input;
mod invalid;
mod native;
mod promptfoo;
mod pyrit;
mod question;
mod questions;
mod shard;
mod yaml;

use std::{collections::HashSet, ops::Add, path::Path, sync::Arc};

use tidegate_registry::Digest;

#[cfg(feature = "schema")]
pub(crate) use self::fields::Called;
pub(crate) use self::{
    csv::Rows,
    input::{Input, LONGEST_LINE, Source, next_line},
    question::LETTERS,
};
pub use self::{
    format::Format,
    invalid::InvalidDataset,
    question::Question,
    questions::Questions,
    shard::{InvalidShard, Shard},
};
use self::{
    format::{Layout, recognise},
    invalid::Place,
};
use crate::{
    Cost,
    flaw::Flaw,
    scorer::{Needs, Scorer as _},
};

/// Most questions of a dataset.
const MOST_QUESTIONS: usize = 1_000_000;

/// Questions in a file, or in memory. Cloning it copies no question.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: Arc<str>,
    source: Source,
    format: Format,
    layout: Layout,
    shard: Shard,
    digest: Digest,
    /// Of its share: how many questions it holds, and what scoring them costs.
    len: u64,
    scoring: Cost,
    /// Of all shares alike, so that each of them is refused, or judged, as the whole is.
    total: u64,
    clustered: bool,
    weighted: bool,
    needs: Needs,
    asserts: bool,
    asks_only: bool,
}

/// How a dataset is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Options {
    /// What it is written in; recognised from its content if it is not said.
    pub format: Option<Format>,
    /// Which share of the questions is read; all by default.
    pub shard: Shard,
}

impl Dataset {
    /// Opens a file and reads it once, blocking while it does.
    ///
    /// # Errors
    ///
    /// [`InvalidDataset`] says which line and field is wrong and what would be right, and whether the file
    /// cannot be read.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, InvalidDataset> {
        let path = path.as_ref();
        Self::new(&path.display().to_string(), Source::File(path.into()), options)
    }

    /// A dataset whose bytes are in memory; `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`InvalidDataset`] says which line and field is wrong and what would be right.
    pub fn from_bytes(
        name: &str,
        bytes: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<Self, InvalidDataset> {
        Self::new(name, Source::Bytes(bytes.as_ref().into()), options)
    }

    fn new(name: &str, source: Source, options: &Options) -> Result<Self, InvalidDataset> {
        let (format, layout) =
            recognise(&source, options.format).map_err(|flaw| InvalidDataset::new(name, None, flaw))?;
        let unread = Self {
            name: name.into(),
            source,
            format,
            layout,
            shard: options.shard,
            digest: Digest::of([]),
            len: 0,
            scoring: Cost::default(),
            total: 0,
            clustered: false,
            weighted: false,
            needs: Needs::default(),
            asserts: false,
            asks_only: false,
        };
        unread.examined()
    }

    /// This dataset, with all that is known once every question was read.
    fn examined(mut self) -> Result<Self, InvalidDataset> {
        let mut questions = Questions::new(&Self { shard: Shard::ALL, ..self.clone() }, None)?;
        let mut seen = HashSet::new();
        while let Some(question) = questions.next() {
            let question = question?;
            if !seen.insert(short(&question.id)) {
                let why = format!(
                    "another question is called `{}` already; give each a name of its own, or take one out",
                    crate::excerpt::excerpt(&question.id, 100)
                );
                return Err(questions.invalid(Flaw::new("id", why)));
            }
            if seen.len() > MOST_QUESTIONS {
                let why = format!("there are more than {MOST_QUESTIONS} questions; split the dataset");
                return Err(questions.invalid(Flaw::new("", why)));
            }
            self.total += 1;
            self.clustered |= question.cluster.is_some();
            self.weighted |= question.weight != 1.0;
            self.asserts |= !question.assertions.is_empty();
            question.assertions.iter().for_each(|part| self.needs |= part.assertion.needs());
            if self.shard.holds(&question.id) {
                self.len += 1;
                let costs = question.assertions.iter().map(|part| part.assertion.cost());
                self.scoring = costs.fold(self.scoring, Add::add);
            }
        }
        if self.total == 0 {
            let why = "it has no question, and nothing asked is no pass; add one";
            return Err(InvalidDataset::new(&self.name, None, Flaw::new("", why)));
        }
        self.digest = questions.into_digest()?;
        Ok(self)
    }

    /// What errors call it: the path, or the name that it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is written in.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Which share of it is read.
    #[must_use]
    pub const fn shard(&self) -> Shard {
        self.shard
    }

    /// The SHA-256 of all its bytes, those of other shares included.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How many questions its share holds.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether its share holds no question, as one of many shares of few questions may.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many questions all shares hold together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether questions belong together, those of other shares included.
    #[must_use]
    pub const fn is_clustered(&self) -> bool {
        self.clustered
    }

    /// Whether some questions count more than others, those of other shares included.
    #[must_use]
    pub const fn is_weighted(&self) -> bool {
        self.weighted
    }

    /// Whether the questions of all shares are independent of each other and count alike.
    pub(crate) const fn is_plain(&self) -> bool {
        !self.clustered && !self.weighted
    }

    /// The most that scoring each question of its share once may cost, by what the questions say themselves.
    pub(crate) const fn scoring(&self) -> Cost {
        self.scoring
    }

    /// What scoring takes beside answers, by what the questions of all shares say themselves.
    pub(crate) const fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether a question of any share says itself what a good answer is.
    pub(crate) const fn asserts(&self) -> bool {
        self.asserts
    }

    /// This dataset, of whose questions only what they ask counts: what they say of a good answer is left out.
    pub(crate) fn asks_only(self) -> Self {
        Self { scoring: Cost::default(), needs: Needs::default(), asserts: false, asks_only: true, ..self }
    }

    /// Reads each question, those of other shares included, until `flaw` finds one; blocking.
    pub(crate) fn each(&self, flaw: impl Fn(&Question) -> Option<String>) -> Result<(), InvalidDataset> {
        let whole = Self { shard: Shard::ALL, ..self.clone() };
        let mut questions = whole.questions()?;
        while let Some(question) = questions.next() {
            if let Some(why) = flaw(&question?) {
                return Err(questions.invalid(Flaw::new("", why)));
            }
        }
        Ok(())
    }

    /// This dataset as a whole is of no use, for this reason.
    pub(crate) fn invalid(&self, why: impl Into<String>) -> InvalidDataset {
        InvalidDataset::new(&self.name, None, Flaw::new("", why))
    }

    /// The questions of its share, in the order of the file; blocking while they are read. If the
    /// content is not what it was when the dataset was opened, the last item says so.
    ///
    /// # Errors
    ///
    /// [`InvalidDataset`] if the file cannot be read any more.
    pub fn questions(&self) -> Result<Questions, InvalidDataset> {
        Questions::new(self, Some(self.digest))
    }
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.digest, one.format, one.shard, one.asks_only);
        of(self) == of(other)
    }
}

/// Enough of a name's digest to tell a million names apart.
pub(crate) fn short(id: &str) -> [u8; 16] {
    Digest::of(id).half()
}
