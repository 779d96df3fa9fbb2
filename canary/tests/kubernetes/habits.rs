//! What every router in Kubernetes does when the API server fails or others write the same object.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_canary::{
    ActuatorError, Observed, Traffic, TrafficRouter, WallClock, kubernetes::FENCE, testkit::fence,
};

use crate::{
    api_server::{ApiServer, Fault},
    said, split,
};

/// The route of every case.
pub(crate) const FRAUD: &str = "serving/fraud";

/// A router and the server that it acts on.
pub(crate) struct Case<R> {
    pub(crate) router: R,
    /// As seen from the kind of the object that holds the fence.
    pub(crate) server: ApiServer,
    /// The object that holds the fence.
    pub(crate) object: &'static str,
    /// What its kind is called where rights are granted.
    pub(crate) resource: &'static str,
}

/// A test for each habit, in a module of the given name.
macro_rules! habits {
    ($module:ident, $case:expr) => {
        $crate::habits::habits! { $module, $case;
            a_denial_names_the_verb_and_the_resource
            a_driver_that_is_overtaken_between_reading_and_writing_is_fenced
            a_change_that_the_server_does_not_accept_is_refused
            a_fence_that_is_none_is_refused
            a_kind_that_is_not_served_yet_is_waited_for
            a_lost_answer_is_found_out_without_a_second_write
            a_name_that_is_none_is_refused_unasked
            a_server_that_asks_for_time_gets_it
            a_server_that_does_not_answer_is_unavailable
            a_slow_server_is_waited_for
            planning_again_has_an_end
            refusals_are_told_from_outages
            what_is_not_there_is_refused_with_a_remedy
            what_others_wrote_is_kept
        }
    };
    ($module:ident, $case:expr; $($habit:ident)*) => {
        mod $module {
            use super::*;

            $(
                #[tokio::test(start_paused = true)]
                async fn $habit() {
                    $crate::habits::$habit($case).await;
                }
            )*
        }
    };
}
pub(crate) use habits;

impl<R: TrafficRouter> Case<R> {
    async fn apply(&self, percent: u16, n: u64) -> Result<(), ActuatorError> {
        self.router.apply(&FRAUD.parse().unwrap(), &split(percent), fence(n)).await
    }

    /// The case after a first change, so that all objects are there.
    async fn begun(self) -> Self {
        self.apply(20, 1).await.unwrap();
        self
    }

    async fn observe(&self) -> Observed {
        self.router.observe(&FRAUD.parse().unwrap()).await.unwrap()
    }
}

pub(crate) async fn refusals_are_told_from_outages<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let codes = [
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (413, false),
        (429, true),
        (500, true),
        (503, true),
    ];
    for (code, transient) in codes {
        for method in [Method::GET, Method::PATCH] {
            let case = case().begun().await;
            case.server.fail(&method, [Fault::Answer(code)]);
            let error = case.apply(10, 7).await.unwrap_err();
            assert_eq!(error.is_transient(), transient, "{method} {code}: {error:?}");
            assert!(said(&error).contains(FRAUD), "{}", said(&error));
            assert_eq!(case.observe().await, Observed::new(split(20), Some(fence(1))));
        }
    }
}

pub(crate) async fn a_denial_names_the_verb_and_the_resource<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    for (method, verb) in [(Method::GET, "`get`"), (Method::PATCH, "`patch`")] {
        for code in [401, 403] {
            let case = case().begun().await;
            case.server.fail(&method, [Fault::Answer(code)]);
            let said = said(&case.apply(10, 7).await.unwrap_err());
            assert!(said.contains(verb) && said.contains(&format!("`{}`", case.resource)), "{said}");
            assert!(code == 401 || said.contains("in namespace `serving`; grant"), "{said}");
        }
    }
}

pub(crate) async fn a_server_that_asks_for_time_gets_it<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let clock = WallClock::starting_at(std::time::UNIX_EPOCH);
    for method in [Method::GET, Method::PATCH] {
        let case = case().begun().await;
        let begin = clock.now();
        case.server.fail(&method, [Fault::Busy(3), Fault::Busy(20)]);
        case.apply(10, 7).await.unwrap();
        let took = clock.now().duration_since(begin).unwrap();
        assert!((Duration::from_secs(23)..Duration::from_secs(24)).contains(&took), "{took:?}");
        // More than the patience in all: it says so at once, and does not hold up who may have a better idea.
        case.server.fail(&method, [Fault::Busy(20), Fault::Busy(11)]);
        let begin = clock.now();
        let error = case.apply(20, 7).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let took = clock.now().duration_since(begin).unwrap();
        assert!((Duration::from_secs(20)..Duration::from_secs(21)).contains(&took), "{took:?}");
    }
}

/// A server that has just started serves custom resources only after a while.
pub(crate) async fn a_kind_that_is_not_served_yet_is_waited_for<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
) {
    for method in [Method::GET, Method::PATCH] {
        let case = case().begun().await;
        case.server.fail(&method, [const { Fault::Unserved }; 10]);
        case.apply(10, 7).await.unwrap();
        // One that is not installed is not waited for without end.
        case.server.fail(&method, [const { Fault::Unserved }; 11]);
        let error = case.apply(20, 7).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
        assert!(said(&error).contains("is not installed"), "{}", said(&error));
    }
}

pub(crate) async fn a_server_that_does_not_answer_is_unavailable<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
) {
    for method in [Method::GET, Method::PATCH] {
        let case = case().begun().await;
        case.server.fail(&method, [Fault::Hang]);
        let clock = WallClock::starting_at(std::time::UNIX_EPOCH);
        let error = case.apply(10, 7).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        let took = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&took), "{took:?}");
    }
}

pub(crate) async fn a_slow_server_is_waited_for<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let case = case().begun().await;
    for method in [Method::GET, Method::PATCH] {
        case.server.fail(&method, [Fault::Slow(Duration::from_secs(9))]);
    }
    case.apply(10, 7).await.unwrap();
    assert_eq!(case.observe().await, Observed::new(split(10), Some(fence(7))));
}

pub(crate) async fn a_driver_that_is_overtaken_between_reading_and_writing_is_fenced<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
) {
    let case = case().begun().await;
    let overtake: fn(&mut Value) = |object| object["metadata"]["annotations"][FENCE] = "8".into();
    case.server.fail(&Method::PATCH, [Fault::Overtake(overtake)]);
    let answer = case.apply(10, 7).await;
    let fenced = matches!(answer, Err(ActuatorError::Fenced { offered, held }) if offered == fence(7) && held == fence(8));
    assert!(fenced, "{answer:?}");
    assert_eq!(case.observe().await, Observed::new(split(20), Some(fence(8))));
}

pub(crate) async fn what_others_wrote_is_kept<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let case = case().begun().await;
    let others: [fn(&mut Value); 2] = [
        |object| object["metadata"]["labels"]["others"] = "label".into(),
        |object| object["metadata"]["annotations"]["others"] = "note".into(),
    ];
    case.server.fail(&Method::PATCH, others.map(Fault::Overtake));
    let before = case.server.requests(&Method::PATCH);
    case.apply(10, 7).await.unwrap();
    assert_eq!(case.server.requests(&Method::PATCH) - before, 3);
    let object = case.server.object(case.object);
    assert_eq!(object["metadata"]["labels"]["others"], "label");
    assert_eq!(object["metadata"]["annotations"]["others"], "note");
    assert_eq!(case.observe().await, Observed::new(split(10), Some(fence(7))));
}

pub(crate) async fn planning_again_has_an_end<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let case = case().begun().await;
    let touch: fn(&mut Value) = |object| {
        let count = object["metadata"]["count"].as_u64().unwrap_or_default();
        object["metadata"]["count"] = (count + 1).into();
    };
    case.server.fail(&Method::PATCH, std::iter::repeat_n(Fault::Overtake(touch), 100));
    let before = case.server.requests(&Method::PATCH);
    let error = case.apply(10, 7).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(case.server.requests(&Method::PATCH) - before, 5);
}

pub(crate) async fn a_change_that_the_server_does_not_accept_is_refused<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
) {
    let case = case().begun().await;
    case.server.fail(&Method::PATCH, [Fault::Answer(422)]);
    let before = case.server.requests(&Method::PATCH);
    let error = case.apply(10, 7).await.unwrap_err();
    assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
    assert_eq!(case.server.requests(&Method::PATCH) - before, 1);
}

pub(crate) async fn a_lost_answer_is_found_out_without_a_second_write<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
) {
    let case = case().begun().await;
    case.server.fail(&Method::PATCH, [Fault::Lose]);
    let before = case.server.requests(&Method::PATCH);
    assert!(case.apply(10, 7).await.unwrap_err().is_transient());
    case.apply(10, 7).await.unwrap();
    assert_eq!(case.server.requests(&Method::PATCH) - before, 1);
    assert_eq!(case.observe().await, Observed::new(split(10), Some(fence(7))));
}

pub(crate) async fn a_fence_that_is_none_is_refused<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    for wrong in ["", "0", "-1", "1.5", "seven", "99999999999999999999"] {
        let case = case().begun().await;
        case.server.edit(case.object, |object| object["metadata"]["annotations"][FENCE] = wrong.into());
        let before = case.server.object(case.object);
        let errors = [
            case.apply(10, 7).await.unwrap_err(),
            case.router.observe(&FRAUD.parse().unwrap()).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
            assert!(said(&error).contains("remove the annotation"), "{}", said(&error));
        }
        assert_eq!(case.server.object(case.object), before);
    }
}

pub(crate) async fn a_name_that_is_none_is_refused_unasked<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let case = case();
    for name in
        ["fraud", "a/b/c", "../fraud", "Serving/fraud", "serving/", "serving/fraud?dryRun=All", "a/b%2e"]
    {
        let route = name.parse().unwrap();
        let errors = [
            case.router.observe(&route).await.unwrap_err(),
            case.router.apply(&route, &Traffic::stable(), fence(1)).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| said(error).contains("`namespace/name`")), "{errors:?}");
    }
    assert_eq!(case.server.requests(&Method::GET), 0);
}

pub(crate) async fn what_is_not_there_is_refused_with_a_remedy<R: TrafficRouter>(case: impl Fn() -> Case<R>) {
    let case = case();
    let route = "serving/other".parse().unwrap();
    let errors = [
        case.router.observe(&route).await.unwrap_err(),
        case.router.apply(&route, &split(10), fence(7)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ActuatorError::Refused { .. }), "{error:?}");
        assert!(said(&error).contains("create it or correct its name"), "{}", said(&error));
    }
}

/// Objects that say nonsense are refused, and never written to; whatever they say, nobody panics.
pub(crate) async fn nonsense_is_refused<R: TrafficRouter>(
    case: impl Fn() -> Case<R>,
    list: &str,
    weight: &str,
) {
    let nonsense = [
        json!(-1),
        json!(1e300),
        json!("10"),
        json!(4_294_967_296u64),
        json!(0.5),
        json!([]),
        json!({}),
        json!(true),
    ];
    for value in nonsense {
        let case = case().begun().await;
        case.server.edit(case.object, |object| *object.pointer_mut(weight).unwrap() = value.clone());
        refused(&case, &format!("{weight} = {value}")).await;
    }
    for value in [json!(null), json!(7), json!("x"), json!([]), json!([7, "x", null]), json!({"a": 1})] {
        let case = case().begun().await;
        case.server.edit(case.object, |object| *object.pointer_mut(list).unwrap() = value.clone());
        refused(&case, &format!("{list} = {value}")).await;
    }
}

async fn refused<R: TrafficRouter>(case: &Case<R>, what: &str) {
    let before = case.server.object(case.object);
    for answer in [case.apply(10, 7).await, case.router.observe(&FRAUD.parse().unwrap()).await.map(drop)] {
        assert!(matches!(answer, Err(ActuatorError::Refused { .. })), "{what}: {answer:?}");
    }
    assert_eq!(case.server.object(case.object), before);
}
