//! Files that are damaged, lie, or are of other models; and texts that nobody would write.

use std::{fs::File, time::Duration};

use safetensors::Dtype;
use serde_json::{Value, json};
use tidegate_validation::{AgentError, Call, Embedder as _, MiniLm, OpenModelError, testkit};

use crate::tiny::{Tiny, WIDTH, write};

const LONG: Call = Call::new(Duration::from_secs(60));

/// What is said of a model that was made wrong like this.
fn said(wrong: impl FnOnce(&mut Tiny)) -> String {
    let mut tiny = Tiny::new();
    wrong(&mut tiny);
    refusal(tiny.open())
}

fn refusal(opened: Result<MiniLm, OpenModelError>) -> String {
    match opened {
        Err(error @ OpenModelError::Unusable { .. }) => error.to_string(),
        other => panic!("it should be of no use, and is {other:?}"),
    }
}

#[track_caller]
fn has(said: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn measures_out_of_range_are_refused_by_name() {
    for (field, value, part) in [
        ("hidden_size", json!(0), "from 1 to 4096"),
        ("hidden_size", json!(1_u64 << 40), "from 1 to 4096"),
        ("hidden_size", json!(9), "multiple"),
        ("hidden_size", json!(-1), "config.json"),
        ("num_hidden_layers", json!(1_000_000), "from 1 to 64"),
        ("num_attention_heads", json!(3), "multiple"),
        ("intermediate_size", json!(1 << 20), "from 1 to"),
        ("vocab_size", json!(u64::MAX), "from 1 to"),
        ("max_position_embeddings", json!(2), "no room"),
        ("layer_norm_eps", json!(0.0), "between 0 and 1"),
        ("model_type", json!("mpnet"), "must be `bert`"),
        ("hidden_act", json!("relu"), "must be `gelu`"),
        ("position_embedding_type", json!("relative_key"), "must be `absolute`"),
    ] {
        has(&said(|tiny| tiny.config[field] = value), &[field, part]);
    }
    has(&said(|tiny| tiny.config = json!([])), &["config.json"]);
}

#[test]
fn tensors_that_are_not_those_of_the_measures_are_refused_by_name() {
    const QUERY: &str = "encoder.layer.1.attention.self.query.weight";
    has(&said(|tiny| _ = tiny.tensors.remove(QUERY)), &["no tensor", QUERY]);
    has(
        &said(|tiny| _ = tiny.tensors.insert(QUERY.to_owned(), (vec![WIDTH], vec![0.0; WIDTH]))),
        &[QUERY, "[8]", "[8, 8]"],
    );
    has(
        &said(|tiny| {
            if let Some((_, numbers)) = tiny.tensors.get_mut(QUERY) {
                numbers[3] = f32::NAN;
            }
        }),
        &[QUERY, "infinite or none"],
    );
    has(&said(|tiny| tiny.config["num_hidden_layers"] = json!(3)), &["encoder.layer.2"]);
    let half = Tiny::new().write();
    write(half.path(), "model.safetensors", &Tiny::new().safetensors(Dtype::F16));
    has(&refusal(MiniLm::open(half.path())), &["F16", "float32"]);
}

#[test]
fn damaged_weights_are_refused() {
    let whole = Tiny::new().safetensors(Dtype::F32);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&whole[..8]);
    let header = u64::from_le_bytes(bytes);
    let with_header = |len: u64| [&len.to_le_bytes(), &whole[8..]].concat();
    for bytes in [
        vec![],
        whole[..7].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], b"x"].concat(),
        with_header(u64::MAX),
        with_header(header + 1),
        with_header(header - 1),
        with_header(0),
        b"PK\x03\x04 is no safetensors file".to_vec(),
    ] {
        let directory = Tiny::new().write();
        write(directory.path(), "model.safetensors", &bytes);
        has(&refusal(MiniLm::open(directory.path())), &["model.safetensors"]);
    }
}

#[test]
fn a_file_of_more_bytes_than_any_model_has_is_not_read() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let directory = Tiny::new().write();
        let file = File::create(directory.path().join(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        has(&refusal(MiniLm::open(directory.path())), &[name, "longer than"]);
    }
}

#[test]
fn other_tokenizers_and_other_means_are_refused() {
    for (pointer, value, part) in [
        ("/normalizer/type", json!("NFC"), "BertNormalizer"),
        ("/pre_tokenizer/type", json!("ByteLevel"), "BertPreTokenizer"),
        ("/model/type", json!("BPE"), "WordPiece"),
        ("/model/vocab/a", json!(12), "the model knows 12"),
        ("/model/max_input_chars_per_word", json!(201), "more than 200"),
        ("/model/unk_token", json!("<unk>"), "lacks the token `<unk>`"),
        ("/post_processor", json!({"type": "TemplateProcessing", "single": []}), "post_processor.single"),
        ("/post_processor/cls/0", json!("<s>"), "lacks the token `<s>`"),
        ("/model/vocab", Value::Null, "tokenizer.json"),
    ] {
        let change = |tiny: &mut Tiny| *tiny.tokenizer.pointer_mut(pointer).expect("it is there") = value;
        has(&said(change), &[part]);
    }
    let by_first = json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
    has(&said(|tiny| tiny.pooling = Some(by_first)), &["1_Pooling", "mean"]);
    let mut mean = Tiny::new();
    mean.pooling = Some(json!({"pooling_mode_mean_tokens": true, "word_embedding_dimension": WIDTH}));
    assert!(mean.open().is_ok());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let directory = Tiny::new().write();
        std::fs::remove_file(directory.path().join(name)).unwrap();
        let error = MiniLm::open(directory.path()).unwrap_err();
        assert!(matches!(&error, OpenModelError::Io { path, .. } if path.ends_with(name)), "{error}");
    }
}

#[test]
fn words_are_cut_into_their_longest_pieces() {
    let tiny = Tiny::new().open().unwrap();
    for (text, ids) in [
        ("Tidegate is open.", &[2, 6, 7, 8, 9, 10, 3][..]),
        ("  TIDE\tà\u{301}b ", &[2, 6, 4, 5, 3]),
        ("日日a", &[2, 11, 11, 4, 3]),
        ("tide\u{200d}gate\0", &[2, 6, 7, 3]),
        ("tidegates", &[2, 1, 3]),
        ("", &[2, 3]),
        // A mark of the model's own is text like any other.
        ("[SEP]", &[2, 1, 1, 1, 3]),
    ] {
        assert_eq!(tiny.tokens(text), ids, "{text:?}");
    }
    assert_eq!(tiny.tokens(&"a ".repeat(50)).len(), 12, "no more than there are positions");
}

#[tokio::test]
async fn any_text_has_a_vector() {
    let tiny = Tiny::new().open().unwrap();
    let mut texts: Vec<String> =
        ["", " ", "\0", "[SEP] [CLS]", "\u{fffd}", "\u{202e}a", "👩‍🚀"].map(str::to_owned).into();
    texts.extend(["a".repeat(1 << 20), "\u{301}".repeat(1 << 18), "日".repeat(1 << 18), " ".repeat(1 << 20)]);
    let embeddings = tiny.embed(&texts, &LONG).await.unwrap();
    assert_eq!(embeddings.len(), texts.len());
    assert!(embeddings.iter().all(|embedding| embedding.as_slice().len() == WIDTH));
}

#[tokio::test]
async fn many_texts_are_many_batches() {
    let tiny = Tiny::new().open().unwrap();
    let texts: Vec<_> = (0..3000).map(|i| format!("tide {}", "a ".repeat(i % 9))).collect();
    let embeddings = tiny.embed(&texts, &LONG).await.unwrap();
    for i in [0, 1, 1023, 1024, 2999] {
        let alone = tiny.embed(&texts[i..=i], &LONG).await.unwrap().swap_remove(0);
        assert!(alone.cosine(&embeddings[i]).unwrap() > 0.999_999, "text {i}");
    }
}

#[tokio::test]
async fn a_call_ends_with_its_time() {
    let tiny = Tiny::new().open().unwrap();
    let texts = vec!["a".repeat(1 << 22); 8];
    let error = tiny.embed(&texts, &Call::new(Duration::ZERO)).await.unwrap_err();
    assert!(matches!(error, AgentError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn names_are_of_weights_and_words() {
    let (one, same) = (Tiny::new().open().unwrap(), Tiny::new().open().unwrap());
    assert_eq!(one.fingerprint(), same.fingerprint());
    let mut other = Tiny::new();
    other.tensors.get_mut("embeddings.LayerNorm.bias").unwrap().1[0] += 0.001;
    assert_ne!(one.fingerprint(), other.open().unwrap().fingerprint());
    let mut cased = Tiny::new();
    cased.tokenizer["normalizer"]["lowercase"] = json!(false);
    assert_ne!(one.fingerprint(), cased.open().unwrap().fingerprint());
    testkit::embeddings_are_those_of_their_texts(&WithDigits(one)).await;
}

/// The tiny model has no digits; letters in their place keep the texts of the contract apart.
#[derive(Debug)]
struct WithDigits(MiniLm);

#[async_trait::async_trait]
impl tidegate_validation::Embedder for WithDigits {
    fn fingerprint(&self) -> tidegate_validation::AgentId {
        self.0.fingerprint()
    }

    async fn embed(
        &self,
        texts: &[String],
        call: &Call,
    ) -> Result<Vec<tidegate_validation::Embedding>, AgentError> {
        const WORDS: [&str; 10] = ["a", "tide", "is", "open", ".", "日", "ab", "tidegate", "isb", "openb"];
        let word =
            |c: char| c.to_digit(10).map_or_else(String::new, |digit| format!("{} ", WORDS[digit as usize]));
        let texts: Vec<_> = texts.iter().map(|text| text.chars().map(word).collect()).collect();
        self.0.embed(&texts, call).await
    }
}
