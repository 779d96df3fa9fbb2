//! What is awaited in a span of the caller is a part of that span.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use tidegate::{
    canary::{Driver, State},
    registry::ModelStoreExt,
    rollback::Vigilance,
};
use tracing::{Instrument as _, Subscriber, info_span, span};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use crate::{
    stage::{Stage, id},
    stopping::alone,
    ward::{self, Health},
};

/// Notes down every span with the one that it is a part of.
#[derive(Clone, Debug, Default)]
struct Parents(Arc<Mutex<BTreeSet<(&'static str, &'static str)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Parents {
    fn on_new_span(&self, _: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map_or("", |parent| parent.metadata().name());
        self.0.lock().unwrap().insert((span.metadata().name(), parent));
    }
}

#[test]
fn what_is_awaited_in_a_span_is_a_part_of_it() {
    let parents = Parents::default();
    let subscriber = tracing_subscriber::registry().with(parents.clone());
    tracing::subscriber::with_default(subscriber, || {
        alone(async |_| {
            let stage = Stage::new(ward::GOOD).await;
            let (driver, _handle) = Driver::open(stage.world(), id(), stage.plan()).await.unwrap();
            let end = driver.run().instrument(info_span!("deploying")).await.unwrap();
            assert_eq!(end, State::Promoted);
            let world = ward::world(&stage, &Health::default());
            let guard = ward::guard(world, ward::watch(&stage)).await.unwrap();
            let end = guard.run().instrument(info_span!("guarding")).await.unwrap();
            assert!(matches!(end, Vigilance::Kept { .. }), "{end}");
            let verified = stage.store.verify(&stage.stable.model, &());
            verified.instrument(info_span!("auditing")).await.unwrap();
        });
    });
    let parents = parents.0.lock().unwrap();
    for pair in [
        ("tidegate.rollout", "deploying"),
        ("tidegate.watch", "guarding"),
        ("tidegate.registry.verify", "auditing"),
    ] {
        assert!(parents.contains(&pair), "{pair:?} is not in {parents:?}");
    }
}
