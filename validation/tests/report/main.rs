//! Reports in the formats that pipelines and people read.

mod github;
mod html;
mod junit;
mod markdown;
mod sarif;
mod statement;

use serde_json::{Value, json};
use tidegate_validation::Report;

/// Markup of every format, controls that XML may not hold, and marks that reorder what is read.
const HOSTILE: &str = "</code></td><script>alert(1)</script><img src=x onerror=alert(1)>]]>&lt;\"'`*_[a](javascript:x)|\\|\n\
    ::error::x\r\n##[error]x\n# h\n- @ada https://evil.example www.evil.example %0A,:\u{0}\u{1b}[31m\u{7}\u{202e}\u{200f}\u{2066}\u{61c}\u{2028}\u{ffff}\u{fffe}";

/// A finding of a rate, with a case of each kind.
fn rate(check: &str, verdict: &Value) -> Value {
    json!({
        "check": check, "verdict": verdict, "claim": "answers are right",
        "evidence": [{
            "measure": "replies with the expected answer", "estimate": 0.9, "lower": 0.805, "upper": 0.96,
            "confidence": 0.95, "threshold": 0.85, "method": "clopper-pearson", "n": 100, "unknown": 1, "unit": "share",
        }],
        "cases": [
            { "input": "where is my parcel", "outcome": "hit", "detail": "shipping" },
            { "input": "I was charged twice", "outcome": "miss", "detail": "shipping" },
            { "input": "cancel it", "outcome": "unknown", "detail": "HTTP 503" },
        ],
    })
}

fn too_few() -> Value {
    json!({ "inconclusive": { "tooFew": { "have": 10, "need": 59 } } })
}

/// A finding with issues: of this crate and of another scanner, one of which does not count.
fn issues(verdict: &str) -> Value {
    json!({
        "check": "scan", "verdict": verdict, "claim": "loading the files runs no code of theirs",
        "issues": [
            { "rule": "pickle-dangerous-import", "severity": "critical", "standing": "open", "message": "os.system",
              "about": "runs code", "path": "weights/a b.bin", "offset": 11 },
            { "rule": "CVE-2024-3094", "severity": "high", "standing": "open", "message": "backdoor",
              "path": "Dockerfile", "line": 3, "package": "xz", "tool": "Trivy 0.66" },
            { "rule": "CVE-2024-0001", "severity": "low", "standing": { "waived": "excepted by ada" }, "message": "m",
              "path": "Dockerfile", "tool": "Trivy 0.66" },
        ],
        "notes": ["findings of lesser severity, which decide nothing: 1"],
    })
}

/// What there is to see of a column of categories.
fn figure(name: &str) -> Value {
    json!({ "title": name, "picture": { "bars": [
        { "label": name, "shares": [0.75, 0.25] }, { "label": "other", "shares": [0.25, 0.75] },
    ] } })
}

fn report(findings: &[Value]) -> Report {
    let report = json!({
        "version": 1, "model": "support-bot@1.4.0", "suite": "before release", "seed": 7, "agent": "support-bot",
        "digest": format!("sha256:{}", "ab".repeat(32)), "suiteDigest": format!("sha256:{}", "cd".repeat(32)),
        "allowInconclusive": ["allowed"], "findings": findings,
    });
    serde_json::from_value(report).expect("a report")
}

/// `text` wherever text from outside can be.
fn hostile(text: &str) -> Report {
    let mut finding = rate(text, &json!({ "inconclusive": { "infra": { "what": text } } }));
    finding["claim"] = text.into();
    finding["notes"] = json!([text]);
    finding["evidence"][0]["measure"] = text.into();
    for n in 0..3 {
        finding["cases"][n]["input"] = text.into();
        finding["cases"][n]["detail"] = text.into();
    }
    let mut failed = issues("fail");
    failed["check"] = format!("{text}2").into();
    for n in 0..3 {
        for field in ["rule", "message", "about", "path", "within", "package", "tool"] {
            failed["issues"][n][field] = text.into();
        }
    }
    failed["issues"][2]["standing"] = json!({ "waived": text });
    failed["figures"] = json!([figure(text)]);
    let mut missed = rate(&format!("{text}3"), &"fail".into());
    missed["cases"][1]["input"] = text.into();
    missed["cases"][1]["detail"] = text.into();
    let mut report = report(&[finding, failed, missed]);
    report.suite = text.to_owned();
    report
}

/// Texts that no format may be broken by: markup, and megabytes of it.
fn hostile_texts() -> [String; 3] {
    [HOSTILE.to_owned(), HOSTILE.repeat(8_000), "\u{202e}".repeat(2_000_000)]
}

/// Whether nothing of `text` moves a cursor or reorders what is read.
fn is_tame(text: &str) -> bool {
    let deceptive = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    !text.contains(deceptive)
}

#[test]
fn a_report_says_its_version_and_one_of_another_is_refused() {
    let report = report(&[rate("a", &"pass".into())]);
    let mut json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["version"], 1);
    json["version"] = 2.into();
    let error = serde_json::from_value::<Report>(json.clone()).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("update"), "{error}");
    // Reports from before there was one.
    json.as_object_mut().unwrap().remove("version");
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let report = report(&[rate("a", &"fail".into()), issues("fail")]);
    let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    for of in [
        |report: &Report| report.projection().junit(),
        |report: &Report| report.projection().sarif(),
        |report: &Report| report.projection().markdown(usize::MAX),
        |report: &Report| report.projection().html(),
        |report: &Report| report.projection().annotations().join("\n"),
    ] {
        assert_eq!(of(&report), of(&again));
    }
}
