//! What people ask ends up in the journal, or is refused with the reason.

use reqwest::StatusCode;
use tidegate_canary::{Event, Record, Request};
use tidegate_registry::Digest;

use crate::{
    site::{Site, link},
    stories,
};

fn asked(entry: Option<&tidegate_canary::Entry>) -> &Request {
    match entry.map(|entry| &entry.record) {
        Some(Record::Happen(Event::Ask(request))) => request,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_buttons_are_those_that_are_possible_now() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let offered = async || {
        let page = visitor.rollout(&story.route).await;
        let buttons = page.split("name=\"ask\" value=\"").skip(1).filter_map(|rest| rest.split('"').next());
        buttons.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered().await, ["approve", "pause", "skip", "promote", "reject", "abort"]);
    let page = visitor.rollout(&story.route).await;
    assert!(page.contains("It waits until somebody approves fraud@1.1.0."), "{page}");
    assert!(page.contains(&story.plan().candidate.digest.to_string()), "what is approved is shown");

    let answer = visitor.press(&story.route, "pause", &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(*asked(site.entries(&story.route).await.last()), Request::Hold { by: "alice".to_owned() });
    assert_eq!(offered().await, ["resume", "reject", "abort"], "what is held has to be resumed first");
    assert!(visitor.rollout(&story.route).await.contains("It does not go on, since somebody holds it."));

    visitor.press(&story.route, "resume", &[]).await;
    let answer = visitor.press(&story.route, "approve", &[]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let digest = story.plan().candidate.digest;
    assert_eq!(
        *asked(site.entries(&story.route).await.last()),
        Request::Approve { by: "alice".to_owned(), digest }
    );

    let answer = visitor.press(&story.route, "abort", &[("reason", "  not today ")]).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let (by, reason) = ("alice".to_owned(), "not today".to_owned());
    assert_eq!(*asked(site.entries(&story.route).await.last()), Request::Abort { by, reason });
    assert_eq!(offered().await, Vec::<String>::new());
    let answer = visitor.press(&story.route, "pause", &[]).await;
    assert_ne!(answer.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_is_impossible_is_refused_and_says_why() {
    let story = stories::waiting().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    let visitor = site.sign_in("alice").await;
    let before = site.entries(&story.route).await;
    let other = Digest::of("another model").to_string();
    for (wish, changes, status, why) in [
        ("resume", vec![], StatusCode::CONFLICT, "nobody has paused it"),
        ("override", vec![("reason", "r")], StatusCode::CONFLICT, "no freeze is on"),
        ("approve", vec![("digest", &*other)], StatusCode::CONFLICT, "another digest than the one approved"),
        ("approve", vec![("step", "2")], StatusCode::CONFLICT, "it has gone on since that page was made"),
        (
            "abort",
            vec![("reason", "r"), ("id", "older")],
            StatusCode::CONFLICT,
            "another rollout has been opened",
        ),
        ("abort", vec![], StatusCode::BAD_REQUEST, "needs a reason"),
        ("abort", vec![("reason", " ")], StatusCode::BAD_REQUEST, "needs a reason"),
        ("abort", vec![("reason", "a\u{202e}b")], StatusCode::BAD_REQUEST, "needs a reason"),
        ("explode", vec![], StatusCode::UNPROCESSABLE_ENTITY, "unknown variant"),
        ("pause", vec![("route", "serving/other")], StatusCode::NOT_FOUND, "no such route"),
        ("pause", vec![("digest", "sha256:12")], StatusCode::UNPROCESSABLE_ENTITY, "digest"),
    ] {
        let answer = visitor.press(&story.route, wish, &changes).await;
        assert_eq!(answer.status(), status, "{wish} {changes:?}");
        let page = answer.text().await.expect("text");
        assert!(page.contains(why), "{wish} {changes:?}: {page}");
        assert!(page.contains("role=\"alert\""), "{wish}");
    }
    assert_eq!(site.entries(&story.route).await, before);
}

#[tokio::test]
async fn names_and_reasons_are_text() {
    let story = stories::evil().await;
    let site = Site::showing(std::slice::from_ref(&story)).await;
    // A name of the longest kind that is let in.
    let visitor = site.sign_in("<img src=x onerror=alert(1)>").await;
    for path in ["/", &link(&story.route)] {
        let page = visitor.page(path).await;
        assert!(page.matches("&lt;script&gt;").count() > 1, "{path}");
        for markup in ["<script>", "<img", "onload=\"b", "</style>"] {
            assert!(!page.contains(markup), "{path}: {markup}");
        }
    }
    let page = visitor.rollout(&story.route).await;
    for told in ["asked to hold", "aborted: ", "check `"] {
        assert!(page.contains(told), "{told}");
    }
    let long = "x".repeat(61);
    for name in [" ", "a\nb", "a\u{202e}b", &long] {
        let form = site.post("/sign-in").form(&[("name", name), ("token", crate::site::TOKEN)]);
        assert_eq!(form.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST, "{name:?}");
    }
}

#[tokio::test]
async fn all_stories_are_told() {
    let stories = stories::all().await;
    let site = Site::showing(&stories).await;
    let visitor = site.sign_in("alice").await;

    let twice = &stories[1].route;
    let latest = visitor.rollout(twice).await;
    let earlier = "/rollout?route=serving%2Frolled-back&amp;id=release-serving-rolled-back";
    assert!(latest.contains(&format!("<a href=\"{earlier}\">")), "{latest}");
    assert!(latest.contains("opened as second-try") && !latest.contains("opened as release-"));
    let earlier = visitor.page(&earlier.replace("&amp;", "&")).await;
    assert!(
        earlier.contains("opened as release-serving-rolled-back")
            && !earlier.contains("opened as second-try")
    );
    assert!(earlier.contains("This is an earlier rollout.") && !earlier.contains("action=\"/ask\""));
    let answer =
        visitor.get("/rollout?route=serving%2Frolled-back&id=never").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);

    let overview = visitor.page("/").await;
    for (story, (badge, told, reported)) in stories.iter().zip([
        ("promoted", "over, its candidate promoted", "bob approved"),
        ("rolled back", "over, rolled back", "<th scope=\"row\">stable</th>"),
        ("at a gate", "waits until somebody approves", "It waits for <bdi>approval</bdi>."),
        ("stuck", "It needs a person: ", "stuck while watching stable"),
        ("paused", "since a freeze is on and somebody holds it", "alice asked to hold"),
        ("under way", "on copies of 10% of the traffic, step 1 of 1", ">10% copied</text>"),
        ("compared", "over, both sides compared", "both sides are compared, so traffic returns"),
        ("frozen", "overrides it", "a freeze is on: "),
        ("rolled back", "over, rolled back", "aborted: "),
    ]) {
        let page = visitor.rollout(&story.route).await;
        for page in [&page, &overview] {
            assert!(page.contains(&format!(">{badge}</span>")), "{}: {badge}", story.route);
            assert!(page.contains(told), "{}: {told}", story.route);
        }
        let (_, report) = page.split_once("<article").expect("the report");
        assert!(report.contains(reported), "{}: {reported}", story.route);
        assert!(!report.contains("against the candidate, so") || badge == "rolled back", "{}", story.route);
    }
}
