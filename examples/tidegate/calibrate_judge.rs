//! `tidegate calibrate-judge LABELLED --rubric TEXT --endpoint URL --model NAME`

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use tidegate::validation::{
    AgentId, OpenAi, Proportion, Run,
    dataset::Question,
    scorer::{Judge, JudgeCalibration, Labelled, Rubric, Unfit},
};

use crate::{
    answer::{Answer, Status},
    arguments::span,
    failure::{Failure, unreadable},
    judge::numbers::{percent, short},
    secret,
    validate::{client, expect_answer},
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CalibrateJudge {
    /// Answers that people judged, a line of JSON each: `input`, `answer` and `good` (true or false), and if there is one
    /// a `target`; and `judged`, if the judge judged them already
    #[arg(value_name = "LABELLED")]
    labelled: PathBuf,
    /// What a good answer is like, in the words of the check's rubric
    #[arg(long, value_name = "TEXT")]
    rubric: String,
    /// How often the judge is asked about an answer, as the check asks it
    #[arg(long, value_name = "N", default_value_t = 1)]
    votes: u32,
    /// Where the judge is being served, up to and including /v1: an OpenAI-compatible API
    #[arg(long, value_name = "URL", requires = "model", required_unless_present = "judge")]
    endpoint: Option<String>,
    /// The name of the judge at the endpoint
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    model: Option<String>,
    /// The environment variable that holds the key of the API
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    api_key_env: Option<String>,
    /// Who gave the verdicts that the lines hold as `judged` (true, false or null), as runs call that judge; it is not asked
    #[arg(long, value_name = "NAME", conflicts_with = "endpoint")]
    judge: Option<String>,
    /// The least kappa between people and the judge
    #[arg(long, value_name = "N", default_value_t = 0.6, value_parser = share)]
    kappa_floor: f64,
    /// Write the calibration here, for a suite's `calibration`; what is there is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The longest time for all answers together
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = span)]
    deadline: Duration,
    /// At most so many calls
    #[arg(long, value_name = "N")]
    max_calls: Option<u64>,
    /// So many calls at once [default: 4]
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,
    /// Decides what is left to chance, so that a run can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
}

const EXAMPLES: &str = "\
Examples:
  tidegate calibrate-judge labelled.jsonl --rubric \"answers the question\" \\
    --endpoint http://127.0.0.1:8000/v1 --model judge --out calibration.json
  tidegate calibrate-judge judged.jsonl --rubric \"answers the question\" --judge \"judge at http://127.0.0.1:8000/v1\"

Exit status: 0 the judge may decide about versions, 1 it agrees with people too little, 3 it was tried on too few answers.";

/// Most bytes of a line, and most lines.
const LONGEST: u64 = 4 << 20;
const MOST: usize = 100_000;

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: Option<String>,
    input: String,
    answer: String,
    good: bool,
    #[serde(default)]
    target: Option<String>,
    /// Nothing if the judge gave no verdict.
    #[serde(default)]
    judged: Option<bool>,
}

impl CalibrateJudge {
    pub(crate) async fn run(self) -> Result<Answer> {
        let rubric = Rubric { rubric: self.rubric.clone(), votes: self.votes };
        if rubric.rubric.trim().is_empty() || rubric.votes.is_multiple_of(2) || rubric.votes > 15 {
            let why = "--rubric must say what a good answer is like, and --votes be odd and at most 15";
            return Err(Failure::Misused(why.to_owned()).into());
        }
        let path = self.labelled.clone();
        let lines = tokio::task::spawn_blocking(move || read(&path)).await??;
        let calibration = match &self.judge {
            Some(name) => {
                let mut calibration = JudgeCalibration::empty(AgentId::new(name), rubric);
                lines.iter().for_each(|line| calibration.add(line.good, line.judged));
                if lines.iter().all(|line| line.judged.is_none()) {
                    let why = "no line has a verdict as `judged`; add them, or ask the judge with --endpoint";
                    return Err(Failure::Misused(why.to_owned()).into());
                }
                calibration
            }
            None => self.measure(lines, &rubric).await?,
        };
        if let Some(path) = &self.out {
            let text = format!("{:#}\n", serde_json::to_value(&calibration)?);
            let what = || format!("`{}` cannot be written; name another file with --out", path.display());
            fs::write(path, text).map_err(|source| Failure::Lost { what: what(), source })?;
        }
        Ok(self.answer(&calibration))
    }

    /// Asks the judge.
    async fn measure(&self, lines: Vec<Line>, rubric: &Rubric) -> Result<JudgeCalibration> {
        let asked = self.endpoint.as_deref().zip(self.model.as_deref());
        let (endpoint, model) = asked.expect("clap has an endpoint and a model, or a judge");
        let client = client()?;
        let mut agent = OpenAi::new(client.clone(), endpoint, model)?;
        if let Some(key) = secret::key("api", self.api_key_env.as_deref(), None)? {
            agent = agent.bearer(key)?;
        }
        expect_answer(&client, endpoint).await?;
        let mut run = Run::new(self.seed).deadline(self.deadline).judge(Judge::new(agent));
        if let Some(calls) = self.max_calls {
            run = run.max_calls(calls);
        }
        if let Some(calls) = self.concurrency {
            run = run.concurrency(calls);
        }
        let labelled: Vec<_> = lines.into_iter().enumerate().map(|(i, line)| line.labelled(i)).collect();
        Ok(JudgeCalibration::measure(&labelled, rubric, &run).await?)
    }

    fn answer(&self, calibration: &JudgeCalibration) -> Answer {
        let (kappa, detector) = (calibration.kappa(), calibration.detector());
        let fit = calibration.fit(self.kappa_floor);
        let mut lines = vec![format!(
            "{}: {} answers with a verdict, {} without",
            plain(calibration.judge.as_str()),
            calibration.known(),
            calibration.unknown
        )];
        match &kappa {
            Some(kappa) => lines.push(format!(
                "  kappa        {} ± {} (agreement {}, by chance {}; {} are good)",
                short(kappa.kappa),
                short(kappa.standard_error),
                percent(kappa.observed),
                percent(kappa.expected),
                percent(kappa.base_rates[0])
            )),
            None => lines.push("  kappa        unknown: people or the judge know only one word".to_owned()),
        }
        let told = |name: &str, share: Proportion, of: &str| {
            let (lower, upper) = share.clopper_pearson(LEVEL);
            let (hits, trials) = (share.hits(), share.trials());
            format!(
                "  {name:<11}  {} ({} to {} at 95 %): {hits} of {trials} {of} answers",
                percent(share.share()),
                percent(lower),
                percent(upper)
            )
        };
        if let Some(detector) = detector {
            lines.push(told("sensitivity", detector.sensitivity, "good"));
            lines.push(told("specificity", detector.specificity, "bad"));
        }
        lines.push(match &fit {
            Ok(_) => "it may decide about versions, corrected by how often it errs".to_owned(),
            Err(unfit) => format!("it may not decide: {}", plain(&unfit.to_string())),
        });
        if let Some(path) = &self.out {
            lines.push(format!("written to {}", plain(&path.display().to_string())));
        }
        let share = |share: Proportion| {
            let (lower, upper) = share.clopper_pearson(LEVEL);
            json!({ "share": share.share(), "lower": lower, "upper": upper, "n": share.trials() })
        };
        let json = json!({
            "fit": fit.is_ok(),
            "why": fit.as_ref().err().map(ToString::to_string),
            "kappa": kappa.as_ref().map(|kappa| json!({
                "kappa": kappa.kappa,
                "standardError": kappa.standard_error,
                "agreement": kappa.observed,
                "byChance": kappa.expected,
                "baseRate": kappa.base_rates[0],
            })),
            "sensitivity": detector.map(|detector| share(detector.sensitivity)),
            "specificity": detector.map(|detector| share(detector.specificity)),
            "level": LEVEL,
            "calibration": calibration,
        });
        let status = match fit {
            Ok(_) => Status::Done,
            Err(Unfit::Few { .. }) => Status::Inconclusive,
            Err(_) => Status::Refused,
        };
        Answer { text: lines.join("\n"), json, status }
    }
}

/// Of the intervals that are shown.
const LEVEL: f64 = 0.95;

impl Line {
    fn labelled(self, number: usize) -> Labelled {
        let question = Question::new(self.id.unwrap_or_else(|| format!("answer {}", number + 1)), self.input);
        let question = match self.target {
            Some(target) => question.with_target(target),
            None => question,
        };
        Labelled { question, answer: self.answer, good: self.good }
    }
}

/// The lines of the file at `path`.
fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let wrong =
        |line: usize, why: &str| Failure::Misused(format!("line {line} of `{}` {why}", path.display()));
    let unreadable =
        |error: std::io::Error| Failure::Misused(format!("`{}` {}", path.display(), unreadable(&error)));
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    let (mut lines, mut ids) = (Vec::new(), HashSet::new());
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        number += 1;
        let length = (&mut reader).take(LONGEST + 1).read_until(b'\n', &mut bytes).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        if length as u64 > LONGEST {
            return Err(wrong(number, "is longer than 4 MiB; shorten the answer"));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| {
            wrong(number, &format!("is no labelled answer, such as {{\"input\": \"…\", \"answer\": \"…\", \"good\": true}}: {error}"))
        })?;
        if line.id.as_ref().is_some_and(|id| !ids.insert(id.clone())) {
            return Err(wrong(number, "has the id of another; an answer that is there twice counts twice"));
        }
        lines.push(line);
        if lines.len() > MOST {
            return Err(wrong(number, &format!("is one more than {MOST}; a sample of them does")));
        }
    }
    match lines.is_empty() {
        true => {
            Err(Failure::Misused(format!("`{}` is empty; add answers that people judged", path.display())))
        }
        false => Ok(lines),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| "write a number from 0 to 1".to_owned())
}
