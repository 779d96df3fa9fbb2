use proptest::prelude::*;
use tidegate_validation::dataset::{Dataset, Format, Options};

const FORMATS: [Option<Format>; 8] = [
    None,
    Some(Format::Harmbench),
    Some(Format::Inspect),
    Some(Format::Native),
    Some(Format::OpenaiEvals),
    Some(Format::Promptfoo),
    Some(Format::Pyrit),
    Some(Format::Text),
];

/// Reads everything there is; the only thing that must not happen is a panic.
fn read(bytes: &[u8]) {
    for format in FORMATS {
        let options = Options { format, ..Options::default() };
        match Dataset::from_bytes("data", bytes, &options) {
            Ok(dataset) => assert!(dataset.questions().unwrap().all(|question| question.is_ok())),
            Err(error) => assert!(error.to_string().len() < 2_000, "{error}"),
        }
    }
}

/// Pieces from which something close to a dataset is put together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\n",
        "\r\n",
        "\\",
        "\u{feff}",
        "\0",
        "é",
        "input",
        "target",
        "\"input\": \"a\"",
        "{\"input\": \"a\", \"target\": \"b\"}\n",
        "{\"input\": [{\"role\": \"user\", \"content\": \"x\"}], \"ideal\": \"y\"}\n",
        "\"assert\": [{\"kind\": \"exact\"}]",
        "{\"kind\": \"not\", \"of\": ",
        "id,input,target\n",
        "a,b,c\n",
        "\"a\"\"b\",",
        "prompts: ['{{q}}']\n",
        "tests:\n",
        "- vars: {q: a}\n",
        "  assert: [{type: equals, value: '{{q}}'}]\n",
        "{{",
        "}}",
        "{%",
        "&a ",
        "*a",
        "<<: ",
        "- ",
        "1e999",
        "-0",
        "null",
        "true",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
    }

    #[test]
    fn nothing_close_to_a_dataset_makes_a_reader_panic(text in pieces()) {
        read(text.as_bytes());
    }
}

#[test]
fn depth_is_bounded() {
    for open in ["[", "{\"a\":", "{\"input\": \"a\", \"metadata\": {\"a\": [", "- ", "{a: "] {
        read(open.repeat(200_000).as_bytes());
        read(format!("{{\"input\": \"a\", \"metadata\": {}", open.repeat(100_000)).as_bytes());
    }
}

#[test]
fn length_is_bounded() {
    let told = |text: String, format, says: &str| {
        let error = Dataset::from_bytes("data", text, &Options { format, ..Options::default() }).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    let long = "x".repeat(5 << 20);
    told(
        format!("{{\"input\": \"a\"}}\n{{\"input\": \"{long}\"}}\n"),
        None,
        "line 2: the line is longer than 4194304 bytes",
    );
    told(format!("input,target\na,b\nc,\"{long}"), None, "longer than 4194304 bytes");
    told(format!("[{{\"input\": \"{}\"}}]", long.repeat(4)), None, "16777216 bytes");
    told(format!("prompts: ['{}']", long.repeat(4)), Some(Format::Promptfoo), "16777216 bytes");
    // Each prompt is repeated in each test.
    let tests = vec!["{}"; 2_000].join(",");
    told(
        format!("{{\"prompts\": [\"{}\"], \"tests\": [{tests}]}}", "x".repeat(1 << 16)),
        None,
        "67108864 bytes",
    );
}

#[test]
fn errors_show_no_control_characters() {
    let error =
        Dataset::from_bytes("da\u{1b}[2Jta", "{\"in\\u001b[2J\": 1}", &Options::default()).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}
