//! Why an object cannot be used, with the remedy.

use super::{FENCE, revisions::Unfit as UnfitRevision};

/// An object that cannot be split as it is, or not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(
        "its annotation `{key}` is `{value}`, which cannot be read as traffic; set it or delete the object"
    )]
    Annotation { key: &'static str, value: String },
    #[error("{at} has no {what} `{side}`; add it, with weight 0 until it is to get traffic")]
    SideMissing { at: String, what: &'static str, side: String },
    #[error("{at} has the {what} `{side}` more than once; leave one of them")]
    SideTwice { at: String, what: &'static str, side: String },
    #[error(
        "{at} also sends traffic to the {what} `{side}`, which is no side of this route; remove it or set its weight to 0"
    )]
    Stranger { at: String, what: &'static str, side: String },
    #[error("{at} sends nothing anywhere: all its weights are 0; give one of them a weight")]
    Nowhere { at: String },
    #[error(transparent)]
    Fence(#[from] NoFence),
    #[error("it has no rule `{rule}`, only {known}; correct the name or set it in {list}[].name")]
    RuleMissing { rule: String, known: String, list: &'static str },
    #[error("it has {count} rules that could split; name one in {list}[].name and choose it by `with_rule`")]
    RuleUnclear { count: usize, list: &'static str },
    #[error("{at} matches the header `{header}` itself, so no exception can; use another key")]
    HeaderTaken { at: String, header: String },
    #[error("its rule `{rule}` is not as it was written; remove it, so that it is written anew")]
    ExceptionChanged { rule: String },
    #[error("an exception for the {key} `{name}` cannot be written: {why}")]
    Exception { key: &'static str, name: String, why: &'static str },
    #[error(
        "{at} copies its requests elsewhere already (`{mirror}`), and it can copy to one place only; remove that"
    )]
    MirrorTaken { at: String, mirror: &'static str },
    #[error(
        "copies are made of all requests of {at}, not only of stable's; let stable have all traffic while requests are mirrored"
    )]
    MirrorBesideSplit { at: String },
    #[error(
        "{at} keeps users on their side (`{field}`), so that weights hold for new users only; remove that"
    )]
    Sticky { at: String, field: &'static str },
    #[error("it is not one that tidegate made; delete it or choose another by `with_suffix`")]
    Foreign,
    #[error(transparent)]
    Revision(#[from] UnfitRevision),
    #[error("it does not read as {kind}")]
    Unreadable { kind: &'static str, source: serde_json::Error },
    #[error("it has no resourceVersion, so a change could not be guarded; ask an API server that sets it")]
    Unversioned,
}

/// An annotation that holds no fence.
#[derive(Debug, thiserror::Error)]
#[error("its annotation `{FENCE}` is `{0}`, which is no positive number; remove the annotation")]
pub(super) struct NoFence(pub(super) String);

/// The object says something that is not in force yet, as far as it can be told.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotTakenUp {
    #[error("`{condition}` is {status}: {message}")]
    Condition { condition: &'static str, status: String, message: String },
    #[error("its status speaks of generation {seen} or none, but its spec is at generation {wanted}")]
    Lags { seen: i64, wanted: i64 },
    #[error("no gateway has reported on it; check its parentRefs")]
    Nobody,
    #[error("{ready} replicas are ready and {there} are there, but {wanted} are wanted")]
    Replicas { ready: u32, there: u32, wanted: u32 },
    #[error("its replicas are being changed")]
    OnTheWay,
}
