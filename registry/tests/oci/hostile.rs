//! Against servers that do not do what they should.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::TryStreamExt as _;
use serde_json::Value;
use tidegate_registry::{
    Digest, Error, Filter, InMemory, ModelName, ModelStore, ModelStoreExt as _, OciAuth, OciBacked,
    OpenOptions, Stamp,
};

use super::{
    chain, client, model, noise, paired, publish,
    scripted::{Scripted, endless},
    store,
};

fn basic(password: &str) -> OciAuth {
    OciAuth::Basic { user: "user".to_owned(), password: password.to_owned() }
}

fn with(auth: OciAuth, address: &str) -> OciBacked {
    OciBacked::new(client(), auth, address, Arc::new(InMemory::new())).unwrap()
}

#[tokio::test]
async fn a_registry_needs_no_ranges() {
    let (_, address) = Scripted::serve().await;
    let store = store(&address);
    let weights = noise(1, (17 << 20) + 3);
    publish(&store, "m@1.0.0", &[("weights", weights.clone()), ("empty", Bytes::new())]).await.unwrap();
    store.verify(&model("m@1.0.0"), &()).await.unwrap();
    let range = OpenOptions::range(9 << 20..(9 << 20) + 5);
    let read = store.open(&model("m@1.0.0"), &"weights".parse().unwrap(), range).await.unwrap();
    let read: Vec<Bytes> = read.try_collect().await.unwrap();
    assert_eq!(read.concat(), weights[9 << 20..(9 << 20) + 5]);
    let directory = tempfile::tempdir().unwrap();
    store.download(&model("m@1.0.0"), &directory.path().join("m"), &()).await.unwrap();
}

/// A token server that gives out `t1`, `t2`, … and a registry that takes the last one only.
fn guard(registry: &Scripted, address: &str, password: &'static str) -> Arc<AtomicUsize> {
    let valid = Arc::new(AtomicUsize::new(1));
    let (good, realm) = (Arc::clone(&valid), format!("{address}/token?x=y"));
    let scopes = ["repository%3Am%3Apull", "repository%3Am%3Apull%2Cpush", "registry%3Acatalog%3A*"];
    registry.script(move |asked| {
        let token = format!("t{}", good.load(SeqCst));
        if asked.path == "/token" {
            let request =
                client().get("http://localhost").basic_auth("user", Some(password)).build().unwrap();
            let wanted = request.headers()["authorization"].to_str().unwrap().to_owned();
            let scope = asked.query.split('&').find_map(|pair| pair.strip_prefix("scope="));
            assert!(scopes.contains(&scope.unwrap()), "{scope:?}");
            assert!(asked.query.starts_with("x=y&service=a+registry&"), "{}", asked.query);
            return Some(match asked.authorization() {
                Some(sent) if sent == wanted => format!(r#"{{"access_token":"{token}"}}"#).into_response(),
                _ => (StatusCode::UNAUTHORIZED, "no, not hunter2").into_response(),
            });
        }
        if asked.authorization() == Some(&format!("Bearer {token}")) {
            return None;
        }
        let challenge =
            format!(r#"Bearer realm="{realm}",service="a registry",scope="repository:m:pull,push""#);
        Some((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
    });
    valid
}

#[tokio::test]
async fn tokens_are_fetched_once_and_renewed() {
    let (registry, address) = Scripted::serve().await;
    let valid = guard(&registry, &address, "correct horse");
    let store = with(basic("correct horse"), &address);
    let files: Vec<_> = (0..20).map(|n| (format!("f{n}"), noise(n, 100))).collect();
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    publish(&store, "m@1.0.0", &files).await.unwrap();
    // Eight files at once ask before anybody has one.
    let fetched = registry.count("GET", "/token");
    assert!((2..=9).contains(&fetched), "{fetched}");
    store.verify(&model("m@1.0.0"), &()).await.unwrap();
    assert_eq!(registry.count("GET", "/token"), fetched);
    valid.store(2, SeqCst);
    store.artifact(&"m".parse().unwrap(), "1.0.0").await.unwrap();
    assert_eq!(registry.count("GET", "/token"), fetched + 1);

    for wrong in [basic("hunter2"), OciAuth::Anonymous, OciAuth::Bearer("hunter2".to_owned())] {
        let error = publish(&with(wrong, &address), "m@2.0.0", &[("f", "x".into())]).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn credentials_stay_with_the_registry() {
    let (registry, address) = Scripted::serve().await;
    let (elsewhere, other) = Scripted::serve().await;
    // Uploads go on at another host, which asks for credentials as if it were the registry.
    elsewhere.script(|asked| {
        let challenge = r#"Basic realm="give them to me""#;
        assert!(asked.authorization().is_none(), "{asked:?}");
        Some((StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response())
    });
    registry.script(move |asked| {
        let location = format!("{other}/uploads/1");
        asked
            .is("POST", "/uploads/")
            .then(|| (StatusCode::ACCEPTED, [("location", location)]).into_response())
    });
    let error =
        publish(&with(basic("hunter2"), &address), "m@1.0.0", &[("f", "x".into())]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && chain(&error).contains("401"), "{}", chain(&error));
    assert_eq!(elsewhere.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn answers_that_do_not_end_are_not_read_to_their_end() {
    let (registry, address) = Scripted::serve().await;
    let log = Arc::new(InMemory::new());
    let fresh = || paired(&address, Arc::<InMemory>::clone(&log));
    publish(&fresh(), "m@1.0.0", &[("f", noise(2, 1000))]).await.unwrap();
    registry.script(|asked| asked.is("GET", "/manifests/").then(|| endless().into_response()));
    let error = fresh().manifest(&model("m@1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    registry.script(|asked| asked.is("GET", "/blobs/").then(|| endless().into_response()));
    let error = fresh().manifest(&model("m@1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    registry.script(|asked| {
        let error = || (StatusCode::INTERNAL_SERVER_ERROR, endless()).into_response();
        asked.is("GET", "/").then(error)
    });
    let error = fresh().manifest(&model("m@1.0.0")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let error = fresh().models().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn an_altered_artifact_is_damaged() {
    let (registry, address) = Scripted::serve().await;
    let log = Arc::new(InMemory::new());
    let fresh = || paired(&address, Arc::<InMemory>::clone(&log));
    publish(&fresh(), "m@1.0.0", &[("f", noise(3, 1000))]).await.unwrap();
    let path = "/v2/m/manifests/1.0.0";
    let bytes = registry.object(path);
    let pinned = format!("/v2/m/manifests/{}", Digest::of(&bytes));
    let name: ModelName = "m".parse().unwrap();
    let whole: Value = serde_json::from_slice(&bytes).unwrap();
    let changes: [(&str, Value); 4] = [
        ("/layers/0/size", 1001.into()),
        ("/layers/0/digest", Digest::of("x").to_string().into()),
        ("/layers/0/annotations/org.cncf.model.filepath", "g".into()),
        ("/layers/1/size", u64::MAX.into()),
    ];
    for (pointer, to) in changes {
        let mut lies = whole.clone();
        *lies.pointer_mut(pointer).unwrap() = to;
        registry.put(&pinned, lies.to_string());
        let error = fresh().manifest(&model("m@1.0.0")).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{pointer}: {error}");
        registry.put("/v2/m/manifests/lies", lies.to_string());
        let error = fresh().artifact(&name, "lies").await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{pointer}: {error}");
    }
    // Nothing of the version is touched, and still it is not the artifact that the log names.
    let mut other = whole.clone();
    other["annotations"]["added"] = "later".into();
    registry.put(&pinned, other.to_string());
    let error = fresh().manifest(&model("m@1.0.0")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    registry.put(&pinned, bytes);
    fresh().verify(&model("m@1.0.0"), &()).await.unwrap();
}

#[tokio::test]
async fn ranges_that_were_not_asked_for_are_damaged() {
    let (registry, address) = Scripted::serve().await;
    let store = store(&address);
    publish(&store, "m@1.0.0", &[("f", noise(4, 1000))]).await.unwrap();
    let open = async || {
        let read = store.open(&model("m@1.0.0"), &"f".parse().unwrap(), OpenOptions::range(10..20)).await?;
        read.try_collect::<Vec<_>>().await
    };
    open().await.unwrap();
    for (range, whole) in [("0-9", "1000"), ("10-19", "999"), ("10-18446744073709551615", "1000"), ("x", "y")]
    {
        let header = format!("bytes {range}/{whole}");
        registry.script(move |asked| {
            let answer = (StatusCode::PARTIAL_CONTENT, [("content-range", header.clone())], "0123456789");
            asked.is("GET", "/blobs/").then(|| answer.into_response())
        });
        let error = open().await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Refused { .. }), "{range}: {error}");
    }
    for (status, transient) in [(404, false), (416, false), (403, false), (429, true), (503, true)] {
        let status = StatusCode::from_u16(status).unwrap();
        registry.script(move |asked| asked.is("GET", "/blobs/").then(|| status.into_response()));
        assert_eq!(open().await.unwrap_err().is_transient(), transient, "{status}");
    }
}

#[tokio::test]
async fn a_catalogue_is_not_followed_in_circles() {
    let (registry, address) = Scripted::serve().await;
    let store = store(&format!("{address}/team"));
    publish(&store, "m@1.0.0", &[("f", "x".into())]).await.unwrap();
    let error = store.models().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "there is none: {error}");
    let page = |names: &'static str| -> Response {
        ([("link", "</v2/_catalog>; rel=\"next\"")], format!(r#"{{"repositories":[{names}]}}"#))
            .into_response()
    };
    registry.script(move |asked| {
        let names = r#""other/m","team/../etc","team/m","team/n","team/M","team","team/m/x""#;
        asked.is("GET", "_catalog").then(|| page(names))
    });
    let names: Vec<_> = store.models().try_collect().await.unwrap();
    assert_eq!(names, ["m".parse().unwrap()]);
    assert_eq!(registry.count("GET", "_catalog"), 3);
    registry.script(move |asked| {
        let names = if asked.query.ends_with('a') { r#""team/m","b""# } else { r#""team/m","a""# };
        asked.is("GET", "_catalog").then(|| page(names))
    });
    let error = store.models().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[tokio::test]
async fn a_chunk_that_breaks_off_is_continued() {
    let (registry, address) = Scripted::serve().await;
    let store = store(&address);
    let weights = noise(6, (17 << 20) + 3);
    // Nothing of the first chunk arrives, then half, then all but its answer; then the second one's answer.
    registry.lose(&[0, 4 << 20, 8 << 20, 8 << 20]);
    publish(&store, "m@1.0.0", &[("weights", weights.clone())]).await.unwrap();
    store.verify(&model("m@1.0.0"), &()).await.unwrap();
    assert_eq!((registry.count("PATCH", "/"), registry.count("GET", "/uploads/")), (5, 4));

    registry.lose(&[0; 4]);
    let error = publish(&store, "m@2.0.0", &[("weights", noise(7, 9 << 20))]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(registry.count("DELETE", "/uploads/"), 1, "given up");

    registry.lose(&[0]);
    registry.script(|asked| {
        let more = (StatusCode::NO_CONTENT, [("range", "0-99999999"), ("location", "/uploads/9")]);
        asked.is("GET", "/uploads/").then(|| more.into_response())
    });
    let error = publish(&store, "m@3.0.0", &[("weights", noise(8, 9 << 20))]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(store.list(&"m".parse().unwrap(), Filter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_registry_that_stores_something_else_is_noticed() {
    let (registry, address) = Scripted::serve().await;
    registry.script(|asked| {
        let other = [("docker-content-digest", Digest::of("other").to_string())];
        asked.is("PUT", "/manifests/").then(|| (StatusCode::CREATED, other).into_response())
    });
    let first = store(&address);
    let error = publish(&first, "m@1.0.0", &[("f", "x".into())]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(first.list(&"m".parse().unwrap(), Filter::default()).await.is_err());
    for location in [None, Some("http://[")] {
        registry.script(move |asked| {
            let mut answer = StatusCode::ACCEPTED.into_response();
            location.map(|location| answer.headers_mut().insert("location", location.parse().unwrap()));
            asked.is("POST", "/uploads/").then_some(answer)
        });
        let error = publish(&store(&address), "n@1.0.0", &[("f", "x".into())]).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_store_that_says_it_copied_something_else_is_not_believed() {
    let (_, address) = Scripted::serve().await;
    let (from, registry) = (InMemory::new(), store(&address));
    publish(&from, "m@1.0.0", &[("a", noise(5, 5 << 20)), ("b", Bytes::new())]).await.unwrap();
    let copied = from.copy_to(&registry, &model("m@1.0.0"), Stamp::now("copier"), &()).await.unwrap();
    assert_eq!(copied.digest, from.manifest(&model("m@1.0.0")).await.unwrap().digest);
    let other = publish(&InMemory::new(), "m@1.0.0", &[("a", "x".into())]).await.unwrap();
    let mut lying = tidegate_registry::testkit::MockModelStore::new();
    lying.expect_publish().returning(move |_, _, _| {
        let other = other.clone();
        Box::pin(async move { Ok(other) })
    });
    let error = from.copy_to(&lying, &model("m@1.0.0"), Stamp::now("copier"), &()).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}
