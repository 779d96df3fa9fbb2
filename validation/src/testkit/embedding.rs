//! An embedder that counts words, and the contract of [`Embedder`].

use std::time::Duration;

use async_trait::async_trait;

use crate::{AgentError, AgentId, Call, Embedder, Embedding, fold::fold};

/// An [`Embedder`] that counts words: texts are near each other if they use the same ones. It knows nothing of
/// what they mean.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct WordCounts;

#[async_trait]
impl Embedder for WordCounts {
    fn fingerprint(&self) -> AgentId {
        AgentId::new("word counts")
    }

    async fn embed(&self, texts: &[String], _: &Call) -> Result<Vec<Embedding>, AgentError> {
        let counts = |text: &String| {
            // The last place keeps an empty text from pointing nowhere.
            let mut counts = vec![0.0; 513];
            counts[512] = 0.01;
            for word in fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                let hash = word
                    .bytes()
                    .fold(5381_usize, |hash, byte| hash.wrapping_mul(33).wrapping_add(usize::from(byte)));
                counts[hash % 512] += 1.0;
            }
            Embedding::new(counts).expect("it is finite and not zero")
        };
        Ok(texts.iter().map(counts).collect())
    }
}

/// Checks that vectors come in the order of their texts, whatever is beside them, and that equal texts
/// are nearer than different ones.
///
/// # Panics
///
/// When they do not, or no vectors come.
pub async fn embeddings_are_those_of_their_texts(embedder: &dyn Embedder) {
    let call = Call::new(Duration::from_secs(300));
    let texts: Vec<_> =
        (0..70).map(|i| format!("text {i} is about {}", "things ".repeat(i % 5 + 1))).collect();
    let together = embedder.embed(&texts, &call).await.expect("vectors");
    assert_eq!(together.len(), texts.len(), "a vector for each text");
    for i in [0, 1, 31, 32, 63, 69] {
        let alone = embedder.embed(&texts[i..=i], &call).await.expect("a vector").swap_remove(0);
        let nearness = |j: usize| alone.cosine(&together[j]).expect("all have the same dimensions");
        assert!(nearness(i) > 0.999, "text {i} alone and among others: {}", nearness(i));
        let other = (i + 7) % texts.len();
        assert!(nearness(i) > nearness(other), "text {i} is nearer to itself than to text {other}");
    }
    assert!(embedder.embed(&[], &call).await.expect("nothing to do").is_empty());
}
