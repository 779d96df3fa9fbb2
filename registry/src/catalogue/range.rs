//! Where the versions lie that can match a requirement.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// No version below the first or from the second on matches `req`. Others may not match either.
///
/// What each comparator means is in the documentation of [`semver::Op`].
pub(super) fn range(req: &VersionReq) -> (Option<Version>, Option<Version>) {
    let least = req.comparators.iter().filter_map(lower).max_by(Version::cmp_precedence);
    let beyond = req.comparators.iter().filter_map(upper).min_by(Version::cmp_precedence);
    (least, beyond)
}

fn lower(comparator: &Comparator) -> Option<Version> {
    match comparator.op {
        Op::Exact | Op::Greater | Op::GreaterEq | Op::Tilde | Op::Caret | Op::Wildcard => {
            Some(least(comparator))
        }
        _ => None,
    }
}

/// The lowest version that a comparator can be about.
fn least(comparator: &Comparator) -> Version {
    let &Comparator { major, minor, patch, ref pre, .. } = comparator;
    let pre = match patch {
        Some(_) => pre.clone(),
        // `>=1.2` is about 1.2.0 and what follows; being too careful costs nothing.
        None => Prerelease::new("0").expect("a number is a pre-release"),
    };
    Version { pre, ..Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0)) }
}

fn upper(comparator: &Comparator) -> Option<Version> {
    let &Comparator { op, major, minor, patch, .. } = comparator;
    let next_major = || Some(Version::new(major.checked_add(1)?, 0, 0));
    let next_minor = |minor: u64| Some(Version::new(major, minor.checked_add(1)?, 0));
    let next_patch = |minor, patch: u64| Some(Version::new(major, minor, patch.checked_add(1)?));
    match (op, minor, patch) {
        (Op::Less, minor, patch) => {
            // A pre-release of the bound is below it; those above are cut off by the exact check.
            Some(Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0)))
        }
        (Op::Exact | Op::LessEq | Op::Wildcard, None, _) | (Op::Tilde | Op::Caret, None, _) => next_major(),
        (Op::Exact | Op::LessEq | Op::Wildcard | Op::Tilde, Some(minor), None) => next_minor(minor),
        (Op::Exact | Op::LessEq | Op::Wildcard, Some(minor), Some(patch)) => next_patch(minor, patch),
        (Op::Tilde, Some(minor), Some(_)) => next_minor(minor),
        (Op::Caret, Some(_), _) if major > 0 => next_major(),
        (Op::Caret, Some(minor), _) if minor > 0 || patch.is_none() => next_minor(minor),
        (Op::Caret, Some(minor), Some(patch)) => next_patch(minor, patch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_matches_lies_within(
            reqs in prop::collection::vec(
                ("=|>|>=|<|<=|~|\\^", 0_u64..3, prop::option::of((0_u64..3, prop::option::of((0_u64..3, "|-rc\\.1|-2"))))),
                1..3,
            ),
            (major, minor, patch, pre) in (0_u64..4, 0_u64..4, 0_u64..4, "|-rc\\.0|-rc\\.1|-3"),
        ) {
            let req = reqs.iter().map(|(op, major, rest)| match rest {
                None => format!("{op}{major}"),
                Some((minor, None)) => format!("{op}{major}.{minor}"),
                Some((minor, Some((patch, pre)))) => format!("{op}{major}.{minor}.{patch}{pre}"),
            });
            let req = VersionReq::parse(&req.collect::<Vec<_>>().join(", ")).unwrap();
            let version = Version::parse(&format!("{major}.{minor}.{patch}{pre}")).unwrap();
            let (least, beyond) = range(&req);
            if req.matches(&version) {
                prop_assert!(least.is_none_or(|least| version.cmp_precedence(&least).is_ge()), "{req} {version}");
                prop_assert!(beyond.is_none_or(|beyond| version.cmp_precedence(&beyond).is_lt()), "{req} {version}");
            }
        }
    }

    #[test]
    fn wildcards_and_the_ends_of_numbers() {
        let beyond = |req: &str| range(&req.parse().unwrap()).1.map(|version| version.to_string());
        assert_eq!(beyond("*"), None);
        assert_eq!(beyond("1.*"), Some("2.0.0".to_owned()));
        assert_eq!(beyond("1.2.*"), Some("1.3.0".to_owned()));
        assert_eq!(beyond(&format!("^{}", u64::MAX)), None);
    }
}
