//! `tidegate validate --suite FILE SELECTOR --endpoint URL`

mod ashore;
mod frame;
mod instruments;
mod place;
mod view;
mod watched;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::{Client, ClientBuilder, redirect::Policy};
use serde_json::json;
use tidegate::{
    registry::{Manifest, ModelStore as _, Selector},
    validation::{
        Agent as _, Gaps, OpenAi, Reason, Record, Report, Run, Shortage, Sources, Subject, Suite, Verdict,
        dataset::Shard,
    },
};

use self::{
    instruments::{Asked, Instruments, Limits, Served},
    place::{Found, Place, Stranded},
    view::{Most, View},
    watched::Watched,
};
use crate::{
    Session,
    answer::{Answer, Status},
    arguments::span,
    document::{Document, Format},
    failure::{self, Failure},
    formats::Formats,
    registry::Registry,
    words::plain,
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Validate {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// The checks to make: a .toml, .yaml or .json file; the datasets that it names stand beside it or below
    #[arg(long, value_name = "FILE")]
    suite: PathBuf,
    #[command(flatten)]
    served: Served,
    #[command(flatten)]
    instruments: Instruments,
    /// The longest time for all checks together
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = span)]
    deadline: Duration,
    #[command(flatten)]
    limits: Limits,
    /// So many calls at once [default: 4]
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,
    /// Write each answer of a dataset down here, a file or an object such as s3://BUCKET/PREFIX/0.jsonl; the same
    /// command goes on from it and asks nothing twice
    #[arg(long, value_name = "FILE|URL")]
    record: Option<Place>,
    /// Ask this share of each dataset alone, counted from 0: the verdict comes of --merge
    #[arg(long, value_name = "I/N", requires = "record", conflicts_with = "attest")]
    shard: Option<Shard>,
    /// Ask nothing: say what the records of all shares show together, each a file, a directory, a URL, or a URL that
    /// ends in / for all below it
    #[arg(
        long,
        value_name = "RECORD",
        num_args = 1..,
        conflicts_with_all = ["endpoint", "record", "shard", "judge", "embedder", "guard", "moderation", "max_calls", "max_tokens", "max_money"]
    )]
    merge: Vec<Place>,
    /// Decides what is left to chance, so that a run can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// Record the report in the registry, whatever it says, and the same as an in-toto test result
    #[arg(long)]
    attest: bool,
    #[command(flatten)]
    formats: Formats,
}

const EXAMPLES: &str = "\
Examples:
  tidegate validate support@1.1.0 --suite suite.toml --endpoint http://127.0.0.1:8000/v1 --attest
  tidegate validate support@1.1.0 --suite suite.toml --endpoint https://api.example/v1 --api-key-env KEY \\
    --record answers.jsonl --price 0.15:0.60 --max-money 2.50
  tidegate validate support@1.1.0 --suite suite.toml --endpoint URL --guard http://127.0.0.1:8001/v1 \\
    --guard-model llama-guard-3-8b
  tidegate validate support@1.1.0 --suite suite.toml --endpoint URL --shard 2/8 --record s3://runs/1.1.0/2.jsonl
  tidegate validate support@1.1.0 --suite suite.toml --merge s3://runs/1.1.0/ --attest

On a terminal it is a picture that is drawn anew: the share of each check so far, with its bounds against what it is held
against, what was taken, and how long it may still take. Elsewhere a line for each check on standard error, and none
with --json. `tidegate suite-schema` says what a suite may hold.

Shards run anywhere, and meet in a bucket or a directory; examples/kubernetes/validate-job.yaml has a Job of them.
Merged, they give the verdict that one run would have given.

Exit status: 0 accepted, or the share is recorded, be it for lack of budget not complete: it is said, and run again as it is
it would ask no more; 1 a check failed, whatever else went wrong; 3 undecided, or the share is not recorded whole, as where
trials were lost: run it again, but where it says what to correct, correct that first; 4 the record could not be uploaded: it
is kept on this machine, and it is said where, and what to correct. The same command goes on from what is kept. A question
that is refused for good, as one that is too long, is not known, and not asked again.";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Validate {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let suite = read_suite(&self.suite, self.shard.unwrap_or_default())?;
        if self.shard.is_some() && self.formats.any() {
            let why = "a share alone is no report; leave the formats out, and say them with --merge";
            return Err(Failure::Misused(why.to_owned()).into());
        }
        self.formats.expect_writable(session.json)?;
        let location = session.location()?;
        let registry = location.open().await?;
        if self.attest {
            location.expect_writable().await?;
        }
        let model = registry.resolve(&self.selector).await?;
        let manifest = registry.store.manifest(&model).await?;
        let Ran { report, gaps, stranded } = match self.merge.as_slice() {
            [] => self.ask(session, &suite, &registry, &manifest).await?,
            places => {
                let found = Found::at(places).await?;
                let merged = suite.merge(&manifest, &found.records).await;
                Ran::without_record(merged.context("the records cannot be merged")?)
            }
        };
        if let (Some(shard), Some(place)) = (self.shard, &self.record) {
            let mut answer = recorded(shard, place, &report, gaps, stranded.is_some());
            if let Some(stranded) = stranded {
                stranded.say(&mut answer);
            }
            return Ok(answer);
        }
        let mut answer = answer(&report);
        if self.attest {
            let recorded = async {
                registry.attestations.attest(&model, report.attestation(session.stamp())).await?;
                registry.attestations.attest(&model, report.test_result().attestation(session.stamp())).await
            };
            say_recorded(&mut answer, recorded.await.map_err(anyhow::Error::from));
        }
        self.formats.write(report.projection(), Some(&self.suite), session.json, None, &mut answer);
        if let Some(stranded) = stranded {
            stranded.say(&mut answer);
        }
        Ok(answer)
    }

    /// Asks.
    async fn ask(
        &self,
        session: &Session,
        suite: &Suite,
        registry: &Registry,
        manifest: &Manifest,
    ) -> Result<Ran> {
        let client = client()?;
        // What may go only where it is allowed to must not be led elsewhere.
        let direct = if suite.is_confined() { confined()? } else { client.clone() };
        let agent = self.served.agent(&direct, &manifest.model.to_string())?;
        let run = Run::new(self.seed).deadline(self.deadline).at(session.stamp().at);
        let baseline = self.instruments.baseline(&client)?;
        let (run, given) = self.instruments.give(&client, run)?;
        let baseline_id = baseline.as_ref().map(OpenAi::fingerprint);
        let asked = Asked { agent: agent.fingerprint(), baseline: baseline_id, given };
        let mut run = self.limits.hold(run, asked)?;
        if let Some(calls) = self.concurrency {
            run = run.concurrency(calls);
        }
        let kept = match &self.record {
            Some(place) => Some(place.open().await?),
            None => None,
        };
        if let Some(kept) = &kept {
            run = run.record(kept.record());
        }
        let served = self.served.endpoint.iter().map(|endpoint| (&direct, endpoint));
        for (client, endpoint) in served.chain(self.instruments.endpoints().map(|there| (&client, there))) {
            expect_answer(client, endpoint).await?;
        }

        let mut subject = Subject::new(manifest, &registry.store).with_agent(&agent);
        if let Some(baseline) = &baseline {
            subject = subject.with_baseline(baseline);
        }
        let most = Most {
            time: self.deadline,
            calls: suite.estimate(&subject).calls,
            budget: self.limits.max_calls,
            tokens: self.limits.max_tokens,
            money: self.limits.max_money,
        };
        let title = match self.shard {
            Some(shard) => format!("{} by suite {}, share {shard}", manifest.model, suite.name()),
            None => format!("{} by suite {}", manifest.model, suite.name()),
        };
        let view = View::new(title, agent.fingerprint().to_string(), most, suite.own_checks());
        let (watched, run) = Watched::new(view, run, session.json);
        let asked = watched.until(suite.run(&subject, &run));
        let Some(kept) = kept else { return Ok(Ran::without_record(asked.await)) };
        let report = kept.until(asked).await;
        let gaps = match self.shard {
            Some(_) => gaps(kept.record()).await.map(Some),
            None => Ok(None),
        };
        // Whatever the record lacks, and whether or not that can be told, it belongs where it was to be.
        let stranded = kept.finish(&report).await;
        Ok(Ran { report, gaps, stranded })
    }
}

/// What was found, and what became of its record.
struct Ran {
    report: Report,
    /// What the record lacks, if there is one.
    gaps: Result<Option<Gaps>>,
    stranded: Option<Stranded>,
}

impl Ran {
    const fn without_record(report: Report) -> Self {
        Self { report, gaps: Ok(None), stranded: None }
    }
}

/// What a record lacks.
async fn gaps(record: Record) -> Result<Gaps> {
    Ok(tokio::task::spawn_blocking(move || record.gaps()).await??)
}

/// What there is to say of one share: what it shows alone is no verdict.
fn recorded(
    shard: Shard,
    place: &Place,
    report: &Report,
    gaps: Result<Option<Gaps>>,
    stranded: bool,
) -> Answer {
    // Another try may get answers to these; to others it has none that differ, and no budget that is greater.
    let again = |verdict: &Verdict| {
        let Verdict::Inconclusive(reason) = verdict else { return false };
        matches!(reason, Reason::Denied { .. } | Reason::Infra { .. } | Reason::Budget(Shortage::Time))
    };
    let undecided = report.findings.iter().any(|finding| again(&finding.verdict));
    let short = report.findings.iter().any(|finding| {
        matches!(finding.verdict, Verdict::Inconclusive(Reason::Budget(_))) && !again(&finding.verdict)
    });
    // Enough trials may decide a share without those that were lost; the whole has a right to all of them.
    let (lost, unread) = match gaps {
        Ok(gaps) => (gaps.unwrap_or_default(), None),
        Err(error) => (Gaps::default(), Some(error)),
    };
    let settled = !undecided && !lost.may_be_filled() && unread.is_none();
    let complete = settled && !short && lost.is_empty();
    let mut denied: Vec<&str> = lost.denied.iter().map(String::as_str).collect();
    denied.extend(report.findings.iter().filter_map(|finding| match &finding.verdict {
        Verdict::Inconclusive(Reason::Denied { what }) => Some(what.as_str()),
        _ => None,
    }));
    let what = match (stranded, complete, settled) {
        (true, ..) => "was asked, and its record is not where it belongs",
        (_, true, _) => "is recorded",
        (.., true) => "is recorded, not complete for lack of budget",
        _ if !denied.is_empty() => {
            "is not recorded whole; correct the credentials, the model's name or the address, and then run it again"
        }
        _ => "is not recorded whole; run it again",
    };
    let mut text = format!("share {shard} of {} by suite `{}` {what}: {place}", report.model, report.suite);
    for finding in &report.findings {
        let found = frame::found(&finding.verdict, finding.evidence.last());
        text.push_str(&format!("\n  {}  {}", plain(&finding.check), plain(&found)));
    }
    if lost.lost > 0 {
        text.push_str(&format!("\n  trials without a result, which are made again: {}", lost.lost));
    }
    for why in &lost.denied {
        text.push_str(&format!("\n  turned away whatever is asked: {}", plain(why)));
    }
    if !lost.unasked.is_empty() {
        text.push_str(&format!("\n  not asked to the end: {}", plain(&lost.unasked.join(", "))));
    }
    if lost.unscored > 0 {
        text.push_str(&format!(
            "\n  trials that were answered and not scored for lack of budget: {}",
            lost.unscored
        ));
    }
    if !lost.short.is_empty() {
        text.push_str(&format!(
            "\n  not asked to the end for lack of budget: {}",
            plain(&lost.short.join(", "))
        ));
    }
    if short || !lost.short.is_empty() || lost.unscored > 0 {
        text.push_str(
            "\n  merged, they count as not known; the same command with a greater budget asks them",
        );
    }
    if let Some(error) = unread {
        text.push_str(&format!("\n  the record cannot be read: {}", plain(&format!("{error:#}"))));
    }
    let json = json!({
        "shard": shard,
        "record": place.to_string(),
        "complete": complete && !stranded,
        "lost": lost.lost,
        "denied": denied,
        "unscored": lost.unscored,
        "report": report,
    });
    // What a greater budget alone would mend is not to be tried again as it is.
    Answer { text, json, status: if settled { Status::Done } else { Status::Inconclusive } }
}

fn answer(report: &Report) -> Answer {
    let status = match report.verdict() {
        _ if report.accepted() => Status::Done,
        Verdict::Fail => Status::Refused,
        _ => Status::Inconclusive,
    };
    let json = json!({
        "accepted": report.accepted(),
        "verdict": report.verdict().word(),
        "attested": false,
        "report": report,
    });
    Answer { text: report.to_string(), json, status }
}

/// Whether the report was recorded. It is answered in either case: it may have taken hours to make.
fn say_recorded(answer: &mut Answer, recorded: Result<()>) {
    let Err(error) = recorded else {
        answer.text.push_str("\nrecorded in the registry");
        answer.json["attested"] = true.into();
        return;
    };
    let (status, problem) = failure::describe(&error);
    answer.text.push_str(&format!("\nnot recorded in the registry: {error:#}"));
    answer.json["attestError"] = problem;
    raise(answer, status);
}

/// Lets the status say that something else went wrong, unless a check failed: who tries again for its sake may not get
/// past that.
fn raise(answer: &mut Answer, status: Status) {
    if matches!(answer.status, Status::Done | Status::Inconclusive) {
        answer.status = status;
    }
}

fn read_suite(path: &Path, shard: Shard) -> Result<Suite> {
    let document = Document::read("suite", path)?;
    let sources = Sources::beside(path).shard(shard);
    let suite = match document.format {
        Format::Json | Format::Toml => Suite::open_with(path, &sources),
        Format::Yaml => {
            let Document { text, .. } = document.without_yaml("suite", path)?;
            Suite::from_value_with(serde_json::from_str(&text)?, &sources)
        }
    };
    suite.with_context(|| format!("suite `{}` cannot be used", path.display()))
}

pub(crate) fn client() -> Result<Client> {
    built(Client::builder())
}

/// A client that asks whom it is told to ask and nobody else.
fn confined() -> Result<Client> {
    built(Client::builder().redirect(Policy::none()).no_proxy())
}

fn built(client: ClientBuilder) -> Result<Client> {
    client
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .context("cannot set up HTTP; are the system's certificates readable?")
}

/// Whether anybody answers at all: an unreachable server is no evidence about a model.
pub(crate) async fn expect_answer(client: &Client, endpoint: &str) -> Result<(), Failure> {
    let asked = client.get(endpoint).timeout(2 * CONNECT_TIMEOUT).send().await;
    asked
        .map(drop)
        .map_err(|source| Failure::NoServer { url: endpoint.to_string(), source: source.without_url() })
}
