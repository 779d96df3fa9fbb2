//! Names print as they parse, and what could leave a directory or fold into another name is refused.

use proptest::prelude::*;
use tidegate_registry::{Channel, Digest, FilePath, ModelName, ModelRef, Selector};

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9._-]{0,127}".prop_filter("no `..`", |name| !name.contains(".."))
}

fn version() -> impl Strategy<Value = String> {
    let number = || any::<u64>().prop_map(|n| n.to_string());
    let suffix = |lead: &'static str| {
        proptest::option::of("[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,4})?")
            .prop_map(move |s| s.map_or(String::new(), |s| format!("{lead}{s}")))
    };
    (number(), number(), number(), suffix("-"), suffix("+"))
        .prop_map(|(a, b, c, pre, build)| format!("{a}.{b}.{c}{pre}{build}"))
}

proptest! {
    #[test]
    fn references_print_as_they_parse(name in name(), version in version()) {
        let text = format!("{name}@{version}");
        prop_assert_eq!(&text.parse::<ModelRef>().unwrap().to_string(), &text);
        prop_assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
    }

    #[test]
    fn selectors_print_as_they_parse(name in name(), channel in "[a-z0-9][a-z0-9_-]{0,63}", req in "(\\^|~|>=|=)(0|[1-9][0-9]{0,2})(\\.(0|[1-9][0-9]{0,2})){0,2}") {
        for text in [format!("{name}:{channel}"), format!("{name}@latest"), format!("{name}@{req}")] {
            let selector: Selector = text.parse().unwrap();
            prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector.clone());
            prop_assert_eq!(selector.to_string(), text);
        }
    }

    #[test]
    fn whatever_parses_prints_back_and_is_tame(text in "\\PC{0,140}") {
        if let Ok(name) = text.parse::<ModelName>() {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(text.len() <= 128 && !text.contains("..") && text == text.to_ascii_lowercase());
        }
        if let Ok(channel) = text.parse::<Channel>() {
            prop_assert_eq!(channel.as_str(), &text);
        }
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }
    }

    #[test]
    fn file_paths_stay_below_their_directory(text in "[a-z./\\\\:~ é-]{0,24}") {
        let Ok(path) = text.parse::<FilePath>() else { return Ok(()) };
        prop_assert_eq!(path.as_str(), &text);
        let joined = path.below("/root/of/it");
        prop_assert!(joined.starts_with("/root/of/it") && joined.components().all(|part| part != std::path::Component::ParentDir));
        prop_assert_eq!(joined, std::path::Path::new("/root/of/it").join(&text));
    }

    #[test]
    fn digests_print_as_they_parse(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let digest = Digest::of(&bytes);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        prop_assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
    }
}

#[test]
fn bad_names_are_refused_with_a_reason() {
    let long = "a".repeat(129);
    for (name, why) in [
        ("", "empty"),
        ("..", "`..`"),
        ("a..b", "`..`"),
        (".a", "start"),
        ("-a", "start"),
        ("Fraud", "start"),
        ("fRAUD", "lower-case"),
        ("a/b", "lower-case"),
        ("a b", "lower-case"),
        ("é", "start"),
        (&long, "longer than 128"),
    ] {
        let error = name.parse::<ModelName>().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("model name"), "{name}: {error}");
    }
    assert!("a".repeat(128).parse::<ModelName>().is_ok());
    assert!("a".repeat(65).parse::<Channel>().is_err());
}

#[test]
fn bad_versions_are_refused_with_a_remedy() {
    for text in
        ["m@1.2", "m@v1.2.3", "m@01.2.3", "m@1.2.3-01", "m@", "m@1.0.0@2", "m", "m@99999999999999999999.0.0"]
    {
        let error = text.parse::<ModelRef>().unwrap_err().to_string();
        assert!(error.contains("write"), "{text}: {error}");
    }
    for text in ["m", "m@1.4", "m:", ":production", "m@^^1", "M@latest", "m:Production"] {
        assert!(text.parse::<Selector>().is_err(), "{text}");
    }
}

#[test]
fn paths_that_leave_or_confuse_are_refused() {
    let long = "a/".repeat(513) + "a";
    for path in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../a",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "c:a",
        "a\0b",
        "a\nb",
        &long,
    ] {
        assert!(path.parse::<FilePath>().is_err(), "{path:?}");
    }
    for path in ["a", "a/b", "...", "a/.hidden", "ü b#1%2e"] {
        assert!(path.parse::<FilePath>().is_ok(), "{path:?}");
    }
}

#[test]
fn a_long_wrong_input_does_not_flood_the_message() {
    let error = "\u{1b}[31m".repeat(1000).parse::<ModelName>().unwrap_err().to_string();
    assert!(error.len() < 1000 && !error.contains('\u{1b}'), "{error}");
}
