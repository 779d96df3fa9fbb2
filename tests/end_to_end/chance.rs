//! How often an LLM answers the same otherwise. One slot and no cache of prompts repeat themselves; several slots do not
//! have to, since what is computed together is rounded otherwise.

use std::{collections::BTreeMap, fmt::Write as _, fs, thread};

use serde_json::{Value, json};

use crate::{
    ALONE,
    llm::{Llm, Made, serve},
    ports::free_port,
    running::now,
    story,
    users::request,
};

const QUESTIONS: [&str; 6] = [
    "What is machine learning?",
    "Why is the sky blue?",
    "What is the capital of France?",
    "What does a thermometer measure?",
    "What is a prime number?",
    "Tell me about the moon.",
];

/// How many ask at once.
const CLIENTS: usize = 4;

/// To each question every answer, and how often it was given.
type Answers = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// What each client is answered to each question. Each begins with another one, so that what meets changes.
fn ask(port: u16) -> Answers {
    let client = |first: usize| {
        let order = (0..QUESTIONS.len()).map(move |nth| QUESTIONS[(first + nth) % QUESTIONS.len()]);
        order.map(|question| (question, answer(port, question))).collect::<Vec<_>>()
    };
    let mut answers = Answers::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|first| scope.spawn(move || client(first))).collect();
        for (question, answer) in
            clients.into_iter().flat_map(|client| client.join().expect("it is answered"))
        {
            *answers.entry(question).or_default().entry(answer).or_default() += 1;
        }
    });
    answers
}

fn answer(port: u16, question: &str) -> String {
    let body = json!({ "model": "assistant", "messages": [{ "role": "user", "content": question }],
        "temperature": 0, "seed": 7, "max_tokens": 32 });
    let answer = request(port, "POST", "/v1/chat/completions", &body.to_string()).expect("an answer");
    let body: Value =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    body["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// A page of what was answered, a row a question.
fn page(of: &[(u64, Answers)]) -> String {
    let mut page = format!("# One question, {CLIENTS} times at temperature 0\n");
    for (slots, answers) in of {
        let otherwise = answers.values().filter(|answers| answers.len() > 1).count();
        let asked = answers.len();
        write!(
            page,
            "\n{slots} at once: {otherwise} of {asked} questions were answered in more than one way\n\n"
        )
        .expect("text");
        for (question, answers) in answers {
            writeln!(page, "| {question} | {} |", answers.len()).expect("text");
            for (answer, times) in answers {
                writeln!(page, "    {times} × {}", answer.trim()).expect("text");
            }
        }
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an LLM (a Python with xllamacpp in TIDEGATE_LLM_PYTHON, packages of Gemma 3 270M in TIDEGATE_GEMMA)"]
#[expect(clippy::print_stdout, reason = "chance is reported, not hidden")]
async fn end_to_end_an_llm_with_one_slot_repeats_itself_and_what_four_slots_do_is_reported() {
    let _alone = ALONE.lock().await;
    let begin = now();
    let (llm, place) = (Llm::new(), tempfile::tempdir().expect("a temporary directory"));
    let served = |slots: u64| {
        let directory = place.path().join(slots.to_string());
        let server = json!({ "context": 512, "slots": slots });
        llm.put(&directory, &Made { weights: "weights.gguf", template: Some("template.jinja"), server });
        let port = free_port();
        let _server = serve(&directory, port, "1.0.0", &place.path().join("fault"));
        (slots, ask(port))
    };
    // Each has a core of its own.
    let found = tokio::task::block_in_place(|| {
        thread::scope(|scope| [1, 4].map(|slots| scope.spawn(move || served(slots))).map(|of| of.join()))
    });
    let found = found.map(|answers| answers.expect("it was asked"));
    let page = page(&found);
    println!("{page}");
    let test = std::env::current_exe().expect("a test knows where it is");
    let target =
        test.ancestors().nth(3).expect("cargo keeps tests in target/PROFILE/deps").join("end-to-end");
    fs::create_dir_all(&target).expect("a directory");
    fs::write(target.join("non-determinism.md"), page).expect("a file");
    for (slots, answers) in found {
        let times: Vec<usize> = answers.values().map(|answers| answers.values().sum()).collect();
        assert_eq!(times, [CLIENTS; QUESTIONS.len()], "each was answered as often as it was asked");
        assert!(slots > 1 || answers.values().all(|answers| answers.len() == 1), "{answers:#?}");
    }
    story::told(begin, "Gemma", "was asked the same again and again");
}
