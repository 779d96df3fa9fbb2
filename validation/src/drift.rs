//! Whether what a model is asked, or what it answers, is still what it was.
//!
//! A [`Column`] summarises one feature: numbers or categories are pushed into it row by row, wherever the rows are.
//! Summaries are written down with serde and merged, and what comes of comparing them is **the same to the bit**
//! however the rows were divided. Memory is bounded whatever comes in.
//!
//! | compared | by |
//! |---|---|
//! | numbers | [`Gaps`]: Kolmogorov–Smirnov, Wasserstein, energy distance, Cramér–von Mises, Mann–Whitney |
//! | numbers in bins, categories | [`Histogram`]: PSI, Kullback–Leibler, Jensen–Shannon, Hellinger, total variation, χ², Cramér's V |
//! | texts | what is [counted](TextColumn) of each, and whether a classifier tells them apart by their words |
//! | vectors, such as embeddings of texts | [`Samples`]: maximum mean discrepancy, energy distance, a classifier |
//!
//! A [`Summary`] is of all columns of a table: [`Summary::open`] reads CSV, JSON Lines and, with the feature `parquet`,
//! Parquet. [`DriftGate`] makes a verdict of them, by how far features are apart *and* by whether that could be chance.
//!
//! ```
//! use tidegate_validation::{Verdict, drift::{Column, DriftGate, Value}};
//!
//! // Two machines summarise a part each of the rows that the model was trained on.
//! let part = |rows: std::ops::Range<u32>| {
//!     let mut column = Column::numeric();
//!     rows.for_each(|row| column.push(Value::Number(f64::from(row * 37 % 1009))));
//!     serde_json::to_string(&column)
//! };
//! let (first, second) = (part(0..4_000)?, part(4_000..9_000)?);
//!
//! // A third merges the parts, and compares them with what is asked today.
//! let mut reference: Column = serde_json::from_str(&first)?;
//! reference.merge(&serde_json::from_str(&second)?)?;
//! let mut today = Column::numeric();
//! (0..2_000).for_each(|row| today.push(Value::Number(f64::from(row * 53 % 1009))));
//! let finding = DriftGate::default().judge("inputs", [("amount", &reference, &today)]);
//! assert_eq!(finding.verdict, Verdict::Pass);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bins;
mod categorical;
mod cells;
mod classifier;
mod column;
mod counter;
mod cramer;
mod drifted;
mod effort;
mod gaps;
mod gate;
mod histogram;
mod judge;
mod kind;
mod numeric;
mod page;
mod permutation;
mod picture;
mod samples;
mod smirnov;
mod steps;
mod summary;
mod table;
mod text;

pub use bins::Binning;
pub use categorical::CategoricalColumn;
pub use column::{Column, Comparison, UnlikeColumns, Value};
pub use drifted::{Drift, Embedded, FeatureDrift};
pub use gaps::Gaps;
pub use gate::{DriftGate, Effect, Feature, NumericEffect};
pub use histogram::Histogram;
pub use kind::{Kind, UnknownKind};
pub use numeric::NumericColumn;
pub use permutation::Permutations;
pub use picture::Picture;
pub use samples::{SampleTest, Samples};
pub use summary::{Summary, UnlikeSummaries};
pub use table::{InvalidTable, Reading};
pub use text::TextColumn;
pub(crate) use text::TooFewTexts;
