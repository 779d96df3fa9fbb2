//! A target whose image its registry has lost is passed over before it is needed.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use async_trait::async_trait;
use axum::{Router, extract::Request, http::StatusCode};
use bytes::Bytes;
use stage::{Requests, Stage};
use tidegate_canary::{
    ActuatorError, Deployer, Fence, IMAGE, Pinned, Readiness, Rehearsed, Release, Slot, Weight, Workload,
    World,
};
use tidegate_registry::{
    Card, Cause, Channel, Content, Digest, Draft, Expect, ModelRef, ModelStore as _, OciAuth, OciImages,
    Stamp,
};
use tidegate_rollback::{Intent, Order, PassedOver, Unfit};

/// A registry on loopback that has every image but that of `lost`, of which it says `says`; nothing where that is 0.
async fn registry(lost: Digest, says: Arc<AtomicU16>) -> String {
    let answer = move |request: Request| {
        let (path, says) = (request.uri().path().to_owned(), Arc::clone(&says));
        async move {
            if request.method() != "HEAD" || !path.starts_with("/v2/team/fraud/manifests/sha256:") {
                return StatusCode::METHOD_NOT_ALLOWED;
            }
            if path.ends_with(&lost.to_string()) && says.load(Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            match path.ends_with(&lost.to_string()) {
                true => StatusCode::from_u16(says.load(Ordering::Relaxed)).unwrap(),
                false => StatusCode::OK,
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address.to_string()
}

/// Has no room for anything.
#[derive(Debug)]
struct Full;

#[async_trait]
impl Deployer for Full {
    async fn ensure(&self, workload: &Workload, _: Fence) -> Result<(), ActuatorError> {
        Err(no_room(workload))
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        Err(no_room(workload))
    }

    async fn status(&self, _: Slot) -> Result<Readiness, ActuatorError> {
        Ok(Readiness::Absent)
    }

    async fn remove(&self, _: Slot, _: Fence) -> Result<(), ActuatorError> {
        Ok(())
    }
}

fn no_room(workload: &Workload) -> ActuatorError {
    ActuatorError::Refused { target: workload.slot.to_string(), source: "there is no room".into() }
}

async fn publish(stage: &Stage, model: &str, label: &str) -> ModelRef {
    let model: ModelRef = model.parse().unwrap();
    let mut card = Card::default();
    card.labels.insert(IMAGE.to_owned(), label.to_owned());
    let stamp = Stamp { by: "ada".to_owned(), at: stage.clock.now() };
    let draft = Draft::new(model.clone(), stamp.clone()).with_card(card);
    let content = Content::bytes([("weights.bin".parse().unwrap(), Bytes::from(model.to_string()))]);
    stage.store.publish(draft, content, &()).await.unwrap();
    let (channels, production) = (stage.channels(), Channel::production());
    let moved =
        channels.promote(&model, &production, &Expect::Any, Cause::Promote, stamp.clone()).await.unwrap();
    channels.settle(model.name(), &production, moved.seq, stamp).await.unwrap();
    model
}

#[tokio::test]
async fn a_target_whose_image_is_lost_is_passed_over_and_one_that_nobody_speaks_of_is_not() {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
    let (lost, says) = (Digest::of("lost"), Arc::new(AtomicU16::new(404)));
    let address = registry(lost, Arc::clone(&says)).await;
    let image = |digest: Digest| format!("{address}/team/fraud:tag@{digest}");
    let good = publish(&stage, "fraud@2.0.0", &image(Digest::of("kept"))).await;
    let gone = publish(&stage, "fraud@2.1.0", &image(lost)).await;
    let bad = publish(&stage, "fraud@2.2.0", &image(Digest::of("bad"))).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let images = OciImages::new(client, OciAuth::Anonymous, &format!("http://{address}")).unwrap();
    let deployer = Pinned::new(stage.deployer.clone(), Arc::new(stage.store.clone()), [images]);
    let world = World { deployer: Arc::new(deployer), ..stage.world() };
    let choose = async || {
        let (route, name) = (stage.plan().route.clone(), good.name().clone());
        Order::choose(&world, Intent::new(route, name, "it is slow")).await.unwrap().1
    };
    let choice = choose().await;
    assert_eq!((&choice.from, &choice.to), (&bad, &good));
    let why = choice.passed_over.iter().find(|(model, _)| *model == gone).unwrap();
    let PassedOver::Unfit(Unfit::Refused { why }) = &why.1 else { panic!("{why:?}") };
    assert!(why.contains(&format!("its image {address}/team/fraud@{lost} is not in its registry")), "{why}");
    // A registry of images that is down is no reason to leave its versions out.
    says.store(503, Ordering::Relaxed);
    assert_eq!(choose().await.to, gone);
    // And what is no image by its digest is refused, since nobody could say what runs.
    let untold = publish(&stage, "fraud@2.3.0", "registry.example.com/team/fraud:latest").await;
    publish(&stage, "fraud@2.4.0", &image(Digest::of("bad"))).await;
    let choice = choose().await;
    assert!(
        choice.passed_over.iter().any(|(model, why)| *model == untold && why.to_string().contains("sha256:"))
    );
}

/// A registry that takes a question and never answers is as good as one that does not speak of the image.
#[tokio::test]
async fn a_registry_that_hangs_does_not_keep_the_deployer_from_being_asked() {
    let stage = Stage::new(Requests { stable_errors: 2, candidate_errors: 2 }).await;
    let (image, says) = (Digest::of("image"), Arc::new(AtomicU16::new(0)));
    let address = registry(image, Arc::clone(&says)).await;
    let model = publish(&stage, "fraud@2.0.0", &format!("{address}/team/fraud@{image}")).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let images = OciImages::new(client, OciAuth::Anonymous, &format!("http://{address}")).unwrap();
    let store = Arc::new(stage.store.clone());
    let release = Release::from(&stage.store.manifest(&model).await.unwrap());
    let workload = Workload { slot: Slot::Candidate, release, share: Weight::FULL };
    let full = Pinned::new(Full, Arc::clone(&store) as _, [images.clone()]);
    let refused = full.rehearse(&workload).await.unwrap_err();
    assert!(matches!(&refused, ActuatorError::Refused { source, .. } if source.to_string().contains("room")));
    // Where the deployer has nothing against it, the time for the image runs out, here at once.
    let roomy = Pinned::new(stage.deployer.clone(), Arc::clone(&store) as _, [images.clone()]);
    tokio::time::pause();
    assert_eq!(roomy.rehearse(&workload).await.unwrap(), Rehearsed::Accepted);
    tokio::time::resume();
    // An image that is known to be lost is said, though the deployer is refusing or not.
    says.store(404, Ordering::Relaxed);
    let lost = roomy.rehearse(&workload).await.unwrap_err();
    assert!(
        matches!(&lost, ActuatorError::Refused { source, .. } if source.to_string().contains("its image"))
    );
}
