//! Remembered answers: found again for the same question only.

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tidegate_validation::{Agent as _, AgentError, AgentId, Cached, Call, FnAgent, Reply, Request};

fn call(trial: u32) -> Call {
    Call::new(Duration::from_secs(20)).trial(trial)
}

/// An agent that takes a second, numbers its answers, and is away for the first `failures` calls.
fn counting(failures: u32) -> (FnAgent, Arc<AtomicU32>) {
    let times = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&times);
    let agent = FnAgent::new("counting", move |_| {
        let time = count.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if time < failures {
                let agent = AgentId::new("counting");
                return Err(AgentError::Unavailable { agent, why: "away".into(), attempts: 1, source: None });
            }
            Ok(Reply::text(time.to_string()).with_usage(3, 4))
        }
    });
    (agent, times)
}

fn many() -> NonZeroUsize {
    NonZeroUsize::new(100).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_once_and_a_repetition_is_another_question() {
    let directory = tempfile::tempdir().unwrap();
    for shelf in [None, Some(directory.path())] {
        let (agent, times) = counting(0);
        let cached = match shelf {
            None => Cached::in_memory(agent, many()),
            Some(path) => Cached::in_directory(agent, path.join("cache")),
        };
        let hello = Request::user("Hello");
        let mut first = cached.respond(&hello, &call(0)).await.unwrap();
        assert!(!first.remembered);
        first.remembered = true;
        assert_eq!(cached.respond(&hello, &call(0)).await.unwrap(), first);
        for trial in 1..10 {
            assert_eq!(cached.respond(&hello, &call(trial)).await.unwrap().text, trial.to_string());
        }
        assert_eq!(cached.respond(&hello.clone().temperature(0.0), &call(0)).await.unwrap().text, "10");
        assert_eq!((times.load(Ordering::Relaxed), cached.hits()), (11, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_answer_is_neither_found_nor_left() {
    let (agent, times) = counting(0);
    let cached = Cached::in_memory(agent, many());
    let hello = Request::user("Hello");
    assert_eq!(cached.respond(&hello, &call(0).afresh()).await.unwrap().text, "0");
    assert_eq!(cached.respond(&hello, &call(0)).await.unwrap().text, "1");
    let reply = cached.respond(&hello, &call(0).afresh()).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.remembered), ("2", false));
    assert_eq!(cached.respond(&hello, &call(0)).await.unwrap().text, "1");
    assert_eq!((times.load(Ordering::Relaxed), cached.hits()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn of_many_at_once_one_asks() {
    let (agent, times) = counting(0);
    let cached = Cached::in_memory(agent, many());
    let (hello, bye) = (Request::user("Hello"), Request::user("Bye"));
    let call = call(0);
    let both = (0..100).map(|i| cached.respond(if i % 2 == 0 { &hello } else { &bye }, &call));
    let replies = join_all(both).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!((times.load(Ordering::Relaxed), cached.hits()), (2, 98));
}

#[tokio::test(start_paused = true)]
async fn errors_are_not_remembered_and_whoever_waits_tries_again() {
    let (agent, times) = counting(2);
    let cached = Cached::in_memory(agent, many());
    let (hello, call) = (Request::user("Hello"), call(0));
    let replies = join_all((0..10).map(|_| cached.respond(&hello, &call))).await;
    assert_eq!(replies.iter().filter(|reply| reply.is_err()).count(), 2);
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_anothers_answer_waits_no_longer_than_its_own_time() {
    let (agent, _) = counting(0);
    let cached = Cached::in_memory(agent, many());
    let hello = Request::user("Hello");
    let (patient, hasty) = (call(0), Call::new(Duration::from_millis(10)));
    let (first, second) = tokio::join!(cached.respond(&hello, &patient), cached.respond(&hello, &hasty));
    assert!(first.is_ok());
    assert!(matches!(second, Err(AgentError::Unavailable { attempts: 0, .. })), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded() {
    let (agent, times) = counting(0);
    let cached = Cached::in_memory(agent, NonZeroUsize::new(3).unwrap());
    for i in 0..5 {
        cached.respond(&Request::user(i.to_string()), &call(0)).await.unwrap();
    }
    for i in [2, 3, 4, 0] {
        cached.respond(&Request::user(i.to_string()), &call(0)).await.unwrap();
    }
    assert_eq!((times.load(Ordering::Relaxed), cached.hits()), (6, 3));
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let children = |path: &Path| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    children(directory).flat_map(|path| children(&path).collect::<Vec<_>>()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_directory_outlives_the_process_and_damage() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let (agent, times) = counting(0);
        (Cached::in_directory(agent, directory.path()), times)
    };
    let hello = Request::user("Hello");
    open().0.respond(&hello, &call(0)).await.unwrap();
    let (cached, times) = open();
    assert!(cached.respond(&hello, &call(0)).await.unwrap().remembered);
    assert_eq!(times.load(Ordering::Relaxed), 0);
    let [file] = &files(directory.path())[..] else { panic!("one answer is one file") };
    let sound = std::fs::read(file).unwrap();
    let other = String::from_utf8(sound.clone()).unwrap().replacen("sha256:", "sha256:0", 1);
    let nothing = Vec::new();
    let half = sound[..sound.len() / 2].to_vec();
    for damaged in [nothing, half, b"\0\xff".to_vec(), other.into_bytes(), b"{}".to_vec()] {
        std::fs::write(file, damaged).unwrap();
        let (cached, times) = open();
        assert!(!cached.respond(&hello, &call(0)).await.unwrap().remembered);
        assert!(cached.respond(&hello, &call(0)).await.unwrap().remembered, "it is mended");
        assert_eq!(times.load(Ordering::Relaxed), 1);
    }
    assert_eq!(files(directory.path()).len(), 1, "no draft stays behind");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_another_question_is_not_taken_for_this_one() {
    let directory = tempfile::tempdir().unwrap();
    let (agent, times) = counting(0);
    let cached = Cached::in_directory(agent, directory.path());
    cached.respond(&Request::user("a"), &call(0)).await.unwrap();
    let first = files(directory.path()).swap_remove(0);
    cached.respond(&Request::user("b"), &call(0)).await.unwrap();
    let second = files(directory.path()).into_iter().find(|path| *path != first).unwrap();
    std::fs::copy(&second, &first).unwrap();
    assert_eq!(cached.respond(&Request::user("a"), &call(0)).await.unwrap().text, "2");
    assert_eq!(times.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_remembered_is_answered_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let (agent, times) = counting(0);
    let cached = Cached::in_directory(agent, file);
    for _ in 0..2 {
        assert!(!cached.respond(&Request::user("a"), &call(0)).await.unwrap().remembered);
    }
    assert_eq!(times.load(Ordering::Relaxed), 2);
}
