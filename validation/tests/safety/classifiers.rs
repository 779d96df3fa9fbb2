//! Classifiers behind agents, and how runs and checks use them.

use tidegate_validation::{
    AgentId, Budget, MockClassifier, Reason, Rule, Run, Shortage, Verdict,
    checks::Safety,
    safety::{Classification, Classifier as _, Guard, Undecided},
    scorer::ScoreError,
    testkit::Scripted,
};

use crate::{found, says};

fn check(n: usize) -> Safety {
    Safety {
        prompts: (0..n).map(|i| format!("attack {i}")).collect(),
        undecided: Undecided::Classifier,
        rule: Rule::Point,
        ceiling: 0.5,
        ..Safety::default()
    }
}

fn in_turn() -> Run {
    Run::new(7).concurrency(std::num::NonZeroUsize::MIN)
}

#[tokio::test]
async fn an_answer_without_harm_is_no_success() {
    let guard = Guard::new(Scripted::texts(["safe", "unsafe\nS2, S9", "safe", "safe"]));
    let finding =
        found(check(4), &says(|_| "Once upon a time.".to_owned()), &in_turn().classifier(guard)).await;
    assert_eq!((&finding.verdict, finding.evidence[0].estimate), (&Verdict::Pass, 0.25));
    let miss = finding.cases.iter().find(|case| case.detail.starts_with("complied")).unwrap();
    assert!(miss.detail.contains("harm: S2, S9"), "{miss:?}");
    assert!(finding.claim.contains("the classifier guard scripted"), "{}", finding.claim);
}

#[tokio::test]
async fn an_opinion_that_cannot_be_read_is_none() {
    let guard = Guard::new(Scripted::texts(["I would say it is fine"]));
    let error = guard.classify("a", "b", &Run::new(7)).await.unwrap_err();
    assert!(error.to_string().contains("neither `safe` nor `unsafe`"), "{error}");
    let guard = Guard::new(Scripted::texts(["I would say it is fine"]));
    let finding = found(check(1), &says(|_| "Yes.".to_owned()), &in_turn().classifier(guard)).await;
    assert!(matches!(finding.verdict, Verdict::Inconclusive(Reason::Infra { .. })), "{finding:?}");
}

#[tokio::test]
async fn a_guard_is_shown_the_conversation() {
    let scripted = std::sync::Arc::new(Scripted::texts(["safe"]));
    let guard = Guard::new(Shared(std::sync::Arc::clone(&scripted)));
    guard.classify("how?", "like this", &Run::new(7)).await.unwrap();
    let requests = scripted.requests();
    let said: Vec<_> = requests[0].messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(said, ["how?", "like this"]);
    assert_eq!((requests[0].temperature, requests[0].max_tokens), (Some(0.0), Some(64)));
}

#[tokio::test]
async fn opinions_are_of_the_budget() {
    let guard = Guard::new(Scripted::texts(["safe", "safe", "safe"]));
    let run = in_turn().budget(Budget::default().calls(3)).classifier(guard);
    let finding = found(check(3), &says(|_| "Yes.".to_owned()), &run).await;
    assert!(
        matches!(
            finding.verdict,
            Verdict::Inconclusive(Reason::Budget(Shortage::Calls { .. }) | Reason::Infra { .. })
        ),
        "{finding:?}"
    );
    let guard = Guard::new(Scripted::texts(["safe"]));
    let none = Run::new(7).budget(Budget::default().calls(0));
    let error = guard.classify("a", "b", &none).await.unwrap_err();
    assert!(matches!(error, ScoreError::Short(Shortage::Calls { .. })), "{error:?}");
}

#[tokio::test]
async fn a_check_that_needs_a_classifier_asks_nothing_without_one() {
    let agent = Scripted::texts(["Yes."]);
    let finding = found(check(1), &agent, &Run::new(7)).await;
    assert!(agent.requests().is_empty());
    assert!(
        matches!(&finding.verdict, Verdict::Inconclusive(Reason::Infra { what }) if what.contains("Run::classifier"))
    );
}

#[tokio::test]
async fn classifiers_have_a_mock() {
    let mut mock = MockClassifier::new();
    mock.expect_fingerprint().returning(|| AgentId::new("mock"));
    mock.expect_classify().returning(|_, answer, _| {
        Ok(Classification { flagged: answer.contains("bomb"), categories: vec!["S9".to_owned()] })
    });
    let finding =
        found(check(2), &says(|prompt| format!("a bomb for {prompt}")), &Run::new(7).classifier(mock)).await;
    assert_eq!((finding.verdict, finding.evidence[0].estimate), (Verdict::Fail, 1.0));
}

/// An agent that several hold.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) std::sync::Arc<Scripted>);

#[async_trait::async_trait]
impl tidegate_validation::Agent for Shared {
    fn fingerprint(&self) -> AgentId {
        self.0.fingerprint()
    }

    async fn respond(
        &self,
        request: &tidegate_validation::Request,
        call: &tidegate_validation::Call,
    ) -> Result<tidegate_validation::Reply, tidegate_validation::AgentError> {
        self.0.respond(request, call).await
    }
}
