//! What a guard sees: one window of each criterion, and what gatekeepers say.

use std::time::{Duration, SystemTime};

use futures::future::join_all;
use tidegate_canary::{
    Answer, Question,
    metrics::{Criterion, Window},
};
use tracing::Span;

use super::{Guard, Seen};
use crate::{
    Look, Watch,
    instead::{How, Instead, instead_of},
    lookout::unjudged,
};

impl Guard {
    /// Looks at the next window, once it is complete.
    pub(super) async fn see(&self) -> Seen {
        let (watch, clock) = (self.vigil().watch(), self.world.clock);
        let now = clock.now();
        // What lies too far back says nothing of now.
        let oldest = now.checked_sub(watch.span).unwrap_or(SystemTime::UNIX_EPOCH);
        let last = self.lookout.newest().map(|last| last.end());
        // And what another clock has put into the future is not waited for.
        let next = last.filter(|end| (oldest..=now).contains(end));
        let window = match next {
            Some(end) => Window::new(end, end + watch.window),
            None => Window::first_after(now, watch.window),
        };
        let window = window.expect("a watch's window has a length");
        clock.sleep_until(window.end() + watch.lag).await;
        // A look must be over before the next is due.
        let patience = watch.patience.min(watch.window);
        let side = watch.side();
        let see = async |criterion: &Criterion| {
            side.observe(&*self.world.metrics, &criterion.metric, window, clock, patience).await
        };
        let seen = join_all(watch.criteria.iter().map(see));
        let (mut seen, answers, displaced) =
            futures::join!(seen, self.answers(window, patience), self.displaced(patience));
        if displaced.is_some() {
            seen.fill(unjudged());
        }
        let (mut alarm, mut deaf) = (None, None);
        for answer in answers {
            match answer {
                Ok(said) => alarm = alarm.or(said),
                Err(why) => deaf = deaf.or(Some(why)),
            }
        }
        Seen { look: Look { window, seen }, alarm, deaf, displaced, span: Span::current() }
    }

    /// Why what is seen is not of the release: another one runs in its place, where releases replace each other in place. A
    /// merge request that is merged late does that, say. One that is still on the way there says nothing yet: whoever has
    /// deployed it may be about to move the channel.
    pub(super) async fn displaced(&self, patience: Duration) -> Option<String> {
        let Watch { release, channel, .. } = self.vigil().watch();
        let instead = instead_of(release, &*self.world.deployer, patience).await?;
        let Instead { runs, how: How::Deployed | How::Displaced, why } = instead else { return None };
        Some(format!(
            "{why}; {channel} points to {release}, so take back what was merged or deployed last, or, where {runs} is meant to run, promote it"
        ))
    }

    /// What each gatekeeper says is wrong, or why it could not be asked.
    async fn answers(&self, window: Window, patience: Duration) -> Vec<Result<Option<String>, String>> {
        let watch = self.vigil().watch();
        if watch.alarms.is_empty() {
            return Vec::new();
        }
        let judgements = self.lookout.judgements(watch);
        let ask = |name: &String| {
            let keeper = self.world.gates.get(name).cloned();
            let judgements = judgements.iter().map(ToString::to_string).collect();
            let (route, release) = (watch.route.clone(), watch.release.clone());
            let question =
                Question::of_watch(self.id.clone(), route, name.clone(), release, judgements, window);
            async move {
                let gate = &question.gate;
                let keeper = keeper.ok_or_else(|| format!("nobody keeps the gate {gate}"))?;
                match tokio::time::timeout(patience, keeper.ask(&question)).await {
                    Ok(Ok(Answer::Shut { reason })) => Ok(Some(format!("{gate}: {reason}"))),
                    Ok(Ok(_)) => Ok(None),
                    Ok(Err(error)) => Err(format!("{gate} does not say whether something is wrong: {error}")),
                    Err(_) => {
                        Err(format!("{gate} does not say whether something is wrong: no answer in time"))
                    }
                }
            }
        };
        join_all(watch.alarms.iter().map(ask)).await
    }
}
