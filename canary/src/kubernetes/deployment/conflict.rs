//! Why an apply was not accepted.

use kube::core::{Status, response::StatusCause};

use crate::{
    BoxError,
    kubernetes::{clip::clip, request::MANAGER},
};

/// How many conflicts of one answer are repeated.
const CONFLICTS: usize = 8;

/// Why an apply met a conflict.
#[derive(Debug)]
pub(super) enum Conflict {
    /// It changes fields of other managers, which are listed.
    Fields(String),
    /// The server does not accept the object as it would become.
    Invalid(BoxError),
    /// The object is not as it was read.
    Stale(BoxError),
}

impl Conflict {
    /// Whether all that it changes was set by a patch of ours: to the server, that was somebody else.
    pub(super) fn is_with_ourselves(answer: &BoxError) -> bool {
        let ours = format!("conflict with \"{MANAGER}\" ");
        let mut causes = answer.downcast_ref::<Status>().into_iter().flat_map(causes).peekable();
        causes.peek().is_some() && causes.all(|cause| cause.message.starts_with(&ours))
    }

    pub(super) fn of(answer: BoxError) -> Self {
        let Some(status) = answer.downcast_ref::<Status>() else { return Self::Stale(answer) };
        if status.code == 422 {
            return Self::Invalid(answer);
        }
        let fields: Vec<_> = causes(status)
            .take(CONFLICTS)
            .map(|cause| format!("{} ({})", clip(&cause.field, 120), clip(&cause.message, 120)))
            .collect();
        if fields.is_empty() { Self::Stale(answer) } else { Self::Fields(fields.join(", ")) }
    }
}

/// Their messages are like `conflict with "helm" using apps/v1`.
fn causes(status: &Status) -> impl Iterator<Item = &StatusCause> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.filter(|cause| cause.reason == "FieldManagerConflict")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(causes: &[(&str, &str)]) -> BoxError {
        let cause = |(reason, message): &(&str, &str)| json!({"reason": reason, "message": message, "field": ".spec.replicas"});
        let causes: Vec<Value> = causes.iter().map(cause).collect();
        let status = json!({"status": "Failure", "code": 409, "details": {"causes": causes}});
        Box::new(serde_json::from_value::<Status>(status).unwrap())
    }

    #[test]
    fn our_own_patches_are_told_from_what_others_set() {
        let conflict = "FieldManagerConflict";
        let ours = (conflict, "conflict with \"tidegate\" using apps/v1 at 2026-11-29T07:00:00Z");
        let helm = (conflict, "conflict with \"helm\" using apps/v1");
        let claim = (conflict, "conflict with \"tidegate-claim\" using apps/v1");
        assert!(Conflict::is_with_ourselves(&answer(&[ours, ours])));
        for others in [&[ours, helm][..], &[claim], &[]] {
            assert!(!Conflict::is_with_ourselves(&answer(others)), "{others:?}");
        }
        assert!(!Conflict::is_with_ourselves(&"stale".into()));
        let Conflict::Fields(fields) = Conflict::of(answer(&[helm])) else { panic!("no fields") };
        assert_eq!(fields, ".spec.replicas (conflict with \"helm\" using apps/v1)");
        assert!(matches!(Conflict::of(answer(&[])), Conflict::Stale(_)));
    }
}
