//! Recall on public corpora and on what the libraries themselves write: `corpus.py` assembles them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tidegate_validation::{
    Verdict,
    scan::{FileScan, Scanner},
};

/// Imports of benign files that no list of the scanner has: what a user would except after a look at them.
const EXCEPTIONS: [(&str, &str); 5] = [
    ("__future__.annotations", "a constant"),
    ("builtins.dict", "made of pairs"),
    ("datasketch.minhash.MinHash", "stores arrays of hashes"),
    ("datasketch.hashfunc.sha1_hash32", "hashes what it is given"),
    ("__main__.AGPLNeuralNetwork", "a class of the test that wrote the file"),
];

/// How many files of one kind came out how.
#[derive(Default)]
struct Row {
    fail: usize,
    inconclusive: usize,
    pass: usize,
}

#[test]
#[ignore = "needs a corpus (TIDEGATE_SCAN_CORPUS, see corpus.py)"]
#[expect(clippy::print_stdout, reason = "the table is what one runs it for")]
fn nothing_malicious_is_clean_and_nothing_benign_fails() {
    #[expect(clippy::disallowed_methods, reason = "the corpus is the caller's, and is no part of the crate")]
    let corpus =
        std::env::var_os("TIDEGATE_SCAN_CORPUS").expect("set TIDEGATE_SCAN_CORPUS to what corpus.py wrote");
    let scanner =
        EXCEPTIONS.iter().fold(Scanner::new(), |scanner, (name, why)| scanner.with_exception(*name, *why));
    let mut table = BTreeMap::<_, Row>::new();
    let mut wrong = Vec::new();
    for source in entries(Path::new(&corpus)) {
        for label in ["malicious", "benign"] {
            for file in entries(&source.join(label)) {
                let found = scanner.scan_path(&file).expect("the corpus can be read");
                let name = source.file_name().map(|name| name.to_string_lossy().into_owned());
                let row = table.entry((name, label)).or_default();
                match found.verdict {
                    Verdict::Fail => row.fail += 1,
                    Verdict::Inconclusive(_) => row.inconclusive += 1,
                    Verdict::Pass => row.pass += 1,
                }
                let missed = label == "malicious" && found.verdict == Verdict::Pass;
                let alarmed = label == "benign" && found.verdict == Verdict::Fail;
                if missed || alarmed || label == "benign" && found.verdict != Verdict::Pass {
                    println!("{}", told(&found));
                }
                if missed || alarmed {
                    wrong.push(told(&found));
                }
            }
        }
    }
    println!("{:<16} {:<10} {:>6} {:>6} {:>6}", "corpus", "label", "fail", "inconc", "pass");
    for ((source, label), row) in &table {
        let source = source.as_deref().unwrap_or_default();
        println!("{source:<16} {label:<10} {:>6} {:>6} {:>6}", row.fail, row.inconclusive, row.pass);
    }
    assert!(!table.is_empty(), "the corpus is empty");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn told(found: &FileScan) -> String {
    let findings: Vec<_> = found.detections.iter().take(4).map(ToString::to_string).collect();
    format!("{} {} ({}): {}", found.verdict.word(), found.path, found.content, findings.join("; "))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.expect("the corpus can be listed").path()).collect(),
        Err(_) => Vec::new(),
    };
    paths.sort();
    paths
}
