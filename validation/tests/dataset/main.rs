//! Datasets: what is read from each format, what is refused and how, and that no bytes do harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod formats;
mod hostile;
mod promptfoo;
mod red_team;
mod refused;

use tidegate_validation::dataset::{Dataset, Format, InvalidDataset, Options, Question};

fn read(text: &str, format: Option<Format>) -> Result<Vec<Question>, InvalidDataset> {
    let options = Options { format, ..Options::default() };
    Dataset::from_bytes("data", text, &options)?.questions()?.collect()
}

fn invalid(text: &str, format: Option<Format>) -> InvalidDataset {
    read(text, format).expect_err("the dataset should not be accepted")
}
