#!/bin/sh
# Writes data/bandit.sarif, data/semgrep.sarif and data/clippy.sarif anew, by the scanners themselves.
#
#     sh generate.sh
#
# Needs `bandit[sarif]` and `semgrep` of PyPI, `clippy-sarif` of crates.io, and clippy. What they are given is written below;
# each finds in it what tests/sarif/real.rs asks for. Paths and times in the files are those of the run.
set -eu
data=$(cd "$(dirname "$0")/data" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > app.py <<'PY'
import pickle
import subprocess

PASSWORD = "hunter2"


def run(command):
    return subprocess.call(command, shell=True)


def load(text):
    return pickle.loads(text)


def known(code):
    return eval(code)  # nosec
PY
cat > rules.yaml <<'YAML'
rules:
  - id: shell-true
    languages: [python]
    severity: ERROR
    message: A shell runs what the caller wrote.
    pattern: subprocess.call(..., shell=True)
    metadata: { cwe: "CWE-78", security-severity: "8.1" }
  - id: eval
    languages: [python]
    severity: WARNING
    message: Text is run as code.
    pattern: eval(...)
YAML
# It fails if it finds something.
bandit -q -f sarif -o "$data/bandit.sarif" app.py || true
semgrep scan --metrics off --disable-version-check --quiet --config rules.yaml --sarif -o "$data/semgrep.sarif" app.py

mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "example"
version = "0.1.0"
edition = "2024"
TOML
cat > src/lib.rs <<'RS'
pub fn first(list: &[u8]) -> u8 {
    let index = list.iter().position(|byte| *byte == 0);
    if index.is_some() == true { return list[index.unwrap()] }
    list.get(0).copied().unwrap()
}
RS
cargo clippy -q --message-format=json 2>/dev/null | clippy-sarif > "$data/clippy.sarif"
