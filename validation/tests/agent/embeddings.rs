//! The HTTP embedder against a server on loopback, and the contract of `Embedder` for every embedder there is.

use std::{num::NonZeroUsize, time::Duration};

use crate::server::{Answer, End, Server};
use reqwest::Client;
use serde_json::{Value, json};
use tidegate_validation::{
    AgentError, Call, Embedder, Embedding, MockEmbedder, OpenAiEmbeddings, Retry,
    testkit::{self, WordCounts},
};

const LONG: Call = Call::new(Duration::from_secs(20));

fn texts(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("text {i}")).collect()
}

async fn ask(body: Value, n: usize) -> (Server, Result<Vec<Embedding>, AgentError>) {
    let server = Server::start([Answer::new(200, body.to_string())]).await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap();
    let embeddings = embedder.embed(&texts(n), &LONG).await;
    (server, embeddings)
}

#[tokio::test]
async fn vectors_come_in_the_order_of_their_numbers() {
    let body = json!({"object": "list", "model": "m", "usage": {"prompt_tokens": 4, "total_tokens": 4}, "data": [
        {"object": "embedding", "index": 1, "embedding": [0.0, 2.0]},
        {"object": "embedding", "index": 0, "embedding": [3.0, 4.0]},
    ]});
    let (server, embeddings) = ask(body, 2).await;
    let embeddings = embeddings.unwrap();
    assert_eq!((embeddings[0].as_slice(), embeddings[1].as_slice()), (&[0.6, 0.8][..], &[0.0, 1.0][..]));
    let asked = &server.requests()[0];
    let expected = json!({"model": "m", "input": ["text 0", "text 1"], "encoding_format": "float"});
    assert_eq!((asked.path.as_str(), &asked.body), ("/v1/embeddings", &expected));
}

#[tokio::test]
async fn what_is_no_list_of_vectors_is_malformed() {
    let datum = |index: u64, embedding: Value| json!({"index": index, "embedding": embedding});
    for (body, said) in [
        (json!({}), "no list of embeddings"),
        (json!({"error": {"message": "pooling is off"}}), "pooling is off"),
        (json!({"data": [datum(0, json!([1.0]))]}), "1 vectors for 2 texts"),
        (json!({"data": [datum(0, json!([1.0])), datum(0, json!([1.0]))]}), "two vectors"),
        (json!({"data": [datum(0, json!([1.0])), datum(7, json!([1.0]))]}), "no text number 7"),
        (
            json!({"data": [datum(0, json!([1.0])), datum(1, json!([1.0, 2.0]))]}),
            "different numbers of dimensions",
        ),
        (json!({"data": [datum(0, json!([0.0])), datum(1, json!([1.0]))]}), "points nowhere"),
        (json!({"data": [datum(0, json!([1e300])), datum(1, json!([1.0]))]}), "out of range"),
        (json!({"data": [datum(0, json!([])), datum(1, json!([]))]}), "dimensions"),
        (json!({"data": [datum(0, json!("AAAA")), datum(1, json!([1.0]))]}), "no list of embeddings"),
    ] {
        let error = ask(body, 2).await.1.unwrap_err();
        assert!(
            matches!(&error, AgentError::Malformed { why, .. } if why.contains(said)),
            "{said}: {error:?}"
        );
    }
}

#[tokio::test]
async fn texts_are_sent_in_batches_of_bounded_number_and_length() {
    let vectors = |n: usize| json!({"data": vec![json!({"embedding": [1.0]}); n]}).to_string();
    let server = Server::start([3, 3, 1].map(|n| Answer::new(200, vectors(n)))).await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap();
    let embedder = embedder.batch(NonZeroUsize::new(3).unwrap());
    assert_eq!(embedder.embed(&texts(7), &LONG).await.unwrap().len(), 7);
    let sent: Vec<_> = server.requests().iter().map(|r| r.body["input"].as_array().unwrap().len()).collect();
    assert_eq!(sent, [3, 3, 1]);

    let long = vec!["x".repeat(100_000), "x".repeat(100_000), "x".repeat(100_000), "x".repeat(500_000)];
    let server = Server::start([2, 1, 1].map(|n| Answer::new(200, vectors(n)))).await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap();
    assert_eq!(embedder.embed(&long, &LONG).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_batch_is_tried_again_within_the_time_of_all() {
    let quick = Retry { retries: 1, first: Duration::ZERO, longest: Duration::ZERO, seed: 0 };
    let good = Answer::new(200, json!({"data": [{"embedding": [1.0]}]}).to_string());
    let server = Server::start([Answer::new(503, ""), good, Answer::hang()]).await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap();
    let embedder = embedder.batch(NonZeroUsize::MIN).retry(quick);
    let error = embedder.embed(&texts(2), &Call::new(Duration::from_millis(400))).await.unwrap_err();
    assert!(matches!(error, AgentError::TimedOut { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let endless = Answer::stream([format!("{{\"data\": [{{\"embedding\": [{}", "1.0, ".repeat(100_000))]);
    let server = Server::start([endless.end(End::Repeats)]).await;
    let embedder = OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap();
    let error = embedder.embed(&texts(1), &LONG).await.unwrap_err();
    assert!(
        matches!(&error, AgentError::Malformed { why, .. } if why.contains("smaller batches")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_token_appears_nowhere() {
    let server = Server::start([Answer::new(401, "bad key sk-secret")]).await;
    let embedder =
        OpenAiEmbeddings::new(Client::new(), &server.base(), "m").unwrap().bearer("sk-secret").unwrap();
    let error = embedder.embed(&texts(1), &LONG).await.unwrap_err();
    let shown = format!("{error} {error:?} {embedder:?} {}", embedder.fingerprint());
    assert!(!shown.contains("secret") && error.is_hopeless(), "{shown}");
    assert_eq!(server.requests()[0].authorization.as_deref(), Some("Bearer sk-secret"));
}

#[tokio::test]
async fn counted_words_are_embeddings() {
    testkit::embeddings_are_those_of_their_texts(&WordCounts).await;
    let texts =
        ["The cat sat on the mat", "On the mat sat a cat", "Quarterly revenue grew"].map(str::to_owned);
    let vectors = WordCounts.embed(&texts, &LONG).await.unwrap();
    assert!(vectors[0].cosine(&vectors[1]).unwrap() > 0.7 && vectors[0].cosine(&vectors[2]).unwrap() < 0.2);
}

#[tokio::test]
#[should_panic(expected = "alone and among others")]
async fn an_embedder_that_mixes_up_its_texts_is_caught() {
    let mut mixed = MockEmbedder::new();
    mixed.expect_embed().returning(|texts, _| {
        let vector = |i: usize| Embedding::new(vec![1.0, i as f32]).unwrap();
        Ok((0..texts.len()).map(vector).collect())
    });
    testkit::embeddings_are_those_of_their_texts(&mixed).await;
}
