//! Thirty-two programs want the same thing at the same time.

use std::sync::Arc;

use tidegate_registry::{
    Channel, Channels, Digest, Filter, Log as _, LogKey, ModelRef, ModelStoreExt as _, Seq,
};

use crate::{
    child::{Child, Place, Task, publish},
    servers::s3::{S3, Writes},
};

const PROGRAMS: u8 = 32;

/// Which of the programs got what it wanted.
fn race(place: &Place, task: impl Fn(u8) -> Task) -> u8 {
    let mut children: Vec<_> = (0..PROGRAMS).map(|n| Child::start(place, &task(n))).collect();
    children.iter_mut().for_each(Child::begin);
    let answers: Vec<_> = children.iter_mut().map(Child::says).collect();
    children.into_iter().for_each(Child::wait);
    let won: Vec<_> = (0..PROGRAMS).filter(|&n| answers[usize::from(n)] == "done").collect();
    let late = answers.iter().filter(|answer| *answer == "late").count();
    assert_eq!((won.len(), late), (1, usize::from(PROGRAMS) - 1), "{answers:?}");
    won[0]
}

async fn races(place: Place) {
    let registry = Arc::new(place.open().await);
    let model: ModelRef = "m@1.0.0".parse().unwrap();
    let length = async || registry.read(&LogKey::model(model.name()), Seq::FIRST).await.unwrap().len();

    let winner = race(&place, |byte| Task::Publish { model: model.clone(), byte, length: 5000 });
    let manifest = registry.verify(&model, &()).await.unwrap();
    assert_eq!(manifest.files[0].digest, Digest::of(vec![winner; 1000]), "what is there is the winner's");
    assert_eq!(length().await, 1);

    // Each promotes a version of its own.
    let version = |n: u8| -> ModelRef { format!("m@2.{n}.0").parse().unwrap() };
    for n in 0..PROGRAMS {
        publish(&registry, &version(n), n, 10).await.unwrap();
    }
    let before = length().await;
    let winner = race(&place, |n| Task::Promote(version(n)));
    assert_eq!(length().await, before + 1);
    let channels = Channels::new(Arc::clone(&registry) as _);
    let history = channels.history(model.name(), &Channel::production()).await.unwrap();
    assert_eq!((history.len(), &history[0].to), (1, &version(winner)));
    assert_eq!(
        registry.list(model.name(), Filter::default()).await.unwrap().len(),
        usize::from(PROGRAMS) + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_thirty_two_programs_wins_in_a_directory() {
    let root = tempfile::tempdir().unwrap();
    races(Place::Directory(root.path().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_thirty_two_programs_wins_on_s3() {
    let server = S3::start(Writes::InTurn);
    races(Place::s3(&server, "a")).await;
}
