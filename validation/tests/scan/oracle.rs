//! Mutations of malicious pickles, against CPython: what it would still execute is not clean.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use fastrand::Rng;
use tidegate_validation::Verdict;

use crate::{assemble::Pickle, scan};

const SEED: u64 = 7;
const MUTANTS: usize = 100_000;

/// CPython, asked for each pickle whether it would call `os.system`.
struct Oracle {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scan/oracle.py");
        let mut process = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is on the PATH");
        let to = process.stdin.take().expect("its input is piped");
        let from = BufReader::new(process.stdout.take().expect("its output is piped"));
        Self { process, to, from }
    }

    fn executes(&mut self, pickle: &[u8]) -> bool {
        let len = u32::try_from(pickle.len()).expect("mutants are short");
        self.to.write_all(&len.to_le_bytes()).and_then(|()| self.to.write_all(pickle)).expect("it reads");
        self.to.flush().expect("it reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        match line.trim() {
            "0" => false,
            "1" => true,
            other => panic!("python3 answered {other:?}"),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        drop(ended);
    }
}

/// Malicious pickles, each by another way.
fn seeds() -> Vec<Vec<u8>> {
    let harmless = Pickle::protocol(4)
        .stack_global("collections", "OrderedDict")
        .raw(b")R\x94}\x94(")
        .text("key")
        .raw("K\x01ubh\0");
    vec![
        b"cos\nsystem\n(S'id'\ntR.".to_vec(),
        b"(S'id'\nios\nsystem\n.".to_vec(),
        b"(cos\nsystem\nS'id'\no.".to_vec(),
        b"Vos\np1\n0Vsystem\np2\n0g1\ng2\n\x93(Vid\ntR.".to_vec(),
        Pickle::protocol(2).global("os", "system").raw("q\0").call_with("id").stop(),
        Pickle::protocol(4).stack_global("os", "system").call_with("id").stop(),
        Pickle::protocol(4)
            .text("os")
            .raw(b"\x940")
            .text("system")
            .raw(b"\x940h\0h\x01\x93")
            .call_with("id")
            .stop(),
        Pickle::protocol(4)
            .raw([0x95, 17, 0, 0, 0, 0, 0, 0, 0])
            .stack_global("os", "system")
            .call_with("id")
            .stop(),
        Pickle::protocol(2).global("os", "system").raw(b"(U\x02idt\x81.").0,
        Pickle::protocol(4).stack_global("os", "system").raw(b"(\x8c\x02idt}\x92").stop(),
        harmless.stack_global("os", "system").call_with("id").stop(),
    ]
}

/// Changes a few bytes, or moves a few.
fn mutate(pickle: &mut Vec<u8>, rng: &mut Rng) {
    const TELLING: &[u8] =
        b"()0122.cioRpqrghj\x80\x81\x82\x93\x94\x95\x8c\x8dXUTSVNKI\n\x85\x86tbaesu}]lde\x90\x91\x92";
    for _ in 0..rng.usize(1..3) {
        let at = rng.usize(..=pickle.len());
        let telling = TELLING[rng.usize(..TELLING.len())];
        match rng.u8(..8) {
            0 if at < pickle.len() => pickle[at] = rng.u8(..),
            1 if at < pickle.len() => pickle[at] = telling,
            2 => pickle.insert(at, telling),
            3 => pickle.insert(at, rng.u8(..)),
            4 if at < pickle.len() => _ = pickle.remove(at),
            5 if at < pickle.len() => pickle[at] ^= 1 << rng.u8(..8),
            6 => {
                let from = rng.usize(..=at);
                let piece: Vec<_> = pickle[from..at].to_vec();
                let to = rng.usize(..=pickle.len());
                pickle.splice(to..to, piece);
            }
            _ => pickle.truncate(at.max(4)),
        }
    }
}

#[test]
#[ignore = "needs python3 on the PATH"]
fn what_cpython_would_execute_is_not_clean() {
    let mut oracle = Oracle::start();
    let mut rng = Rng::with_seed(SEED);
    let seeds = seeds();
    let mut executed = 0;
    for seed in &seeds {
        assert!(oracle.executes(seed), "{}", seed.escape_ascii());
        assert_eq!(scan(seed).verdict, Verdict::Fail, "{}", seed.escape_ascii());
    }
    for number in 0..MUTANTS {
        let mut mutant = seeds[rng.usize(..seeds.len())].clone();
        mutate(&mut mutant, &mut rng);
        if oracle.executes(&mutant) {
            executed += 1;
            let found = scan(&mutant);
            assert_ne!(
                found.verdict,
                Verdict::Pass,
                "seed {SEED}, mutant {number}: {}",
                mutant.escape_ascii()
            );
        }
    }
    // Most changes make a pickle that does nothing; if nearly all did, the test would show nothing.
    assert!(executed > MUTANTS / 20, "only {executed} of {MUTANTS} mutants were executed");
}
