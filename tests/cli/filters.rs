//! `list`: which versions are wanted.

use super::desk::Desk;

/// Four versions that differ in everything one may ask for.
fn desk() -> Desk {
    let desk = Desk::new();
    let cards = [
        ("1.0.0", "tags = ['en']\nlabels = { team = 'risk' }\nmetrics = { auc = 0.9 }"),
        (
            "1.1.0",
            "tags = ['en', 'de']\nlabels = { team = 'risk', tier = '1' }\nmetrics = { auc = 0.95, loss = 2 }",
        ),
        ("2.0.0-rc.1", "framework = { name = 'pytorch', version = '2.9' }\nmetrics = { auc = 0.97 }"),
        ("2.0.0", "framework = { name = 'jax', version = '0.8' }\ntags = ['de']\nlabels = { team = 'ads' }"),
    ];
    for (version, card) in cards {
        desk.write("card.toml", card.as_bytes());
        desk.write("model/weights.bin", version.as_bytes());
        desk.run(&["publish", &format!("m@{version}"), "model", "--card", "card.toml"]).is(0);
    }
    desk.run(&["promote", "m@1.1.0", "--channel", "production"]).is(0);
    desk.run(&["promote", "m@2.0.0", "--channel", "staging"]).is(0);
    desk.run(&["yank", "m@1.0.0", "--reason", "old"]).is(0);
    desk
}

fn found(desk: &Desk, filter: &[&str]) -> Vec<String> {
    let listed = desk.json(&[&["list", "m"], filter].concat());
    let versions = listed["versions"].as_array().unwrap_or_else(|| panic!("{filter:?}: {listed}"));
    versions.iter().map(|there| there["version"].as_str().expect("a version").to_owned()).collect()
}

#[test]
fn versions_are_found_by_what_is_said_of_them() {
    let desk = desk();
    let all = ["2.0.0", "2.0.0-rc.1", "1.1.0", "1.0.0"];
    let cases: [(&[&str], &[&str]); 19] = [
        (&[], &all),
        (&["--limit", "2"], &all[..2]),
        (&["--released"], &["2.0.0", "1.1.0", "1.0.0"]),
        (&["--eligible"], &all[..3]),
        (&["--matching", "^1"], &["1.1.0", "1.0.0"]),
        (&["--matching", ">=2.0.0-rc.0"], &all[..2]),
        (&["--tag", "de"], &["2.0.0", "1.1.0"]),
        (&["--tag", "de", "--tag", "en"], &["1.1.0"]),
        (&["--label", "team=risk"], &["1.1.0", "1.0.0"]),
        (&["--label", "team=risk", "--label", "tier=1"], &["1.1.0"]),
        (&["--label", "team="], &[]),
        (&["--framework", "pytorch"], &["2.0.0-rc.1"]),
        (&["--channel", "production"], &["1.1.0"]),
        (&["--channel", "production", "--channel", "staging"], &["2.0.0", "1.1.0"]),
        (&["--metric", "auc>=0.95"], &["2.0.0-rc.1", "1.1.0"]),
        (&["--metric", "auc>=0.95", "--metric", "loss<3"], &["1.1.0"]),
        (&["--since", "2020-01-01"], &all),
        (&["--until", "2020-01-01"], &[]),
        (
            &["--tag", "en", "--eligible", "--metric", "auc=0.95", "--matching", "1", "--limit", "1"],
            &["1.1.0"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&desk, filter), expected, "{filter:?}");
    }
}

#[test]
fn versions_are_found_by_their_time() {
    let desk = desk();
    let listed = desk.json(&["list", "m"]);
    let at = listed["versions"][2]["stamp"]["at"].as_str().unwrap();
    assert_eq!(listed["versions"][2]["version"], "1.1.0");
    assert_eq!(found(&desk, &["--since", at]), ["2.0.0", "2.0.0-rc.1", "1.1.0"], "from then on");
    assert_eq!(found(&desk, &["--until", at]), ["1.0.0"], "before then");
}

#[test]
fn nothing_found_is_said() {
    let desk = desk();
    let said = desk.run(&["list", "m", "--tag", "fr"]).is(0);
    assert!(said.out.contains("no version like that"), "{said:?}");
    desk.run(&["publish", "n@1.0.0", "model"]).is(0);
    desk.run(&["delete", "n@1.0.0", "--reason", "x"]).is(0);
    assert_eq!(desk.run(&["list", "n"]).is(0).out, "all versions of n were deleted\n");
    let shown = desk.run(&["list", "m"]).is(0).out;
    assert_eq!(shown.lines().count(), 5, "a heading and four versions: {shown}");
    assert!(shown.lines().any(|line| line.starts_with("1.0.0 ") && line.contains("yanked")), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("1.1.0 ") && line.contains("production")), "{shown}");
}

#[test]
fn a_wrong_filter_is_refused() {
    let desk = desk();
    let list = |filter: &[&str]| desk.run(&[&["list", "m"], filter].concat());
    list(&["--matching", "newest"]).is(2).says(&["newest"]);
    list(&["--label", "team"]).is(2).says(&["NAME=VALUE"]);
    list(&["--metric", "auc"]).is(2).says(&["METRIC>=NUMBER"]);
    list(&["--metric", "auc>=good"]).is(2).says(&["METRIC>=NUMBER"]);
    list(&["--metric", ">=1"]).is(2).says(&["METRIC>=NUMBER"]);
    list(&["--since", "monday"]).is(2).says(&["in UTC"]);
    list(&["--since", "2026-02-01", "--until", "2026-01-01"]).is(2).says(&["swap them"]);
    list(&["--channel", "P"]).is(2).says(&["`P`"]);
    list(&["--limit", "0"]).is(2).says(&["from 1 on"]);
    list(&["--limit", "-1"]).is(2).says(&["from 1 on"]);
    desk.run(&["list", "--tag", "de"]).is(2).says(&["NAME"]);
}
