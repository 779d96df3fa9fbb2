//! Whether an image is still there.

use axum::{http::StatusCode, response::IntoResponse as _};
use tidegate_registry::{Digest, Error, OciAuth, OciImage, OciImages};

use super::{client, scripted::Scripted};

fn pinned(host: &str) -> OciImage {
    format!("{host}/team/fraud@{}", Digest::of("image")).parse().unwrap()
}

#[tokio::test]
async fn a_registry_says_whether_it_has_an_image() {
    let (registry, address) = Scripted::serve().await;
    let host = address.strip_prefix("http://").unwrap().to_owned();
    let images = OciImages::new(client(), OciAuth::Anonymous, &address).unwrap();
    let wanted = format!("/v2/team/fraud/manifests/{}", Digest::of("image"));
    for (status, has) in [(200, Some(true)), (404, Some(false)), (503, None), (403, None), (204, None)] {
        let wanted = wanted.clone();
        registry.script(move |asked| {
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("HEAD", wanted.as_str()));
            let kinds: Vec<_> = asked.headers.get_all("accept").iter().collect();
            assert!(kinds.iter().any(|kind| *kind == "application/vnd.docker.distribution.manifest.v2+json"));
            Some(StatusCode::from_u16(status).unwrap().into_response())
        });
        let said = images.has(&pinned(&host)).await;
        assert_eq!(said.as_ref().ok().copied(), has, "{status}: {said:?}");
        if let Err(error) = said {
            assert_eq!(error.is_transient(), status == 503, "{error}");
        }
    }
    // It is not asked for what is not its own.
    let other = images.has(&pinned("registry.example.com")).await;
    assert!(matches!(other, Err(Error::Invalid(_))), "{other:?}");
    assert!(!images.holds(&pinned("registry.example.com")) && images.holds(&pinned(&host)));
}

#[test]
fn a_port_that_is_left_out_is_the_one_of_the_scheme() {
    let holds = |address: &str, host: &str| {
        OciImages::new(client(), OciAuth::Anonymous, address).unwrap().holds(&pinned(host))
    };
    for (address, host, holding) in [
        ("https://r.example.com", "r.example.com", true),
        ("https://r.example.com", "r.example.com:443", true),
        ("https://r.example.com:443", "r.example.com", true),
        ("https://r.example.com:443/", "r.example.com:443", true),
        ("http://r.example.com", "r.example.com:80", true),
        ("http://r.example.com:80", "r.example.com", true),
        ("https://R.Example.com", "r.example.com", true),
        ("https://r.example.com:5000", "r.example.com:5000", true),
        ("http://[::1]:5000", "[::1]:5000", true),
        ("https://r.example.com", "r.example.com:80", false),
        ("http://r.example.com", "r.example.com:443", false),
        ("https://r.example.com:5000", "r.example.com", false),
        ("https://r.example.com", "r.example.com:5000", false),
        ("https://r.example.com", "other.example.com:443", false),
        ("https://r.example.com", "r.example.com:99999", false),
    ] {
        assert_eq!(holds(address, host), holding, "{address} and {host}");
    }
}

#[test]
fn an_image_is_named_by_its_digest() {
    let digest = Digest::of("image");
    for (written, read) in [
        (format!("registry.example.com/fraud@{digest}"), format!("registry.example.com/fraud@{digest}")),
        (format!("localhost:5000/a/b/c:1.4.0@{digest}"), format!("localhost:5000/a/b/c@{digest}")),
        (format!("127.0.0.1:5000/a@{digest}"), format!("127.0.0.1:5000/a@{digest}")),
    ] {
        assert_eq!(written.parse::<OciImage>().unwrap().to_string(), read);
        assert_eq!(read.parse::<OciImage>().unwrap().to_string(), read);
    }
    let long = "a".repeat(600);
    for wrong in [
        String::new(),
        "registry.example.com/fraud:1.4.0".to_owned(),
        "registry.example.com/fraud@sha256:12".to_owned(),
        format!("fraud@{digest}"),
        format!("team/fraud@{digest}"),
        format!("user:pw@registry.example.com/fraud@{digest}"),
        format!("https://registry.example.com/fraud@{digest}"),
        format!("registry.example.com/Fraud@{digest}"),
        format!("registry.example.com/../fraud@{digest}"),
        format!("registry.example.com/{long}@{digest}"),
        format!("registry.example.com/fraud?x@{digest}"),
    ] {
        let refused = wrong.parse::<OciImage>().unwrap_err().to_string();
        assert!(refused.contains("sha256:") || refused.contains("longer"), "{wrong}: {refused}");
    }
    for address in ["https://registry.example.com/team", "registry.example.com", "ftp://registry.example.com"]
    {
        assert!(OciImages::new(client(), OciAuth::Anonymous, address).is_err(), "{address}");
    }
}
