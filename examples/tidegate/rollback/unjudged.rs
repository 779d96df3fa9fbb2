//! What is left to do where a rollback has ended and left a split that nobody judges.

use tidegate::rollback::{Order, Undo};

use crate::words::plain;

/// The command that has all traffic on what the rollout took for stable, in a line of its own; nothing where no split is
/// left.
pub(super) fn command(undo: &Undo) -> String {
    let Some(took) = undo.unjudged() else { return String::new() };
    let Order { route, from, .. } = undo.order();
    format!(
        "\n  tidegate rollback run {} --route {} --to {} --environment FILE --reason …",
        from.model.name(),
        plain(route.as_str()),
        took.stable
    )
}
