//! A small registry that really stores, knows no ranges, and does what a script says instead.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use tidegate_registry::Digest;

use super::server::serve;

/// A request, as far as scripts look at it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization")?.to_str().ok()
    }
}

type Script = Arc<dyn Fn(&Asked) -> Option<Response> + Send + Sync>;

#[derive(Clone, Default)]
pub(crate) struct Scripted {
    objects: Arc<Mutex<HashMap<String, Bytes>>>,
    uploads: Arc<Mutex<BTreeMap<usize, Vec<u8>>>>,
    pub(crate) seen: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Option<Script>>>,
    losses: Arc<Mutex<Vec<usize>>>,
}

impl Scripted {
    /// A registry at the address that is returned with it.
    pub(crate) async fn serve() -> (Self, String) {
        let scripted = Self::default();
        let there = scripted.clone();
        let answer = async move |request: Request| there.answer(request).await;
        (scripted, serve(Router::new().fallback(answer)).await)
    }

    /// From now on, what `script` answers to is not done.
    pub(crate) fn script(&self, script: impl Fn(&Asked) -> Option<Response> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Some(Arc::new(script));
    }

    /// Of the next chunks only so many bytes arrive each, and the answer does not.
    pub(crate) fn lose(&self, arriving: &[usize]) {
        self.losses.lock().unwrap().extend(arriving.iter().rev());
    }

    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|asked| asked.is(method, part)).count()
    }

    pub(crate) fn object(&self, path: &str) -> Bytes {
        self.objects.lock().unwrap()[path].clone()
    }

    pub(crate) fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        self.objects.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let asked = Asked {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
        };
        self.seen.lock().unwrap().push(asked.clone());
        let script = self.script.lock().unwrap().clone();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        match script.and_then(|script| script(&asked)) {
            Some(answer) => answer,
            None => self.store(&asked, body),
        }
    }

    fn store(&self, asked: &Asked, body: Bytes) -> Response {
        let at = |n: usize| [("location", format!("/uploads/{n}?state=secret"))];
        let upload = asked.path.strip_prefix("/uploads/").and_then(|n| n.parse::<usize>().ok());
        let mut uploads = self.uploads.lock().unwrap();
        match (asked.method.as_str(), upload) {
            ("POST", None) => {
                let n = uploads.len();
                uploads.insert(n, asked.path.replace("uploads/", "").into_bytes());
                self.put(&format!("upload {n}"), Bytes::new());
                (StatusCode::ACCEPTED, at(n)).into_response()
            }
            ("PATCH", Some(n)) => {
                let there = self.object(&format!("upload {n}"));
                let range = format!("{}-{}", there.len(), there.len() + body.len() - 1);
                assert_eq!(asked.headers["content-range"], range, "chunks come in order");
                let lost = self.losses.lock().unwrap().pop();
                let arrived = body.slice(..lost.unwrap_or(body.len()).min(body.len()));
                self.put(&format!("upload {n}"), [there, arrived].concat());
                match lost {
                    Some(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                    None => (StatusCode::ACCEPTED, at(n)).into_response(),
                }
            }
            ("GET", Some(n)) => {
                let last = self.object(&format!("upload {n}")).len().saturating_sub(1);
                (StatusCode::NO_CONTENT, at(n), [("range", format!("0-{last}"))]).into_response()
            }
            ("PUT", Some(n)) => {
                let bytes = [self.object(&format!("upload {n}")), body].concat();
                let digest = Digest::of(&bytes).to_string();
                let said = asked.query.split('&').find_map(|pair| pair.strip_prefix("digest=")).unwrap();
                if said.replace("%3A", ":") != digest {
                    return StatusCode::BAD_REQUEST.into_response();
                }
                let blobs = String::from_utf8(uploads[&n].clone()).unwrap();
                self.put(&format!("{blobs}{digest}"), bytes);
                StatusCode::CREATED.into_response()
            }
            ("PUT", None) => {
                let (manifests, _) = asked.path.rsplit_once('/').unwrap();
                self.put(&format!("{manifests}/{}", Digest::of(&body)), body.clone());
                self.put(&asked.path, body);
                StatusCode::CREATED.into_response()
            }
            _ => match self.objects.lock().unwrap().get(&asked.path) {
                Some(bytes) => bytes.clone().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
        }
    }
}

/// A body that never ends.
pub(crate) fn endless() -> Body {
    Body::from_stream(futures::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65536]))
    }))
}
