//! A target whose image its registry has lost is passed over before it is needed.

#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

#[path = "../../canary/tests/stage/mod.rs"]
mod stage;

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use axum::{Router, extract::Request, http::StatusCode};
use bytes::Bytes;
use stage::{Requests, Stage};
use tidegate_canary::{IMAGE, Pinned, World};
use tidegate_registry::{
    Card, Cause, Channel, Content, Digest, Draft, Expect, ModelRef, ModelStore as _, OciAuth, OciImages,
    Stamp,
};
use tidegate_rollback::{Intent, Order, PassedOver, Unfit};

/// A registry on loopback that has every image but that of `lost`, of which it says `says`.
async fn registry(lost: Digest, says: Arc<AtomicU16>) -> String {
    let answer = move |request: Request| {
        let (path, says) = (request.uri().path().to_owned(), Arc::clone(&says));
        async move {
            if request.method() != "HEAD" || !path.starts_with("/v2/team/fraud/manifests/sha256:") {
                return StatusCode::METHOD_NOT_ALLOWED;
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
