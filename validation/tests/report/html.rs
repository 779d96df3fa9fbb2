//! The page, for people.

use std::collections::BTreeMap;

use super::{figure, hostile, hostile_texts, is_tame, issues, rate, report, too_few};

/// How often each element begins.
fn elements(page: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for piece in page.split('<').skip(1) {
        let end =
            piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '!' && c != '/').unwrap_or(piece.len());
        *counts.entry(&piece[..end]).or_default() += 1;
    }
    counts
}

#[test]
fn it_needs_nothing_but_itself() {
    let page = report(&[rate("a", &"fail".into()), issues("fail")]).projection().html();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    for outside in ["<script", "<link", "<img", "<iframe", "http://", "https://", "@import", "url(", " on"] {
        let found = page.to_lowercase().contains(outside);
        let sheet = outside == " on" && !page.contains(" onerror") && !page.contains(" onload");
        assert!(!found || sheet, "{outside}");
    }
}

#[test]
fn an_interval_is_drawn_against_its_floor() {
    let page = report(&[rate("a", &"fail".into())]).projection().html();
    // From 0.8 less room to 1: 0.7 to 1 over 512 units from 24 on.
    let x = |value: f64| format!("{:.1}", 24.0 + (value - 0.7) / 0.3 * 512.0);
    for expected in [
        format!("x=\"{}\" y=\"24\" width=\"{:.1}\"", x(0.805), (0.96 - 0.805) / 0.3 * 512.0),
        format!("<line class=\"level\" x1=\"{}\"", x(0.85)),
        format!("<circle class=\"dot\" cx=\"{}\"", x(0.9)),
    ] {
        assert!(page.contains(&expected), "{expected}: {page}");
    }
}

/// Numbers that nobody can draw are told in words.
#[test]
fn numbers_without_a_place_make_no_picture() {
    let mut finding = rate("a", &too_few());
    finding["evidence"][0]["threshold"] = 1e300.into();
    let page = report(&[finding]).projection().html();
    assert!(!page.contains("<svg") && page.contains("replies with the expected answer"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn hostile_text_is_text() {
    let plain = hostile("harmless").projection().html();
    for text in hostile_texts() {
        let page = hostile(&text).projection().html();
        assert!(is_tame(&page) && page.len() < 500_000, "{}", page.len());
        assert_eq!(elements(&page), elements(&plain));
    }
}

#[test]
fn figures_are_drawn_and_not_too_many_of_them() {
    let mut finding = rate("drift", &"fail".into());
    finding["figures"] = (0..40).map(|column| figure(&format!("column {column}"))).collect();
    let page = report(&[finding]).projection().html();
    let drawn = (0..40).filter(|column| page.contains(&format!("<title>column {column}</title>")));
    assert_eq!(drawn.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5], "{page}");
    assert!(page.contains("What drifted most") && page.contains("75.0 % of the reference, 25.0 % now"));
    assert!(!page.contains("http://") && !page.contains("column 6"));
}

/// A picture that nobody could draw is no picture: the numbers of a report come from outside too.
#[test]
fn pictures_that_cannot_be_drawn_are_refused() {
    let refused = |picture: serde_json::Value| {
        let figure = serde_json::json!({ "title": "a", "picture": picture });
        serde_json::from_value::<tidegate_validation::Figure>(figure).is_err()
    };
    let bar = || serde_json::json!({ "label": "a", "shares": [1.0, 0.5] });
    let curve = |to: f64, at: f64| serde_json::json!({ "bars": [bar()], "curve": { "from": -1.0, "to": to, "steps": [[at, 0.5, 0.5]], "gap": [0.0, 0.2, 0.1] } });
    assert!(!refused(curve(1.0, 0.5)));
    assert!(refused(curve(1.0, 2.0)) && refused(curve(-2.0, -1.0)));
    let bars = |bars: Vec<serde_json::Value>| serde_json::json!({ "bars": bars });
    assert!(refused(bars(Vec::new())) && refused(bars(vec![bar(); 25])) && !refused(bars(vec![bar(); 24])));
    assert!(refused(bars(vec![serde_json::json!({ "label": "a", "shares": [7.0, 0.5] })])));
}

/// Of a thousand columns a page shows those that are furthest apart.
#[test]
fn of_many_numbers_the_worst_are_shown() {
    let mut finding = rate("drift", &"fail".into());
    let seen = finding["evidence"][0].clone();
    let measured = |column: u32| {
        let mut seen = seen.clone();
        seen["measure"] = format!("distance of `c{column}`").into();
        seen["estimate"] = (f64::from(column) / 1_000.0).into();
        seen["threshold"] = 0.1.into();
        seen["p"] = 0.5.into();
        seen
    };
    finding["evidence"] = (0..1_000).map(measured).collect();
    let page = report(&[finding]).projection().html();
    assert!(page.contains("`c999`") && !page.contains("`c0`") && page.contains("and 800 more"));
    assert!(page.len() < 500_000, "{}", page.len());
}

#[test]
fn nothing_checked_is_said() {
    assert!(report(&[]).projection().html().contains("Nothing was checked, and that is no pass."));
}

/// A browser makes no more elements of it than of harmless text, and nothing in it runs.
#[test]
#[ignore = "needs Chromium (CHROMIUM_BIN names it); tests/run installs it"]
#[expect(clippy::disallowed_methods, reason = "a test is told where its browser is")]
fn a_browser_sees_text_only() {
    let browser = std::env::var_os("CHROMIUM_BIN").unwrap_or_else(|| "chromium".into());
    let directory = tempfile::tempdir().unwrap();
    let seen = |name: &str, text: &str| {
        let page = directory.path().join(name);
        std::fs::write(&page, hostile(text).projection().html()).unwrap();
        let output = std::process::Command::new(&browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = seen("plain.html", "harmless");
    assert!(plain.contains("<svg class=\"scale"), "{plain}");
    let attack = "</bdi></title></style><script>document.body.innerHTML = 'pwned'</script><img src=x onerror=\"document.body.innerHTML = 'pwned'\">";
    let attacked = seen("attacked.html", attack);
    assert_eq!(elements(&attacked), elements(&plain));
}
