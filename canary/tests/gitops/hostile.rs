//! What is refused, with nothing changed.

use std::{fs, os::unix::fs::symlink, time::Duration};

use tidegate_canary::gitops::Place;

use crate::{Checkout, ensure, said};

const GOOD: &str = "tag: 1.1.0\n";

fn places(file: &str) -> [Place; 2] {
    ["good.yaml", file].map(|file| Place::new(file, "$.tag", "{version}").unwrap())
}

/// Refused for `words`, and the file that is good has not changed either.
async fn refused(checkout: &Checkout, file: &str, words: &[&str]) {
    let deployer = checkout.deployer(places(file));
    let done = ensure(&deployer, "fraud@1.0.0", 1);
    let done = tokio::time::timeout(Duration::from_secs(20), done).await.expect("it does not hang");
    let said = said(&done.unwrap_err());
    assert!(words.iter().all(|word| said.contains(word)), "{file}: {said}");
    assert!(said.chars().count() < 800, "{said}");
    assert_eq!(checkout.text("good.yaml"), GOOD, "all files or none");
}

#[test]
fn a_place_outside_is_not_even_one() {
    for file in ["../f.yaml", "/etc/passwd", "a/../../f.yaml", "", ".git/config", "a/.git/hooks/x"] {
        let said = Place::new(file, "$.tag", "{version}").unwrap_err().to_string();
        assert!(said.contains("relative to the checkout"), "{said}");
    }
    assert!(Place::new("f.yaml", "spec.tag", "{version}").is_err(), "no JSONPath");
    assert!(Place::new("f.yaml", "$.tag", "latest").is_err(), "the same for every release");
}

#[tokio::test]
async fn files_that_lead_out_or_are_none() {
    let checkout = Checkout::new(&[("good.yaml", GOOD), (".git/config.yaml", GOOD)]);
    let outside = checkout.directory.path().join("outside.yaml");
    fs::write(&outside, GOOD).unwrap();
    symlink(&outside, checkout.path("link.yaml")).unwrap();
    refused(&checkout, "link.yaml", &["link.yaml", "leads out of the checkout"]).await;
    symlink("..", checkout.path("up")).unwrap();
    refused(&checkout, "up/outside.yaml", &["leads out of the checkout"]).await;
    symlink(".git/config.yaml", checkout.path("config.yaml")).unwrap();
    refused(&checkout, "config.yaml", &["`.git`"]).await;
    assert_eq!(fs::read_to_string(outside).unwrap(), GOOD);
    assert_eq!(checkout.text(".git/config.yaml"), GOOD);
    refused(&checkout, "missing.yaml", &["missing.yaml", "cannot be read", "No such file"]).await;
    fs::create_dir(checkout.path("directory.yaml")).unwrap();
    refused(&checkout, "directory.yaml", &["no file of text"]).await;
    let pipe = std::process::Command::new("mkfifo").arg(checkout.path("pipe.yaml")).status().unwrap();
    assert!(pipe.success());
    refused(&checkout, "pipe.yaml", &["no file of text"]).await;
    checkout.put("latin.yaml", b"tag: 1.1.0 # gr\xf6\xdfer\n");
    refused(&checkout, "latin.yaml", &["no file of text"]).await;
    checkout.put("long.yaml", format!("tag: 1.1.0\n#{}", "x".repeat(1 << 20)).as_bytes());
    refused(&checkout, "long.yaml", &["no file of text", "bytes"]).await;
}

#[tokio::test]
async fn a_link_within_is_followed_and_stays_one() {
    let checkout = Checkout::new(&[("good.yaml", GOOD), ("base/f.yaml", GOOD)]);
    symlink("base/f.yaml", checkout.path("f.yaml")).unwrap();
    // Whoever laid a link where the new content is put would have had it followed.
    symlink("../good.yaml", checkout.path("base/.f.yaml.tidegate-new")).unwrap();
    let place = Place::new("f.yaml", "$.tag", "{version}").unwrap();
    ensure(&checkout.deployer([place]), "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(
        (checkout.text("base/f.yaml").as_str(), checkout.text("good.yaml").as_str()),
        ("tag: 1.0.0\n", GOOD)
    );
    assert!(checkout.path("f.yaml").is_symlink());
}

#[tokio::test]
async fn texts_that_do_not_say_clearly_what_is_meant() {
    let checkout = Checkout::new(&[("good.yaml", GOOD)]);
    let deep = format!("tag: {}", "[".repeat(100_000));
    let wide = format!("tag: [{}]\n", "a,".repeat(100_000));
    for (text, words) in [
        ("tags: 1.1.0\n", &["`$.tag` leads nowhere"][..]),
        ("", &["leads nowhere"]),
        ("tag: 1.1.0\n---\ntag: 1.1.0\n", &["leads to 2 places", "`of`"]),
        ("tag: 1.1.0\ntag: 1.0.0\n", &["line 2", "`tag` is there twice"]),
        ("tag: &v 1.1.0\nother: *v\n", &["shared by an alias"]),
        ("v: &v 1.1.0\ntag: *v\n", &["shared by an alias"]),
        ("tag: |\n  1.1.0\n", &["block scalar"]),
        ("tag:\nother: 1\n", &["no value"]),
        ("tag: {a: 1}\n", &["no scalar"]),
        ("tag: 'x\n", &["no YAML"]),
        ("{{ if .Values.tag }}\ntag: 1.1.0\n{{ end }}\n", &["f.yaml"]),
        (&deep, &["no YAML"]),
        (&wide, &["no scalar"]),
    ] {
        checkout.put("f.yaml", text.as_bytes());
        refused(&checkout, "f.yaml", words).await;
        assert_eq!(checkout.text("f.yaml"), text);
    }
    let twice = ["$.tag", "$['tag']"].map(|path| Place::new("good.yaml", path, "{version}").unwrap());
    let error = ensure(&checkout.deployer(twice), "fraud@1.0.0", 1).await.unwrap_err();
    assert!(said(&error).contains("lead to the same place"), "{}", said(&error));
    assert!(said(&ensure(&checkout.deployer([]), "fraud@1.0.0", 1).await.unwrap_err()).contains("no places"));
}

/// A million laughs: an alias is not followed.
#[tokio::test]
async fn aliases_are_not_multiplied() {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..60 {
        text.push_str(&format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    }
    text.push_str("tag: 1.1.0\n");
    let checkout = Checkout::new(&[("f.yaml", &text)]);
    let place = Place::new("f.yaml", "$.tag", "{version}").unwrap();
    ensure(&checkout.deployer([place]), "fraud@1.0.0", 1).await.unwrap();
    assert_eq!(checkout.text("f.yaml"), text.replace("1.1.0", "1.0.0"));
}
