//! Drives a release: begins what can begin, journals what comes of it, and says it in the registry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures::{StreamExt as _, stream::FuturesUnordered};

use crate::{
    evidence, failure,
    ground::Ground,
    journal::Journal,
    progress::{Event, Opened, Outcome, Progress, Verdict},
    schedule,
    stage::{At, Ending},
};

/// What is to be done, beside what the journal says.
#[derive(Debug)]
pub(crate) struct Wishes {
    /// This stage is done again, and all that need it.
    pub(crate) from: Option<usize>,
    /// What is built from; another one than before makes all of it be done again.
    pub(crate) revision: Option<String>,
    /// So many stages at once.
    pub(crate) at_once: usize,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) progress: Progress,
    /// What kept stages from coming to a result.
    pub(crate) errors: Vec<(String, anyhow::Error)>,
}

/// What is told of everything that is written, and of how far that leads.
type Told<'g> = Box<dyn Fn(&Event, &Progress) + Send + Sync + 'g>;

pub(crate) struct Driver<'g> {
    ground: &'g Ground,
    journal: Journal,
    tell: Told<'g>,
}

impl<'g> Driver<'g> {
    pub(crate) fn new(
        ground: &'g Ground,
        journal: Journal,
        tell: impl Fn(&Event, &Progress) + Send + Sync + 'g,
    ) -> Self {
        Self { ground, journal, tell: Box::new(tell) }
    }

    /// Takes the release over and does what is left of it. After a stage has failed, those under way come to their end,
    /// and no other begins.
    pub(crate) async fn run(mut self, wishes: &Wishes) -> Result<Course> {
        let ground = self.ground;
        let release = &ground.release;
        self.write(self.opened(wishes)).await?;
        // What was recorded last may not have been said before somebody was killed.
        evidence::settle(ground, self.journal.progress()).await?;

        let mut tried = self.passed();
        let (mut under_way, mut errors, mut halted) = (0_usize, Vec::new(), false);
        let mut running = FuturesUnordered::new();
        loop {
            if !halted {
                let free = wishes.at_once.saturating_sub(under_way);
                for index in schedule::ready(&release.needs, &self.passed(), &tried, free) {
                    let stage = &release.stages[index];
                    self.write(Event::Began { stage: stage.name.clone() }).await?;
                    tried.insert(index);
                    under_way += 1;
                    let course = self.journal.progress().course(&stage.name);
                    let (attempt, round, images) = (course.attempts, course.results + 1, self.images());
                    running.push(async move {
                        let at = At { stage: &stage.name, attempt, round, images: &images, ground };
                        (stage, stage.work.run(at).await)
                    });
                }
            }
            let Some((stage, ended)) = running.next().await else { break };
            under_way -= 1;
            let name = stage.name.clone();
            match ended {
                Ok(Ending::Came(outcome)) => {
                    halted |= outcome.verdict != Verdict::Passed;
                    self.write(Event::Ended { stage: name, outcome }).await?;
                    evidence::settle(ground, self.journal.progress()).await?;
                }
                Ok(Ending::Waits(why)) => self.write(Event::Left { stage: name, why, waits: true }).await?,
                Err(error) => {
                    halted = true;
                    let why = failure::describe(&error).1["message"].as_str().unwrap_or_default().to_owned();
                    self.write(Event::Left { stage: name, why, waits: false }).await?;
                    errors.push((stage.name.clone(), error));
                }
            }
        }
        drop(running);
        Ok(Course { progress: self.journal.progress().clone(), errors })
    }

    /// What of it is done again: what was asked for, or everything, where it is not what was begun.
    fn opened(&self, wishes: &Wishes) -> Event {
        let Ground { release, by, .. } = self.ground;
        let before = self.journal.progress().opened.as_ref();
        let same = before.is_none_or(|before| {
            let same_source = wishes.revision.is_none() || wishes.revision == before.revision;
            before.description == release.digest && same_source
        });
        let again = match wishes.from {
            _ if !same => (0..release.stages.len()).collect(),
            Some(from) => schedule::after(&release.needs, from),
            None => BTreeSet::new(),
        };
        let names =
            |of: &BTreeSet<usize>| of.iter().map(|&index| release.stages[index].name.clone()).collect();
        Event::Open(Opened {
            by: by.clone(),
            description: release.digest,
            revision: wishes.revision.clone().or_else(|| before?.revision.clone()),
            passed: names(&self.passed().difference(&again).copied().collect()),
            again: names(&again),
        })
    }

    fn passed(&self) -> BTreeSet<usize> {
        let progress = self.journal.progress();
        let stages = self.ground.release.stages.iter().enumerate();
        stages.filter(|(_, stage)| progress.state(&stage.name).has_passed()).map(|(index, _)| index).collect()
    }

    /// The images that were made, by their names.
    fn images(&self) -> BTreeMap<String, String> {
        let progress = self.journal.progress();
        let passed = self.ground.release.stages.iter().filter_map(|stage| progress.ended(&stage.name));
        passed.flat_map(|(outcome, _)| images(outcome)).collect()
    }

    async fn write(&mut self, event: Event) -> Result<()> {
        self.journal.write(self.ground.now(), event.clone()).await?;
        (self.tell)(&event, self.journal.progress());
        Ok(())
    }
}

fn images(outcome: &Outcome) -> Vec<(String, String)> {
    let images = outcome.facts.get("images").and_then(|images| images.as_object());
    let each = images.into_iter().flatten();
    each.filter_map(|(name, image)| Some((name.clone(), image.as_str()?.to_owned()))).collect()
}
