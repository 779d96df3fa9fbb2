//! What follows from a look.

use std::time::SystemTime;

use tidegate_canary::metrics::Verdict;

use super::{Guard, Seen};
use crate::{
    Error, OnBlind, VigilEvent, Vigilance, Watch,
    lookout::{Lookout, Sight},
    telemetry,
};

/// After so many windows it is kept what was seen.
const KEPT_EVERY: u32 = 10;

impl Guard {
    /// What follows from a look.
    pub(super) async fn look(
        &mut self,
        Seen { look, alarm, deaf, displaced, span }: Seen,
    ) -> Result<(), Error> {
        let watch = self.vigil().watch().clone();
        let end = look.window.end();
        let sight = self.lookout.take(&watch, look, self.opened, displaced.clone().or(deaf));
        telemetry::looked(&span, &watch.route, sight.verdict, sight.blind.as_deref());
        if !self.onlookers.is_empty() {
            let looks = self.lookout.looks();
            self.onlookers.iter().for_each(|onlooker| onlooker(&looks));
        }
        // What is not kept has to be asked again, of sources that may not remember it.
        let keep_every = watch.span.min(watch.window * KEPT_EVERY);
        if self.kept.is_none_or(|kept| kept + keep_every <= end) {
            self.kept = Some(end);
            self.keep().await;
        }
        let now = self.world.clock.now();
        let until = self.vigil().until();
        let state = self.vigil().state();
        let follows = match &displaced {
            Some(why) => displaced_follows(state, &sight, why),
            None => follows(state, &watch, &sight, &self.lookout, alarm, now),
        };
        let event = match state {
            Vigilance::Held { .. } => self.moved().await?,
            _ => match follows {
                // What runs now is not what was watched, and is not settled as if it were.
                None if now >= until && displaced.is_some() => {
                    Some(self.expire(Verdict::Inconclusive).await?)
                }
                None if now >= until => Some(self.expire(sight.verdict).await?),
                Some(Follows::Blind(why)) => self.blinded(why).await?,
                follows => follows.map(|follows| self.event(follows)),
            },
        };
        match event {
            Some(event) => self.happen(event).await,
            None => Ok(()),
        }
    }

    /// What is journaled of what follows.
    fn event(&self, follows: Follows) -> VigilEvent {
        match follows {
            Follows::Alarm(why) => {
                VigilEvent::Alarmed { why, looks: self.lookout.for_journal(), blind: false }
            }
            Follows::Blind(why) => VigilEvent::Blinded { why },
            Follows::NothingSeen(why) => {
                VigilEvent::Alarmed { why: vec![why], looks: self.lookout.for_journal(), blind: true }
            }
            Follows::Sight => VigilEvent::Sighted,
        }
    }

    /// Nothing of a release is seen that another has replaced, or beside which another gets all traffic for now; that is
    /// no reason to wake anybody.
    async fn blinded(&self, why: String) -> Result<Option<VigilEvent>, Error> {
        let moved = self.moved().await?;
        if moved.is_some() || self.is_without_traffic().await {
            return Ok(moved);
        }
        Ok(Some(VigilEvent::Blinded { why }))
    }
}

/// What can follow from a look.
enum Follows {
    Alarm(Vec<String>),
    Blind(String),
    /// For as long as its patience lasts.
    NothingSeen(String),
    Sight,
}

/// What follows where another release runs: that a person is told. Nothing that is seen or said is of the watched one.
fn displaced_follows(state: &Vigilance, sight: &Sight, why: &str) -> Option<Follows> {
    let is_new = matches!(state, Vigilance::Watching) && sight.blind.is_some();
    is_new.then(|| Follows::Blind(why.to_owned()))
}

/// What follows from a look while it is free to act.
fn follows(
    state: &Vigilance,
    watch: &Watch,
    sight: &Sight,
    lookout: &Lookout,
    alarm: Option<String>,
    now: SystemTime,
) -> Option<Follows> {
    if let Some(alarm) = alarm {
        return Some(Follows::Alarm(vec![alarm]));
    }
    if sight.alarming {
        let judgements = lookout.judgements(watch);
        let failed = judgements.iter().filter(|judgement| judgement.verdict == Verdict::Fail);
        return Some(Follows::Alarm(failed.map(ToString::to_string).collect()));
    }
    match (state, &sight.blind) {
        (Vigilance::Watching, Some(why)) => Some(Follows::Blind(why.clone())),
        (Vigilance::Blind { .. }, None) => Some(Follows::Sight),
        // That somebody who is asked does not answer, or one of several numbers does not come, is for a person.
        (Vigilance::Blind { since, why }, Some(_))
            if sight.is_dark && watch.on_blind == OnBlind::RollBack && now >= *since + watch.patience =>
        {
            let patience = humantime::format_duration(watch.patience);
            Some(Follows::NothingSeen(format!("nothing was seen for {patience}: {why}")))
        }
        _ => None,
    }
}
