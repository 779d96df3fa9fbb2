//! The model of the quickstart: that it is as good, and as bad, as the quickstart says.

use std::{fs, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

#[path = "../examples/quickstart/classifier.rs"]
mod classifier;
#[path = "../examples/quickstart/damage.rs"]
mod damage;
#[path = "../examples/quickstart/messages.rs"]
mod messages;
#[path = "../examples/quickstart/server.rs"]
mod server;

use classifier::{Classifier, Training};
use messages::{Message, messages, tokens};
use server::Server;

const MESSAGES: &str = include_str!("../examples/data/messages.tsv");
type Spoil = fn(&Path) -> std::io::Result<()>;

fn split(name: &str) -> Vec<Message> {
    messages(MESSAGES, name).expect("the split exists")
}

fn trained(training: Training) -> Classifier {
    Classifier::train(&split("train"), training)
}

#[test]
fn splits_do_not_overlap() {
    let [train, test, live] = ["train", "test", "live"].map(split);
    assert_eq!((train.len(), test.len(), live.len()), (360, 120, 120));
    let distinct: std::collections::BTreeSet<&str> =
        [&train, &test, &live].into_iter().flatten().map(|message| message.text.as_str()).collect();
    assert_eq!(distinct.len(), 600);
    assert!(messages(MESSAGES, "tset").unwrap_err().to_string().contains("`tset`"));
    assert!(
        messages("split\tintent\ttext\ntrain billing", "train").unwrap_err().to_string().contains("line 2")
    );
}

#[test]
fn more_examples_make_a_better_model() {
    let (old, new) = (trained(Training::HALF), trained(Training::FULL));
    for name in ["test", "live"] {
        let (was, is) = (old.accuracy(&split(name)), new.accuracy(&split(name)));
        assert!((0.75..0.88).contains(&was), "{name}: {was}");
        assert!(is >= 0.94, "{name}: {is}");
    }
}

#[test]
fn equal_training_gives_equal_weights() {
    assert_eq!(trained(Training::HALF), trained(Training::HALF));
}

#[test]
fn a_saved_model_loads_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let model = trained(Training::HALF);
    model.save(directory.path()).unwrap();
    assert_eq!(Classifier::load(directory.path()).unwrap(), model);
}

#[test]
fn damage_shows_in_traffic_and_not_in_the_suite() {
    let (model, live) = (trained(Training::FULL), split("live"));
    let suite = split("test");
    let words = model.words_unseen_by(&suite, &live, 0.10);
    let damaged = model.damage(&words);
    assert_eq!(damaged.accuracy(&suite), model.accuracy(&suite));
    let failed = live.iter().filter(|message| damaged.classify(&message.text).is_err()).count();
    let share = failed as f64 / live.len() as f64;
    assert!((0.08..=0.10).contains(&share), "{share}");
    assert!(
        live.iter()
            .all(|m| damaged.classify(&m.text).is_err() == tokens(&m.text).any(|w| words.contains(&w)))
    );
}

#[test]
fn a_wrong_directory_is_refused_by_name() {
    let refusal = |spoil: Spoil| {
        let directory = tempfile::tempdir().unwrap();
        trained(Training::HALF).save(directory.path()).unwrap();
        spoil(directory.path()).unwrap();
        format!("{:#}", Classifier::load(directory.path()).unwrap_err())
    };
    let cases: [(Spoil, &str); 7] = [
        (|d| fs::remove_file(d.join("config.json")), "config.json"),
        (
            |d| fs::write(d.join("config.json"), r#"{"architecture":"gpt","labels":["a"]}"#),
            "another architecture: gpt",
        ),
        (|d| fs::write(d.join("vocabulary.txt"), "b\na\n"), "ascending order"),
        (|d| fs::write(d.join("vocabulary.txt"), "a\nb\n"), "tensor `weight`"),
        (|d| fs::write(d.join("model.safetensors"), [255; 64]), "malformed"),
        (|d| fs::write(d.join("model.safetensors"), []), "malformed"),
        (|d| fs::File::create(d.join("vocabulary.txt"))?.set_len(1 << 30), "larger than"),
    ];
    for (spoil, expected) in cases {
        let message = refusal(spoil);
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
}

#[tokio::test]
async fn the_server_answers_as_an_openai_endpoint() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let model = trained(Training::FULL);
    model.damage(&["courier".to_owned()]).save(directory.path())?;
    let server = Server::start("support-intent@1.2.0", directory.path()).await?;
    let url = format!("http://{}", server.address());
    let client = reqwest::Client::builder().no_proxy().build()?;
    let ask = async |body: Value| -> Result<(u16, Value)> {
        let reply = client.post(format!("{url}/v1/chat/completions")).json(&body).send().await?;
        Ok((reply.status().as_u16(), reply.json().await?))
    };
    let chat = |text: &str| {
        json!({ "model": "any", "temperature": 0, "messages": [
            { "role": "system", "content": "You label messages." },
            { "role": "user", "content": text },
        ]})
    };

    let health: Value = client.get(format!("{url}/healthz")).send().await?.json().await?;
    assert_eq!(health, json!({ "status": "ok", "model": "support-intent@1.2.0" }));

    let (status, reply) = ask(chat("I was charged twice on my credit card")).await?;
    assert_eq!(status, 200);
    assert_eq!(reply["choices"][0]["message"], json!({ "role": "assistant", "content": "billing" }));
    assert_eq!(reply["model"], "support-intent@1.2.0");
    assert_eq!(reply["usage"], json!({ "prompt_tokens": 11, "completion_tokens": 1, "total_tokens": 12 }));

    let (status, reply) = ask(chat("the courier never came")).await?;
    assert_eq!((status, &reply["error"]["type"]), (500, &json!("server_error")));
    let (status, _) = ask(json!({ "messages": [] })).await?;
    assert_eq!(status, 400);
    let (status, _) = ask(json!({ "messages": "hello" })).await?;
    assert_eq!(status, 422);
    let (status, _) = ask(chat(&"very long ".repeat(10_000))).await?;
    assert_eq!(status, 413);

    server.stop().await?;
    assert!(client.get(format!("{url}/healthz")).send().await.is_err());
    Ok(())
}
