//! Which bytes change.

use proptest::prelude::*;
use tidegate_canary::{GitOps, gitops::Place};

use crate::{Checkout, ensure, release};

const IMAGE: &str = "$.spec.template.spec.containers[?@.name=='server'].image";

fn place(path: &str, pattern: &str) -> Place {
    Place::new("f.yaml", path, pattern).unwrap()
}

async fn becomes(text: &str, places: Vec<Place>, expected: &str) {
    let checkout = Checkout::new(&[("f.yaml", text)]);
    let deployer: GitOps = checkout.deployer(places);
    ensure(&deployer, "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(checkout.text("f.yaml"), expected);
    ensure(&deployer, "fraud@1.0.0", 2).await.unwrap();
    assert_eq!(checkout.text("f.yaml"), expected, "it says so already");
}

#[tokio::test]
async fn a_deployment_keeps_comments_order_and_quotes() {
    let text = "# Deployed by Argo CD.\n\
        apiVersion: apps/v1\nkind: Deployment\n\
        metadata: {name: fraud, labels: {\"app\": 'fraud'}}   # flow\n\
        spec:\n  template:\n    metadata:\n      annotations:\n\
        \x20       tidegate.dev/release: fraud@1.1.0\n\
        \x20       tidegate.dev/digest:   'sha256:00'    # by the pipeline\n\
        \x20   spec:\n      containers:\n\
        \x20     - {name: proxy, image: \"r.example/proxy:9\"}\n\
        \x20     - name: server\n        # keep the registry\n\
        \x20       image: \"r.example/fraud:1.1.0\" # not latest\n\
        \x20       args: [--a, '-b' ]\n\n\n# the end, without a line break";
    let digest = release("fraud@1.0.0").digest.to_string();
    let expected = text
        .replace("release: fraud@1.1.0", "release: fraud@1.0.0")
        .replace("'sha256:00'", &format!("'{digest}'"))
        .replace("fraud:1.1.0", "fraud:1.0.0");
    let annotations = "$.spec.template.metadata.annotations";
    let places = vec![
        place(IMAGE, "r.example/fraud:{version}").as_image(),
        place(&format!("{annotations}['tidegate.dev/release']"), "{name}@{version}"),
        place(&format!("{annotations}['tidegate.dev/digest']"), "{digest}"),
    ];
    becomes(text, places, &expected).await;
}

#[tokio::test]
async fn kustomize_helm_and_files_of_several_documents() {
    let kustomize =
        "images:\n- name: r.example/proxy\n  newTag: 9\n- newTag: 1.1.0\n  name: r.example/fraud\n";
    let tag = "$.images[?@.name=='r.example/fraud'].newTag";
    becomes(kustomize, vec![place(tag, "{version}").as_image()], &kustomize.replace("1.1.0", "1.0.0")).await;

    let helm = "server:\r\n  image:\r\n    repository: r.example/fraud\r\n    tag: v1.1.0 # ours\r\n";
    becomes(helm, vec![place("$.server.image.tag", "v{version}")], &helm.replace("1.1.0", "1.0.0")).await;

    let several = "--- # one\nkind: Service\nmetadata: {name: fraud}\nspec: {version: 1.1.0}\n\
        ---\nkind: Deployment\nmetadata: {name: other}\nspec: {version: 1.1.0}\n...\n\
        ---\nkind: Deployment\nmetadata: {name: fraud}\nspec: {version: 1.1.0}\n";
    let (before, _) = several.rsplit_once("1.1.0").unwrap();
    let wanted = vec![place("$.spec.version", "{version}").of("Deployment", "fraud")];
    becomes(several, wanted, &format!("{before}1.0.0}}\n")).await;

    let json = "{\"images\": [{\"name\": \"r.example/fraud\", \"newTag\": \"1.1.0\"}], \"größe\": \"ü\"}";
    becomes(json, vec![place(tag, "{version}")], &json.replace("1.1.0", "1.0.0")).await;

    let marked = "\u{feff}größe: ü\ntag: 1.1.0\n";
    becomes(marked, vec![place("$.tag", "{version}")], &marked.replace("1.1.0", "1.0.0")).await;
}

#[tokio::test]
async fn what_a_reader_would_take_for_a_number_is_quoted() {
    let hex = release("fraud@1.0.0").digest.hex();
    let (text, pattern) = ("digest: none\n", "0{hex}");
    becomes(text, vec![place("$.digest", pattern)], &format!("digest: \"0{hex}\"\n")).await;
    let single = "digest: 'it''s none'\n";
    becomes(single, vec![place("$.digest", "it's:{hex}")], &format!("digest: 'it''s:{hex}'\n")).await;
}

#[tokio::test]
async fn a_tag_takes_no_plus() {
    let checkout = Checkout::new(&[("f.yaml", "image: r/f:1\nversion: 1\n")]);
    let places = [place("$.image", "r/f:{version}").as_image(), place("$.version", "{version}")];
    ensure(&checkout.deployer(places), "fraud@1.0.0+cu12", 1).await.unwrap();
    assert_eq!(checkout.text("f.yaml"), "image: r/f:1.0.0_cu12\nversion: 1.0.0+cu12\n");
}

/// How a scalar is written, and what is around it.
fn entry() -> impl Strategy<Value = (String, u8, String)> {
    let comment = prop_oneof![Just(String::new()), "[ ]{1,3}#[ a-zA-Z0-9:'\"{}\\[\\]&*!|>%@ü-]{0,12}"];
    ("[a-z0-9./:@-]{1,12}", 0u8..3, comment)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn only_the_wanted_scalars_change(
        entries in prop::collection::vec(entry(), 1..9),
        nested in prop::collection::vec(any::<bool>(), 9),
        chosen in prop::collection::btree_set(0usize..9, 1..4),
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let (mut text, mut expected) = (String::new(), String::new());
        let mut places = Vec::new();
        for (n, (value, style, comment)) in entries.iter().enumerate() {
            let quoted = |value: &str| match style {
                0 => format!("v{value}-"),
                1 => format!("'v{value}-'"),
                _ => format!("\"v{value}-\""),
            };
            let (key, path) = match nested[n] {
                true => (format!("m{n}:{end}  # in{end}  deep{n}: "), format!("$.m{n}.deep{n}")),
                false => (format!("k{n}:  "), format!("$.k{n}")),
            };
            let now = quoted(value);
            let then = if chosen.contains(&n) { quoted("1.0.0") } else { now.clone() };
            if chosen.contains(&n) {
                places.push(place(&path, "v{version}-"));
            }
            text.push_str(&format!("{key}{now}{comment}{end}"));
            expected.push_str(&format!("{key}{then}{comment}{end}"));
        }
        prop_assume!(!places.is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(becomes(&text, places, &expected));
    }
}
