//! What happens to a release, told to people: a failure wakes somebody, a stage that waits asks somebody, and the end is
//! told. Couriers follow the journal, so that nothing is lost when this program is killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Error, Result};
use tidegate::{
    canary::{
        BoxError, RouteId, WallClock,
        notify::{Courier, Kind, Narrate, Notice, Severity},
    },
    registry::{LogKey, Seq},
};

use crate::{
    environment::{self, notify::NotifyFile},
    failure, journal,
    progress::{Entry, Event, Verdict},
    registry::Registry,
    release::Release,
};

/// Tells what lines of a release's journal mean.
#[derive(Clone, Debug)]
pub(crate) struct Narrator {
    key: LogKey,
    about: RouteId,
    stages: BTreeSet<String>,
    passed: BTreeSet<String>,
    opened: Option<Seq>,
}

/// Who brings it to everybody.
#[derive(Default)]
pub(crate) struct Couriers(Vec<Courier<Narrator>>);

impl Couriers {
    pub(crate) fn open(
        notify: BTreeMap<String, NotifyFile>,
        release: &Release,
        registry: &Registry,
        clock: WallClock,
    ) -> Result<Self> {
        /// People see within seconds what they can see on the screen at once.
        const PAUSE: Duration = Duration::from_secs(1);
        let client = environment::client()?;
        let courier = |(name, file): (String, NotifyFile)| {
            let (to, least) = file.recipient(&name, &client, clock)?;
            let log = Arc::new(registry.store.clone());
            let courier = Courier::following(log, Narrator::of(release)?, &name, to, clock)?;
            Ok(courier.with_least(least).with_pause(PAUSE))
        };
        Ok(Self(notify.into_iter().map(courier).collect::<Result<_>>()?))
    }

    /// Tells everybody for as long as it is let.
    pub(crate) async fn run(&self) {
        let told = self.0.iter().map(async |courier| {
            failure::warn(&Error::from(courier.run().await), "somebody is not told any more");
        });
        futures::future::join_all(told).await;
        std::future::pending().await
    }

    /// Brings what there is still to be told, for a moment: nobody waits for a chat that is away.
    pub(crate) async fn tell_the_end(&self) {
        const MOMENT: Duration = Duration::from_secs(10);
        let all = self.0.iter().map(Courier::catch_up);
        if tokio::time::timeout(MOMENT, futures::future::join_all(all)).await.is_err() {
            tracing::warn!(
                "not everybody could be told of the end; whoever goes on with the release tells them"
            );
        }
    }
}

impl Narrator {
    fn of(release: &Release) -> Result<Self> {
        Ok(Self {
            key: journal::key(&release.model),
            about: format!("release of {}", release.model).parse()?,
            stages: release.stages.iter().map(|stage| stage.name.clone()).collect(),
            passed: BTreeSet::new(),
            opened: None,
        })
    }

    fn say(&self, seq: Seq, at: SystemTime, kind: Kind, text: &str) -> Notice {
        Notice::new(&self.key, seq, at, self.about.clone(), kind, text)
    }
}

impl Narrate for Narrator {
    type Line = Entry;

    fn journal(&self) -> LogKey {
        self.key.clone()
    }

    fn tell(&mut self, seq: Seq, line: &Entry) -> Option<Notice> {
        let at = line.at;
        match &line.event {
            Event::Open(opened) => {
                self.passed = opened.passed.iter().cloned().collect();
                self.opened = Some(seq);
                let left = self.stages.difference(&self.passed).count();
                let text = format!("{left} of {} stages are to be done", self.stages.len());
                Some(self.say(seq, at, Kind::Opened, &text).with_by(&opened.by))
            }
            Event::Began { .. } => None,
            Event::Ended { stage, outcome } if outcome.verdict == Verdict::Passed => {
                self.passed.insert(stage.clone());
                let all = self.stages.is_subset(&self.passed);
                let settled = || self.say(seq, at, Kind::Settled, "every stage has passed");
                all.then(|| settled().with_incident(true, false))
            }
            Event::Ended { stage, outcome } => {
                let text = format!("`{stage}` {}: {}", outcome.verdict.word(), outcome.said);
                let notice = self.say(seq, at, Kind::Stuck, &text).with_severity(Severity::Error);
                let remedy = "see its outputs and mend it; the same command tries it again";
                Some(notice.with_reasons(&outcome.lines).with_remedy(remedy).with_incident(false, true))
            }
            Event::Left { stage, why, waits: true } => {
                let text = format!("`{stage}` waits for a person");
                Some(
                    self.say(seq, at, Kind::GateWaits, &text)
                        .with_severity(Severity::Warning)
                        .with_remedy(why),
                )
            }
            Event::Left { stage, why, waits: false } => {
                let text = format!("`{stage}` came to no result");
                let notice = self.say(seq, at, Kind::Paused, &text).with_severity(Severity::Warning);
                Some(notice.with_reasons([why]).with_remedy("see to what it takes, and run the same command"))
            }
        }
    }

    fn cannot_read(&mut self, seq: Seq, why: &BoxError) -> Option<Notice> {
        let text = format!("record {seq} of its journal cannot be read: {why}");
        Some(self.say(seq, SystemTime::UNIX_EPOCH, Kind::Broken, &text).with_severity(Severity::Critical))
    }

    fn opened(&self) -> Option<Seq> {
        self.opened
    }
}
