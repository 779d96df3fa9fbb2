//! Keeps a watch: looks, and does what follows.

mod ahead;
mod decide;
mod memory;
mod see;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_canary::{Entry, RolloutId, World, metrics::Verdict};
use tracing::{Instrument as _, Span, field};

use self::ahead::{Ahead, Looking};
use crate::{
    Error, InvalidWatch, OnBlind, Order, Rollback, Undo, Vigil, VigilEvent, Vigilance, Watch,
    ledger::{Ledger, Line, Record},
    lookout::{Look, Lookout, Sight},
    telemetry::{self, WatchStage},
    vigil::{overtaken, returned},
};

/// Keeps one watch to its end.
///
/// What it decides is in a journal beside the route's, before it is done; what it has seen in the last span is kept
/// as a snapshot, and what is missing of it is asked of the source again. So one that is killed anywhere goes on
/// where it was by [`open`](Self::open) with the same id, and does nothing twice.
///
/// It goes back at most once, and only while nobody says otherwise: see [`Brakes`](crate::Brakes) and
/// [`VigilRequest::Hold`](crate::VigilRequest::Hold). What cannot be seen is never taken for health: a watch that sees nothing is
/// [`Blind`](Vigilance::Blind).
pub struct Guard {
    world: World,
    id: RolloutId,
    ledger: Ledger<Vigil>,
    lookout: Lookout,
    ahead: Ahead,
    opened: SystemTime,
    looks: Duration,
    kept: Option<SystemTime>,
    listeners: Vec<Listener>,
    onlookers: Vec<Onlooker>,
    /// What is told of how things are, while it is kept.
    stage: Option<WatchStage>,
}

type Listener = Box<dyn Fn(&Entry<Record<Watch, VigilEvent>>, &Vigil) + Send + Sync>;

type Onlooker = Box<dyn Fn(&[Look]) + Send + Sync>;

/// After so many windows it is kept what was seen.
const KEPT_EVERY: u32 = 10;

impl Guard {
    const LOOKS: Duration = Duration::from_secs(2);

    /// Opens the watch `id`, or continues it where its journal ends. Another watch of the route is over by that.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWatch`] before anything was written; [`Error::OrderChanged`] when `id` was opened with another
    /// watch, [`Error::IdUsed`] when others have followed it since; [`Error::Superseded`] when another guard was
    /// opened at this moment; otherwise the journal's errors.
    pub async fn open(world: World, id: RolloutId, watch: Watch) -> Result<Self, Error> {
        watch.check()?;
        if let Some(name) = watch.alarms.iter().find(|name| !world.gates.contains_key(*name)) {
            return Err(InvalidWatch::Alarm {
                name: name.clone(),
                known: world.gates.keys().cloned().collect(),
            }
            .into());
        }
        // The rollback that it may have to order is named after it.
        let named: Result<RolloutId, _> = format!("{id}/{}", u64::MAX).parse();
        named.map_err(Error::Name)?;
        let mut ledger = Ledger::<Vigil>::open(Arc::clone(&world.log), &watch.route).await?;
        loop {
            let record = match ledger.latest() {
                Some((open, vigil)) if *open == id && *vigil.watch() != watch => {
                    return Err(Error::OrderChanged { id });
                }
                Some((open, vigil)) if *open == id && vigil.state().is_end() => break,
                Some((open, _)) if *open == id => Record::Resume { id: id.clone() },
                _ if ledger.knows(&id) => return Err(Error::IdUsed { id }),
                Some((held, vigil)) if vigil.is_held_for(&watch) => {
                    return Err(Error::Held { id: held.clone() });
                }
                _ => Record::Open { id: id.clone(), order: Box::new(watch.clone()) },
            };
            match ledger.write(Entry { at: world.clock.now(), record }).await {
                Ok(()) => break,
                // If somebody only asked for something, it can still be opened.
                Err(Error::Superseded) => hear(&mut ledger, |_, _| ()).await?,
                Err(error) => return Err(error),
            }
        }
        let mut this = Self {
            opened: world.clock.now(),
            world: world.traced(),
            id,
            ledger,
            lookout: Lookout::default(),
            ahead: Ahead::default(),
            looks: Self::LOOKS,
            kept: None,
            listeners: Vec::new(),
            onlookers: Vec::new(),
            stage: None,
        };
        this.remember().await;
        Ok(this)
    }

    /// Calls `listener` with every line that is written from now on, once it is durable.
    #[must_use]
    pub fn on_record(
        mut self,
        listener: impl Fn(&Entry<Record<Watch, VigilEvent>>, &Vigil) + Send + Sync + 'static,
    ) -> Self {
        self.listeners.push(Box::new(listener));
        self
    }

    /// Calls `onlooker` after each look, with the looks of the last span, oldest first; of one that was taken up again
    /// also with those that were kept. [`Watch::judge`] says what they come to.
    #[must_use]
    pub fn on_look(mut self, onlooker: impl Fn(&[Look]) + Send + Sync + 'static) -> Self {
        self.onlookers.push(Box::new(onlooker));
        self
    }

    /// Looks every so often whether others have written into the journal. The default is 2 s.
    #[must_use]
    pub const fn looking_every(mut self, pause: Duration) -> Self {
        self.looks = pause;
        self
    }

    /// The watch as it is.
    #[must_use]
    pub fn vigil(&self) -> &Vigil {
        let (_, vigil) = self.ledger.latest().expect("a guard has opened its watch");
        vigil
    }

    /// Watches until the end, and does what follows.
    ///
    /// # Errors
    ///
    /// [`Error::Superseded`] when another guard keeps the route; otherwise the journal's errors, and those of
    /// [`Rollback`]. After any of them the watch is where its journal says.
    pub async fn run(self) -> Result<Vigilance, Error> {
        // Made here, it is a part of the span in which this is awaited.
        let span = self.span();
        Box::pin(self.keep_watch().instrument(span)).await
    }

    fn span(&self) -> Span {
        let watch = self.vigil().watch();
        tracing::info_span!(
            "tidegate.watch",
            tidegate.watch = %self.id,
            tidegate.route = %watch.route,
            tidegate.release = %watch.release,
            tidegate.end = field::Empty
        )
    }

    async fn keep_watch(mut self) -> Result<Vigilance, Error> {
        self.stage = Some(WatchStage::find(self.vigil()));
        let mut looking: Option<Looking> = None;
        while !self.vigil().state().is_end() {
            let may_look_ahead = self.look_ahead(&mut looking);
            let (log, every) = (&self.ledger, self.looks);
            let clock = self.world.clock;
            let overtaken = async {
                while !log.is_behind().await {
                    clock.sleep_until(clock.now() + every).await;
                }
            };
            // It goes on beside what is owed, and never ends that.
            let mut found = None;
            let ahead = async {
                if let Some(looking) = looking.as_mut().filter(|_| may_look_ahead) {
                    found = Some(looking.await);
                }
                std::future::pending::<Infallible>().await
            };
            let done = tokio::select! {
                biased;
                () = overtaken => None,
                done = self.perform() => Some(done?),
                never = ahead => match never {},
            };
            if let Some(found) = found {
                looking = None;
                self.take_ahead(found).await;
            }
            match done {
                None => self.hear().await?,
                Some(Done::Looked(look)) => self.look(look).await?,
                Some(Done::Happened(event)) => self.happen(event).await?,
            }
        }
        Ok(self.vigil().state().clone())
    }

    /// Does what is owed.
    async fn perform(&self) -> Result<Done, Error> {
        let vigil = self.vigil();
        Ok(match vigil.state() {
            Vigilance::Alarmed { why, by, blind } => {
                Done::Happened(self.decide(why, by.as_deref(), *blind).await?)
            }
            Vigilance::Returning { id, order } => Done::Happened(Box::pin(self.go_back(id, order)).await?),
            _ => {
                let span = tracing::debug_span!(
                    "tidegate.watch.look",
                    tidegate.route = %vigil.watch().route,
                    tidegate.verdict = field::Empty,
                    tidegate.blind = field::Empty
                );
                Done::Looked(self.see().instrument(span).await)
            }
        })
    }

    /// Goes back, or goes on with that. Another rollback that takes the route from it ends it.
    async fn go_back(&self, id: &RolloutId, order: &Order) -> Result<VigilEvent, Error> {
        let known = Ledger::<Undo>::open(Arc::clone(&self.world.log), &order.route).await?;
        let is_begun = known.knows(id);
        // Somebody else may have decided while nobody kept this watch.
        if !is_begun && (self.moved().await?.is_some() || self.somebody_goes_back().await?.is_some()) {
            return Ok(overtaken());
        }
        let went = async {
            let rollback = Rollback::begin(self.world.clone(), id.clone(), order.clone()).await?;
            rollback.since(self.opened).looking_every(self.looks).run().await
        };
        match went.await {
            Ok(end) => Ok(returned(&end)),
            Err(Error::IdUsed { .. }) => Ok(overtaken()),
            Err(Error::Superseded) => {
                let ledger = Ledger::<Undo>::open(Arc::clone(&self.world.log), &order.route).await?;
                match ledger.latest() {
                    Some((latest, _)) if latest != id => Ok(overtaken()),
                    // Another guard keeps this watch.
                    _ => Err(Error::Superseded),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What follows from a look.
    async fn look(&mut self, Seen { look, alarm, deaf, displaced, span }: Seen) -> Result<(), Error> {
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

    async fn happen(&mut self, event: VigilEvent) -> Result<(), Error> {
        let line = Entry { at: self.world.clock.now(), record: Record::Happen(event) };
        match self.ledger.write(line.clone()).await {
            // Another thing may be owed now.
            Err(Error::Superseded) => self.hear().await,
            Err(error) => Err(error),
            Ok(()) => {
                let (_, vigil) = self.ledger.latest().expect("a guard has opened its watch");
                tell(&self.listeners, &mut self.stage, &line, vigil);
                Ok(())
            }
        }
    }

    /// Takes in what others have asked.
    async fn hear(&mut self) -> Result<(), Error> {
        let (listeners, stage) = (&self.listeners, &mut self.stage);
        hear(&mut self.ledger, |line, vigil| tell(listeners, stage, line, vigil)).await
    }
}

/// What was done.
enum Done {
    Happened(VigilEvent),
    Looked(Seen),
}

struct Seen {
    look: Look,
    alarm: Option<String>,
    /// Why some gatekeeper could not be asked.
    deaf: Option<String>,
    /// Why what is seen is of another release.
    displaced: Option<String>,
    /// In which it was seen.
    span: Span,
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

/// Takes in what others have asked. [`Error::Superseded`] when they wrote anything else: the watch is theirs.
async fn hear(ledger: &mut Ledger<Vigil>, mut each: impl FnMut(&Line<Vigil>, &Vigil)) -> Result<(), Error> {
    ledger
        .take_news(|line, vigil| match &line.record {
            Record::Happen(VigilEvent::Ask(_)) => {
                each(line, vigil);
                Ok(())
            }
            _ => Err(Error::Superseded),
        })
        .await
}

fn tell(listeners: &[Listener], stage: &mut Option<WatchStage>, line: &Line<Vigil>, vigil: &Vigil) {
    if let Some(stage) = stage {
        stage.take(vigil);
    }
    let watch = vigil.watch();
    match vigil.state() {
        Vigilance::Watching | Vigilance::Kept { .. } => {
            tracing::info!(route = %watch.route, release = %watch.release, "the watch {}", vigil.state());
        }
        state => tracing::warn!(route = %watch.route, release = %watch.release, "the watch {state}"),
    }
    for listener in listeners {
        listener(line, vigil);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("id", &self.id).field("vigil", &self.vigil()).finish_non_exhaustive()
    }
}
