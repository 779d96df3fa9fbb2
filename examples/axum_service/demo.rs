//! Something to try the service with: three versions of a model, two tokens, and what to type.

use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidegate::registry::{
    Card, Cause, Channel, Channels, Content, Digest, Draft, Expect, ModelStore as _, ObjectBacked, Stamp,
};

/// How many requests of each version fail.
const VERSIONS: [(&str, f64); 3] = [("fraud@1.0.0", 0.01), ("fraud@1.1.0", 0.008), ("fraud@1.2.0", 0.2)];

/// The file of the tokens.
const TOKENS: &str = "tokens";

/// Makes the tokens, where there are none.
pub(crate) fn make_tokens(directory: &Path) -> Result<()> {
    let tokens = directory.join(TOKENS);
    if !tokens.try_exists()? {
        write_tokens(directory).with_context(|| format!("cannot write {}", tokens.display()))?;
    }
    Ok(())
}

/// Makes the versions that are missing. Returns the digest of the one to roll out.
pub(crate) async fn fill(registry: &ObjectBacked) -> Result<Digest> {
    let mut digests = Vec::new();
    for (model, errors) in VERSIONS {
        let card = Card { metrics: [("errors".to_owned(), errors)].into(), ..Card::default() };
        let draft = Draft::new(model.parse()?, Stamp::now("demo")).with_card(card);
        let weights = Content::bytes([("weights.bin".parse()?, model.to_owned().into())]);
        // The same again is the same version.
        digests.push(registry.publish(draft, weights, &()).await?.digest);
    }
    let (channels, production) = (Channels::new(Arc::new(registry.clone())), Channel::production());
    let stable = VERSIONS[0].0.parse()?;
    if channels.current(&"fraud".parse()?, &production).await?.is_none() {
        let stamp = Stamp::now("demo");
        channels.promote(&stable, &production, &Expect::Absent, Cause::Promote, stamp).await?;
    }
    Ok(digests[1])
}

/// What to do with it.
pub(crate) fn say(directory: &Path, digest: Digest, address: SocketAddr) -> Result<()> {
    let tokens = directory.join(TOKENS);
    let tokens = tokens.display();
    writeln!(
        std::io::stderr(),
        "\
In another terminal, as the operator ada:
  token=$(awk '/^operator/ {{ print $3 }}' {tokens}); service=http://{address}
  ask() {{ curl -sS -H \"Authorization: Bearer $token\" \"$@\"; echo; }}
  ask $service/rollouts --json '{{ \"id\": \"ci-1\", \"plan\": {PLAN} }}'
  ask $service/rollouts/ci-1                      # until it waits for somebody; kill this program meanwhile, and start it again
  ask $service/rollouts/ci-1/commands --json '{{ \"command\": \"approve\", \"digest\": \"{digest}\" }}'
  ask $service/openapi.json
fraud@1.2.0 is worse: roll it out, and see it taken back.
"
    )?;
    Ok(())
}

/// A plan that takes seconds.
const PLAN: &str = r#"{ "route": "serving/fraud", "candidate": "fraud@1.1.0",
    "steps": [{ "weight": "20%", "soak": "2s", "require": "pass", "gates": ["approval"] }, { "weight": "100%", "soak": "2s" }],
    "criteria": [{ "metric": "errors", "rule": { "limit": { "statistic": "share", "bound": { "atMost": 0.05 } } } }],
    "timing": { "bake": "0s", "drain": "1s", "window": "500ms" } }"#;

/// As a whole or not at all: if the program is killed here, the next one writes it.
fn write_tokens(directory: &Path) -> Result<()> {
    let token = || -> Result<String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    };
    std::fs::create_dir_all(directory)?;
    // Nobody but its owner can read a temporary file.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "operator ada {}", token()?)?;
    writeln!(file, "reader grafana {}", token()?)?;
    file.persist(directory.join(TOKENS)).map_err(|error| error.error)?;
    Ok(())
}
