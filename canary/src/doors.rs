//! The gates that a rollout stands before: asking those that open by themselves, beside everything else.

use std::time::Duration;

use futures::{
    FutureExt,
    future::{BoxFuture, pending, select_all},
};

use crate::{
    Answer, Calendar, Event, Gate, Gatekeepers, Patience, Question, Rollout, RolloutId, State, WallClock,
    World, patience::chain,
};

/// Questions under way. They outlive the windows that are observed meanwhile: a check that takes longer than one
/// must not be begun again with each.
#[derive(Default)]
pub(crate) struct Doors(Vec<Knock>);

struct Knock {
    step: usize,
    place: usize,
    answer: BoxFuture<'static, Event>,
}

impl Doors {
    /// Asks for the gates that are closed, and no longer for others.
    pub(crate) fn tend(&mut self, world: &World, id: &RolloutId, rollout: &Rollout) {
        let State::Gate { step, .. } = *rollout.state() else {
            self.0.clear();
            return;
        };
        let mut closed: Vec<(usize, &Gate)> = rollout.closed_gates().collect();
        // The time has to be right when it goes on, not when others were still being waited for.
        let is_window = |gate: &Gate| matches!(gate, Gate::Window(_));
        if !rollout.pauses().is_empty() || !closed.iter().all(|(_, gate)| is_window(gate)) {
            closed.retain(|(_, gate)| !is_window(gate));
        }
        self.0.retain(|knock| knock.step == step && closed.iter().any(|(place, _)| *place == knock.place));
        for (place, gate) in closed {
            if self.0.iter().any(|knock| knock.place == place) {
                continue;
            }
            let answer = match gate {
                Gate::Approval => continue,
                Gate::Check(name) => {
                    let plan = rollout.plan();
                    let question = Question {
                        rollout: id.clone(),
                        route: plan.route.clone(),
                        step,
                        gate: name.clone(),
                        stable: plan.stable.clone(),
                        candidate: plan.candidate.clone(),
                        judgements: rollout.judgements().iter().map(ToString::to_string).collect(),
                        watched: None,
                    };
                    ask(world.gates.clone(), question, place, world.clock, plan.timing.patience).boxed()
                }
                Gate::Window(calendar) => wait_for(calendar.clone(), place, world.clock).boxed(),
            };
            self.0.push(Knock { step, place, answer });
        }
    }

    /// The next answer.
    pub(crate) async fn answer(&mut self) -> Event {
        if self.0.is_empty() {
            return pending().await;
        }
        let (event, answered, _) = select_all(self.0.iter_mut().map(|knock| &mut knock.answer)).await;
        self.0.remove(answered);
        event
    }
}

async fn ask(
    gates: Gatekeepers,
    question: Question,
    gate: usize,
    clock: WallClock,
    within: Duration,
) -> Event {
    let by = question.gate.clone();
    let Some(keeper) = gates.get(&by) else {
        return Event::Shut { gate, by, reason: "nobody keeps a gate of this name".to_owned() };
    };
    loop {
        // The pause between two questions is at most this long.
        let mut pause = Patience::new(clock, clock.now() + within);
        loop {
            match tokio::time::timeout(within, keeper.ask(&question)).await {
                Ok(Ok(Answer::Open)) => return Event::Opened { gate, by },
                Ok(Ok(Answer::Shut { reason })) => return Event::Shut { gate, by, reason },
                Ok(Ok(Answer::NotYet)) => {}
                Ok(Err(error)) => tracing::warn!(gate = by, error = chain(&*error), "a gate gave no answer"),
                Err(_) => tracing::warn!(gate = by, "a gate did not answer in time"),
            }
            if pause.wait(String::new).await.is_err() {
                break;
            }
        }
    }
}

async fn wait_for(calendar: Calendar, gate: usize, clock: WallClock) -> Event {
    loop {
        let now = calendar.now(clock.now());
        match now.changes {
            _ if now.inside => return Event::Opened { gate, by: calendar.to_string() },
            Some(change) => clock.sleep_until(change).await,
            None => {
                let reason = "its times are over for good".to_owned();
                return Event::Shut { gate, by: calendar.to_string(), reason };
            }
        }
    }
}
