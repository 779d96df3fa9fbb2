//! Descriptions that do not hold together are refused, with the field that is wrong.

use crate::workshop::Workshop;

const RUN: &str = "run = { command = [\"true\"] }";

/// A stage in TOML.
fn stage(name: &str, more: &str) -> String {
    format!("[[stages]]\nname = \"{name}\"\n{more}\n")
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let publish = stage("publish", "publish = {}");
    let cases = [
        ("stages", "stages = []".to_owned()),
        ("stages[0].name", stage("Lint it", RUN)),
        ("stages[1].name: stages[0] is called `lint` as well", stage("lint", RUN) + &stage("lint", RUN)),
        ("stages[0].run: the stage does nothing", stage("lint", "")),
        ("stages[0].scan: the stage says run already", stage("lint", &format!("{RUN}\nscan = {{}}"))),
        ("stages[0].run.command: is empty", stage("lint", "run = { command = [] }")),
        ("stages[0].run", stage("lint", "run = { command = [\"true\"], timeuot = \"1s\" }")),
        ("unknown field `timeuot`", stage("lint", "run = { command = [\"true\"], timeuot = \"1s\" }")),
        (
            "stages[0].needs[0]: there is no stage `tset`; there are lint, test",
            stage("lint", &format!("needs = [\"tset\"]\n{RUN}")) + &stage("test", RUN),
        ),
        (
            "stages[0].needs: they go round in a circle (a needs b needs a)",
            stage("a", &format!("needs = [\"b\"]\n{RUN}")) + &stage("b", &format!("needs = [\"a\"]\n{RUN}")),
        ),
        (
            "stages[0].needs: they go round in a circle (a needs a)",
            stage("a", &format!("needs = [\"a\"]\n{RUN}")),
        ),
        ("stages[1].publish: a version is published once", publish.clone() + &stage("again", "publish = {}")),
        (
            "stages[0].needs: it is about a published version",
            stage("people", "approve = { by = 1 }") + &publish,
        ),
        ("stages[1].approve.by: is 0", publish.clone() + &stage("people", "approve = { by = 0 }")),
        (
            "stages[1].approve.of: names fewer",
            publish.clone() + &stage("people", "approve = { by = 2, of = [\"ada\"] }"),
        ),
        (
            "stages[1].rollout.environment: there is no environment `production`, nor any other",
            publish.clone()
                + &stage("canary", "rollout = { plan = \"p.yaml\", environment = \"production\" }"),
        ),
        (
            "stages[2].needs: users would meet the version before `lint` is known to have passed",
            publish
                + &stage("lint", &format!("needs = []\n{RUN}"))
                + &stage(
                    "canary",
                    "needs = [\"publish\"]\nrollout = { plan = \"p.yaml\", environment = \"production\" }",
                )
                + "[environments.production]\nfile = \"e.yaml\"\n",
        ),
        ("signed[0].by: names 0 keys", format!("[[signed]]\nby = []\n{}", stage("lint", RUN))),
        ("stages[0].sarif.files: is empty", stage("trivy", "sarif = { files = [] }")),
        (
            "stages[0].run.images: `a b`",
            stage("image", "run = { command = [\"true\"], images = { \"a b\" = \"x\" } }"),
        ),
    ];
    let workshop = Workshop::new("");
    for (wrong, stages) in cases {
        workshop.describe(&stages);
        let run = workshop.run(&[]);
        assert_eq!(run.status, 2, "{wrong}: {run:?}");
        assert!(run.err.contains(wrong), "{wrong:?} is missing: {run:?}");
        assert!(!workshop.has("registry"), "{wrong}: nothing is begun");
    }
}

#[test]
fn a_dry_run_says_what_is_lacking_and_does_nothing() {
    let stages = stage("lint", "run = { command = [\"touch\", \"done\"] }")
        + &stage("types", "needs = []\nrun = { command = [\"no-such-program\"] }")
        + &stage("publish", "needs = [\"lint\", \"types\"]\npublish = { key = \"team.pem\" }")
        + &stage("behaviour", "validate = { suite = \"suite.toml\", environment = \"staging\" }")
        + &stage("people", "approve = { by = 1 }")
        + "[environments.staging]\nendpoint = \"http://127.0.0.1:9/v1\"\n";
    let workshop = Workshop::new(&stages);
    let (status, json) = workshop.json(&["--dry-run"]);
    assert_eq!(status, 1, "{json}");
    let lacks = |stage: usize| json["stages"][stage]["lacks"].to_string();
    assert_eq!(lacks(0), "[]");
    assert!(lacks(1).contains("no-such-program"), "{json}");
    assert!(lacks(2).contains("team.pem"), "{json}");
    assert!(lacks(3).contains("suite.toml"), "{json}");
    assert_eq!(json["lacking"], 3, "{json}");
    assert_eq!(json["stages"][2]["needs"], serde_json::json!(["lint", "types"]));
    for thing in ["done", "registry", "outputs"] {
        assert!(!workshop.has(thing), "{thing} was made");
    }

    let text = workshop.run(&["--dry-run"]);
    assert!(text.out.contains("LACKS: there is no program `no-such-program`"), "{text:?}");
    assert!(text.out.contains("does: waits until 1 has approved of m@1.0.0"), "{text:?}");
}

#[test]
fn an_unknown_stage_to_begin_from_is_refused() {
    let workshop = Workshop::new(&stage("lint", RUN));
    let run = workshop.run(&["--from", "lnit"]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.err.contains("--from: there is no stage `lnit`; there are lint"), "{run:?}");
}
