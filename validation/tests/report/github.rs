//! Lines that a GitHub workflow takes for annotations.

use super::{hostile, hostile_texts, is_tame, issues, rate, report, too_few};

/// Command, properties and message, as the runner reads them
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>).
fn read(line: &str) -> (String, Vec<(String, String)>, String) {
    let rest = line.strip_prefix("::").expect("a command");
    let (head, message) = rest.split_once("::").expect("a message");
    let (command, properties) = head.split_once(' ').unwrap_or((head, ""));
    let data = |text: &str| text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
    let property = |text: &str| data(&text.replace("%3A", ":").replace("%2C", ","));
    let properties = properties.split(',').filter_map(|pair| pair.split_once('='));
    let properties = properties.map(|(name, value)| (name.to_owned(), property(value))).collect();
    (command.to_owned(), properties, data(message))
}

#[test]
fn what_keeps_it_out_is_an_error_and_what_is_allowed_a_warning() {
    let report = report(&[
        rate("good", &"pass".into()),
        rate("bad", &"fail".into()),
        rate("unknown", &too_few()),
        rate("allowed", &too_few()),
    ]);
    let lines = report.projection().at("ci/suite.toml").annotations();
    let commands: Vec<_> = lines.iter().map(|line| read(line).0).collect();
    assert_eq!(commands, ["error", "error", "warning"]);
    let (_, properties, message) = read(&lines[0]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(properties, [pair("file", "ci/suite.toml"), pair("title", "support-bot@1.4.0: bad")]);
    assert!(message.contains("(0.805 to 0.960, each at 95 %)"), "{message}");
    assert!(message.ends_with("\nmissed: I was charged twice → shipping"), "{message}");
}

#[test]
fn an_issue_stands_at_its_line_unless_its_file_is_none_of_the_repository() {
    let lines = report(&[issues("fail")]).projection().at("suite.toml").annotations();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let of = |n: usize| read(&lines[n]).1;
    // A file of the version.
    assert_eq!(of(1)[0].1, "suite.toml");
    assert_eq!((&*of(2)[0].1, &*of(2)[1].1), ("Dockerfile", "3"));
}

#[test]
fn there_are_no_more_than_are_shown_and_the_last_says_so() {
    let findings: Vec<_> = (0..25).map(|n| rate(&format!("check {n}"), &"fail".into())).collect();
    let lines = report(&findings).projection().annotations();
    assert_eq!(lines.len(), 10);
    assert!(read(&lines[9]).2.starts_with("and 16 more"), "{}", lines[9]);
    assert_eq!(report(&[]).projection().annotations().len(), 1);
    assert!(report(&[rate("a", &"pass".into())]).projection().annotations().is_empty());
}

#[test]
fn hostile_text_ends_no_line_and_begins_no_command() {
    for text in hostile_texts() {
        for line in hostile(&text).projection().at(text.clone()).annotations() {
            assert!(is_tame(&line) && !line.contains('\n') && line.len() < 40_000, "{line}");
            let (command, properties, _) = read(&line);
            assert!(["error", "warning"].contains(&&*command), "{line}");
            let names: Vec<_> = properties.iter().map(|(name, _)| name.as_str()).collect();
            assert!(names.iter().all(|name| ["file", "line", "title"].contains(name)), "{names:?}: {line}");
        }
    }
}
