//! One release across all five crates, in virtual time: from bytes on a disk to all traffic, and back.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tidegate::{
    canary::{
        Actuator, Deployer, Driver, Fence, Gatekeepers, InMemoryDeployer, InMemoryRouter, PlanSpec, Release,
        RouteId, Slot, State, TrafficRouter, WallClock, Weight, Workload, World,
    },
    metrics::{self, Measurement, Metric, MetricsSource, Missing, Observation, Selector, Window},
    registry::{
        Attestations, Cause, Channel, Channels, Content, Draft, Expect, ModelStore, ModelStoreExt,
        ObjectBacked, Seq, Stamp,
    },
    rollback::{self, Intent, Order, Rollback},
    validation::{
        FnAgent, Reply, Run, Subject, Suite,
        checks::{Consistency, Integrity},
    },
};

/// 10 000 requests a window, split as the router says, all quick; one in ten of version 1.2.0 fails.
#[derive(Debug)]
struct Requests(InMemoryRouter);

#[async_trait]
impl MetricsSource for Requests {
    async fn observe(
        &self,
        metric: &Metric,
        side: &Selector,
        _: Window,
    ) -> Result<Measurement, metrics::Error> {
        let route = side.get("route").unwrap().parse().unwrap();
        let traffic = self.0.observe(&route).await.unwrap().traffic;
        let slot = if side.get("slot") == Some("candidate") { Slot::Candidate } else { Slot::Stable };
        let trials = u64::from(traffic.weight(slot).as_basis_points());
        let errors = if side.get("version") == Some("1.2.0") { trials / 10 } else { trials / 1_000 };
        Ok(match metric.as_str() {
            _ if trials == 0 => Measurement::Missing(Missing::NoData),
            Metric::ERRORS => Observation::proportion(errors, trials).unwrap().into(),
            Metric::LATENCY => {
                let slow = trials / 100;
                Observation::histogram(vec![0.1, 1.0], vec![trials - slow, slow, 0]).unwrap().into()
            }
            _ => Measurement::Missing(Missing::NoData),
        })
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synthetic requests")
    }
}

/// Publishes `version` from files, validates it, records that it passed, and returns what to roll out.
async fn prepare(registry: &ObjectBacked, version: &str) -> Release {
    let files = tempfile::tempdir().unwrap();
    std::fs::create_dir(files.path().join("tokenizer")).unwrap();
    std::fs::write(files.path().join("weights.bin"), format!("weights of {version}")).unwrap();
    std::fs::write(files.path().join("tokenizer/vocabulary.txt"), "yes\nno\n").unwrap();
    let draft = Draft::new(format!("support@{version}").parse().unwrap(), Stamp::now("ada"));
    let manifest = registry.publish(draft, Content::directory(files.path()), &()).await.unwrap();

    let agent = FnAgent::new("support", |_| async { Ok(Reply::text("Paris.")) });
    let suite = Suite::new("before release").with(Integrity::default()).with(Consistency {
        prompts: vec!["What is the capital of France?".to_owned()],
        repeats: 59,
        ..Consistency::default()
    });
    let report = suite.run(&Subject::new(&manifest, registry).with_agent(&agent), &Run::new(7)).await;
    assert!(report.accepted(), "{report}");
    let attestations = Attestations::new(Arc::new(registry.clone()));
    attestations.attest(&manifest.model, report.attestation(Stamp::now("ci"))).await.unwrap();
    assert_eq!(attestations.of(&manifest.model).await.unwrap().len(), 1);
    Release::from(&manifest)
}

async fn roll_out(world: &World, route: &RouteId, stable: &Release, candidate: &Release) -> State {
    let plan = PlanSpec::canary(route.clone(), stable.clone(), candidate.clone()).build().unwrap();
    let id = format!("ci-{}", candidate.model.version()).parse().unwrap();
    let (driver, _handle) = Driver::open(world.clone(), id, plan).await.unwrap();
    driver.run().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn from_bytes_to_all_traffic_and_back() {
    let root = tempfile::tempdir().unwrap();
    let registry = ObjectBacked::directory(root.path().join("registry")).await.unwrap();
    let first = prepare(&registry, "1.0.0").await;
    let better = prepare(&registry, "1.1.0").await;
    let bad = prepare(&registry, "1.2.0").await;

    let (deployer, router) = (InMemoryDeployer::default(), InMemoryRouter::default());
    let world = World {
        store: Arc::new(registry.clone()),
        log: Arc::new(registry.clone()),
        metrics: Arc::new(Requests(router.clone())),
        router: Arc::new(router.clone()),
        deployer: Arc::new(deployer.clone()),
        gates: Gatekeepers::new(),
        clock: WallClock::system(),
    };
    let hands =
        Actuator { router: &router, deployer: &deployer, clock: world.clock, fence: Fence::new(Seq::FIRST) };
    let workload = Workload { slot: Slot::Stable, release: first.clone(), share: Weight::FULL };
    hands.ensure(&workload, world.clock.now()).await.unwrap();
    let (channels, production) = (Channels::new(Arc::new(registry.clone())), Channel::production());
    let name = first.model.name().clone();
    let by = || Stamp::now("ada");
    let moved =
        channels.promote(&first.model, &production, &Expect::Absent, Cause::Promote, by()).await.unwrap();
    channels.settle(&name, &production, moved.seq, by()).await.unwrap();

    let route: RouteId = "serving/support".parse().unwrap();
    assert_eq!(roll_out(&world, &route, &first, &better).await, State::Promoted);
    let end = roll_out(&world, &route, &better, &bad).await;
    assert!(matches!(end, State::RolledBack { .. }), "{end}");
    let selector = "support:production".parse().unwrap();
    assert_eq!(registry.resolve(&selector, &channels).await.unwrap(), better.model);

    let (order, choice) = Order::choose(&world, Intent::new(route, name, "drill")).await.unwrap();
    assert_eq!(choice.to, first.model);
    let end =
        Rollback::open(world.clone(), "inc-1".parse().unwrap(), order).await.unwrap().run().await.unwrap();
    assert!(matches!(end, rollback::State::Done { .. }), "{end}");
    assert_eq!(registry.resolve(&selector, &channels).await.unwrap(), first.model);
    assert_eq!(deployer.status(Slot::Stable).await.unwrap().ready(), Some(&first));

    // What the channel says is what a machine gets that pulls it.
    let delivered = root.path().join("delivered");
    registry.download(&first.model, &delivered, &()).await.unwrap();
    assert_eq!(std::fs::read_to_string(delivered.join("weights.bin")).unwrap(), "weights of 1.0.0");
}
