//! Keys, signatures, and who is believed.

use std::fs;

use serde_json::{Value, json};

use super::desk::{Desk, Run};

const VARIABLE: &str = "TIDEGATE_TEST_PASSPHRASE";

/// With `m@1.0.0`, and the keys `own` and `other`.
fn desk() -> Desk {
    let desk = Desk::published();
    for name in ["own", "other"] {
        let generated = desk.json(&["key", "generate", &format!("{name}.pem"), &format!("{name}.pub.pem")]);
        assert_eq!(generated["encrypted"], false);
    }
    desk
}

fn with_passphrase(desk: &Desk, arguments: &[&str], passphrase: &str) -> Run {
    let arguments = [arguments, &["--passphrase-env", VARIABLE]].concat();
    Run::of(&desk.command(&arguments).env(VARIABLE, passphrase).output().expect("the program runs"))
}

#[test]
fn a_recorded_signature_is_found_again() {
    let desk = desk();
    let verify = |key: &str| desk.run(&["verify", "m@1.0.0", "--key", key]);
    verify("own.pub.pem").is(1).says(&["m@1.0.0 is not signed", "not signed; ask"]);

    let said = desk.run(&["sign", "m@latest", "--key", "own.pem"]).is(0);
    assert!(said.out.starts_with("signed m@1.0.0 with key "), "{said:?}");
    verify("other.pub.pem").is(1).says(&["none of the 1 trusted keys"]);
    let verified = verify("own.pub.pem").is(0).out;
    assert!(verified.contains("\nsigned by key ") && verified.contains("(own.pub.pem)"), "{verified}");
    let keys = ["verify", "m@1.0.0", "--key", "other.pub.pem", "--key", "own.pub.pem"];
    let signers = desk.json(&keys)["signers"].clone();
    assert_eq!(signers.as_array().unwrap().len(), 1);
    assert_eq!(signers[0]["file"], "own.pub.pem");
    assert_eq!(desk.json(&["verify", "m@1.0.0"])["signers"], json!([]));

    // Once more changes nothing; another key adds to it.
    desk.run(&["sign", "m@1.0.0", "--key", "own.pem"]).is(0);
    let statements = || desk.json(&["show", "m@1.0.0"])["attestations"].as_array().unwrap().len();
    assert_eq!(statements(), 1);
    desk.run(&["sign", "m@1.0.0", "--key", "other.pem"]).is(0);
    assert_eq!(statements(), 2);
    assert_eq!(desk.json(&keys)["signers"].as_array().unwrap().len(), 2);
}

#[test]
fn a_signature_in_a_file_is_of_one_version() {
    let desk = desk();
    let sign = ["sign", "m@1.0.0", "--key", "own.pem", "--output", "model.sig", "--no-attest"];
    let told = desk.json(&sign);
    assert_eq!((&told["output"], &told["attested"]), (&json!("model.sig"), &json!(false)));
    assert_eq!(desk.json(&["show", "m@1.0.0"])["attestations"], json!([]));
    let bundle: Value = serde_json::from_slice(&fs::read(desk.path("model.sig")).unwrap()).unwrap();
    assert_eq!(bundle["mediaType"], "application/vnd.dev.sigstore.bundle.v0.3+json");

    let verify =
        |model: &str| desk.run(&["verify", model, "--key", "own.pub.pem", "--signature", "model.sig"]);
    verify("m@1.0.0").is(0);
    desk.write("model/weights.bin", b"other");
    desk.run(&["publish", "m@2.0.0", "model"]).is(0);
    verify("m@2.0.0").is(1).says(&["m@2.0.0 is not signed", "weights.bin"]);
    desk.write("model.sig", b"{}");
    verify("m@1.0.0").is(1).says(&["not a Sigstore bundle"]);
    fs::remove_file(desk.path("model.sig")).unwrap();
    verify("m@1.0.0").is(2).says(&["signature `model.sig` cannot be read"]);

    desk.run(&["verify", "m@1.0.0", "--signature", "model.sig"]).is(2).says(&["--key"]);
    desk.run(&["sign", "m@1.0.0", "--key", "own.pem", "--no-attest"]).is(2).says(&["--output"]);
}

#[test]
fn a_policy_asks_for_a_signature() {
    let desk = desk();
    let key = fs::read_to_string(desk.path("own.pub.pem")).unwrap();
    let policy = json!({ "rules": [{ "signed": { "by": [key] } }] });
    desk.write("policy.json", policy.to_string().as_bytes());
    desk.run(&["policy", "set", "m", "--channel", "production", "policy.json"]).is(0);
    let promote = || desk.run(&["promote", "m@1.0.0", "--channel", "production"]);
    promote().is(1).says(&["unmet: none of the keys"]);
    desk.run(&["sign", "m@1.0.0", "--key", "other.pem"]).is(0);
    promote().is(1).says(&["unmet: none of the keys"]);
    desk.run(&["sign", "m@1.0.0", "--key", "own.pem"]).is(0);
    promote().is(0);
}

#[test]
fn keys_are_kept_and_passphrases_are_not_told() {
    const PASSPHRASE: &str = "correct horse";
    let desk = Desk::published();
    let generate = ["key", "generate", "key.pem", "key.pub.pem", "--curve", "p521"];
    with_passphrase(&desk, &generate, "").is(2).says(&["passphrase is empty"]);
    let made = with_passphrase(&desk, &generate, PASSPHRASE).is(0);
    assert!(!made.out.contains(PASSPHRASE), "{made:?}");
    let private = fs::read_to_string(desk.path("key.pem")).unwrap();
    assert!(private.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("key.pem"), mode("key.pub.pem") & 0o600), (0o600, 0o600));
    }
    desk.run(&["key", "generate", "key.pem", "new.pub.pem"]).is(2).says(&["key.pem", "overwritten"]);
    assert!(!desk.path("new.pub.pem").exists(), "a public key without its private one");
    desk.run(&["key", "generate", "new.pem", "key.pub.pem"]).is(2).says(&["key.pub.pem", "overwritten"]);
    assert_eq!(fs::read_to_string(desk.path("key.pem")).unwrap(), private);
    desk.run(&["key", "generate", "no/key.pem", "no/key.pub.pem"]).is(1).says(&["cannot write no/"]);

    let sign = ["sign", "m@1.0.0", "--key", "key.pem"];
    desk.run(&sign).is(2).says(&["`key.pem` is encrypted", "--passphrase-env"]);
    let wrong = with_passphrase(&desk, &sign, "wrong battery").is(2);
    assert!(!wrong.err.contains("battery") && wrong.err.contains("another one"), "{wrong:?}");
    desk.run(&[&sign[..], &["--passphrase-env", "TIDEGATE_TEST_UNSET"]].concat()).is(2).says(&["not set"]);
    with_passphrase(&desk, &sign, PASSPHRASE).is(0);
    desk.write("passphrase", b"correct horse\n");
    desk.run(&[&sign[..], &["--passphrase-file", "passphrase"]].concat()).is(0);
    desk.run(&["verify", "m@1.0.0", "--key", "key.pub.pem"]).is(0);
    // Each in the place of the other.
    desk.run(&["verify", "m@1.0.0", "--key", "key.pem"]).is(2).says(&["key `key.pem`"]);
    desk.run(&["sign", "m@1.0.0", "--key", "key.pub.pem"]).is(2).says(&["a private key begins with"]);
}
