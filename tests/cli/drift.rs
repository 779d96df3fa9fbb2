//! `tidegate drift`: tables and summaries of them, compared.

use crate::desk::Desk;

/// Rows of a table; `shift` moves the amounts.
fn rows(range: std::ops::Range<u32>, shift: u32) -> String {
    let row = |row: u32| format!("{},{}\n", row * 37 % 1_009 + shift, ["de", "fr", "it"][row as usize % 3]);
    format!("amount,country\n{}", range.map(row).collect::<String>())
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("train/1.csv", rows(0..400, 0).as_bytes());
    desk.write("train/2.csv", rows(400..1_000, 0).as_bytes());
    desk.write("same.csv", rows(1_000..1_800, 0).as_bytes());
    desk.write("other.csv", rows(1_000..1_800, 400).as_bytes());
    desk
}

#[test]
fn what_has_drifted_is_named_first_and_drawn() {
    let desk = desk();
    let found = desk.run(&["drift", "train", "same.csv"]).is(0);
    assert!(
        found.out.ends_with("None of 2 features is known to have drifted; 800 rows, before 1000\n"),
        "{found:?}"
    );
    let found = desk.run(&["drift", "train", "other.csv", "--html", "drift.html"]).is(1);
    assert!(
        found.out.starts_with("fail          amount   Wasserstein distance in deviations of `amount` 1."),
        "{found:?}"
    );
    assert!(found.out.contains("\n              was  █"), "{found:?}");
    let page = std::fs::read_to_string(desk.path("drift.html")).expect("it was written");
    assert!(
        page.contains("1 of 2 features has drifted") && page.contains("<svg ") && !page.contains("<script")
    );
    let json = desk.json(&["drift", "train/1.csv", "other.csv", "--reference", "train/2.csv"]);
    assert_eq!((&json["verdict"], &json["rows"]["reference"]), (&"fail".into(), &1_000.into()));
    assert_eq!(json["features"][0]["name"], "amount");
    assert_eq!(json["features"][1]["verdict"], "pass");
    desk.run(&["drift", "train", "other.csv", "--limit", "numeric=5"]).is(0);
    desk.run(&["drift", "train", "other.csv", "--columns", "country"]).is(0);
    desk.write("few.csv", rows(0..20, 0).as_bytes());
    let found = desk.run(&["drift", "train", "few.csv"]).is(3);
    assert!(found.out.contains("one side has 20 values and it takes 100"), "{found:?}");
}

#[test]
fn summaries_stand_for_the_rows() {
    let desk = desk();
    desk.run(&["drift", "summarize", "train/1.csv", "-o", "1.json"]).is(0);
    desk.run(&["drift", "summarize", "train/2.csv", "--like", "1.json", "-o", "2.json"]).is(0);
    let wrote = desk.run(&["drift", "summarize", "other.csv", "--like", "1.json", "-o", "other.json"]).is(0);
    assert_eq!(wrote.out, "wrote other.json: 800 rows of 2 columns\n");
    let of_summaries = desk.json(&["drift", "1.json", "other.json", "--reference", "2.json"]);
    assert_eq!(of_summaries, desk.json(&["drift", "train", "other.csv"]));
}

#[test]
fn a_directory_is_summarised_into_itself_as_often_as_one_likes() {
    let desk = desk();
    desk.write("train/_SUCCESS", b"");
    desk.write("train/_spark_metadata/0", b"v1");
    desk.write("train/.1.csv.crc", b"crc");
    for _ in 0..2 {
        let wrote = desk.run(&["drift", "summarize", "train", "-o", "train/all.json"]).is(0);
        assert_eq!(wrote.out, "wrote train/all.json: 1000 rows of 2 columns\n");
    }
    let both = ["drift", "summarize", "train/1.csv", "train/all.json", "-o", "train/all.json"];
    desk.run(&both).is(2).says(&["is to be read and written"]);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let desk = desk();
    desk.write("bad.csv", b"amount,country\n1\n");
    desk.run(&["drift", "train", "bad.csv"]).is(2).says(&["bad.csv, line 2", "the header 2"]);
    desk.run(&["drift", "train", "nowhere.csv"])
        .is(2)
        .says(&["`nowhere.csv` cannot be read", "; correct the path"]);
    desk.run(&["drift", "train", "same.csv", "--columns", "amont"]).is(2).says(&["did you mean `amount`?"]);
    desk.run(&["drift", "train", "same.csv", "--columns", "amount=number"]).is(2).says(&["there is no kind"]);
    desk.run(&["drift", "train", "same.csv", "--limit", "numerc=1"])
        .is(2)
        .says(&["there is no limit `numerc`"]);
    desk.run(&["drift", "train"]).is(2).says(&["<CUR>"]);
}
