//! The check of suites.

use std::{fs, path::Path};

use async_trait::async_trait;
use tidegate_registry::{Content, Draft, InMemory, Manifest, ModelStore, Stamp};
use tidegate_validation::{
    AgentError, AgentId, Call, Cost, Embedder, Embedding, Finding, Method, Outcome, Reason, Run, Subject,
    Suite, Validator as _, Verdict, checks::Drift, drift::Kind,
};

/// Speaks of one thing or of another, whatever the words.
#[derive(Debug)]
struct Topics;

#[async_trait]
impl Embedder for Topics {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("topics-2d")
    }

    async fn embed(&self, texts: &[String], _: &Call) -> Result<Vec<Embedding>, AgentError> {
        let vector = |text: &String| {
            let scattered = text.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 97);
            let spread = scattered as f32 / 97.0;
            Embedding::new(if text.contains("parcel") { vec![1.0, spread] } else { vec![spread, 1.0] })
                .unwrap()
        };
        Ok(texts.iter().map(vector).collect())
    }
}

async fn checked(suite: &Suite, run: &Run) -> Finding {
    let (store, manifest) = published().await;
    let report = suite.run(&Subject::new(&manifest, &store), run).await;
    report.findings.into_iter().next().unwrap()
}

async fn published() -> (InMemory, Manifest) {
    let store = InMemory::new();
    let content = Content::bytes([("model.bin".parse().unwrap(), "weights".into())]);
    let draft = Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("ada"));
    let manifest = store.publish(draft, content, &()).await.unwrap();
    (store, manifest)
}

fn write(directory: &Path, name: &str, about: &str, rows: std::ops::Range<u32>) {
    let line = |row: u32| {
        format!(
            "{{\"amount\": {}, \"prompt\": \"about my {about}, number {}\"}}\n",
            row * 37 % 101,
            row + 100
        )
    };
    fs::write(directory.join(name), rows.map(line).collect::<String>()).unwrap();
}

const SUITE: &str = r#"
[[checks]]
kind = "drift"
reference = ["train-1.jsonl", "train-2.jsonl"]
current = "today.jsonl"
columns = { amount = "numeric", prompt = "text" }
texts = 80
gate = { least = 50, numeric_limit = 0.3 }
"#;

#[tokio::test]
async fn a_suite_compares_files_beside_it() {
    let desk = tempfile::tempdir().unwrap();
    write(desk.path(), "train-1.jsonl", "parcel", 0..100);
    write(desk.path(), "train-2.jsonl", "parcel", 100..300);
    write(desk.path(), "today.jsonl", "parcel", 300..500);
    fs::write(desk.path().join("suite.toml"), SUITE).unwrap();
    let suite = Suite::open(desk.path().join("suite.toml")).unwrap();
    let run = Run::new(7);
    let finding = checked(&suite, &run).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    assert!(finding.evidence.iter().all(|evidence| !evidence.measure.contains("topics-2d")));
    // With an embedder, meanings are compared, and who saw them is on record.
    let embedding = Run::new(7).embedder(Topics);
    assert_eq!(checked(&suite, &embedding).await.verdict, Verdict::Pass);
    write(desk.path(), "today.jsonl", "refund", 300..500);
    let finding = checked(&suite, &embedding).await;
    assert_eq!(finding.verdict, Verdict::Fail);
    let seen: Vec<_> =
        finding.evidence.iter().filter(|evidence| evidence.measure.contains("topics-2d")).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
    for evidence in seen {
        assert!(evidence.estimate > evidence.threshold && evidence.p.unwrap() < 0.05, "{evidence}");
        assert_eq!(evidence.method, Method::Permutation);
    }
    // Its vectors are of the budget, and counted before they are made.
    let finding = checked(&suite, &embedding.clone().max_calls(3)).await;
    let Verdict::Inconclusive(Reason::Budget(_)) = finding.verdict else { panic!("{finding:?}") };
    let most = Drift {
        columns: [("amount".to_owned(), Some(Kind::Numeric)), ("prompt".to_owned(), None)].into(),
        texts: 80,
        ..Drift::default()
    };
    let (store, manifest) = published().await;
    assert_eq!(most.estimate(&Subject::new(&manifest, &store)), Cost::embeddings(4));
    assert_eq!(checked(&suite, &embedding.max_calls(4)).await.verdict, Verdict::Fail);
    // Too few rows decide nothing.
    write(desk.path(), "today.jsonl", "refund", 0..49);
    let finding = checked(&suite, &run).await;
    assert_eq!(finding.verdict, Verdict::Inconclusive(Reason::TooFewRows { have: 49, need: 50 }));
    // A file that is gone is no drift.
    fs::remove_file(desk.path().join("today.jsonl")).unwrap();
    let finding = checked(&suite, &run).await;
    let Verdict::Inconclusive(Reason::Infra { what }) = finding.verdict else { panic!("{finding:?}") };
    assert!(what.contains("could not read a table") && what.contains("today.jsonl"), "{what}");
    assert!(what.contains("; correct the path"), "{what}");
}

/// Of one text over and over there is nothing to compare the meaning of others with.
#[tokio::test]
async fn texts_that_are_too_few_to_embed_are_said_and_no_pass() {
    let desk = tempfile::tempdir().unwrap();
    // As long as each other, so that nothing but their words and their meaning tells them apart.
    let write = |name: &str, different: u32| {
        let text = |row: u32| char::from_u32(u32::from('a') + row % different).unwrap();
        let rows = (0..200).map(|row| format!("{{\"prompt\": \"my {} parcel\"}}\n", text(row)));
        fs::write(desk.path().join(name), rows.collect::<String>()).unwrap();
    };
    let check = |texts: usize| Drift {
        reference: vec![desk.path().join("train.jsonl")],
        current: vec![desk.path().join("today.jsonl")],
        columns: [("prompt".to_owned(), Some(Kind::Text))].into(),
        texts,
        ..Drift::default()
    };
    let found = async |texts: usize, run: Run| checked(&Suite::new("drift").with(check(texts)), &run).await;
    let embedding = || Run::new(7).embedder(Topics);
    write("train.jsonl", 10);
    write("today.jsonl", 1);
    let finding = found(80, Run::new(7)).await;
    assert!(finding.verdict == Verdict::Pass && finding.notes.is_empty(), "nobody asked: {finding:?}");

    let finding = found(80, embedding()).await;
    let why =
        "of the reference 10 different texts are kept and of the current rows 1, and it takes 2 of either";
    let Verdict::Inconclusive(Reason::Infra { what }) = &finding.verdict else { panic!("{finding:?}") };
    assert!(what.starts_with(why), "{what}");
    let note = format!("not compared by meaning: column `prompt`, since {why}");
    assert!(finding.notes[0].starts_with(&note), "{finding:?}");
    assert_eq!(finding.cases[0].outcome, Outcome::Unknown, "{finding:?}");

    // Where it is the same one, nothing can have changed.
    write("train.jsonl", 1);
    let finding = found(80, embedding()).await;
    assert_eq!((&finding.verdict, finding.notes.len()), (&Verdict::Pass, 1), "{finding:?}");
    // Nor does anybody wait for what is not to be kept.
    write("train.jsonl", 10);
    let finding = found(0, embedding()).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    assert!(
        finding.notes[0].contains("no more than 0 of its different texts were to be kept"),
        "{finding:?}"
    );
    // Two are compared.
    write("today.jsonl", 2);
    let finding = found(80, embedding()).await;
    assert!(finding.notes.is_empty(), "{finding:?}");
    assert!(finding.evidence.iter().any(|evidence| evidence.measure.contains("topics-2d")), "{finding:?}");
}

/// Of many columns those that drifted most are to be seen, and kept out of what goes into a log.
#[tokio::test]
async fn a_report_shows_what_drifted_most() {
    let directory = tempfile::tempdir().unwrap();
    let table = |moved: bool| {
        let names: Vec<String> = (0..30).map(|column| format!("<c{column}>")).collect();
        let value = |row: u32, column: u32| {
            row * 37 % 101 + if moved && column.is_multiple_of(3) { column } else { 0 }
        };
        let row =
            |row: u32| (0..30).map(|column| value(row, column).to_string()).collect::<Vec<_>>().join(",");
        let rows: Vec<String> = (0..500).map(row).collect();
        format!("{}\n{}\n", names.join(","), rows.join("\n"))
    };
    fs::write(directory.path().join("a.csv"), table(false)).unwrap();
    fs::write(directory.path().join("b.csv"), table(true)).unwrap();
    let check = Drift {
        reference: vec![directory.path().join("a.csv")],
        current: vec![directory.path().join("b.csv")],
        ..Drift::default()
    };
    let (store, manifest) = published().await;
    let report = Suite::new("drift").with(check).run(&Subject::new(&manifest, &store), &Run::new(7)).await;
    let titles: Vec<&str> = report.findings[0].figures.iter().map(|figure| figure.title.as_str()).collect();
    assert_eq!(titles, ["<c27>", "<c24>", "<c21>", "<c18>", "<c15>", "<c12>"]);
    let page = report.projection().html();
    assert!(page.contains("<title>&lt;c27&gt;</title>") && !page.contains("<c27>"));
    assert_eq!(page.matches("D = ").count(), 6);
    // As it was kept, and read again.
    let again: tidegate_validation::Report =
        serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(again.projection().html(), page);
    let attested = serde_json::to_string(&report.attestation(Stamp::now("ada"))).unwrap();
    assert!(!attested.contains("\"figures\""));
}

/// Amounts of which nearly all are 0, and the others no two alike.
#[tokio::test]
async fn a_report_of_what_is_nearly_always_one_number_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let amounts = |shift: u32| -> String {
        let amount = |row: u32| if row.is_multiple_of(600) { row + shift } else { 0 };
        format!("amount\n{}", (0..300_000).map(|row| format!("{}\n", amount(row))).collect::<String>())
    };
    fs::write(directory.path().join("a.csv"), amounts(1)).unwrap();
    fs::write(directory.path().join("b.csv"), amounts(2)).unwrap();
    let check = Drift {
        reference: vec![directory.path().join("a.csv")],
        current: vec![directory.path().join("b.csv")],
        columns: [("amount".to_owned(), Some(Kind::Numeric))].into(),
        ..Drift::default()
    };
    let (store, manifest) = published().await;
    let report = Suite::new("drift").with(check).run(&Subject::new(&manifest, &store), &Run::new(7)).await;
    assert_eq!(report.findings[0].figures.len(), 1, "{:?}", report.findings[0]);
    let again: tidegate_validation::Report =
        serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(again, report);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let desk = tempfile::tempdir().unwrap();
    let refused = |check: &str| {
        let path = desk.path().join("suite.toml");
        fs::write(&path, format!("[[checks]]\nkind = \"drift\"\n{check}")).unwrap();
        Suite::open(&path).unwrap_err()
    };
    let both = "reference = 'a.csv'\ncurrent = 'b.csv'\n";
    for (check, path) in [
        ("reference = 'a.csv'".to_owned(), "checks[0].current"),
        ("reference = '../a.csv'\ncurrent = 'b.csv'".to_owned(), "checks[0].reference[0]"),
        (format!("{both}gate = {{ alpha = 2 }}"), "checks[0].alpha"),
        (format!("{both}gate = {{ numeric_limit = -1 }}"), "checks[0].numeric_limit"),
        (format!("{both}gate = {{ numeric = \"wassertein\" }}"), "checks[0].gate.numeric"),
        (format!("{both}columns = {{ age = \"number\" }}"), "checks[0].columns.age"),
        (format!("{both}texts = 5000"), "checks[0].texts"),
        (format!("{both}prompts = []"), "checks[0].prompts"),
    ] {
        let invalid = refused(&check);
        assert_eq!(invalid.path(), path, "{invalid}");
    }
    assert!(Suite::from_toml(SUITE).unwrap_err().to_string().contains("Suite::open"));
}

#[tokio::test]
async fn what_is_not_compared_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let rows = |shift: u32| -> String {
        let row = |row: u32| format!("{},user-{row}\n", (row + shift) % 101);
        format!("amount,id\n{}", (0..500).map(row).collect::<String>())
    };
    fs::write(directory.path().join("a.csv"), rows(0)).unwrap();
    fs::write(directory.path().join("b.csv"), rows(7)).unwrap();
    let check = Drift {
        reference: vec![directory.path().join("a.csv")],
        current: vec![directory.path().join("b.csv")],
        ..Drift::default()
    };
    let finding = checked(&Suite::new("drift").with(check), &Run::new(7)).await;
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    assert!(
        finding.notes.iter().any(|note| note.contains("`id`") && note.contains("identifier")),
        "{finding:?}"
    );
}
