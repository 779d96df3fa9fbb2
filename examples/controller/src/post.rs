//! A replica at its post: it drives the rollout of one release for as long as it holds the lease.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Resource as _,
    runtime::{
        events::{Event, EventType, Recorder},
        reflector::ObjectRef,
    },
};
use tidegate::canary::{Driver, Error, Handle, Plan, Request, RolloutId, World};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    lease::Held,
    resource::Release,
    tidings::{self, told},
};

/// How long a driver may take to write down what it was asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One that was taken.
pub(crate) struct Post {
    /// Of the setting that it acts on.
    pub(crate) mark: u64,
    handle: Handle,
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

/// Whom to tell.
#[derive(Clone)]
pub(crate) struct Listeners {
    pub(crate) recorder: Recorder,
    /// Who looks at a release again.
    pub(crate) look: mpsc::UnboundedSender<ObjectRef<Release>>,
}

impl Post {
    /// Opens the rollout `id`, or goes on with it, and drives it until its end, the loss of the lease or
    /// [`leave`](Self::leave).
    pub(crate) async fn take(
        release: &Release,
        (id, plan): (RolloutId, Plan),
        (world, mark): (World, u64),
        held: Box<Held>,
        listeners: Listeners,
    ) -> Result<Self> {
        let what = format!("rollout {id} from {} to {} on {}", plan.stable, plan.candidate, plan.route);
        let (driver, handle) = match Driver::open(world, id, plan).await {
            Ok(opened) => opened,
            Err(error) => {
                held.give_back().await;
                return Err(error).context("the rollout cannot be opened");
            }
        };
        let (tell, mut tidings) = mpsc::unbounded_channel();
        let begun = driver.rollout().state().to_string();
        let note = format!("{what} is {begun}");
        let _kept = tell.send(told(EventType::Normal, "Driving", "Drive", &note));
        let (look, target) = (listeners.look.clone(), ObjectRef::from_obj(release));
        let again = target.clone();
        let driver = driver.on_record(move |entry, rollout| {
            if let Some(event) = tidings::of(&entry.record, rollout) {
                let _kept = tell.send(event);
            }
            let _kept = look.send(again.clone());
        });
        let reference = release.object_ref(&());
        let recorder = listeners.recorder.clone();
        tokio::spawn(async move {
            while let Some(event) = tidings.recv().await {
                publish(&recorder, &event, &reference).await;
            }
        });
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(drive(driver, held, stopped, listeners.look, target));
        Ok(Self { mark, handle, stop, work })
    }

    /// Whether it was left, or lost, or the rollout is over.
    pub(crate) fn is_left(&self) -> bool {
        self.work.is_finished()
    }

    /// Asks something of the rollout, and returns once it is in the journal.
    pub(crate) async fn ask(&self, request: Request) -> Result<(), Error> {
        timeout(ANSWER_WITHIN, self.handle.ask(request)).await.unwrap_or(Err(Error::Stopped))
    }

    /// Stops acting and gives the lease back.
    pub(crate) async fn leave(self) {
        let _gone = self.stop.send(());
        let _gone = self.work.await;
    }
}

async fn drive(
    driver: Driver,
    mut held: Box<Held>,
    stopped: oneshot::Receiver<()>,
    look: mpsc::UnboundedSender<ObjectRef<Release>>,
    target: ObjectRef<Release>,
) {
    // Whatever ends first, the driver is dropped with it and acts no more.
    let kept = tokio::select! {
        end = driver.run() => {
            match end {
                Ok(end) => tracing::info!(release = %target, %end, "a rollout is over"),
                Err(error) => tracing::warn!(release = %target, error = %format!("{:#}", anyhow::Error::new(error)), "a driver stopped"),
            }
            true
        }
        () = held.keep() => {
            tracing::warn!(release = %target, "the lease could not be kept, so others may go on");
            false
        }
        _ = stopped => true,
    };
    if kept {
        held.give_back().await;
    }
    let _gone = look.send(target);
}

async fn publish(recorder: &Recorder, event: &Event, reference: &ObjectReference) {
    if let Err(error) = recorder.publish(event, reference).await {
        tracing::warn!(%error, "an event was not recorded");
    }
}
