use async_trait::async_trait;
use serde_json::json;
use tidegate_validation::{AgentError, AgentId, Call, Embedder, Embedding, Run, scorer::Scorer as _};

use super::{assertion, holds, question, score};

/// Counts letters: texts of the same letters point the same way, texts of different ones are orthogonal.
#[derive(Debug)]
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("letters")
    }

    async fn embed(&self, texts: &[String], _: &Call) -> Result<Vec<Embedding>, AgentError> {
        let vector = |text: &String| {
            let count = |letter: char| text.to_lowercase().matches(letter).count() as f32;
            Embedding::new(('a'..='z').map(count).collect())
        };
        texts
            .iter()
            .map(vector)
            .collect::<Result<_, _>>()
            .map_err(|invalid| AgentError::Malformed { agent: self.fingerprint(), why: invalid.to_string() })
    }
}

fn run() -> Run {
    Run::new(7).embedder(Letters)
}

#[tokio::test]
async fn similarity_is_a_cosine() {
    let similar = json!({"kind": "similar", "value": ["ab", "xyz"], "threshold": 0.7});
    // (1, 1)·(1, 0) / √2.
    let half = score(similar.clone(), "a", &run()).await.unwrap();
    assert!((half.value - 0.5_f64.sqrt()).abs() < 1e-6 && half.passed, "{half:?}");
    let best = score(similar.clone(), "zyx", &run()).await.unwrap();
    assert!((best.value - 1.0).abs() < 1e-6);
    assert_eq!(score(similar.clone(), "q", &run()).await.unwrap().value, 0.0);
    assert!(!score(similar.clone(), " ", &run()).await.unwrap().passed);
    assert!(score(similar, "123", &run()).await.is_err(), "a vector without direction is no cosine");
}

#[tokio::test]
async fn quality_is_the_weighted_mean_of_its_parts() {
    let quality = |weights: [f64; 3]| {
        json!({"kind": "quality", "topics": ["capital", "zz"], "near": 0.99,
            "relevance": {"weight": weights[0]}, "coverage": {"weight": weights[1]}, "coherence": {"weight": weights[2]}})
    };
    let said = "The capital of France is what? What is the capital of France";
    let part = async |weights| score(quality(weights), said, &run()).await.unwrap().value;
    let (relevance, coverage, coherence) =
        (part([1.0, 0.0, 0.0]).await, part([0.0, 1.0, 0.0]).await, part([0.0, 0.0, 1.0]).await);
    assert!(relevance > 0.9 && coverage == 0.5, "{relevance} {coverage}");
    // Two sentences of the same letters; of 10 trigrams of words 2 are there again.
    assert!((coherence - 0.8).abs() < 1e-6, "{coherence}");
    let all = part([0.4, 0.3, 0.3]).await;
    assert!((all - (0.4 * relevance + 0.3 * coverage + 0.3 * coherence)).abs() < 1e-12);
}

#[tokio::test]
async fn a_topic_may_be_spoken_of_in_other_words() {
    let by = |near: f64| json!({"kind": "quality", "topics": ["listen"], "near": near, "relevance": {"weight": 0}, "coverage": {"weight": 1}, "coherence": {"weight": 0}});
    assert_eq!(score(by(0.9), "Silent. Or loud.", &run()).await.unwrap().value, 1.0);
    assert_eq!(score(by(1.0), "Silent. Or loud.", &run()).await.unwrap().value, 0.0);
}

#[tokio::test]
async fn saying_one_thing_over_and_over_does_not_cohere() {
    let coherence = json!({"kind": "quality", "topics": ["fish"], "relevance": {"weight": 0}, "coverage": {"weight": 0}, "coherence": {"weight": 1}});
    assert!(score(coherence, &"I am a fish. ".repeat(30), &run()).await.unwrap().value < 0.1);
}

#[tokio::test]
async fn each_part_can_be_scored_by_another_assertion() {
    let part = |word: &str| json!({"weight": 1, "by": {"kind": "contains", "value": word}});
    let settings = json!({"kind": "quality", "relevance": part("a"), "coverage": part("b"), "coherence": part("c"), "threshold": 0.6});
    // No embedder is needed any more.
    assert!(holds(settings.clone(), "a b").await && !holds(settings, "a").await);
}

#[tokio::test]
async fn an_embedder_that_fails_makes_the_score_unknown() {
    #[derive(Debug)]
    struct Broken(usize);

    #[async_trait]
    impl Embedder for Broken {
        fn fingerprint(&self) -> AgentId {
            AgentId::new("broken")
        }

        async fn embed(&self, _: &[String], _: &Call) -> Result<Vec<Embedding>, AgentError> {
            let vector = Embedding::new(vec![1.0]).unwrap();
            match self.0 {
                0 => Err(AgentError::Malformed { agent: self.fingerprint(), why: "unplugged".to_owned() }),
                n => Ok(vec![vector; n]),
            }
        }
    }

    for broken in [0, 1, 3] {
        let run = Run::new(7).embedder(Broken(broken));
        let similar = assertion(json!({"kind": "similar", "value": "a"}));
        let reply = tidegate_validation::Reply::text("b");
        assert!(similar.score(&question(), &reply, &run).await.is_err(), "{broken}");
    }
}
