//! The table: all rows, and those of some runs in a page that has it already.

use anyhow::{Context as _, Result, ensure};

use super::{Outcome, promised::PROMISED, row::Row};

const HEAD: &str =
    "| what | measured | beside, in the same run | ratio | wanted | |\n|---|--:|---|--:|--:|---|\n";
const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- /figures -->\n";

pub(crate) fn markdown(rows: &[Row]) -> String {
    rows.iter().fold(HEAD.to_owned(), |table, row| table + &row.markdown() + "\n")
}

/// The lines of the table's rows in a page.
pub(crate) fn rows_of(page: &str) -> Result<impl Iterator<Item = &str>> {
    let (_, rest) = page.split_once(BEGIN).context("the page has no line `<!-- figures -->`")?;
    let (table, _) = rest.split_once(END).context("the page has no line `<!-- /figures -->`")?;
    ensure!(!table.contains(BEGIN), "the page has two lines `<!-- figures -->`");
    Ok(table.lines().filter(|line| !line.is_empty()).skip(2))
}

/// The cells of a row.
pub(crate) fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// The page with the table in which these rows are new. Others stay as they are, in the order of the list; one that was
/// never there was never measured.
pub(crate) fn written(page: &str, new: &[Row]) -> Result<String> {
    let old: Vec<_> = rows_of(page)?.collect();
    let mut table = HEAD.to_owned();
    for promise in PROMISED {
        let row = match new.iter().find(|row| row.promise == promise) {
            Some(row) => row.markdown(),
            None => old.iter().find(|row| cells(row).first() == Some(&promise.what)).map_or_else(
                || Row { promise, outcome: Outcome::NotMeasured("not run yet".to_owned()) }.markdown(),
                |row| (*row).to_owned(),
            ),
        };
        table.push_str(&row);
        table.push('\n');
    }
    let (before, rest) = page.split_once(BEGIN).context("it has been read")?;
    let (_, after) = rest.split_once(END).context("it has been read")?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}
