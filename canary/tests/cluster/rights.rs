//! Least privilege: what the examples grant is enough, and without any of it something is refused that names it.

use std::path::Path;

use serde_json::{Value, json};
use tidegate_canary::ActuatorError;

use super::{Cluster, Way};

/// With the rights of the examples' account.
pub(crate) const TIDEGATE: Way =
    Way { user: Some("system:serviceaccount:serving:tidegate"), throttled: None };

/// The path of a file of the examples. The tests of other packages use it, too.
pub(crate) fn example(file: &str) -> String {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file = Path::new("examples/kubernetes").join(file);
    let found = above.find_map(|root| Some(root.join(&file)).filter(|file| file.exists())).unwrap();
    found.display().to_string()
}

impl Cluster {
    /// Applies files of the examples, as a person would.
    pub(crate) fn apply_examples(&self, files: &[&str]) {
        for file in files {
            self.kubectl(&["apply", "--validate=false", "-f", &example(file)]);
        }
    }

    /// Takes the verbs of `role` away one by one, and expects that `work` is refused with that verb, its resource
    /// and the namespace named; all together they are enough. Says how many they were.
    #[expect(clippy::future_not_send, reason = "a test runs in one thread")]
    pub(crate) async fn each_right_is_needed(
        &self,
        role: &str,
        work: impl AsyncFn() -> Result<(), ActuatorError>,
    ) -> usize {
        let role = format!("apis/rbac.authorization.k8s.io/v1/namespaces/serving/roles/{role}");
        let granted = self.get(&role).await;
        let rules = granted["rules"].as_array().unwrap();
        until(&work, |answer| answer.is_ok().then_some(())).await;
        let mut missed = 0;
        for (index, rule) in rules.iter().enumerate() {
            for verb in rule["verbs"].as_array().unwrap() {
                let mut less = rules.clone();
                less[index]["verbs"].as_array_mut().unwrap().retain(|other| other != verb);
                // A rule without verbs is none.
                less.retain(|rule| rule["verbs"] != json!([]));
                self.merge(&role, &json!({"rules": less})).await;
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let words = [verb, &rule["resources"][0], &rule["apiGroups"][0], &json!("serving")].map(text);
                let named = |error: &ActuatorError| words.iter().all(|word| said(error).contains(word));
                let refused = |answer: Result<(), ActuatorError>| match answer {
                    Err(error @ ActuatorError::Refused { .. }) if named(&error) => Some(()),
                    _ => None,
                };
                until(&work, refused).await;
                missed += 1;
            }
        }
        self.merge(&role, &json!({"rules": rules})).await;
        until(&work, |answer| answer.is_ok().then_some(())).await;
        missed
    }
}

/// The error and its causes as one text.
pub(crate) fn said(error: &ActuatorError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A change of a role takes a moment to reach the API server.
#[expect(clippy::future_not_send, reason = "a test runs in one thread")]
async fn until<T>(
    work: &impl AsyncFn() -> Result<(), ActuatorError>,
    wanted: impl Fn(Result<(), ActuatorError>) -> Option<T>,
) -> T {
    super::until("the rights make a difference", async || {
        let answer = work().await;
        let last = answer.as_ref().err().map(said);
        wanted(answer).ok_or(last)
    })
    .await
}
