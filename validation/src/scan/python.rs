//! Sources of Python beside weights, which are told from other texts by their names alone.

use super::{
    Rule,
    walk::{Stop, Walk},
};

/// Whether an import would take a file for source.
pub(super) fn is_named(name: &str) -> bool {
    stem(name).is_some()
}

/// The name by which a file is imported.
pub(super) fn stem(name: &str) -> Option<&str> {
    let file = name.rsplit(['/', '\\']).next()?;
    file.strip_suffix(".py").or_else(|| file.strip_suffix(".pyc")).filter(|stem| !stem.is_empty())
}

/// Reports a source; nothing is read of it.
pub(super) fn walk(walk: &mut Walk<'_>) -> Result<(), Stop> {
    let name = walk.name().to_owned();
    walk.report(Rule::PythonSource, None, &name);
    Ok(())
}
