//! `tidegate fsck [NAME]`

use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::registry::{Inspection, ModelName, Reread};

use crate::{
    Session,
    answer::{Answer, Status},
    failure::{self, Failure},
    transfer::Bar,
    words::{count, plain},
};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Fsck {
    /// The model; without it, all of them
    #[arg(value_name = "NAME")]
    name: Option<ModelName>,
    /// Which versions to read byte by byte: all, none, or so many of each model, chosen by --seed
    #[arg(long, value_name = "all|none|N", default_value = "all")]
    read: Read,
    /// Which of them, where --read is a number: another seed each night gets round to all [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Read {
    All,
    None,
    Some(usize),
}

const EXAMPLES: &str = "\
Examples:
  tidegate fsck
  tidegate fsck fraud-scorer --read none
  tidegate fsck --read 3 --seed $(date +%j)

Computes the hashes of each log again, looks for every file that a version has, and reads versions and
compares their digests. Changes nothing. Exit status 1 if anything is not as it was written.";

impl Fsck {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let reread = self.read.chosen_by(self.seed)?;
        let registry = session.location()?.open().await?;
        let one = self.name.is_some();
        let bar = Bar::new("reading");
        let (mut lines, mut models, mut sound) = (Vec::new(), Vec::new(), true);
        for name in registry.models(self.name).await? {
            match registry.store.inspect(&name, reread, &bar).await {
                Ok(inspection) => {
                    sound &= inspection.is_sound();
                    lines.extend(told(&name, &inspection));
                    models.push(document(&name, &inspection)?);
                }
                // One model that is beyond reading hides no other; a store that is away hides them all.
                Err(error) if !one && !error.is_transient() => {
                    sound = false;
                    let error = error.into();
                    let (_, problem) = failure::describe(&error);
                    lines.push(format!("{name}: {}", plain(&format!("{error:#}"))));
                    models.push(json!({ "name": name, "error": problem }));
                }
                Err(error) => return Err(error.into()),
            }
        }
        drop(bar);
        if models.is_empty() {
            lines.push("the registry has no model yet".to_owned());
        }
        let seed = match reread {
            Reread::Sample { seed, .. } => Some(seed),
            _ => None,
        };
        lines.extend(seed.map(|seed| format!("chosen by seed {seed}")));
        let json = json!({ "sound": sound, "seed": seed, "models": models });
        let status = if sound { Status::Done } else { Status::Refused };
        Ok(Answer { text: lines.join("\n"), json, status })
    }
}

/// What was found, and a line for each problem.
fn told(name: &ModelName, inspection: &Inspection) -> Vec<String> {
    let verdict = match inspection.problems.len() {
        0 => "sound".to_owned(),
        n => count(n, "problem"),
    };
    let mut looked = format!(
        "{name}: {verdict}; {}, {}, {} of them read; {} that no version uses",
        count(inspection.records, "record"),
        count(inspection.versions, "version"),
        inspection.read,
        count(inspection.unused, "object"),
    );
    if inspection.uploads > 0 {
        looked.push_str(&format!(", {}", count(inspection.uploads, "unfinished upload")));
    }
    let problem = |what: &str, why: &str| format!("  {}: {}", plain(what), plain(why));
    let problems = inspection.problems.iter().map(|found| problem(&found.what, &found.why));
    std::iter::once(looked).chain(problems).collect()
}

fn document(name: &ModelName, inspection: &Inspection) -> Result<Value> {
    let mut document = serde_json::to_value(inspection)?;
    document["name"] = json!(name);
    document["sound"] = inspection.is_sound().into();
    Ok(document)
}

impl Read {
    fn chosen_by(self, seed: Option<u64>) -> Result<Reread, Failure> {
        match (self, seed) {
            (Self::Some(versions), seed) => Ok(Reread::Sample { versions, seed: seed.unwrap_or(0) }),
            (_, Some(_)) => Err(Failure::Misused(
                "--seed chooses among versions; write a number to --read, too".to_owned(),
            )),
            (Self::All, None) => Ok(Reread::All),
            (Self::None, None) => Ok(Reread::None),
        }
    }
}

impl FromStr for Read {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            n => n.parse().map(Self::Some).map_err(|_| "write all, none or a number of versions".to_owned()),
        }
    }
}
