//! What can be asked under which address. One table makes the router and the OpenAPI document, so that they agree.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Extension, FromRequest, FromRequestParts, Path, Request, State},
    http::{Method, StatusCode, header::LOCATION, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    beginning::Beginning,
    caller::{self, Caller, Tokens},
    command::Command,
    openapi,
    problem::{Kind, Problem},
    rollouts::Rollouts,
    start::Start,
    view::View,
};

/// A plan and a name; plans of people are far shorter.
const MOST_BYTES: usize = 256 << 10;
/// How long a request may take, its body included.
const LONGEST: Duration = Duration::from_secs(30);

/// Something that can be asked.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) body: Option<SchemaOf>,
    /// Whether strangers may ask it, too.
    pub(crate) is_open: bool,
    pub(crate) answers: Vec<(StatusCode, &'static str, SchemaOf)>,
    handler: MethodRouter<Beginning>,
}

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Where whoever watches over services asks.
pub(crate) const HEALTH: &str = "/health";

/// That things can be asked of the service.
#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    /// Always true: otherwise there is a problem instead.
    ready: bool,
}

pub(crate) fn endpoints() -> [Endpoint; 6] {
    let rollout: SchemaOf = SchemaGenerator::subschema_for::<View>;
    let rollouts: SchemaOf = SchemaGenerator::subschema_for::<Vec<View>>;
    let ready: SchemaOf = SchemaGenerator::subschema_for::<Health>;
    let any: SchemaOf = SchemaGenerator::subschema_for::<Map<String, Value>>;
    [
        Endpoint {
            method: Method::GET,
            path: "/rollouts",
            name: "listRollouts",
            summary: "The latest 200 rollouts, the latest first.",
            body: None,
            is_open: false,
            answers: vec![(StatusCode::OK, "The rollouts.", rollouts)],
            handler: get(list),
        },
        Endpoint {
            method: Method::POST,
            path: "/rollouts",
            name: "startRollout",
            summary: "Starts a rollout. The same start again answers with the rollout that there is. For operators.",
            body: Some(SchemaGenerator::subschema_for::<Start>),
            is_open: false,
            answers: vec![
                (StatusCode::CREATED, "It is started, and written down.", rollout),
                (StatusCode::OK, "It was started before.", rollout),
            ],
            handler: post(start),
        },
        Endpoint {
            method: Method::GET,
            path: "/rollouts/{id}",
            name: "getRollout",
            summary: "Where a rollout is, why, and what can be asked of it.",
            body: None,
            is_open: false,
            answers: vec![(StatusCode::OK, "The rollout.", rollout)],
            handler: get(show),
        },
        Endpoint {
            method: Method::POST,
            path: "/rollouts/{id}/commands",
            name: "askRollout",
            summary: "Asks something of a rollout, in the name of whose token it is. For operators.",
            body: Some(SchemaGenerator::subschema_for::<Command>),
            is_open: false,
            answers: vec![(StatusCode::OK, "It is in the journal; the rollout as it is now.", rollout)],
            handler: post(ask),
        },
        Endpoint {
            method: Method::GET,
            path: "/openapi.json",
            name: "getDocument",
            summary: "This document.",
            body: None,
            is_open: false,
            answers: vec![(StatusCode::OK, "The document.", any)],
            handler: get(document),
        },
        Endpoint {
            method: Method::GET,
            path: HEALTH,
            name: "getHealth",
            summary: "Whether things can be asked of it. It needs no token, with which it says what is lacking.",
            body: None,
            is_open: true,
            answers: vec![(StatusCode::OK, "They can.", ready)],
            handler: get(health),
        },
    ]
}

pub(crate) fn site(beginning: Beginning, tokens: Arc<Tokens>) -> Router {
    let routes = endpoints()
        .into_iter()
        .fold(Router::new(), |routes, endpoint| routes.route(endpoint.path, endpoint.handler));
    let see = "GET /openapi.json says what there is.";
    routes
        .fallback(async move || Problem::new(Kind::NotFound, "There is nothing under this address.", see))
        .method_not_allowed_fallback(async move || {
            Problem::new(Kind::MethodNotAllowed, "This address has no such method.", see)
        })
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(tokens, caller::admit))
        .layer(middleware::from_fn(in_time))
        .with_state(beginning)
}

async fn list(rollouts: Rollouts) -> Json<Vec<View>> {
    Json(rollouts.list())
}

async fn show(rollouts: Rollouts, Id(id): Id) -> Result<Json<View>, Problem> {
    rollouts.get(&id).map(Json)
}

async fn start(
    rollouts: Rollouts,
    Extension(caller): Extension<Caller>,
    Body(start): Body<Start>,
) -> Result<Response, Problem> {
    let (view, is_new) = rollouts.start(start, caller.name.to_string()).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let address = format!("/rollouts/{}", view.id);
    Ok((status, [(LOCATION, address)], Json(view)).into_response())
}

async fn ask(
    rollouts: Rollouts,
    Extension(caller): Extension<Caller>,
    Id(id): Id,
    Body(command): Body<Command>,
) -> Result<Json<View>, Problem> {
    rollouts.ask(&id, command, &caller.name).await.map(Json)
}

async fn document() -> Json<&'static Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&endpoints()));
    Json(&DOCUMENT)
}

async fn health(
    State(beginning): State<Beginning>,
    caller: Option<Extension<Caller>>,
) -> Result<Json<Health>, Problem> {
    beginning.health(caller.is_some())?;
    Ok(Json(Health { ready: true }))
}

async fn in_time(request: Request, next: Next) -> Result<Response, Problem> {
    tokio::time::timeout(LONGEST, next.run(request)).await.map_err(|_| {
        let detail = format!("The request took longer than {LONGEST:?}.");
        Problem::new(Kind::TooSlow, detail, "Look whether it was done, and otherwise send it again.")
    })
}

/// A body of JSON, or why it is none as a problem.
struct Body<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// The id in an address.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Problem::no_rollout("of that name"))
    }
}
