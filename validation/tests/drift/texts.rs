//! Texts: what is counted of them, and what a classifier makes of their words.

use fastrand::Rng;
use tidegate_validation::{
    AgentId, Reason, Verdict,
    drift::{Column, Drift, DriftGate, Embedded, Feature, Samples, TextColumn, Value},
};

use crate::share;

const PARCELS: [&str; 8] = [
    "where is my parcel",
    "the parcel has not arrived yet",
    "can you tell me when it will be delivered",
    "my order is late",
    "what is the tracking number of the order",
    "I would like to change the address of a delivery",
    "who signed for the parcel",
    "please send it again",
];
const REFUNDS: [&str; 8] = [
    "I want my money back",
    "how long does a refund take",
    "you charged my card twice",
    "the invoice is wrong",
    "can I pay by bank transfer",
    "my card was declined",
    "please cancel the subscription",
    "which fees are there for a payment",
];

/// Two sentences and a number, so that hardly any text is there twice.
fn asked(random: &mut Rng, sentences: &[&str]) -> String {
    let sentence = |random: &mut Rng| sentences[random.usize(..sentences.len())];
    format!("{}, {} {}", sentence(random), sentence(random), random.u32(100..999))
}

/// Of few of which the words are looked at, so that it does not take long.
fn text() -> Column {
    Column::Text(TextColumn::with_limits(80, 1_000))
}

fn texts(random: &mut Rng, n: u32, sentences: &[&str]) -> Column {
    let mut column = text();
    (0..n).for_each(|_| column.push(Value::Text(&asked(random, sentences))));
    column
}

fn compared(reference: &Column, current: &Column) -> Drift {
    DriftGate::default().compare([Feature { name: "prompt", reference, current, embedded: None }])
}

#[test]
fn other_words_are_told_where_lengths_are_alike() {
    let mut random = Rng::with_seed(7);
    let found = compared(&texts(&mut random, 400, &PARCELS), &texts(&mut random, 300, &REFUNDS));
    assert_eq!(found.verdict(), Verdict::Fail);
    let feature = &found.features[0];
    let words =
        feature.evidence.iter().find(|evidence| evidence.measure.contains("told apart by words")).unwrap();
    assert!(words.estimate > 0.95 && words.p.unwrap() < 0.05, "{words}");
    let same = compared(&texts(&mut random, 400, &PARCELS), &texts(&mut random, 300, &PARCELS));
    assert_eq!(same.verdict(), Verdict::Pass, "{:?}", same.features[0].evidence);
}

#[test]
fn longer_texts_and_other_scripts_are_told_without_a_model() {
    let mut random = Rng::with_seed(7);
    let reference = texts(&mut random, 300, &PARCELS);
    let (mut longer, mut greek) = (text(), text());
    for _ in 0..300 {
        let text = asked(&mut random, &PARCELS);
        longer.push(Value::Text(&format!("{text} {text}")));
        greek.push(Value::Text(&text.replace('e', "η")));
    }
    let drifted = |current: &Column| {
        let found = compared(&reference, current);
        assert_eq!(found.verdict(), Verdict::Fail);
        let beyond = |evidence: &&tidegate_validation::Evidence| evidence.estimate > evidence.threshold;
        found.features[0]
            .evidence
            .iter()
            .filter(beyond)
            .map(|evidence| evidence.measure.clone())
            .collect::<Vec<_>>()
    };
    assert!(drifted(&longer).iter().any(|measure| measure.contains("distance of characters")));
    assert!(drifted(&greek).iter().any(|measure| measure.contains("non-ASCII")));
}

#[test]
fn one_emoji_is_no_drift() {
    let mut random = Rng::with_seed(7);
    let (reference, mut current) = (texts(&mut random, 300, &PARCELS), texts(&mut random, 299, &PARCELS));
    current.push(Value::Text("where is my parcel 🙂"));
    assert_eq!(compared(&reference, &current).verdict(), Verdict::Pass);
}

#[test]
fn texts_of_one_kind_are_hardly_ever_taken_for_two() {
    let alarms = share(40, |random| {
        let (one, other) = (texts(random, 150, &PARCELS), texts(random, 150, &PARCELS));
        compared(&one, &other).verdict() == Verdict::Fail
    });
    assert!(alarms <= 0.05, "{alarms}");
}

#[test]
fn the_same_texts_are_kept_however_rows_were_divided() {
    let mut random = Rng::with_seed(7);
    let all: Vec<String> = (0..2_000).map(|_| asked(&mut random, &REFUNDS)).collect();
    let of = |texts: &[String]| {
        let mut column = TextColumn::with_limits(50, 1_000);
        texts.iter().for_each(|text| column.push(text));
        column
    };
    let whole = of(&all);
    let mut merged = of(&all[1_200..]);
    merged.merge(&of(&all[..1_200]));
    assert_eq!(merged, whole);
    assert_eq!(whole.texts().count(), 50);
    // They are drawn from all of them: as many of the second half as of the first.
    let kept: Vec<&str> = whole.texts().collect();
    let late = all[1_000..].iter().filter(|text| kept.contains(&text.as_str())).count();
    assert!((12..=38).contains(&late), "{late}");
}

#[test]
fn an_embedder_that_tells_nothing_apart_is_no_pass() {
    let mut random = Rng::with_seed(7);
    let (reference, current) = (texts(&mut random, 300, &PARCELS), texts(&mut random, 300, &PARCELS));
    let judged = |samples: Samples| {
        let embedded = Embedded { by: AgentId::new("one-for-all"), samples };
        let feature =
            Feature { name: "prompt", reference: &reference, current: &current, embedded: Some(&embedded) };
        DriftGate::default().compare([feature]).verdict()
    };
    let Verdict::Inconclusive(Reason::Infra { what }) =
        judged(Samples::new(&[[1.0]; 80], &[[1.0]; 80]).unwrap())
    else {
        panic!("a constant was taken for an embedding")
    };
    assert!(what.contains("one-for-all") && what.contains("tells any apart"), "{what}");
    let mut apart = || (0..80).map(|_| [random.f64()]).collect::<Vec<_>>();
    assert_eq!(judged(Samples::new(&apart(), &apart()).unwrap()), Verdict::Pass);
}

#[test]
fn words_that_cannot_be_compared_are_no_pass() {
    let mut random = Rng::with_seed(7);
    let reference = texts(&mut random, 300, &PARCELS);
    let one = |keep| {
        let mut column = TextColumn::with_limits(keep, 1_000);
        (0..300).for_each(|_| column.push("where is my parcel, and who signed for it 100"));
        Column::Text(column)
    };
    // Of lengths and of what else is counted nothing is asked.
    let gate = DriftGate { text_limit: 1.0, ..DriftGate::default() };
    let judged = |reference: &Column, current: &Column| {
        gate.compare([Feature { name: "prompt", reference, current, embedded: None }]).verdict()
    };
    let Verdict::Inconclusive(Reason::Infra { what }) = judged(&reference, &one(80)) else {
        panic!("one text was taken for as many as there were")
    };
    assert!(what.contains("80 different texts") && what.contains("current rows 1,"), "{what}");
    // Where none are kept, or hardly any of either, words are not compared.
    assert_eq!(judged(&reference, &one(0)), Verdict::Pass);
    assert_eq!(judged(&one(80), &one(80)), Verdict::Pass);
}
