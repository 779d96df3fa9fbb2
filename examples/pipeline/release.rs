//! What a release is, as one file says it. Nothing is opened or looked up here but that file.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tidegate::registry::{Channel, Digest, ModelRef};

use crate::{
    document::Document,
    environment::notify::NotifyFile,
    failure::Failure,
    schedule,
    signed::Signed,
    stage::{
        Work, approval::Approve, command::Command, publish::Publish, rollout::Rollout, sarif::Scans,
        scan::Scan, validate::Validate, watch::Watch,
    },
};

/// A release that holds together: names are unique, what is needed is there, and nothing goes round in a circle.
#[derive(Debug)]
pub(crate) struct Release {
    /// Which version it brings.
    pub(crate) model: ModelRef,
    /// Where it is brought to.
    pub(crate) channel: Channel,
    /// The files of the version.
    pub(crate) artifacts: Artifacts,
    /// Whose signatures the version has to have before users meet it: one of each list.
    pub(crate) signed: Vec<Signed>,
    /// Where versions are served.
    pub(crate) environments: BTreeMap<String, Place>,
    /// Who is told how it goes, by names of one's own.
    pub(crate) notify: BTreeMap<String, NotifyFile>,
    /// Where outputs are kept.
    pub(crate) outputs: PathBuf,
    /// What is done, as the file has it; stages are known by their index.
    pub(crate) stages: Vec<Stage>,
    /// For each stage the ones that have to have passed before it.
    pub(crate) needs: Vec<BTreeSet<usize>>,
    /// What the file says, so that another file is known for one.
    pub(crate) digest: Digest,
    /// What paths in the file are relative to.
    pub(crate) directory: PathBuf,
}

/// What is done at a time.
#[derive(Debug)]
pub(crate) struct Stage {
    /// In small letters, digits and `-`.
    pub(crate) name: String,
    pub(crate) work: Work,
}

/// The files of the version.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artifacts {
    pub(crate) directory: PathBuf,
    /// What its publisher says about it, as for `tidegate publish`.
    pub(crate) card: Option<PathBuf>,
}

/// Where versions are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The environment, as for `tidegate rollout start`. Without it somebody else serves versions there.
    pub(crate) file: Option<PathBuf>,
    /// Where a version answers that is served there for validation alone: an OpenAI-compatible API.
    pub(crate) endpoint: Option<String>,
    /// What it is called there; by default NAME@VERSION.
    pub(crate) served_as: Option<String>,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseFile {
    model: ModelRef,
    #[serde(default = "Channel::production")]
    channel: Channel,
    artifacts: Artifacts,
    #[serde(default)]
    signed: Vec<Signed>,
    #[serde(default)]
    environments: BTreeMap<String, Place>,
    #[serde(default)]
    notify: BTreeMap<String, NotifyFile>,
    #[serde(default = "outputs")]
    outputs: PathBuf,
    stages: Vec<StageFile>,
}

/// A stage as it is written: one of its kinds is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFile {
    name: String,
    /// Without a word it needs the stage before it in the file.
    needs: Option<Vec<String>>,
    run: Option<Command>,
    sarif: Option<Scans>,
    scan: Option<Scan>,
    publish: Option<Publish>,
    validate: Option<Validate>,
    approve: Option<Approve>,
    rollout: Option<Rollout>,
    watch: Option<Watch>,
}

/// What is wrong, and in which field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    path: String,
    why: String,
}

const KINDS: &str = "run, sarif, scan, publish, validate, approve, rollout, watch";

impl Release {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file: ReleaseFile = Document::parse_discreetly("release", path)?;
        let digest = Digest::of(Document::read("release", path)?.text);
        let directory = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self::try_new(file, digest, directory).map_err(|Flaw { path: field, why }| {
            Failure::Misused(format!("release `{}` is wrong: {field}: {why}", path.display()))
        })
    }

    fn try_new(file: ReleaseFile, digest: Digest, directory: PathBuf) -> Result<Self, Flaw> {
        let names = names(&file.stages)?;
        let (mut stages, mut needs) = (Vec::new(), Vec::new());
        for (index, stage) in file.stages.into_iter().enumerate() {
            let (stage, needed) = stage.checked(index, &names)?;
            stages.push(stage);
            needs.push(needed);
        }
        let release = Self {
            model: file.model,
            channel: file.channel,
            artifacts: file.artifacts,
            signed: file.signed,
            environments: file.environments,
            notify: file.notify,
            outputs: file.outputs,
            stages,
            needs,
            digest,
            directory,
        };
        release.check()?;
        Ok(release)
    }

    fn check(&self) -> Result<(), Flaw> {
        for (index, signed) in self.signed.iter().enumerate() {
            if let Some(why) = signed.flaw() {
                return Err(Flaw { path: format!("signed[{index}].by"), why });
            }
        }
        if let Some(circle) = schedule::circle(&self.needs) {
            let names: Vec<_> = circle.iter().map(|&index| self.stages[index].name.as_str()).collect();
            let why = format!("they go round in a circle ({}); leave one out", names.join(" needs "));
            return Err(Flaw::at(circle[0], "needs", why));
        }
        let mut publishes = self.indices(|work| matches!(work, Work::Publish(_)));
        let published = publishes.next();
        if let Some(second) = publishes.next() {
            return Err(Flaw::at(second, "publish", "a version is published once; leave one out"));
        }
        drop(publishes);
        for (index, stage) in self.stages.iter().enumerate() {
            let before = schedule::before(&self.needs, index);
            if stage.work.asks_for_a_version()
                && published.is_none_or(|published| !before.contains(&published))
            {
                let why = "it is about a published version; let it need the stage with `publish`, or one after that";
                return Err(Flaw::at(index, "needs", why));
            }
            if let Some(name) = stage.work.environment()
                && !self.environments.contains_key(name)
            {
                let kind = stage.work.kind();
                let names = self.environments.keys().map(String::as_str);
                return Err(Flaw::at(
                    index,
                    &format!("{kind}.environment"),
                    unknown("environment", name, names),
                ));
            }
            if matches!(stage.work, Work::Rollout(_)) {
                self.expect_all_before(index, &before)?;
            }
        }
        Ok(())
    }

    /// Users are let near a version only when everything else is known about it, but for what looks at them.
    fn expect_all_before(&self, rollout: usize, before: &BTreeSet<usize>) -> Result<(), Flaw> {
        let after = schedule::after(&self.needs, rollout);
        match (0..self.stages.len()).find(|index| !before.contains(index) && !after.contains(index)) {
            None => Ok(()),
            Some(beside) => {
                let beside = &self.stages[beside].name;
                let why = format!(
                    "users would meet the version before `{beside}` is known to have passed; let this need it"
                );
                Err(Flaw::at(rollout, "needs", why))
            }
        }
    }

    /// The stages whose results the channel has to demand: all that come before users meet the version.
    pub(crate) fn demanded(&self) -> BTreeSet<usize> {
        let rollouts = self.indices(|work| matches!(work, Work::Rollout(_)));
        let mut demanded: BTreeSet<_> =
            rollouts.flat_map(|rollout| schedule::before(&self.needs, rollout)).collect();
        // It is the approvals themselves that a policy asks for, and the act of publishing is what it asks about.
        demanded.retain(|&index| self.stages[index].work.is_evidence());
        demanded
    }

    /// Whether users meet the version by it.
    pub(crate) fn moves_users(&self) -> bool {
        self.indices(|work| matches!(work, Work::Rollout(_))).next().is_some()
    }

    pub(crate) fn index(&self, name: &str) -> Result<usize, Failure> {
        let found = self.stages.iter().position(|stage| stage.name == name);
        found.ok_or_else(|| {
            let names = self.stages.iter().map(|stage| stage.name.as_str());
            Failure::Misused(format!("--from: {}", unknown("stage", name, names)))
        })
    }

    /// A path of the file as this program reaches it.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    fn indices(&self, wanted: impl Fn(&Work) -> bool) -> impl Iterator<Item = usize> {
        self.stages.iter().enumerate().filter(move |(_, stage)| wanted(&stage.work)).map(|(index, _)| index)
    }
}

impl StageFile {
    fn checked(self, index: usize, names: &[String]) -> Result<(Stage, BTreeSet<usize>), Flaw> {
        let kinds = [
            self.run.map(Work::Run),
            self.sarif.map(Work::Sarif),
            self.scan.map(Work::Scan),
            self.publish.map(Work::Publish),
            self.validate.map(Work::Validate),
            self.approve.map(Work::Approve),
            self.rollout.map(Work::Rollout),
            self.watch.map(Work::Watch),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let work = kinds
            .next()
            .ok_or_else(|| Flaw::at(index, "run", format!("the stage does nothing; say one of {KINDS}")))?;
        if let Some(second) = kinds.next() {
            let why = format!("the stage says {} already; make two stages of them", work.kind());
            return Err(Flaw::at(index, second.kind(), why));
        }
        if let Some((field, why)) = work.flaw() {
            return Err(Flaw::at(index, &format!("{}.{field}", work.kind()), why));
        }
        let needs = match self.needs {
            None => index.checked_sub(1).into_iter().collect(),
            Some(needs) => {
                let found = needs.iter().enumerate().map(|(nth, need)| {
                    let at = names.iter().position(|name| name == need);
                    at.ok_or_else(|| {
                        let names = names.iter().map(String::as_str);
                        Flaw::at(index, &format!("needs[{nth}]"), unknown("stage", need, names))
                    })
                });
                found.collect::<Result<_, _>>()?
            }
        };
        Ok((Stage { name: self.name, work }, needs))
    }
}

impl Flaw {
    fn at(index: usize, field: &str, why: impl Into<String>) -> Self {
        Self { path: format!("stages[{index}].{field}"), why: why.into() }
    }
}

/// The names, each fit to be part of a file's name, a variable's and a URI.
fn names(stages: &[StageFile]) -> Result<Vec<String>, Flaw> {
    const MOST: usize = 100;
    const LONGEST: usize = 40;
    if stages.is_empty() || stages.len() > MOST {
        let why = format!("there are {}; a release has 1 to {MOST}", stages.len());
        return Err(Flaw { path: "stages".to_owned(), why });
    }
    let mut names = Vec::<String>::new();
    for (index, StageFile { name, .. }) in stages.iter().enumerate() {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(fits) || name.starts_with('-') {
            let why =
                format!("write it in 1 to {LONGEST} small letters, digits and `-`, a letter or digit first");
            return Err(Flaw::at(index, "name", why));
        }
        if let Some(first) = names.iter().position(|other| other == name) {
            return Err(Flaw::at(
                index,
                "name",
                format!("stages[{first}] is called `{name}` as well; rename one"),
            ));
        }
        names.push(name.clone());
    }
    Ok(names)
}

/// That there is no such thing, and what there is.
fn unknown<'n>(what: &str, name: &str, names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.collect();
    match names.len() {
        0 => format!("there is no {what} `{name}`, nor any other"),
        _ => format!("there is no {what} `{name}`; there are {}", names.join(", ")),
    }
}

fn outputs() -> PathBuf {
    "outputs".into()
}
