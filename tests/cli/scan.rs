//! `tidegate scan`: what model files would do, a line for each.

use serde_json::Value;

use crate::desk::Desk;

/// `os.system("id")`, as a pickle.
const ATTACK: &[u8] = b"cos\nsystem\n(S'id'\ntR.";
/// `{}`
const HARMLESS: &[u8] = b"\x80\x04}.";

#[test]
fn what_would_run_commands_is_told_whatever_it_is_called() {
    let desk = Desk::new();
    desk.write("models/a/weights.bin", ATTACK);
    desk.write("models/b.pkl", HARMLESS);
    let found = desk.run(&["scan", "models"]).is(1);
    assert!(found.out.contains("fail          models/a/weights.bin"), "{found:?}");
    assert!(found.out.contains("critical pickle-dangerous-import: os.system"), "{found:?}");
    assert!(found.out.ends_with("2 files: 1 fail, 1 pass\n"), "{found:?}");
    let json = desk.run(&["scan", "models", "--json"]).is(1).out;
    let lines: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["verdict"], &lines[1]["verdict"]), (&"fail".into(), &"pass".into()));
    assert_eq!(lines[0]["findings"][0]["rule"], "pickle-dangerous-import");
    desk.run(&["scan", "models/b.pkl"]).is(0);
}

#[test]
fn what_ends_early_is_never_clean_and_what_nobody_reviewed_needs_a_reason() {
    let desk = Desk::new();
    desk.write("cut.pkl", &HARMLESS[..3]);
    desk.run(&["scan", "cut.pkl"]).is(3);
    desk.write("own.pkl", b"cours.models\nThing\n.");
    let found = desk.run(&["scan", "own.pkl"]).is(1);
    assert!(found.out.contains("ours.models.Thing"), "{found:?}");
    let allowed = desk.run(&["scan", "own.pkl", "--allow", "ours.models.Thing=it is ours"]).is(0);
    assert!(allowed.out.contains("it is ours"), "{allowed:?}");
    desk.run(&["scan", "own.pkl", "--allow", "os.system=never mind"])
        .is(2)
        .says(&["no reason makes that harmless"]);
    desk.run(&["scan", "own.pkl", "--allow", "ours.models.Thing"]).is(2);
    desk.run(&["scan", "nowhere"]).is(2).says(&["`nowhere` cannot be read"]);
}
