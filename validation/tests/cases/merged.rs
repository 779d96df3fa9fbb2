//! A run that is spread over machines, and the report of the whole.

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::{collection::vec, prelude::*};
use tidegate_validation::{
    AgentError, AgentId, Budget, FnAgent, MergeError, Reason, Record, Reply, Report, Rule, Run, Sources,
    Subject, Suite, Verdict,
    checks::{AnswerCase, Answers, Calibration, Cases, Compare, Integrity, OverRefusal, Preference, Safety},
    compare::Preferring,
    dataset::{Dataset, Options, Shard},
};

use crate::{answer, check, counting, numbers_of, published, report};

/// A question: how it is answered, its cluster if it has one, and its weight.
#[derive(Clone, Copy, Debug)]
struct Asked {
    answer: u8,
    cluster: Option<u8>,
    weight: f64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let weight = prop_oneof![3 => Just(1.0), 1 => 0.1..5.0_f64];
    (0..4_u8, prop::option::of(0..6_u8), weight).prop_map(|(answer, cluster, weight)| Asked {
        answer,
        cluster,
        weight,
    })
}

/// All of them in one file, read as one share.
fn dataset(asked: &[Asked], shard: Shard) -> Dataset {
    let line = |(n, asked): (usize, &Asked)| {
        let mut question = serde_json::json!({
            "id": format!("case-{n}"),
            "input": format!("{n}/{}", asked.answer),
            "target": n.to_string(),
            "weight": asked.weight,
            "assert": [{ "kind": "number", "which": "first" }],
        });
        if let Some(cluster) = asked.cluster {
            question["cluster"] = cluster.to_string().into();
        }
        format!("{question}\n")
    };
    let lines: String = asked.iter().enumerate().map(line).collect();
    Dataset::from_bytes("asked", lines, &Options { shard, ..Options::default() }).unwrap()
}

/// Who gets no answer.
#[derive(Clone, Copy, Debug)]
enum Silent {
    Nobody,
    One(usize),
    Every(usize),
    All,
    /// As one who has no key: whoever asks stops asking.
    Locked,
}

fn silent() -> impl Strategy<Value = Silent> {
    prop_oneof![
        3 => Just(Silent::Nobody),
        3 => (0..60_usize).prop_map(Silent::One),
        2 => (1..4_usize).prop_map(Silent::Every),
        1 => Just(Silent::All),
        1 => Just(Silent::Locked),
    ]
}

/// Right, wrong, cut off before it said anything, or right at times: always the same for the same question. Some get no
/// answer at all.
fn agent(silent: Silent) -> FnAgent {
    FnAgent::new("model", move |request| {
        let prompt = request.prompt().to_owned();
        async move {
            let (number, answer) = prompt.split_once('/').unwrap_or((&prompt, "0"));
            let asked: usize = number.parse().unwrap();
            let (is_silent, status) = match silent {
                Silent::Nobody => (false, 400),
                Silent::One(number) => (number == asked, 400),
                Silent::Every(step) => (asked.is_multiple_of(step), 400),
                Silent::All => (true, 400),
                Silent::Locked => (true, 401),
            };
            if is_silent {
                return Err(AgentError::Refused { agent: AgentId::new("model"), status, why: "no".into() });
            }
            let reply = match answer {
                "0" => Reply::text(number),
                "1" => Reply::text("no idea"),
                "2" => {
                    let mut cut = Reply::text("");
                    cut.finish_reason = Some("length".to_owned());
                    cut
                }
                _ => Reply::text(format!("{number}5")),
            };
            Ok(reply.with_usage(3, 9))
        }
    })
}

#[derive(Clone, Copy, Debug)]
struct Terms {
    repeats: u32,
    floor: f64,
    rule: Rule,
}

fn terms() -> impl Strategy<Value = Terms> {
    let rule = |floor: f64| {
        let sequential = (0.1..0.9_f64, 1..40_u64).prop_map(move |(above, most)| {
            let good = floor + (1.0 - floor) * above;
            Rule::Sequential { good, beta: 0.05, most }
        });
        prop_oneof![2 => Just(Rule::Bound), 1 => Just(Rule::Point), 2 => sequential]
    };
    (1..3_u32, 0.05..0.95_f64).prop_flat_map(move |(repeats, floor)| {
        rule(floor).prop_map(move |rule| Terms { repeats, floor, rule })
    })
}

fn suite(asked: &[Asked], terms: &[Terms], shard: Shard) -> Suite {
    let case = |n: usize| AnswerCase { input: format!("{n}/0"), target: n.to_string() };
    let answers = Answers { cases: (1_000..1_003).map(case).collect(), ..Answers::default() };
    let checks = terms.iter().enumerate().map(|(i, Terms { repeats, floor, rule })| Cases {
        name: format!("cases {i}"),
        repeats: *repeats,
        floor: *floor,
        rule: *rule,
        ..Cases::new(dataset(asked, shard))
    });
    checks.fold(Suite::new("s").with(Integrity::default()), Suite::with).with(answers).shard(shard)
}

/// The records of `count` runs, one a share.
async fn spread(
    directory: &Path,
    count: u32,
    suite: impl Fn(Shard) -> Suite,
    agent: &FnAgent,
    run: &Run,
) -> Vec<Record> {
    let mut records = Vec::new();
    for shard in (0..count).map(|i| Shard::new(i, count).unwrap()) {
        let record = Record::at(directory.join(format!("{}.jsonl", shard.index())));
        drop(report(&suite(shard), agent, &run.clone().record(record.clone())).await);
        records.push(record);
    }
    records
}

async fn merged(suite: &Suite, records: &[Record]) -> Result<Report, MergeError> {
    suite.merge(&published().await.1, records).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is asked, by what rules and however it is spread: the report is that of one run, to the last bit.
    #[test]
    fn shares_are_merged_into_the_report_of_one_run(
        asked in prop_oneof![1 => vec(asked(), 1..5), 3 => vec(asked(), 1..60)],
        count in 1..7_u32,
        terms in vec(terms(), 1..3),
        silent in silent(),
        turn in 0..7_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let whole = suite(&asked, &terms, Shard::ALL);
        let (single, merged) = runtime.block_on(async {
            let agent = agent(silent);
            let single = report(&whole, &agent, &Run::new(7)).await;
            let part = |shard| suite(&asked, &terms, shard);
            let mut records = spread(directory.path(), count, part, &agent, &Run::new(7)).await;
            let turn = turn % records.len();
            records.rotate_left(turn);
            (single, merged(&whole, &records).await)
        });
        let merged = merged.unwrap();
        prop_assert_eq!(&merged.findings, &single.findings);
        // Shares do not know when the others have decided, or that the agent is not to be had.
        let stops = terms.iter().any(|terms| matches!(terms.rule, Rule::Sequential { .. }));
        if !stops && !matches!(silent, Silent::Locked) {
            prop_assert_eq!(merged, single);
        }
    }
}

/// Each share holds one question at most, and as a whole they are several that are repeated: no trials for a sequence.
#[tokio::test]
async fn a_share_is_refused_for_what_the_whole_is_refused_for() {
    let of = |shard| {
        let rule = Rule::Sequential { good: 0.9, beta: 0.05, most: 100 };
        Suite::new("s").with(Cases { repeats: 20, rule, ..check(numbers_of(2, shard)) }).shard(shard)
    };
    let directory = tempfile::tempdir().unwrap();
    let count = (2..).find(|&count| of_share_of(0, count) != of_share_of(1, count)).unwrap();
    let agent = counting(&Arc::default());
    let records = spread(directory.path(), count, of, &agent, &Run::new(7)).await;
    let single = report(&of(Shard::ALL), &agent, &Run::new(7)).await;
    assert!(single.to_string().contains("questions that are repeated"), "{single}");
    assert_eq!(merged(&of(Shard::ALL), &records).await.unwrap().findings, single.findings);
}

/// The share of the case of this number.
fn of_share_of(number: usize, count: u32) -> u32 {
    let holds = |i: &u32| Shard::new(*i, count).unwrap().holds(&format!("case-{number}"));
    (0..count).find(holds).unwrap()
}

/// An agent that answers nobody is no model whose answers are not known: the whole says so as a run does.
#[tokio::test]
async fn trials_that_were_lost_are_not_answered() {
    let directory = tempfile::tempdir().unwrap();
    let dead = FnAgent::new("dead", |_| async {
        Err(AgentError::Refused { agent: AgentId::new("dead"), status: 400, why: "no".into() })
    });
    let records = spread(directory.path(), 3, simple, &dead, &Run::new(7)).await;
    let merged = merged(&simple(Shard::ALL), &records).await.unwrap();
    assert_eq!(merged.findings[0].claim, "the check could not be made", "{merged}");
    assert_eq!(merged.findings, report(&simple(Shard::ALL), &dead, &Run::new(7)).await.findings);
}

/// What a record lacks is what a run that goes on asks again, whatever the check says without it.
#[tokio::test]
async fn a_record_knows_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let record = || Record::at(directory.path().join("record.jsonl"));
    let partly = FnAgent::new("counting", |request| async move {
        let agent = AgentId::new("counting");
        match request.prompt() {
            "5" => Err(AgentError::Refused { agent, status: 413, why: "too long".into() }),
            "6" => Err(AgentError::Refused { agent, status: 503, why: "busy".into() }),
            prompt => Ok(answer(prompt)),
        }
    });
    let whole = simple(Shard::ALL);
    let first = report(&whole, &partly, &Run::new(7).record(record())).await;
    assert!(first.accepted(), "enough are right without them: {first}");
    let gaps = record().gaps().unwrap();
    assert_eq!((gaps.lost, gaps.unasked.as_slice(), gaps.is_empty()), (1, &[][..], false));
    assert!(gaps.may_be_filled());
    let asked = Arc::default();
    let second = report(&whole, &counting(&asked), &Run::new(7).record(record())).await;
    assert!(record().gaps().unwrap().is_empty());
    // What is refused for good is neither asked again nor known.
    assert_eq!(*asked.lock().unwrap(), ["6"]);
    assert_eq!(second.findings[0].evidence[0].unknown, 1, "{second}");

    let other = || Record::at(directory.path().join("other.jsonl"));
    let run = Run::new(7).budget(Budget::default().calls(5)).record(other());
    drop(report(&whole, &counting(&Arc::default()), &run).await);
    let gaps = other().gaps().unwrap();
    assert_eq!((gaps.short.as_slice(), gaps.unasked.len()), (&["numbers".to_owned()][..], 0));
    assert!(!gaps.is_empty() && !gaps.may_be_filled(), "{gaps:?}");
    assert!(Record::at(directory.path().join("none")).gaps().is_err());
}

/// Shares of 40 questions under a directory that lives as long as it is held.
async fn three() -> (tempfile::TempDir, Vec<Record>) {
    let directory = tempfile::tempdir().unwrap();
    let agent = counting(&Arc::default());
    let records = spread(directory.path(), 3, simple, &agent, &Run::new(7)).await;
    (directory, records)
}

fn simple(shard: Shard) -> Suite {
    Suite::new("s").with(check(numbers_of(40, shard))).with(Integrity::default()).shard(shard)
}

#[tokio::test]
async fn a_share_that_is_missing_or_there_twice_is_named() {
    let (_directory, records) = three().await;
    let whole = simple(Shard::ALL);
    let missing = merged(&whole, &[records[0].clone(), records[2].clone()]).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no record of share 1/3; give the record of each share");
    let twice = merged(&whole, &[records.clone(), vec![records[1].clone()]].concat()).await.unwrap_err();
    assert!(twice.to_string().contains("both of share 1/3"), "{twice}");
    let none = merged(&whole, &[]).await.unwrap_err();
    assert!(matches!(&none, MergeError::Missing { shards } if shards.is_empty()), "{none}");
    let absent = merged(&whole, &[Record::at("nowhere.jsonl")]).await.unwrap_err();
    assert!(matches!(&absent, MergeError::Record(_)), "{absent}");
    let partial = merged(&simple(Shard::new(1, 3).unwrap()), &records).await.unwrap_err();
    assert!(partial.to_string().contains("share 1/3 only"), "{partial}");
}

/// One record of the three is of another run, and the error says in what.
#[tokio::test]
async fn a_record_of_another_run_is_foreign() {
    let (directory, records) = three().await;
    let whole = simple(Shard::ALL);
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let model = counting(&Arc::default());
    let clone = FnAgent::new("another", |request| {
        let reply = answer(request.prompt());
        async move { Ok(reply) }
    });
    let lenient = |shard| {
        Suite::new("s")
            .with(Cases { repeats: 2, ..check(numbers_of(40, shard)) })
            .with(Integrity::default())
            .shard(shard)
    };
    let cases: [(Vec<Record>, &str); 5] = [
        (
            spread(&sub(&other, "seed"), 3, simple, &model, &Run::new(8)).await,
            "the seed was 8 and should be 7",
        ),
        (
            spread(&sub(&other, "agent"), 3, simple, &clone, &Run::new(7)).await,
            "the agent was another and should be counting",
        ),
        (
            spread(&sub(&other, "count"), 4, simple, &model, &Run::new(7)).await,
            "the number of shares was 4 and should be 3",
        ),
        (
            spread(&sub(&other, "settings"), 3, lenient, &model, &Run::new(7)).await,
            "what check `numbers` asks, or how it or this version of tidegate scores",
        ),
        (
            spread(
                &sub(&other, "name"),
                3,
                |shard| Suite::new("t").with(check(numbers_of(40, shard))).shard(shard),
                &model,
                &Run::new(7),
            )
            .await,
            "the suite was t and should be s",
        ),
    ];
    for (foreign, what) in cases {
        let mixed = [records[0].clone(), foreign[1].clone(), records[2].clone()];
        let error = merged(&whole, &mixed).await.unwrap_err();
        assert!(matches!(&error, MergeError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

fn sub(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir(&path).unwrap();
    path
}

/// What a share had too little for is unknown in the whole, and never a pass.
#[tokio::test]
async fn what_was_not_asked_stays_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let agent = counting(&Arc::default());
    let run = Run::new(7).budget(Budget::default().calls(5));
    let records = spread(directory.path(), 3, simple, &agent, &run).await;
    let report = merged(&simple(Shard::ALL), &records).await.unwrap();
    let evidence = &report.findings[0].evidence[0];
    assert_eq!((evidence.n, evidence.unknown, report.spent.calls), (15, 25, 15));
    assert!(matches!(report.findings[0].verdict, Verdict::Inconclusive(Reason::Budget(_))));
    // With more calls the same records are gone on from.
    let records = spread(directory.path(), 3, simple, &agent, &Run::new(7)).await;
    let report = merged(&simple(Shard::ALL), &records).await.unwrap();
    assert_eq!((report.findings[0].evidence[0].unknown, report.spent.calls), (0, 40));
    assert_eq!(report.findings[0].verdict, Verdict::Pass);
}

/// A check of a dataset that one share could not make is not made as a whole, and one that is of no dataset is made
/// by the first share alone.
#[tokio::test]
async fn a_check_is_made_by_those_that_it_is_for() {
    let (_directory, records) = three().await;
    let text = |record: &Record| fs::read_to_string(record.path()).unwrap();
    assert!(text(&records[0]).contains("\"found\":{\"check\":\"integrity\""));
    assert!(!text(&records[1]).contains("integrity"));
    let (store, manifest) = published().await;
    let subject = Subject::new(&manifest, &store);
    let second = simple(Shard::new(1, 3).unwrap());
    let report =
        second.run(&subject, &Run::new(7).record(Record::at(records[1].path().with_extension("new")))).await;
    assert_eq!(report.findings.len(), 1);
    assert_eq!(second.estimate(&subject).bytes, 0);
}

/// Suites that are read from a file are shares by their sources.
#[tokio::test]
async fn a_suite_from_a_file_is_the_share_of_its_sources() {
    let directory = tempfile::tempdir().unwrap();
    let lines: String =
        (0..30).map(|n| format!("{{\"id\": \"{n}\", \"input\": \"{n}\", \"target\": \"{n}\"}}\n")).collect();
    fs::write(directory.path().join("numbers.jsonl"), lines).unwrap();
    let text = r#"
        checks = [
            { kind = "integrity" },
            { kind = "cases", dataset = "numbers.jsonl", assert = [{ kind = "number" }], floor = 0.5, rule = "point" },
            { kind = "cases", name = "inline", cases = [{ input = "3", target = "3" }], assert = [{ kind = "number" }] },
        ]
    "#;
    let path = directory.path().join("suite.toml");
    fs::write(&path, text).unwrap();
    let part = |shard| Suite::open_with(&path, &Sources::beside(&path).shard(shard)).unwrap();
    let agent = counting(&Arc::default());
    let records = spread(directory.path(), 4, part, &agent, &Run::new(7)).await;
    let single = report(&part(Shard::ALL), &agent, &Run::new(7)).await;
    assert_eq!(merged(&part(Shard::ALL), &records).await.unwrap(), single);
    // With a question more it is another suite.
    let longer = fs::read_to_string(directory.path().join("numbers.jsonl")).unwrap()
        + "{\"input\": \"30\", \"target\": \"30\"}\n";
    fs::write(directory.path().join("numbers.jsonl"), longer).unwrap();
    let error = merged(&part(Shard::ALL), &records).await.unwrap_err();
    assert!(error.to_string().contains("the digest of the suite"), "{error}");
}

#[test]
fn a_dataset_of_another_share_is_a_flaw() {
    let suite = Suite::new("s").with(check(numbers_of(9, Shard::new(1, 2).unwrap())));
    let flaw = suite.flaw().unwrap();
    assert!(flaw.path() == "checks[0].dataset" && flaw.to_string().contains("share 1/2"), "{flaw}");
}

/// One share makes all other kinds as a whole: half of their questions would be taken for all of them.
#[test]
fn a_share_of_a_dataset_is_a_flaw_where_one_share_asks_for_all() {
    let half = || numbers_of(9, Shard::new(1, 2).unwrap());
    let prefer = Preferring { rubric: "is shorter".to_owned(), votes: 1 };
    let suites = [
        Suite::new("s").with(Compare::new(half())),
        Suite::new("s").with(Preference::new(half(), prefer)),
        Suite::new("s").with(Calibration { dataset: Some(half()), ..Calibration::default() }),
        Suite::new("s").with(OverRefusal { dataset: Some(half()), ..OverRefusal::default() }),
        Suite::new("s").with(Safety { dataset: Some(half()), ..Safety::default() }),
    ];
    for suite in suites {
        for suite in [suite.clone(), suite.shard(Shard::new(1, 2).unwrap())] {
            let flaw = suite.flaw().unwrap();
            assert!(
                flaw.path() == "checks[0].dataset" && flaw.to_string().contains("read it whole"),
                "{flaw}"
            );
        }
    }
    let whole = Suite::new("s").with(Compare::new(numbers_of(9, Shard::ALL)));
    assert_eq!(whole.shard(Shard::new(1, 2).unwrap()).flaw(), None);
}

/// Whatever is in a file, merging it is an error and no panic.
#[tokio::test]
async fn what_is_no_record_is_not_merged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    for text in ["", "milk\n", "{\"rec", "{}\n", "\u{0}\u{0}"] {
        fs::write(&path, text).unwrap();
        let error = merged(&simple(Shard::ALL), &[Record::at(&path)]).await.unwrap_err();
        assert!(matches!(&error, MergeError::Record(_)), "{text}: {error}");
    }
    let (_directory, records) = three().await;
    let held = fs::File::open(records[1].path()).unwrap();
    held.lock().unwrap();
    let error = merged(&simple(Shard::ALL), &records).await.unwrap_err();
    let source = error.source().unwrap().to_string();
    assert!(source.contains("written by another run"), "{source}");
}
