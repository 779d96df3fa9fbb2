//! Recordings: what was answered is answered again.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tidegate_validation::{
    Agent as _, AgentError, AgentId, Call, FnAgent, Recorder, Replay, Reply, Request, ToolCall,
};

fn call(trial: u32) -> Call {
    Call::new(Duration::from_secs(20)).trial(trial)
}

/// An agent that answers something else each time.
fn moody() -> FnAgent {
    let times = Arc::new(AtomicU32::new(0));
    FnAgent::new("moody", move |request| {
        let time = times.fetch_add(1, Ordering::Relaxed);
        async move {
            match request.prompt() {
                "fail" => {
                    Err(AgentError::Refused { agent: AgentId::new("moody"), status: 418, why: "tea".into() })
                }
                prompt => Ok(Reply::text(format!("{prompt} {time}"))
                    .with_usage(3, 4)
                    .with_tool_calls([ToolCall::new("a", "f", "{}")])),
            }
        }
    })
}

fn path(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("recording.jsonl")
}

#[tokio::test]
async fn what_was_answered_is_answered_again_whole() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(moody(), path(&directory)).await.unwrap();
    let mut given = Vec::new();
    for trial in 0..3 {
        for prompt in ["a", "b", "a\nb \u{1f600}"] {
            given.push(recorder.respond(&Request::user(prompt), &call(trial)).await.unwrap());
        }
    }
    let failed = recorder.respond(&Request::user("fail"), &call(0)).await.unwrap_err();
    let replay = Replay::open(path(&directory)).await.unwrap();
    assert_eq!((replay.fingerprint(), replay.len(), replay.is_empty()), (AgentId::new("moody"), 10, false));
    // In another order than they were asked.
    for (i, expected) in given.iter().enumerate().rev() {
        let prompt = ["a", "b", "a\nb \u{1f600}"][i % 3];
        let reply = replay.respond(&Request::user(prompt), &call((i / 3) as u32)).await.unwrap();
        assert_eq!(&reply, expected);
    }
    let again = replay.respond(&Request::user("fail"), &call(0)).await.unwrap_err();
    assert_eq!(again.to_string(), failed.to_string());
}

#[tokio::test]
async fn what_was_not_recorded_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(moody(), path(&directory)).await.unwrap();
    recorder.respond(&Request::user("a"), &call(0)).await.unwrap();
    let replay = Replay::open(path(&directory)).await.unwrap();
    for (request, trial) in
        [(Request::user("b"), 0), (Request::user("a"), 1), (Request::user("a").temperature(0.0), 0)]
    {
        let error = replay.respond(&request, &call(trial)).await.unwrap_err();
        assert!(matches!(error, AgentError::NotRecorded { .. }) && !error.is_hopeless(), "{error:?}");
        assert!(
            error.to_string().contains(request.prompt()) && error.to_string().contains("record it first")
        );
    }
}

#[tokio::test]
async fn what_was_recorded_twice_is_answered_in_that_order() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(moody(), path(&directory)).await.unwrap();
    for _ in 0..3 {
        recorder.respond(&Request::user("a"), &call(0)).await.unwrap();
    }
    let replay = Replay::open(path(&directory)).await.unwrap();
    let mut texts = Vec::new();
    for _ in 0..4 {
        texts.push(replay.respond(&Request::user("a"), &call(0)).await.unwrap().text);
    }
    assert_eq!(texts, ["a 0", "a 1", "a 2", "a 0"]);
}

#[tokio::test]
async fn a_line_that_a_killed_recorder_left_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let recorder = Recorder::open(moody(), &path).await.unwrap();
    recorder.respond(&Request::user("a"), &call(0)).await.unwrap();
    drop(recorder);
    let whole = std::fs::read(&path).unwrap();
    for kept in 0..whole.len() {
        std::fs::write(&path, [&whole[..], &whole[..kept]].concat()).unwrap();
        let replay = Replay::open(&path).await.unwrap();
        assert_eq!(replay.len(), 1, "{kept} bytes of a second line");
    }
    // Longer than the step in which its beginning is looked for.
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&[b'x'; 200_000]).unwrap();
    let recorder = Recorder::open(moody(), &path).await.unwrap();
    recorder.respond(&Request::user("b"), &call(0)).await.unwrap();
    assert_eq!(Replay::open(&path).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_half_line() {
    let directory = tempfile::tempdir().unwrap();
    let long =
        FnAgent::new("long", |request| async move { Ok(Reply::text(request.prompt().repeat(100_000))) });
    let recorder = Recorder::open(long, path(&directory)).await.unwrap();
    for i in 0..50_u64 {
        let (request, call) = (Request::user(format!("{i}")), call(0));
        let asked = recorder.respond(&request, &call);
        let _ = tokio::time::timeout(Duration::from_micros(100 * i), asked).await;
    }
    recorder.respond(&Request::user("last"), &call(0)).await.unwrap();
    let replay = Replay::open(path(&directory)).await.unwrap();
    assert!(replay.respond(&Request::user("last"), &call(0)).await.is_ok());
}

#[tokio::test]
async fn what_is_no_recording_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let line = |agent: &str| {
        format!(
            "{{\"agent\":\"{agent}\",\"request\":{{\"messages\":[]}},\"trial\":0,\"reply\":{{\"text\":\"x\"}}}}\n"
        )
    };
    for (text, why) in [
        (String::new(), "no answer"),
        (line("a") + "{}\n", "line 2"),
        (line("a") + "\u{0}\n", "line 2"),
        (line("a") + "\n\n" + &line("b"), "line 4 is of another agent"),
        (format!("{}\n", "[".repeat(100_000)), "line 1"),
        ("{\"agent\":\"a\",\"request\":{},\"trial\":-1,\"reply\":{}}\n".to_owned(), "line 1"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Replay::open(&path).await.unwrap_err();
        let AgentError::Recording { source, .. } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(why), "{source}");
        assert!(error.is_hopeless() && error.to_string().contains("recording.jsonl"));
    }
    std::fs::write(&path, line("a")).unwrap();
    assert_eq!(Replay::open(&path).await.unwrap().len(), 1);
    assert!(matches!(Replay::open(directory.path().join("none")).await, Err(AgentError::Recording { .. })));
    assert!(matches!(Recorder::open(moody(), directory.path()).await, Err(AgentError::Recording { .. })));
}

#[tokio::test]
async fn one_recorder_at_a_time_writes_to_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let first = Recorder::open(moody(), path(&directory)).await.unwrap();
    let error = Recorder::open(moody(), path(&directory)).await.unwrap_err();
    let AgentError::Recording { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("another recorder"), "{source}");
    first.respond(&Request::user("a"), &call(0)).await.unwrap();
    drop(first);
    Recorder::open(moody(), path(&directory))
        .await
        .unwrap()
        .respond(&Request::user("b"), &call(0))
        .await
        .unwrap();
    assert_eq!(Replay::open(path(&directory)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_recording_that_changes_under_its_reader_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(moody(), path(&directory)).await.unwrap();
    recorder.respond(&Request::user("a"), &call(0)).await.unwrap();
    let replay = Replay::open(path(&directory)).await.unwrap();
    for text in ["", "{}", &"x".repeat(10_000)] {
        std::fs::write(path(&directory), text).unwrap();
        let error = replay.respond(&Request::user("a"), &call(0)).await.unwrap_err();
        assert!(matches!(error, AgentError::Recording { .. }), "{error:?}");
    }
}
