//! The trials of two records, aligned by case.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de};
use tidegate_registry::ModelRef;

use super::{CompareError, Pairs};
use crate::{
    AgentId, Case, Outcome, Reason,
    dataset::{Input, Source, next_line, short},
    excerpt::excerpt,
    record::{Begin, Header},
};

/// Bytes of the longest line of a record.
const LONGEST_LINE: usize = 64 << 20;
/// Most trials of a record.
const MOST_TRIALS: usize = 1_000_000;
/// Bytes of the longest name of a check.
const LONGEST_NAME: usize = 1_000;
/// Most cases of a comparison that are shown.
pub(crate) const MOST_SHOWN: usize = 100;

/// How trials of two [records](crate::Record) are put side by side: those of the same check, case and repetition, in
/// whatever order they stand.
///
/// A trial without a result, and one that got no answer, is not known, and stays so in its pair. It holds about 200 bytes
/// for each trial of both records, of which each may have a million; the ends of long names are not held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Alignment {
    /// What is compared of each answer.
    pub measure: Measure,
    /// Whether a trial may lack its counterpart, and the checks may have asked or scored otherwise. It is then left out
    /// and counted.
    pub allow_unmatched: bool,
    /// The only check to compare; all by default.
    pub check: Option<String>,
}

/// What is compared of each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "a trial has an outcome and a score")]
pub enum Measure {
    /// Whether it is as it should be.
    #[default]
    Outcome,
    /// Its score, from 0 to 1.
    Score,
}

/// What two records hold of the same checks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sides {
    /// Whose trials the candidate's are.
    pub candidate: Side,
    /// Whose the baseline's are.
    pub baseline: Side,
    /// The checks, in the order of their names.
    pub checks: Vec<Aligned>,
}

/// Of what a record is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Side {
    /// The version.
    pub model: ModelRef,
    /// Who answered for it.
    pub agent: Option<AgentId>,
}

/// The trials of a check, side by side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Aligned {
    /// The check.
    pub check: String,
    /// The trials that both records have.
    pub pairs: Pairs,
    /// Trials of the candidate alone.
    pub candidate_only: u64,
    /// Trials of the baseline alone.
    pub baseline_only: u64,
    /// The first hundred cases that the candidate lost, in the order of their ids: its outcome is worse than the
    /// baseline's.
    pub lost: Vec<Case>,
}

/// A line of a record, of which no more is read than is compared.
#[derive(Deserialize)]
struct Line {
    check: String,
    case: String,
    trial: u32,
    outcome: Outcome,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default, rename = "cutOff")]
    cut_off: bool,
    #[serde(default)]
    remembered: bool,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    weight: Option<f64>,
}

/// What a record holds.
struct Read {
    side: Side,
    settings: BTreeMap<String, Begin>,
    trials: BTreeMap<Key, Kept>,
}

/// The check, enough of the digest of the case's id, and the repetition.
type Key = (Arc<str>, [u8; 16], u32);

struct Kept {
    case: Box<str>,
    cluster: [u8; 16],
    value: Option<f64>,
    outcome: Outcome,
    why: Box<str>,
    reason: Option<Box<Reason>>,
    cut_off: bool,
    remembered: bool,
}

impl Alignment {
    /// Reads the records at these paths; blocking.
    ///
    /// # Errors
    ///
    /// [`CompareError`] says which line or case is wrong and what would be right.
    pub fn read(&self, candidate: &Path, baseline: &Path) -> Result<Sides, CompareError> {
        let candidate = (candidate, self.record(candidate)?);
        let baseline = (baseline, self.record(baseline)?);
        self.align(candidate, baseline)
    }

    fn align(&self, candidate: (&Path, Read), baseline: (&Path, Read)) -> Result<Sides, CompareError> {
        let ((candidate_path, candidate), (baseline_path, mut baseline)) = (candidate, baseline);
        let settings = candidate.settings.iter().find(|(check, settings)| {
            baseline.settings.get(*check).is_some_and(|other| other.difference(settings).is_some())
        });
        if let (Some((check, _)), false) = (settings, self.allow_unmatched) {
            let (candidate, baseline) = (candidate_path.to_owned(), baseline_path.to_owned());
            return Err(CompareError::Differs { check: check.clone(), candidate, baseline });
        }
        let mut checks = BTreeMap::<Arc<str>, Aligned>::new();
        // An example of each check's trials that have no counterpart.
        let mut examples = BTreeMap::<Arc<str>, Box<str>>::new();
        let mut of = |check: &Arc<str>, take: &mut dyn FnMut(&mut Aligned)| {
            take(checks.entry(Arc::clone(check)).or_insert_with(|| Aligned::new(check)));
        };
        for (key, new) in candidate.trials {
            match baseline.trials.remove(&key) {
                Some(old) => of(&key.0, &mut |aligned| aligned.pair(&new, &old)),
                None => {
                    of(&key.0, &mut |aligned| aligned.candidate_only += 1);
                    examples.entry(key.0).or_insert(new.case);
                }
            }
        }
        for ((check, ..), old) in baseline.trials {
            of(&check, &mut |aligned| aligned.baseline_only += 1);
            examples.entry(check).or_insert(old.case);
        }
        if let (Some((check, example)), false) = (examples.pop_first(), self.allow_unmatched) {
            let aligned = &checks[&check];
            return Err(CompareError::Unmatched {
                check: excerpt(&check, 100),
                candidate_only: aligned.candidate_only,
                baseline_only: aligned.baseline_only,
                example: example.into(),
            });
        }
        if checks.values().all(|aligned| aligned.pairs.is_empty()) {
            let what = self.check.as_ref().map_or_else(String::new, |check| format!(" of check `{check}`"));
            let why = format!("no trial{what} is in both records; record the same suite for both versions");
            return Err(CompareError::Nothing { why });
        }
        // One that a record lacks altogether stays: nothing was compared, and that is to be said.
        let mut checks: Vec<_> = checks.into_values().collect();
        for aligned in &mut checks {
            aligned.lost.sort_by(|one, other| one.input.cmp(&other.input));
            aligned.lost.truncate(MOST_SHOWN);
        }
        Ok(Sides { candidate: candidate.side, baseline: baseline.side, checks })
    }

    fn record(&self, path: &Path) -> Result<Read, CompareError> {
        let mut lines = Lines::open(path)?;
        let header = match lines.next()? {
            Some(line) => serde_json::from_slice::<Header>(line)
                .map_err(|error| format!("it is no record of trials: {error}")),
            None => Err("it is empty; name a record of trials".to_owned()),
        };
        let header = header.map_err(|why| lines.malformed(why))?;
        if header.record != Header::KIND {
            let why = format!("it is `{}` and not `{}`", excerpt(&header.record, 100), Header::KIND);
            return Err(lines.malformed(why));
        }
        let side = Side { model: header.model, agent: header.agent };
        let mut read = Read { side, settings: BTreeMap::new(), trials: BTreeMap::new() };
        let mut names = BTreeMap::<String, Arc<str>>::new();
        while let Some(line) = lines.next()? {
            if let Ok(begin) = serde_json::from_slice::<Begin>(line) {
                if self.check.as_ref().is_none_or(|check| *check == begin.begin) {
                    read.settings.insert(begin.begin.clone(), begin);
                }
                continue;
            }
            let line: Line = match serde_json::from_slice(line) {
                Ok(line) => line,
                // How a check ended, and what was spent.
                Err(_) if is_remark(line) => continue,
                Err(error) => return Err(lines.malformed(error.to_string())),
            };
            if self.check.as_ref().is_some_and(|check| *check != line.check) {
                continue;
            }
            if let Some(why) = line.flaw() {
                return Err(lines.malformed(why));
            }
            let check = names.entry(line.check.clone()).or_insert_with(|| line.check.as_str().into());
            let key = (Arc::clone(check), short(&line.case), line.trial);
            // What got no answer was asked again when the run went on; what is said last holds.
            read.trials.insert(key, self.keep(line));
            if read.trials.len() > MOST_TRIALS {
                let why = format!(
                    "it holds more than {MOST_TRIALS} trials; compare one check at a time, or shards"
                );
                return Err(lines.malformed(why));
            }
        }
        Ok(read)
    }

    fn keep(&self, line: Line) -> Kept {
        let value = match (line.outcome, self.measure) {
            (Outcome::Unknown, _) => None,
            (outcome, Measure::Outcome) => Some(if outcome == Outcome::Hit { 1.0 } else { 0.0 }),
            (_, Measure::Score) => line.score,
        };
        // Why anything else is as it is is not shown.
        let why = if line.outcome == Outcome::Miss { excerpt(&line.why, 200) } else { String::new() };
        Kept {
            cluster: short(line.cluster.as_deref().unwrap_or(&line.case)),
            case: excerpt(&line.case, 100).into(),
            value,
            outcome: line.outcome,
            why: why.into(),
            reason: line.reason.map(Box::new),
            cut_off: line.cut_off,
            remembered: line.remembered,
        }
    }
}

fn is_remark(line: &[u8]) -> bool {
    /// What no trial has.
    #[derive(Deserialize)]
    struct Trialless {
        #[serde(default)]
        check: Option<de::IgnoredAny>,
    }
    serde_json::from_slice::<Trialless>(line).is_ok_and(|line| line.check.is_none())
}

impl Line {
    fn flaw(&self) -> Option<String> {
        if let Some(weight) = self.weight.filter(|weight| *weight != 1.0) {
            return Some(format!(
                "case `{}` counts {weight} times, and pairs count alike; record without weights",
                excerpt(&self.case, 100)
            ));
        }
        if self.check.len() > LONGEST_NAME {
            return Some(format!("the name of the check is longer than {LONGEST_NAME} bytes"));
        }
        let wrong = |score: &f64| !(0.0..=1.0).contains(score);
        self.score.filter(wrong).map(|score| format!("the score {score} is not from 0 to 1"))
    }
}

impl Aligned {
    fn new(check: &str) -> Self {
        Self {
            check: check.to_owned(),
            pairs: Pairs::default(),
            candidate_only: 0,
            baseline_only: 0,
            lost: Vec::new(),
        }
    }

    fn pair(&mut self, candidate: &Kept, baseline: &Kept) {
        let cluster = candidate.cluster;
        for answer in
            [candidate, baseline].into_iter().filter(|_| candidate.value.and(baseline.value).is_some())
        {
            self.pairs.note(answer.cut_off, answer.remembered);
        }
        match [candidate, baseline].into_iter().find(|kept| kept.value.is_none()) {
            Some(unknown) => {
                let why = unknown.reason.as_deref().cloned().unwrap_or(Reason::Silent);
                self.pairs.add(cluster, candidate.value, baseline.value, Some(why));
            }
            None => self.pairs.add(cluster, candidate.value, baseline.value, None),
        }
        let lost = candidate.outcome == Outcome::Miss && baseline.outcome == Outcome::Hit;
        if lost {
            self.lost.push(Case::new(&candidate.case, Outcome::Miss, &candidate.why));
        }
    }
}

/// The lines of a record that were written to their end.
struct Lines {
    path: PathBuf,
    input: Input,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, CompareError> {
        let path = path.to_owned();
        match Source::File(path.as_path().into()).open() {
            Ok(input) => Ok(Self { path, input, line: Vec::new(), number: 0 }),
            Err(flaw) => Err(CompareError::Malformed { path, line: None, why: flaw.to_string() }),
        }
    }

    /// The next line. A last one that lacks its end was being written when the run was killed, and is dropped.
    fn next(&mut self) -> Result<Option<&[u8]>, CompareError> {
        self.number += 1;
        match next_line(&mut self.input, &mut self.line, LONGEST_LINE) {
            Ok(more) => Ok((more && self.line.ends_with(b"\n")).then_some(self.line.as_slice())),
            Err(flaw) => Err(self.malformed(flaw.to_string())),
        }
    }

    fn malformed(&self, why: String) -> CompareError {
        CompareError::Malformed { path: self.path.clone(), line: Some(self.number), why }
    }
}
