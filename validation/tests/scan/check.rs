//! The check over the files of a version in a store.

use tidegate_registry::{Content, Draft, InMemory, Manifest, ModelStore as _, Stamp};
use tidegate_validation::{
    Error, Outcome, Report, Run, Subject, Suite, Validator as _, Verdict, checks::Scan,
};

use crate::assemble::Pickle;

async fn publish(files: &[(&str, Vec<u8>)]) -> (InMemory, Manifest) {
    let store = InMemory::new();
    let stamp = Stamp { by: "test".into(), at: std::time::UNIX_EPOCH };
    let draft = Draft::new("m@1.0.0".parse().expect("a reference"), stamp);
    let files = files.iter().map(|(path, bytes)| (path.parse().expect("a path"), bytes.clone().into()));
    let manifest = store.publish(draft, Content::bytes(files), &()).await.expect("it can be published");
    (store, manifest)
}

async fn report(scan: Scan, files: &[(&str, Vec<u8>)]) -> Report {
    let (store, manifest) = publish(files).await;
    Suite::new("test").with(scan).run(&Subject::new(&manifest, &store), &Run::new(7)).await
}

fn mine() -> Vec<u8> {
    Pickle::protocol(2).global("my.code", "Mine").raw(b")\x81").stop()
}

#[tokio::test]
async fn one_bad_file_fails_the_version_and_is_named() {
    let evil = Pickle::protocol(2).global("os", "system").call_with("id").stop();
    let report = report(Scan::default(), &[("README.md", b"words".to_vec()), ("model/w.bin", evil)]).await;
    assert_eq!(report.verdict(), Verdict::Fail);
    let cases = &report.findings[0].cases;
    let outcomes: Vec<_> = cases.iter().map(|case| (case.input.as_str(), case.outcome)).collect();
    assert_eq!(outcomes, [("README.md", Outcome::Hit), ("model/w.bin", Outcome::Miss)]);
    assert!(cases[1].detail.contains("os.system"), "{}", cases[1].detail);
}

#[tokio::test]
async fn clean_files_pass_and_cut_ones_do_not_decide() {
    let harmless = Pickle::protocol(2).raw("N").stop();
    assert!(report(Scan::default(), &[("a.pkl", harmless.clone())]).await.accepted());
    let cut = report(Scan::default(), &[("a.pkl", harmless[..3].to_vec())]).await;
    assert!(matches!(cut.verdict(), Verdict::Inconclusive(_)), "{cut}");
    let large = Scan { largest: 3, ..Scan::default() };
    let large = report(large, &[("a.pkl", harmless)]).await;
    assert!(matches!(large.verdict(), Verdict::Inconclusive(_)), "{large}");
}

#[tokio::test]
async fn exceptions_are_read_from_a_suite_file() {
    let (store, manifest) = publish(&[("a.pkl", mine())]).await;
    let subject = Subject::new(&manifest, &store);
    let strict = Suite::from_toml("[[checks]]\nkind = \"scan\"\n").expect("a suite");
    assert_eq!(strict.run(&subject, &Run::new(7)).await.verdict(), Verdict::Fail);
    let text = "request = { temperature = 0.0 }\n[[checks]]\nkind = \"scan\"\n[checks.exceptions]\n\"my.code.Mine\" = \"reviewed\"\n";
    let lenient = Suite::from_toml(text).expect("a suite");
    assert_eq!(lenient.run(&subject, &Run::new(7)).await.verdict(), Verdict::Pass);
}

#[tokio::test]
async fn an_exception_needs_a_name_and_a_reason_and_excuses_no_attack() {
    let (store, manifest) = publish(&[("a.pkl", mine())]).await;
    for (name, reason) in [("Mine", "reviewed"), ("my.code.Mine", " "), ("os.system", "I want it")] {
        let scan = Scan { exceptions: [(name.to_owned(), reason.to_owned())].into(), ..Scan::default() };
        let made = scan.validate(&Subject::new(&manifest, &store), &Run::new(7)).await;
        assert!(matches!(made, Err(Error::Misconfigured { field: "exceptions", .. })), "{name}: {made:?}");
    }
}

#[tokio::test]
async fn a_file_larger_than_memory_for_it_goes_through_a_temporary_one() {
    let big = vec![b'x'; 20 << 20];
    let report = report(Scan::default(), &[("big.bin", big)]).await;
    assert_eq!(report.verdict(), Verdict::Pass);
}
