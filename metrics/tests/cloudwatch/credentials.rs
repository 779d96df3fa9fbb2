//! Where credentials come from.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tidegate_metrics::cloudwatch::{Environment, NoCredentials, ProvideCredentials, from_fn};

use super::*;

/// Two files, and variables that name them.
struct Files(tempfile::TempDir);

impl Files {
    fn of(credentials: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(".aws")).unwrap();
        std::fs::write(directory.path().join(".aws/credentials"), credentials).unwrap();
        std::fs::write(directory.path().join(".aws/config"), config).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// An environment of these variables, in which nobody asks the metadata service of an instance.
fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut all = BTreeMap::from([("AWS_EC2_METADATA_DISABLED", "true")]);
    all.extend(variables.iter().copied());
    let all: BTreeMap<_, _> =
        all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Environment::new(client(), move |name| all.get(name).cloned())
}

/// What a request shows of the credentials that signed it: the id of the key, the session token, and the
/// signature, which is that of [`SECRET`] or is not.
async fn shown(credentials: impl ProvideCredentials) -> (String, Option<String>, bool) {
    let credentials = Arc::new(credentials);
    let script = Script::serve([complete(&[]), complete(&[])]).await;
    let given = credentials.credentials(at(200)).await.unwrap();
    let observe = async |source: CloudWatch| {
        let source = source.at(&script.url()).unwrap();
        let source = source.with_query(Metric::latency(), Query::values(stat("Latency", "p95")));
        source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap();
        script.asked().pop().unwrap()
    };
    let of = |script: &Asked, name| script.header(name).map(str::to_owned);
    let asked = observe(CloudWatch::new(client(), "eu-central-1", credentials, || at(200)).unwrap()).await;
    let token = of(&asked, "x-amz-security-token");
    let mut known = Credentials::new(given.access_key_id(), SECRET);
    if let Some(token) = &token {
        known = known.with_session_token(token);
    }
    let same = observe(CloudWatch::new(client(), "eu-central-1", known, || at(200)).unwrap()).await;
    let signature = of(&asked, "authorization");
    (given.access_key_id().to_owned(), token, signature == of(&same, "authorization"))
}

fn absent(result: Result<Credentials, NoCredentials>) -> String {
    match result {
        Err(NoCredentials::Absent(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn variables_come_first() {
    let files = Files::of("[default]\naws_access_key_id = FILE\naws_secret_access_key = x", "");
    let home = files.path().display().to_string();
    let keys = [("HOME", &*home), ("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    assert_eq!(shown(environment(&keys)).await, ("AKID".to_owned(), None, true));
    let session = [keys.as_slice(), &[("AWS_SESSION_TOKEN", TOKEN)]].concat();
    assert_eq!(shown(environment(&session)).await, ("AKID".to_owned(), Some(TOKEN.to_owned()), true));
    let half = environment(&keys[..2]).credentials(at(0)).await;
    assert!(absent(half).contains("it takes both"));
    let empty = environment(&[("HOME", &*home), ("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", " ")]);
    assert_eq!(empty.credentials(at(0)).await.unwrap().access_key_id(), "FILE");
}

#[tokio::test]
async fn profiles_are_found_in_both_files() {
    let credentials = format!(
        "# keys\n[default]\naws_access_key_id=DEFAULT\naws_secret_access_key={SECRET}\n\n\
         [ci]\naws_access_key_id = CI ; of the robot\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    );
    let config = format!(
        "[default]\nregion = eu-west-1\n[profile ci]\nregion = eu-north-1\n\
         [profile lab]\naws_access_key_id = LAB\naws_secret_access_key = {SECRET}\n[profile bare]\noutput = json\n"
    );
    let files = Files::of(&credentials, &config);
    let home = files.path().display().to_string();
    let of = |profile| environment(&[("HOME", &*home), ("AWS_PROFILE", profile)]);
    assert_eq!(shown(of("")).await, ("DEFAULT".to_owned(), None, true));
    assert_eq!(shown(of("ci")).await, ("CI".to_owned(), Some(TOKEN.to_owned()), true));
    assert_eq!(shown(of("lab")).await, ("LAB".to_owned(), None, true));
    assert_eq!(of("").region().await.unwrap(), "eu-west-1");
    assert_eq!(of("ci").region().await.unwrap(), "eu-north-1");
    assert!(of("lab").region().await.unwrap_err().to_string().contains("AWS_REGION"));
    assert!(absent(of("nobody").credentials(at(0)).await).contains("no file has a profile `nobody`"));
    assert!(absent(of("bare").credentials(at(0)).await).contains("neither variables nor files"));

    let elsewhere = files.path().join("elsewhere");
    std::fs::rename(files.path().join(".aws/credentials"), &elsewhere).unwrap();
    assert!(absent(of("").credentials(at(0)).await).contains("neither variables nor files"));
    let named = environment(&[("HOME", &*home), ("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere")]);
    assert_eq!(named.credentials(at(0)).await.unwrap().access_key_id(), "DEFAULT");
    let regions = environment(&[("HOME", &*home), ("AWS_REGION", "a"), ("AWS_DEFAULT_REGION", "b")]);
    assert_eq!(regions.region().await.unwrap(), "a");
}

#[tokio::test]
async fn a_file_that_is_renewed_is_heard() {
    let files = Files::of("[default]\naws_access_key_id = OLD\naws_secret_access_key = x", "");
    let environment = environment(&[("HOME", &files.path().display().to_string())]);
    assert_eq!(environment.credentials(at(0)).await.unwrap().access_key_id(), "OLD");
    let new = "[default]\naws_access_key_id = NEW\naws_secret_access_key = x";
    std::fs::write(files.path().join(".aws/credentials"), new).unwrap();
    assert_eq!(environment.credentials(at(0)).await.unwrap().access_key_id(), "NEW");
}

#[tokio::test]
async fn what_takes_more_than_a_file_is_refused_with_the_way_out() {
    for (credentials, config, setting) in [
        ("", "[default]\ncredential_process = /bin/vault", "credential_process"),
        ("", "[default]\nsso_session = corp", "sso_session"),
        ("", "[default]\nsso_start_url = https://corp", "sso_start_url"),
        ("", "[default]\nrole_arn = arn:x\nsource_profile = base", "role_arn"),
        (
            "[default]\naws_access_key_id = A\naws_secret_access_key = b",
            "[default]\nrole_arn = arn:x",
            "role_arn",
        ),
    ] {
        let files = Files::of(credentials, config);
        let environment = environment(&[("HOME", &files.path().display().to_string())]);
        let problem = absent(environment.credentials(at(0)).await);
        assert!(problem.contains(setting) && problem.contains("from_fn"), "{problem}");
    }
    // Keys in the file of credentials come before a program, as with the tools of AWS.
    let files = Files::of(
        "[default]\naws_access_key_id = A\naws_secret_access_key = b",
        "[default]\ncredential_process = x",
    );
    let both = environment(&[("HOME", &files.path().display().to_string())]);
    assert_eq!(both.credentials(at(0)).await.unwrap().access_key_id(), "A");
    let web = environment(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn:x")]);
    assert!(absent(web.credentials(at(0)).await).contains("from_fn"));
    let half = Files::of("[default]\naws_access_key_id = A", "");
    let half = environment(&[("HOME", &half.path().display().to_string())]);
    assert!(absent(half.credentials(at(0)).await).contains("it takes both"));
}

#[tokio::test]
async fn files_that_cannot_be_read_are_said() {
    let files = Files::of("", "");
    let path = files.path().join(".aws/credentials");
    let environment = environment(&[("HOME", &files.path().display().to_string())]);
    std::fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
    assert!(absent(environment.credentials(at(0)).await).contains("longer than 1 MiB"));
    std::fs::write(&path, b"[default]\nx = \xff").unwrap();
    assert!(absent(environment.credentials(at(0)).await).contains("cannot be read"));
}

#[tokio::test]
async fn expired_and_unfetched_credentials_send_nothing() {
    let script = Script::serve([]).await;
    let ask = async |credentials: Arc<dyn ProvideCredentials>| {
        let source = CloudWatch::new(client(), "eu-central-1", credentials, || at(200)).unwrap();
        let source = source.at(&script.url()).unwrap();
        let source = source.with_query(Metric::latency(), Query::values(stat("Latency", "p95")));
        source.observe(&Metric::latency(), &candidate(), minute()).await.unwrap_err()
    };
    let expired = ask(Arc::new(key().expiring(at(200)))).await;
    assert!(
        matches!(expired, Error::Denied { .. }) && chain(&expired).contains("expired"),
        "{}",
        chain(&expired)
    );
    let vault = from_fn(|_| async { Err(NoCredentials::Unavailable("the vault is sealed".into())) });
    let sealed = ask(Arc::new(vault)).await;
    assert!(sealed.is_transient() && chain(&sealed).contains("the vault is sealed"), "{}", chain(&sealed));
    let unfit = ask(Arc::new(key().with_session_token("a\nb"))).await;
    assert!(
        matches!(unfit, Error::Denied { .. }) && chain(&unfit).contains("characters"),
        "{}",
        chain(&unfit)
    );
    assert!(script.asked().is_empty());
}

mod containers {
    use super::*;

    fn given(id: &str, expiration: &str) -> Reply {
        let body =
            json!({"AccessKeyId": id, "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": expiration});
        Reply::Body(200, body.to_string())
    }

    /// Half an hour after [`START`].
    const LATER: &str = "2027-01-15T08:30:00Z";

    #[tokio::test]
    async fn a_container_shows_its_token() {
        let script = Script::serve([given("ECS", LATER)]).await;
        let files = Files::of("", "");
        let token = files.path().join("token");
        std::fs::write(&token, "of the pod\n").unwrap();
        let environment = environment(&[
            ("HOME", &files.path().display().to_string()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", script.url())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token.display().to_string()),
        ]);
        assert_eq!(shown(environment).await, ("ECS".to_owned(), Some(TOKEN.to_owned()), true));
        let asked = script.asked();
        assert_eq!(asked.len(), 1, "what was fetched is remembered");
        assert_eq!(asked[0].uri.path(), "/v1/credentials");
        assert_eq!(asked[0].header("authorization"), Some("of the pod"));
    }

    #[tokio::test]
    async fn what_is_about_to_expire_is_fetched_anew_and_used_while_that_fails() {
        let replies =
            [given("ONE", LATER), Reply::Body(404, String::new()), given("TWO", "2027-01-15T09:30:00Z")];
        let script = Script::serve(replies).await;
        let url = script.url();
        let environment = environment(&[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "plain"),
        ]);
        let half_an_hour = 1800;
        for (second, id, asked) in [
            (0, "ONE", 1),
            (half_an_hour - 301, "ONE", 1),
            (half_an_hour - 300, "ONE", 2),
            (half_an_hour, "TWO", 3),
        ] {
            let credentials = environment.credentials(at(second)).await.unwrap();
            assert_eq!((credentials.access_key_id(), script.asked().len()), (id, asked), "{second}");
        }
        assert_eq!(script.asked()[0].header("authorization"), Some("plain"));
    }

    #[tokio::test]
    async fn secrets_are_fetched_in_the_clear_from_this_machine_only() {
        for (wrong, problem) in [
            ("http://10.0.0.1/x", "must be https"),
            ("ftp://127.0.0.1/x", "must be https"),
            ("x", "is no URL"),
        ] {
            let environment = environment(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", wrong)]);
            assert!(absent(environment.credentials(at(0)).await).contains(problem));
        }
    }

    #[tokio::test]
    async fn what_is_no_key_is_said_without_repeating_it() {
        for body in [
            json!(SECRET).to_string(),
            json!({"AccessKeyId": "A", "SecretAccessKey": SECRET, "Expiration": "never"}).to_string(),
            json!({"SecretAccessKey": SECRET}).to_string(),
        ] {
            let script = Script::serve([Reply::Body(200, body)]).await;
            let environment = environment(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*script.url())]);
            let problem = absent(environment.credentials(at(0)).await);
            assert!(problem.contains("not the expected JSON") && !problem.contains(SECRET), "{problem}");
        }
    }

    fn instance(script: &Script) -> Environment {
        let url = script.url();
        environment(&[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url)])
    }

    #[tokio::test]
    async fn an_instance_asks_for_a_token_then_for_its_role() {
        let text = |text: &str| Reply::Body(200, text.to_owned());
        let script = Script::serve([text("session"), text("web-server\n"), given("EC2", LATER)]).await;
        let credentials = instance(&script).credentials(at(0)).await.unwrap();
        assert_eq!(credentials.access_key_id(), "EC2");
        let asked = script.asked();
        let paths: Vec<_> = asked.iter().map(|asked| (asked.method.as_str(), asked.uri.path())).collect();
        assert_eq!(
            paths,
            [
                ("PUT", "/latest/api/token"),
                ("GET", "/latest/meta-data/iam/security-credentials/"),
                ("GET", "/latest/meta-data/iam/security-credentials/web-server"),
            ]
        );
        assert_eq!(asked[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("21600"));
        assert_eq!(asked[1].header("x-aws-ec2-metadata-token"), Some("session"));
        assert_eq!(asked[2].header("x-aws-ec2-metadata-token"), Some("session"));
    }

    #[tokio::test]
    async fn an_instance_without_a_role_or_a_service_is_said() {
        let text = |text: &str| Reply::Body(200, text.to_owned());
        let script = Script::serve([text("session"), text("")]).await;
        assert!(absent(instance(&script).credentials(at(0)).await).contains("has no role"));
        let script = Script::serve([text("session"), Reply::Body(404, String::new())]).await;
        assert!(absent(instance(&script).credentials(at(0)).await).contains("neither variables nor files"));
        let script = Script::answering(|_| Reply::Body(503, String::new())).await;
        let error = instance(&script).credentials(at(0)).await.unwrap_err();
        assert!(matches!(error, NoCredentials::Unavailable(_)), "{error}");
    }
}
