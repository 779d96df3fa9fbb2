//! Keeps a watch: looks, and does what follows.

mod ahead;
mod decide;
mod follow;
mod memory;
mod see;

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_canary::{Entry, RolloutId, World};
use tracing::{Instrument as _, Span, field};

use self::ahead::{Ahead, Looking};
use crate::{
    Error, InvalidWatch, Order, Rollback, Undo, Vigil, VigilEvent, Vigilance, Watch,
    ledger::{Ledger, Line, Record},
    lookout::{Look, Lookout},
    telemetry::WatchStage,
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
