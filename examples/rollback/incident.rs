//! A version is promoted, well for a while, and goes wrong: what the watch does, and what users see of it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use tidegate::{
    canary::Release,
    rollback::{Guard, Record, VigilEvent, Vigilance},
};

use super::{
    fault::Fault,
    live::{LAG, Live, WINDOW},
    screen::{Story, seconds},
    users::Users,
};

/// How long a version is well before it is not.
const WELL: Duration = Duration::from_secs(4);
/// Somewhere within a window: faults do not wait for its beginning.
const WITHIN: Duration = Duration::from_millis(370);

/// What was measured of one fault.
#[derive(Debug)]
pub(crate) struct Incident {
    pub(crate) fault: Fault,
    /// Why there was an alarm.
    pub(crate) words: Vec<String>,
    /// From the fault to the alarm in the journal.
    noticed: Duration,
    /// In how many windows.
    windows: u32,
    /// From the end of the last of them until the last request that met the bad version.
    pub(crate) back: Duration,
    /// And from the alarm.
    back_after_alarm: Duration,
    /// Answers that users should not have got.
    bad: usize,
    /// From the alarm until it was seen to have helped.
    recovered: Duration,
}

impl Incident {
    /// Guards `new`, breaks it, and sees what happens.
    pub(crate) async fn live(
        live: &Live,
        users: &Users,
        fault: Fault,
        old: &Release,
        new: &Release,
    ) -> Result<Self> {
        let clock = live.world.clock;
        let story = Story::begin(clock.now(), format!("{} is guarded", new.model));
        let alarmed = Arc::new(Mutex::new(None));
        let (shown, alarm) = (story.clone(), Arc::clone(&alarmed));
        let id = format!("watch-{}", new.model.version()).parse()?;
        let guard =
            Guard::open(live.world.clone(), id, live.watch(new)).await?.on_record(move |line, vigil| {
                shown.say(line.at, format!("the watch {}", vigil.state()));
                if let Record::Happen(VigilEvent::Alarmed { why, .. }) = &line.record {
                    *alarm.lock().unwrap_or_else(PoisonError::into_inner) = Some((line.at, why.clone()));
                }
            });
        let running = tokio::spawn(guard.run());
        clock.sleep_until(start_of_window(clock.now() + WELL) + WITHIN).await;
        ensure!(!running.is_finished(), "the watch ended before there was a fault");
        let broken = clock.now();
        live.inject(fault).await?;
        story.say(broken, format!("{} has the fault from now on: {}", new.model, fault.name()));

        let end = running.await??;
        let returned = clock.now();
        story.end();
        match end {
            Vigilance::Returned { done: true, .. } => {}
            end => bail!("the watch was expected to bring {} back, but it {end}", old.model),
        }
        let alarmed = alarmed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (at, words) = alarmed.context("it went back without an alarm")?;
        let noticed = at.duration_since(broken).context("there was an alarm before there was a fault")?;
        let closed = start_of_window(at - LAG);
        let version = old.model.version().to_string();
        let answers = users.since(broken);
        let met = answers.iter().filter(|answer| answer.version.as_ref() != Some(&version));
        let last = met.map(|answer| answer.asked).max().context("nobody met the bad version")?;
        let windows = closed.duration_since(start_of_window(broken)).unwrap_or_default();
        Ok(Self {
            fault,
            words,
            noticed,
            windows: (windows.as_nanos() / WINDOW.as_nanos()) as u32,
            back: last.duration_since(closed).unwrap_or_default(),
            back_after_alarm: last.duration_since(at).unwrap_or_default(),
            bad: answers.iter().filter(|answer| fault.spoils(answer)).count(),
            recovered: returned.duration_since(at).unwrap_or_default(),
        })
    }

    /// A row of the table, beside what the drill had said of the time from an alarm until traffic is back.
    pub(crate) fn row(&self, drill: &str) -> String {
        let Self { fault, windows, bad, .. } = self;
        let times = [self.noticed, self.back, self.back_after_alarm, self.recovered].map(seconds);
        let [noticed, back, after_alarm, recovered] = times;
        format!(
            "{fault:<18} {noticed:>5} in {windows} {back:>13} {after_alarm:>8} {drill:>8} {bad:>12} {recovered:>9}"
        )
    }
}

/// When the window began that `at` lies in.
fn start_of_window(at: SystemTime) -> SystemTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    at - Duration::from_nanos((since % WINDOW.as_nanos()) as u64)
}
