//! Credentials are the client's, or stand in the URL: they go with every request and into no text.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "s3cret";

/// Asks a server that is busy at first and then answers what is nothing; gives what it was sent, each time.
async fn sent(http: reqwest::Client, userinfo: &str, header: &str) -> Vec<Option<String>> {
    let busy = || Reply::With(503, vec![("retry-after", "0".to_owned())], "busy".to_owned());
    let script = Script::serve([busy(), matrix([]), matrix([]), busy(), busy(), busy()]).await;
    let url = format!("http://{userinfo}{}/base/", script.address);
    let source = Prometheus::new(http, &url).unwrap().with_queries(queries());
    source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap();
    let error = source.observe(&Metric::errors(), &candidate(), minute()).await.unwrap_err();
    for text in [source.to_string(), format!("{source:?}"), chain(&error), format!("{error:?}")] {
        assert!(!text.contains(SECRET) && !text.contains("someone"), "{text}");
    }
    script.asked().iter().map(|asked| asked.header(header).map(str::to_owned)).collect()
}

fn with_header(name: HeaderName, value: &str) -> reqwest::Client {
    let mut value = HeaderValue::from_str(value).unwrap();
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(name, value)]);
    reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap()
}

#[tokio::test]
async fn a_bearer_token_goes_with_every_try() {
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(sent(with_header(AUTHORIZATION, &bearer), "", "authorization").await, vec![Some(bearer); 6]);
}

#[tokio::test]
async fn so_does_a_header_of_ones_own() {
    let tenant = with_header(HeaderName::from_static("x-scope-orgid"), SECRET);
    assert_eq!(sent(tenant, "", "x-scope-orgid").await, vec![Some(SECRET.to_owned()); 6]);
}

#[tokio::test]
async fn so_does_what_stands_in_the_url() {
    // Base64 of `someone:s3cret`, as coreutils' base64 9.1 writes it.
    let basic = "Basic c29tZW9uZTpzM2NyZXQ=".to_owned();
    assert_eq!(sent(client(), "someone:s3cret@", "authorization").await, vec![Some(basic); 6]);
}
