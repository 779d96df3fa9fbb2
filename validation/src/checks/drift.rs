//! Is what the model is asked, or what it answers, still what it was?

use std::{collections::BTreeMap, fmt, panic, path::PathBuf};

use async_trait::async_trait;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor, value},
};

use super::Settings;
use crate::{
    AgentError, Cost, Embedder, Error, Finding, Reason, Run, Subject, Unanswered, Validator, Verdict,
    drift::{
        Column, DriftGate, Embedded, FeatureDrift, InvalidTable, Kind, Reading, Samples, Summary, TextColumn,
        TooFewTexts,
    },
    excerpt::excerpt,
};

/// Compares rows of today with those of a reference, column by column, and fails if a column has drifted: further than
/// its limit, and not by chance. It asks the model nothing.
///
/// Both are files, of rows or [summaries](Summary) of them; several are partitions of one table. Where the run has an
/// [embedder](Run::embedder), texts are compared by their meaning as well: those that the summaries keep are embedded,
/// and the embedder's name is in the evidence. Of a column of which a side keeps fewer than two different texts that is
/// not possible; the finding's notes say so, and it is inconclusive unless both keep the same.
///
/// ```
/// # use tidegate_validation::checks::Drift;
/// let check = Drift {
///     reference: vec!["train/part-1.csv".into(), "train/part-2.csv".into()],
///     current: vec!["today.jsonl".into()],
///     ..Drift::default()
/// };
/// # let _ = check;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Drift {
    /// The check's name in reports.
    pub name: String,
    /// Files of the reference.
    #[serde(deserialize_with = "one_or_many")]
    #[cfg_attr(feature = "schema", schemars(with = "OneOrMany"))]
    pub reference: Vec<PathBuf>,
    /// Files of today.
    #[serde(deserialize_with = "one_or_many")]
    #[cfg_attr(feature = "schema", schemars(with = "OneOrMany"))]
    pub current: Vec<PathBuf>,
    /// The columns to compare, and of what kind they are where that is not to be told from the reference's values;
    /// without any, all. In a file a list of names, or a table with the kind of each.
    #[serde(deserialize_with = "names_or_kinds")]
    #[cfg_attr(feature = "schema", schemars(with = "NamesOrKinds"))]
    pub columns: BTreeMap<String, Option<Kind>>,
    /// How many different texts of each column of texts are compared by their words and by their meaning.
    pub texts: usize,
    /// How far apart columns may be.
    pub gate: DriftGate,
}

/// What an embedder made of columns of texts.
#[derive(Default)]
struct Meanings {
    embedded: BTreeMap<String, Embedded>,
    /// The columns that it could make nothing of.
    too_few: Vec<(String, TooFewTexts)>,
}

/// Columns that are not compared, or not by their meaning, and told of.
const MOST_NOTES: usize = 40;

impl Default for Drift {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            reference: Vec::new(),
            current: Vec::new(),
            columns: BTreeMap::new(),
            texts: TextColumn::KEPT,
            gate: DriftGate::default(),
        }
    }
}

impl Settings for Drift {
    const KIND: &str = "drift";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let no_file = "names no file, and nothing compared is no pass; name the files with the rows";
        match (self.reference.is_empty(), self.current.is_empty()) {
            (true, _) => Some(("reference", no_file.to_owned())),
            (_, true) => Some(("current", no_file.to_owned())),
            _ if self.texts > TextColumn::MOST => {
                Some(("texts", format!("{} must be at most {}", self.texts, TextColumn::MOST)))
            }
            (false, false) => self.gate.flaw(),
        }
    }
}

#[async_trait]
impl Validator for Drift {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        // How many columns hold texts is not known before the files are read, unless they are named.
        let texts = self.columns.values().filter(|kind| kind.is_none_or(|kind| kind == Kind::Text)).count();
        let batches = self.texts.div_ceil(Self::AT_ONCE);
        Cost::embeddings(2_u64.saturating_mul(texts as u64).saturating_mul(batches as u64))
    }

    async fn validate<'a>(&self, _: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        if let Some((field, why)) = self.flaw() {
            return Err(Error::Misconfigured { check: self.name.clone(), field, why });
        }
        let check = self.clone();
        let summaries = aside(move || check.summaries()).await;
        let (reference, current) = summaries.map_err(|source| self.unread(source))?;
        let Meanings { embedded, too_few } = match &run.embedder {
            Some(embedder) => self.meanings(&reference, &current, embedder.as_ref(), run).await?,
            None => Meanings::default(),
        };
        let not_embedded = |(name, why): &(String, TooFewTexts)| {
            excerpt(&format!("not compared by meaning: column `{name}`, since {why}"), 400)
        };
        let not_compared =
            |(name, kind)| excerpt(&format!("not compared: column `{name}`, told as {kind}"), 300);
        let notes = too_few.iter().map(not_embedded).chain(reference.left_out().map(not_compared));
        let notes: Vec<String> = notes.take(MOST_NOTES).collect();
        let gate = self.gate.clone();
        let mut drift = aside(move || gate.compare_summaries(&reference, &current, &embedded)).await;
        // What was asked for and cannot be measured is no pass.
        for (name, why) in too_few.iter().filter(|(_, why)| why.hides_something()) {
            let passed =
                |feature: &&mut FeatureDrift| feature.name == *name && feature.verdict == Verdict::Pass;
            if let Some(feature) = drift.features.iter_mut().find(passed) {
                feature.verdict = Verdict::Inconclusive(Reason::Infra { what: why.to_string() });
            }
        }
        let figures = drift.figures();
        Ok(drift.into_finding(&self.name).with_notes(notes).with_figures(figures))
    }
}

impl Drift {
    /// Texts of one call.
    const AT_ONCE: usize = 64;

    /// Reads all files; those of today as the reference was read.
    fn summaries(&self) -> Result<(Summary, Summary), InvalidTable> {
        let reading = Reading { columns: self.columns.clone(), texts: self.texts, ..Reading::default() };
        let reference = Summary::open_all(&self.reference, &reading)?;
        let mut current = reference.emptied();
        self.current.iter().try_for_each(|path| current.read(path))?;
        Ok((reference, current))
    }

    /// Of each column of texts those that both sides keep, as vectors.
    async fn meanings(
        &self,
        reference: &Summary,
        current: &Summary,
        embedder: &dyn Embedder,
        run: &Run,
    ) -> Result<Meanings, Error> {
        let mut all = Meanings::default();
        for (name, column) in reference.columns() {
            let (Column::Text(before), Some(Column::Text(now))) = (column, current.column(name)) else {
                continue;
            };
            // Too few rows decide nothing, and the gate says so.
            if before.count().min(now.count()) < self.gate.least {
                continue;
            }
            if let Some(why) = before.too_few_to_embed(now) {
                all.too_few.push((name.to_owned(), why));
                continue;
            }
            let before = self.vectors(before, embedder, run).await?;
            let now = self.vectors(now, embedder, run).await?;
            let by = embedder.fingerprint();
            let samples = aside(move || Samples::new(&before, &now)).await.ok_or_else(|| {
                let why = "gave vectors of different lengths".to_owned();
                self.unembedded(AgentError::Malformed { agent: by.clone(), why })
            })?;
            all.embedded.insert(name.to_owned(), Embedded { by, samples });
        }
        Ok(all)
    }

    async fn vectors(
        &self,
        column: &TextColumn,
        embedder: &dyn Embedder,
        run: &Run,
    ) -> Result<Vec<Vec<f64>>, Error> {
        let texts: Vec<String> = column.texts().map(str::to_owned).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(Self::AT_ONCE) {
            let made = run.embed(embedder, batch).await;
            run.note_spent(&self.name);
            let made = made.map_err(|unanswered| match unanswered {
                Unanswered::Lost(source) => self.unembedded(source),
                Unanswered::Short(shortage) => Error::OutOfBudget { check: self.name.clone(), shortage },
            })?;
            if made.len() != batch.len() {
                let why = format!("gave {} vectors for {} texts", made.len(), batch.len());
                return Err(self.unembedded(AgentError::Malformed { agent: embedder.fingerprint(), why }));
            }
            let wide =
                made.iter().map(|vector| vector.as_slice().iter().map(|number| f64::from(*number)).collect());
            vectors.extend(wide);
        }
        Ok(vectors)
    }

    fn unread(&self, source: InvalidTable) -> Error {
        Error::Table { check: self.name.clone(), source: Box::new(source) }
    }

    fn unembedded(&self, source: AgentError) -> Error {
        Error::Embedder { check: self.name.clone(), source }
    }
}

/// Does what takes long where it holds nobody up.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
}

/// What [`one_or_many`] reads.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it is a form to read")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// What [`names_or_kinds`] reads.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it is a form to read")]
enum NamesOrKinds {
    Names(Vec<String>),
    Kinds(BTreeMap<String, Kind>),
}

/// One path, or a list of them.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    struct Paths;

    impl<'de> Visitor<'de> for Paths {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a path, or a list of paths")
        }

        fn visit_str<E>(self, path: &str) -> Result<Self::Value, E> {
            Ok(vec![path.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, paths: A) -> Result<Self::Value, A::Error> {
            Deserialize::deserialize(value::SeqAccessDeserializer::new(paths))
        }
    }

    deserializer.deserialize_any(Paths)
}

/// Names of columns, or the kind of each.
fn names_or_kinds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<Kind>>, D::Error> {
    struct Columns;

    impl<'de> Visitor<'de> for Columns {
        type Value = BTreeMap<String, Option<Kind>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of names of columns, or a table with the kind of each")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Self::Value, A::Error> {
            let names: Vec<String> = Deserialize::deserialize(value::SeqAccessDeserializer::new(names))?;
            Ok(names.into_iter().map(|name| (name, None)).collect())
        }

        fn visit_map<A: MapAccess<'de>>(self, kinds: A) -> Result<Self::Value, A::Error> {
            Deserialize::deserialize(value::MapAccessDeserializer::new(kinds))
        }
    }

    deserializer.deserialize_any(Columns)
}
