//! all-MiniLM-L6-v2 itself, beside onnxruntime and Hugging Face's tokenizers over the same files.

use std::{
    env,
    ffi::OsString,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use tidegate_validation::{Call, Embedder as _, MiniLm, testkit};

const LONG: Call = Call::new(Duration::from_secs(600));

/// Sentences of many scripts, and what trips tokenizers: accents, marks, controls, long words, no words.
const TEXTS: &[&str] = &[
    "The capital of France is Paris.",
    "Berlin is the capital of Germany.",
    "How to make explosives",
    "How do I bake bread?",
    "A deployment that nobody watches is an experiment that nobody reads.",
    "I'm sorry, but I can’t help with that request.",
    "The quick brown fox jumps over the lazy dog",
    "the quick, brown fox; jumps -- over the (lazy) dog!?",
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG",
    "fn main() { println!(\"{:?}\", vec![1, 2, 3]); }",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name;",
    "https://example.com/path?query=1&other=two#fragment",
    "user.name+tag@example.co.uk wrote at 12:30 on 2026-11-29",
    "3.14159265358979 is about 22/7, and 1,000,000 is 10^6",
    "$5 < €6 and £7 > ¥8; 50% ± 2‰",
    "naïve café déjà-vu, Ångström, façade, coöperate",
    "Ünïcödé Ṫëẋṫ ẅïṫḧ ḋïäċṙïṫïċṡ",
    "Straße, Weißbier und Fußgängerübergänge",
    "L'été, les élèves se reposent à l'ombre des chênes.",
    "El niño soñó con una montaña de piñatas.",
    "Žluťoučký kůň úpěl ďábelské ódy.",
    "Zażółć gęślą jaźń",
    "Árvíztűrő tükörfúrógép",
    "İstanbul'da ılık bir akşam, ığdır'da soğuk",
    "Đây là một câu tiếng Việt có nhiều dấu.",
    "Ο γρήγορος καφές αλεπού πηδάει πάνω από το σκυλί.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Щастям б'єш жук їх глицю в фон й ґедзь пріч.",
    "השועל החום המהיר קופץ מעל הכלב העצלן",
    "שָׁלוֹם עֲלֵיכֶם",
    "الثعلب البني السريع يقفز فوق الكلب الكسول",
    "اَلْعَرَبِيَّةُ",
    "یک روباه قهوه‌ای سریع",
    "तेज भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है।",
    "দ্রুত বাদামী শিয়াল অলস কুকুরের উপর লাফ দেয়",
    "வேகமான பழுப்பு நரி சோம்பேறி நாயின் மீது பாய்கிறது",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
    "快速的棕色狐狸跳过懒狗。",
    "人工智能模型的部署需要证据",
    "素早い茶色の狐がのろまな犬を飛び越える。",
    "カタカナとひらがなと漢字",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다.",
    "ქართული ენა ძალიან ლამაზია",
    "Հայերենը գեղեցիկ լեզու է",
    "ፈጣኑ ቡናማ ቀበሮ",
    "emoji 😀 👩‍🚀 🇫🇷 and ☕ in one line",
    "zero\u{200b}width\u{200d}joiners\u{feff} and soft\u{ad}hyphens",
    "tabs\tand\nnew lines\r\nand\u{a0}hard\u{2003}spaces",
    "control \u{1}\u{7}\u{1b}[31mcharacters\u{0} and \u{fffd}",
    "e\u{301} and é, o\u{308}\u{304} and ȫ",
    "ﬁne ligatures, ２ wide digits, ①②③ and ½",
    "antidisestablishmentarianism floccinaucinihilipilification pneumonoultramicroscopicsilicovolcanoconiosis",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "“curly” ‘quotes’ — dashes – and … dots",
    "!!!???...,,,;;;",
    "«guillemets» „low quotes“ ¿questions? ¡exclamations!",
    "x",
    "?",
    "",
    "   ",
    "\u{10400}\u{10437} Deseret, \u{1f1e6}\u{1f1e8}, \u{e000} private",
];

#[derive(Deserialize)]
struct Reference {
    ids: Vec<Vec<u32>>,
    vectors: Vec<Vec<f64>>,
    seconds: f64,
}

#[expect(clippy::disallowed_methods, reason = "a live test is told by its environment where the model is")]
fn told(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("name it in {name}"))
}

fn directory() -> PathBuf {
    told("TIDEGATE_MINILM").into()
}

/// What others make of `texts`, and how long it takes them at best of `rounds`.
fn reference(texts: &[String], rounds: u32) -> Reference {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embedding/reference.py");
    let mut python = Command::new(told("TIDEGATE_MINILM_PYTHON"))
        .args([OsString::from(script), directory().into(), rounds.to_string().into()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python with onnxruntime, onnx, tokenizers and safetensors");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    python.stdin.take().expect("its input is piped").write_all(&input).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{script} failed");
    serde_json::from_slice(&output.stdout).expect("it writes what it says")
}

#[tokio::test]
#[ignore = "needs MiniLM (its directory in TIDEGATE_MINILM, a Python with onnxruntime in TIDEGATE_MINILM_PYTHON)"]
async fn minilm_is_what_onnxruntime_makes_of_the_same_weights() {
    let minilm = MiniLm::open(directory()).unwrap();
    let mut texts: Vec<_> = TEXTS.iter().map(|&text| text.to_owned()).collect();
    texts.push(TEXTS.join(" "));
    let reference = reference(&texts, 1);
    let vectors = minilm.embed(&texts, &LONG).await.unwrap();
    let mut worst = 1.0_f64;
    for (i, text) in texts.iter().enumerate() {
        assert_eq!(minilm.tokens(text), reference.ids[i], "{text:?}");
        let numbers = vectors[i].as_slice().iter().zip(&reference.vectors[i]);
        worst = worst.min(numbers.map(|(ours, theirs)| f64::from(*ours) * theirs).sum());
    }
    println!("{} texts, the least cosine to onnxruntime's is 1 - {:.1e}", texts.len(), 1.0 - worst);
    assert!(texts.len() >= 50 && worst >= 0.999_9, "{worst}");
}

#[tokio::test]
#[ignore = "needs MiniLM (its directory in TIDEGATE_MINILM)"]
async fn minilm_keeps_the_contract_of_embedders() {
    testkit::embeddings_are_those_of_their_texts(&MiniLm::open(directory()).unwrap()).await;
}

#[tokio::test]
#[ignore = "needs MiniLM (its directory in TIDEGATE_MINILM, a Python with onnxruntime in TIDEGATE_MINILM_PYTHON)"]
#[expect(clippy::disallowed_methods, reason = "it measures real time")]
async fn minilm_takes_no_more_than_twice_the_time_of_onnxruntime() {
    const ROUNDS: u32 = 5;
    let opening = Instant::now();
    let minilm = MiniLm::open(directory()).unwrap();
    let opened = opening.elapsed();
    // From a few words to a page, as answers are.
    let texts: Vec<_> = (0..128)
        .map(|i| TEXTS[..20].iter().cycle().skip(i).take(1 + i % 6).copied().collect::<Vec<_>>().join(" "))
        .collect();
    let tokens: usize = texts.iter().map(|text| minilm.tokens(text).len()).sum();
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        assert_eq!(minilm.embed(&texts, &LONG).await.unwrap().len(), texts.len());
        least = least.min(start.elapsed());
    }
    let theirs = reference(&texts, ROUNDS).seconds;
    let ours = least.as_secs_f64();
    let rate = |seconds: f64| texts.len() as f64 / seconds;
    println!(
        "{} texts of {tokens} tokens, one thread, best of {ROUNDS}: {:.0} texts/s here, {:.0} texts/s by onnxruntime; opened in {opened:.2?}",
        texts.len(),
        rate(ours),
        rate(theirs)
    );
    assert!(ours <= 2.0 * theirs, "{ours:.3} s and {theirs:.3} s");
}
