//! Whether what a footer says of the columns can be borne.
//!
//! The decoder makes a tree of it, as deep and as wide as the footer says, and writes the names of all groups that a
//! column is in into its path.

use super::{
    super::LONGEST_NAME,
    Wrong, damaged,
    known::{ELEMENT, FOOTER},
    thrift::{BINARY, INT32, LIST, STRUCT, Walker},
};
use crate::drift::Summary;

/// How deep groups of columns are.
const DEEPEST: usize = 32;
/// Columns, and groups of them.
pub(super) const MOST: u64 = 16 * Summary::MOST_COLUMNS as u64;

pub(super) fn expect_bounded(footer: &[u8]) -> Result<(), Wrong> {
    let mut walker = Walker::new(footer, "its footer is no footer");
    let mut is_known = false;
    walker.fields(&mut |walker, id, kind| match (id, kind) {
        (2, LIST) if !std::mem::replace(&mut is_known, true) => schema(walker),
        (2, _) => walker.malformed(),
        _ => walker.field(id, kind, FOOTER),
    })
}

fn schema(walker: &mut Walker<&[u8]>) -> Result<(), Wrong> {
    let (kind, count) = walker.list()?;
    if kind != STRUCT {
        return walker.malformed();
    }
    if count > MOST {
        let why = format!("it has {count} columns and groups of columns, more than {MOST}");
        return Err(Wrong::new("", format!("{why}; write those of interest alone")));
    }
    // Of each group that is not at its end, how many are still to come.
    let mut open: Vec<u64> = Vec::new();
    for left in (0..count).rev() {
        let mut children = 0;
        walker.fields(&mut |walker, id, kind| {
            match (id, kind) {
                (4, BINARY) => {
                    let length = walker.varint()?;
                    if length > LONGEST_NAME as u64 {
                        let why = format!(
                            "a column's name is longer than {LONGEST_NAME} bytes; give it a shorter one"
                        );
                        return Err(Wrong::new("", why));
                    }
                    walker.skip(length)?;
                }
                (5, INT32) => children = walker.zigzag()?,
                (4 | 5, _) => return walker.malformed(),
                _ => walker.field(id, kind, ELEMENT)?,
            }
            Ok(())
        })?;
        let children = u64::try_from(children).ok().filter(|children| *children <= left);
        let children = children.ok_or_else(|| damaged("a group says it has more columns than there are"))?;
        if let Some(siblings) = open.last_mut() {
            *siblings -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > DEEPEST {
            let why = format!("its columns are nested deeper than {DEEPEST} groups; write them less deeply");
            return Err(Wrong::new("", why));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}
