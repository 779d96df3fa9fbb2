//! The journal, replayed and cut into rollouts.

use std::time::{Duration, SystemTime};

use crate::{Entry, Event, Pause, Plan, Record, Request, Rollout, RolloutId, State, Weight};

/// A stretch of a journal.
pub(super) enum Chapter<'a> {
    /// A line that belongs to no rollout.
    Aside(&'a Entry),
    Rollout(Box<Story<'a>>),
}

/// A rollout and how it came to be what it is.
pub(super) struct Story<'a> {
    pub(super) id: &'a RolloutId,
    pub(super) plan: &'a Plan,
    pub(super) rollout: Rollout,
    /// The plan that is to take the place of this one.
    next: Option<&'a Plan>,
    /// Never empty; the first one opens it.
    pub(super) lines: Vec<Line<'a>>,
}

/// A line of the journal, with where it left the rollout.
pub(super) struct Line<'a> {
    pub(super) at: SystemTime,
    pub(super) record: &'a Record,
    /// Where the rollout was after it.
    pub(super) state: State,
    pub(super) paused: bool,
    /// Whether it is what first left a step undecided at its horizon.
    pub(super) undecided: bool,
    /// The new version's share of traffic after it, wherever that version ran.
    pub(super) share: Weight,
    /// Whether that is a share of copies, whose answers nobody sees.
    pub(super) copied: bool,
    /// What was being watched before it.
    pub(super) watch: Watch,
    /// Why it could not have happened.
    pub(super) refused: Option<String>,
}

/// Whose windows are observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// The candidate's, in the steps.
    Trial,
    /// Stable's, after traffic had returned to it.
    Recovery,
    /// The promoted version's.
    Bake,
}

/// What a rollout is about for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Prepare,
    Steps,
    Gate,
    Promotion,
    Bake,
    Retreat,
    End,
}

pub(super) fn chapters(entries: &[Entry]) -> Vec<Chapter<'_>> {
    let mut chapters = Vec::new();
    for entry in entries {
        match (&entry.record, chapters.last_mut()) {
            (Record::Open { id, plan }, _) => {
                chapters.push(Chapter::Rollout(Box::new(Story::open(entry, id, plan))));
            }
            (Record::Release { .. } | Record::Seize { .. }, Some(Chapter::Rollout(story)))
                if story.rollout.state().is_end() =>
            {
                chapters.push(Chapter::Aside(entry));
            }
            (_, Some(Chapter::Rollout(story))) => {
                if let Some(next) = story.go_on(entry) {
                    let id = story.id;
                    chapters.push(Chapter::Rollout(Box::new(Story::open(entry, id, next))));
                }
            }
            (_, None | Some(Chapter::Aside(_))) => chapters.push(Chapter::Aside(entry)),
        }
    }
    chapters
}

impl<'a> Story<'a> {
    fn open(entry: &'a Entry, id: &'a RolloutId, plan: &'a Plan) -> Self {
        let rollout = Rollout::new(plan.clone());
        let line = Line {
            at: entry.at,
            record: &entry.record,
            state: rollout.state().clone(),
            paused: false,
            undecided: false,
            share: Weight::NONE,
            copied: false,
            watch: Watch::Trial,
            refused: None,
        };
        Self { id, plan, rollout, next: None, lines: vec![line] }
    }

    /// Takes in the next line; gives the plan with which the rollout begins anew after it, if it does.
    fn go_on(&mut self, entry: &'a Entry) -> Option<&'a Plan> {
        let before = self.rollout.state().clone();
        let replacement = match &entry.record {
            Record::Happen(Event::Ask(Request::Replace { plan, .. })) => Some(&**plan),
            _ => None,
        };
        let ended = replacement.or(self.next).map(|_| self.rollout.clone());
        let was_undecided = self.rollout.pauses().contains(&Pause::Undecided);
        let result = match &entry.record {
            Record::Happen(event) => self.rollout.apply(event, entry.at),
            Record::Seize { by } => self.rollout.apply(&Event::Seize { by: by.clone() }, entry.at),
            Record::Open { .. } | Record::Release { .. } | Record::Resume { .. } => Ok(()),
        };
        if result.is_ok() {
            self.next = replacement.or(self.next);
        }
        if let (Some(ended), Ok(()), State::Preflight) = (ended, &result, self.rollout.state()) {
            self.rollout = ended;
            return self.next;
        }
        let mut share = self.lines.last().map_or((Weight::NONE, false), |line| (line.share, line.copied));
        if let (Ok(()), Record::Happen(event)) = (&result, &entry.record) {
            share = self.share_after(&before, event).unwrap_or(share);
        }
        let (share, copied) = share;
        self.lines.push(Line {
            at: entry.at,
            record: &entry.record,
            state: self.rollout.state().clone(),
            paused: !self.rollout.pauses().is_empty(),
            undecided: !was_undecided && self.rollout.pauses().contains(&Pause::Undecided),
            share,
            copied,
            watch: Watch::of(&before),
            refused: result.err().map(|error| error.to_string()),
        });
        None
    }

    fn share_after(&self, before: &State, event: &Event) -> Option<(Weight, bool)> {
        match (before, event) {
            (State::Shift { step, .. }, Event::Routed) => {
                let step = &self.plan.steps[*step];
                let copied = !step.mirror.is_none();
                Some((if copied { step.mirror } else { step.weight }, copied))
            }
            (State::Rush { .. }, Event::Routed) => Some((Weight::FULL, false)),
            (State::Retreat { .. }, Event::Routed) => Some((Weight::NONE, false)),
            // After promotion the stable slot runs the new version, so moving traffic there changes nothing.
            _ => None,
        }
    }

    /// When it was opened.
    pub(super) fn start(&self) -> SystemTime {
        self.lines[0].at
    }

    /// When its latest line was written.
    pub(super) fn end(&self) -> SystemTime {
        self.lines.iter().map(|line| line.at).fold(self.start(), SystemTime::max)
    }

    /// How long after its start `at` was.
    pub(super) fn offset(&self, at: SystemTime) -> Duration {
        at.duration_since(self.start()).unwrap_or_default()
    }

    /// Where the rollout was from each line to the next, the last one up to the end.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (&Line<'a>, SystemTime)> {
        let ends = self.lines.iter().skip(1).map(|line| line.at).chain([self.end()]);
        self.lines.iter().zip(ends)
    }
}

impl Watch {
    const fn of(state: &State) -> Self {
        match state {
            State::Verify { .. } => Self::Recovery,
            state if state.is_bake() => Self::Bake,
            _ => Self::Trial,
        }
    }
}

impl Phase {
    pub(super) const fn of(state: &State) -> Self {
        match state {
            State::Preflight | State::Provision { .. } | State::Warm { .. } => Self::Prepare,
            State::Shift { .. } | State::Analyse { .. } => Self::Steps,
            State::Gate { .. } => Self::Gate,
            State::Rush { .. }
            | State::Renew { .. }
            | State::Return { .. }
            | State::Record { .. }
            | State::Drain { .. }
            | State::Retire { .. } => Self::Promotion,
            State::Bake { .. } | State::Settle { .. } => Self::Bake,
            State::Restore { .. }
            | State::Retreat { .. }
            | State::Verify { .. }
            | State::Ebb { .. }
            | State::Withdraw { .. } => Self::Retreat,
            State::Compared { .. }
            | State::Promoted
            | State::RolledBack { .. }
            | State::Seized { .. }
            | State::Stuck { .. }
            | State::Unsettled { .. } => Self::End,
        }
    }

    /// Its name, which is its CSS class too.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bake => "bake",
            Self::End => "end",
            Self::Gate => "gate",
            Self::Prepare => "prepare",
            Self::Promotion => "promotion",
            Self::Retreat => "retreat",
            Self::Steps => "steps",
        }
    }
}
