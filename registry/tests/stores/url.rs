//! Registries by their URL, and what a URL never gives away.

use std::fmt::Write as _;

use bytes::Bytes;
use tidegate_registry::{
    Content, Draft, Error, Filter, ModelStore as _, ModelStoreExt as _, ObjectBacked, Stamp,
};

use crate::servers::{
    gcs,
    s3::{BUCKET, S3, SECRET_KEY, Writes, options},
};

const NONE: [(&str, &str); 0] = [];

/// Everything that an error says, in whatever way it is asked.
fn all_of(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        write!(text, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    text
}

async fn refused(url: &str) -> String {
    let error = ObjectBacked::open_url(url, NONE).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
    all_of(&error)
}

async fn round_trip(registry: &ObjectBacked) {
    let model = "m@1.0.0".parse().unwrap();
    let draft = Draft::new("m@1.0.0".parse().unwrap(), Stamp::now("test"));
    let files = Content::bytes([("f".parse().unwrap(), Bytes::from("x"))]);
    registry.publish(draft, files, &()).await.unwrap();
    registry.verify(&model, &()).await.unwrap();
}

#[tokio::test]
async fn a_bucket_of_google_opens() {
    let server = gcs::start();
    let url = format!("gs://{BUCKET}/team/registry");
    let registry = ObjectBacked::open_url(&url, gcs::options(&server)).await.unwrap();
    assert_eq!(registry.to_string(), url);
    round_trip(&registry).await;
    assert!(server.directory().join("team/registry/tidegate.json").is_file());

    // Large enough for parts; and a version is there once.
    let publish = async |byte: u8| {
        let files = Content::bytes([("f".parse().unwrap(), Bytes::from(vec![byte; 40 << 20]))]);
        registry.publish(Draft::new("m@2.0.0".parse().unwrap(), Stamp::now("test")), files, &()).await
    };
    publish(1).await.unwrap();
    assert!(matches!(publish(2).await, Err(Error::AlreadyPublished { .. })));
    registry.verify(&"m@2.0.0".parse().unwrap(), &()).await.unwrap();
    let again = ObjectBacked::find_url(&url, gcs::options(&server)).await.unwrap().unwrap();
    assert_eq!(again.list(&"m".parse().unwrap(), Filter::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn each_kind_of_place_opens() {
    let root = tempfile::tempdir().unwrap();
    let url = format!("file://{}/with%20space/registry", root.path().display());
    round_trip(&ObjectBacked::open_url(&url, NONE).await.unwrap()).await;
    assert!(root.path().join("with space/registry/tidegate.json").is_file());
    // What is there is found again.
    let again = ObjectBacked::open_url(&url, NONE).await.unwrap();
    again.verify(&"m@1.0.0".parse().unwrap(), &()).await.unwrap();

    round_trip(&ObjectBacked::open_url("memory:///", NONE).await.unwrap()).await;

    let server = S3::start(Writes::InTurn);
    for prefix in ["", "/", "/team/a b", "/team/registry/"] {
        let url = format!("s3://{BUCKET}{prefix}");
        let registry = ObjectBacked::open_url(&url, options(&server.endpoint())).await.unwrap();
        round_trip(&registry).await;
        assert!(registry.to_string().starts_with("s3://models"), "{registry}");
    }
    let places = ["tidegate.json", "team/a b/tidegate.json", "team/registry/tidegate.json"];
    assert!(places.iter().all(|place| server.directory().join(place).is_file()));
    // Also with the keys of an environment.
    let upper = options(&server.endpoint()).into_iter().map(|(key, value)| (key.to_uppercase(), value));
    let environment = upper.chain([("PATH".to_owned(), "/bin".to_owned())]);
    ObjectBacked::open_url("s3://models", environment).await.unwrap();
}

#[tokio::test]
async fn what_names_no_store_says_what_would() {
    for url in ["", "registry", "/srv/registry", "C:\\registry", "ftp://host/x", "file://host/x", "s3:bucket"]
    {
        let said = refused(url).await;
        assert!(said.contains("s3://bucket/prefix"), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_web_server_is_refused() {
    let said = refused("https://example.com/registry").await;
    assert!(said.contains("`aws_endpoint`"), "{said}");
}

#[tokio::test]
async fn secrets_in_a_url_are_refused_and_not_repeated() {
    for url in [
        "s3://user:hunter2@bucket/prefix",
        "s3://hunter2@bucket/prefix",
        "s3://:hunter2@bucket/prefix",
        "https://account.blob.core.windows.net/models/x?sv=2021&sig=hunter2",
        "az://container:hunter2@account/prefix",
        "az://container/prefix?sig=hunter2",
        "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=hunter2",
        "s3://bucket/prefix#hunter2",
        "file:///registry?token=hunter2",
        "s3://user:hunter2@bu cket/",
        "s3://user:hunter2@[::1/",
        "user:hunter2@bucket",
        "//user:hunter2@bucket",
        "token=hunter2",
        "ftp://user:hunter2@host/x",
        "ftp://host/x?sig=hunter2",
    ] {
        let said = refused(url).await;
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
    let said = refused("s3://user:hunter2@bucket/prefix").await;
    assert!(said.contains("s3://***@bucket/prefix") && said.contains("aws_secret_access_key"), "{said}");
}

/// Options that a client refuses, servers that refuse them, and servers that are not there.
#[tokio::test]
async fn credentials_among_the_options_are_never_repeated() {
    let server = S3::start(Writes::InTurn);
    let s3 = format!("s3://{BUCKET}/x");
    let nowhere = "http://127.0.0.1:1";
    let quick = ("retry_timeout", "1s");
    let cases: [(&str, Vec<(&str, &str)>); 5] = [
        (&s3, vec![("aws_access_key_id", "tidegate"), ("aws_secret_access_key", "hunter2")]),
        (
            &s3,
            vec![
                ("aws_access_key_id", "hunter2"),
                ("aws_secret_access_key", "hunter2"),
                ("aws_session_token", "hunter2"),
            ],
        ),
        (
            "az://models/x",
            vec![("azure_storage_account_name", "a"), ("azure_storage_account_key", "hunter2!")],
        ),
        (
            "az://models/x",
            vec![
                ("azure_storage_account_name", "a"),
                ("azure_storage_sas_token", "sv=2021&sig=hunter2"),
                ("azure_storage_endpoint", nowhere),
            ],
        ),
        ("az://models/x", vec![("azure_storage_account_name", "a"), ("azure_storage_sas_key", "hunter2")]),
    ];
    for (url, case) in cases {
        let endpoint = server.endpoint();
        let common =
            [("aws_endpoint", &*endpoint), ("allow_http", "true"), ("aws_region", "us-east-1"), quick];
        let error = ObjectBacked::open_url(url, common.into_iter().chain(case.clone())).await.unwrap_err();
        let said = all_of(&error);
        assert!(!said.contains("hunter2"), "{case:?}: {said}");
    }
    let registry = ObjectBacked::open_url(&s3, options(&server.endpoint())).await.unwrap();
    let said = format!("{registry} {registry:?} {registry:#?}");
    assert!(!said.contains(SECRET_KEY) && !said.contains("127.0.0.1"), "{said}");
}

#[tokio::test]
async fn looking_for_a_registry_makes_none() {
    let server = S3::start(Writes::InTurn);
    let url = format!("s3://{BUCKET}/team");
    let find = || ObjectBacked::find_url(&url, options(&server.endpoint()));
    assert!(find().await.unwrap().is_none());
    assert_eq!(server.directory().read_dir().unwrap().count(), 0);
    let made = ObjectBacked::open_url(&url, options(&server.endpoint())).await.unwrap();
    round_trip(&made).await;
    let found = find().await.unwrap().expect("it was made just now");
    found.verify(&"m@1.0.0".parse().unwrap(), &()).await.unwrap();
    assert_eq!(found.to_string(), made.to_string());

    std::fs::write(server.directory().join("team/tidegate.json"), br#"{"format": 2}"#).unwrap();
    assert!(matches!(find().await.unwrap_err(), Error::TooNew { .. }));
    let root = tempfile::tempdir().unwrap();
    let directory = format!("file://{}", root.path().display());
    let error = ObjectBacked::find_url(&directory, NONE).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let secret = ObjectBacked::find_url("s3://me:hush@bucket", NONE).await.unwrap_err();
    assert!(!all_of(&secret).contains("hush"), "{secret}");
}
