//! Keys as OpenSSL and Python's `cryptography` write them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use tidegate_registry::{
    Digest, Envelope,
    signing::{Curve, SigningKey, VerifyingKey},
};

const PASSPHRASE: &str = "correct horse";

fn golden(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/signing").join(name)).unwrap()
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    for (curve, name, forms) in [
        (Curve::P256, "p256", &["pem", "sec1.pem", "parameters.pem", "cryptography.pem", "openssl.pem"][..]),
        (Curve::P384, "p384", &["pem", "sec1.pem", "scrypt.pem"]),
        (Curve::P521, "p521", &["pem", "sec1.pem", "openssl.pem"]),
    ] {
        let public = VerifyingKey::from_pem(&golden(&format!("{name}.pub"))).unwrap();
        assert_eq!(public.curve(), curve);
        for form in forms {
            let pem = golden(&format!("{name}.{form}"));
            let key = SigningKey::from_pem(&pem, Some(PASSPHRASE)).unwrap();
            assert_eq!((key.verifying_key(), key.curve()), (public.clone(), curve), "{name}.{form}");
            assert_eq!(SigningKey::is_encrypted(&pem), pem.contains("ENCRYPTED"), "{name}.{form}");
        }
        // And they are written as the other two write them.
        let key = SigningKey::from_pem(&golden(&format!("{name}.pem")), None).unwrap();
        assert_eq!(key.to_pem().as_str(), golden(&format!("{name}.pem")));
        assert_eq!(public.to_pem(), golden(&format!("{name}.pub")));
        assert_eq!(public.id(), Digest::of(golden(&format!("{name}.pub"))).hex());
    }
}

#[test]
fn a_new_key_is_read_back_from_what_is_written() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let (key, other) = (SigningKey::generate(curve).unwrap(), SigningKey::generate(curve).unwrap());
        assert_ne!(key.verifying_key(), other.verifying_key());
        let public = key.verifying_key();
        assert_eq!(VerifyingKey::from_pem(&public.to_pem()).unwrap(), public);
        assert_eq!(SigningKey::from_pem(key.to_pem().as_str(), None).unwrap().verifying_key(), public);
        let encrypted = key.to_encrypted_pem("ünïcode").unwrap();
        assert!(SigningKey::is_encrypted(encrypted.as_str()));
        let read = SigningKey::from_pem(encrypted.as_str(), Some("ünïcode")).unwrap();
        assert_eq!(read.verifying_key(), public);
        // Salt and initialization vector are new each time.
        assert_ne!(encrypted.as_str(), key.to_encrypted_pem("ünïcode").unwrap().as_str());
    }
}

#[test]
fn what_is_no_usable_private_key_is_refused_with_the_remedy() {
    for (name, passphrase, says) in [
        ("p256.openssl.pem", None, "give the passphrase"),
        ("p256.openssl.pem", Some("wrong"), "the passphrase is another one"),
        ("p384.scrypt.pem", Some(""), "the passphrase is another one"),
        ("p256.sha1.pem", Some(PASSPHRASE), "encrypt it anew"),
        ("p256.pbes1.pem", Some(PASSPHRASE), "otherwise than with PBES2"),
        ("p256.legacy.pem", Some(PASSPHRASE), "openssl pkcs8 -topk8"),
        ("p256.explicit.pem", None, "damaged"),
        ("p256.pub", None, "BEGIN PRIVATE KEY"),
        ("k1.pem", None, "is not P-256, P-384 or P-521"),
        ("ed25519.pem", None, "not an elliptic-curve key"),
        ("hostile.pbkdf2.4000001.pem", Some(PASSPHRASE), "4000001 rounds"),
        ("hostile.pbkdf2.2147483647.pem", Some(PASSPHRASE), "2147483647 rounds"),
        ("hostile.pbkdf2.0.pem", Some(PASSPHRASE), "0 rounds"),
        ("README.md", None, "write a PEM file"),
    ] {
        let error = SigningKey::from_pem(&golden(name), passphrase).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let long = "-----BEGIN PRIVATE KEY-----\n".to_owned() + &"A".repeat(70_000);
    assert!(SigningKey::from_pem(&long, None).unwrap_err().to_string().contains("64 KiB"));
}

#[test]
fn what_is_no_usable_public_key_is_refused_with_the_remedy() {
    for (pem, says) in [
        (golden("p256.pem"), "this is the private key"),
        (golden("p256.openssl.pem"), "this is the private key"),
        (golden("p256.pub").replace("PUBLIC KEY", "CERTIFICATE"), "openssl x509"),
        (golden("p256.pub").replace("PUBLIC KEY", "RSA PUBLIC KEY"), "begins with"),
        (golden("p256.pub").replace("MFkw", "MFkx"), "damaged"),
        ("\u{0}".to_owned(), "write a PEM file"),
    ] {
        let error = VerifyingKey::from_pem(&pem).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// `scrypt.pem` with another `N`, `r`, `p`.
fn scrypt(n: u16, r: u8, p: u8) -> String {
    let pem = golden("p384.scrypt.pem");
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = BASE64_STANDARD.decode(lines).unwrap();
    let written = [2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1];
    let at = der.windows(written.len()).position(|window| window == written).unwrap();
    der[at + 2..at + 4].copy_from_slice(&n.to_be_bytes());
    (der[at + 6], der[at + 9]) = (r, p);
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{}\n-----END ENCRYPTED PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

#[test]
fn a_hostile_scrypt_is_not_even_tried() {
    assert!(SigningKey::from_pem(&scrypt(0x4000, 8, 1), Some(PASSPHRASE)).is_ok());
    for (n, r, p, says) in [
        (0x4000, 8, 127, "r=8 p=127 are out of bounds"),
        (0x7fff, 127, 127, "are out of bounds"),
        (0x4000, 0, 1, "r=0 p=1 are out of bounds"),
        (0x4000, 8, 0, "r=8 p=0 are out of bounds"),
        (0x4001, 8, 1, "the passphrase is another one, or the file is damaged"), // no power of two
    ] {
        let error = SigningKey::from_pem(&scrypt(n, r, p), Some(PASSPHRASE)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn debug_and_errors_show_no_secret() {
    let key = SigningKey::from_pem(&golden("p256.pem"), None).unwrap();
    let shown = format!("{key:?} {:?}", key.to_pem());
    assert!(shown.contains("P-256") && shown.contains(&key.verifying_key().id()), "{shown}");
    let secret = golden("p256.pem").lines().nth(1).unwrap().to_owned();
    assert!(!shown.contains(&secret[..16]) && !shown.to_lowercase().contains("c9afa9d8"), "{shown}");
    let broken = golden("p256.pem").replace('E', "!");
    let error = SigningKey::from_pem(&broken, Some(PASSPHRASE)).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("MIGH"), "{error}");
    let wrong = SigningKey::from_pem(&golden("p256.openssl.pem"), Some("hunter2")).unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
}

/// Deterministic signatures (RFC 6979) of the example of the DSSE specification: with its own key, as it
/// stands there, and with the keys of RFC 6979, as OpenSSL 3.5 (in `cryptography` 50.0.2) makes them.
#[test]
fn signatures_are_those_of_the_specifications() {
    let hello = || Envelope::new("http://example.com/HelloWorld", "hello world");
    for (key, sig) in [
        (
            "p256",
            "MEQCIGdpHb7fhorpy3briG0wT+wTtgZEqY6PBLgGMxUume4wAiAFU/Iz2dpxye2mHylosqXrKmb7LgSF3XWGqoui2q/8tA==",
        ),
        (
            "p384",
            "MGUCMAaLcXvu6CBVfW8/80rp7HZO9wYuc3DzHuzEiikL0Fup9N5QFj+x9/eprYp0XIysdwIxAInKPE/b5qfFtduFvXn1eMieOktWS/KzpGMQUqA1CwnVlP15l/VOi5xLe39ACfJ6Ag==",
        ),
        (
            "p521",
            "MIGIAkIBSPRrBN9fSvxYUoQLHpU6pp4SBxqccXwObl/s2KC1joBddJqx71P0VAahYMMDNIUT9IUfVuSH+5IOERvg0SLNSi0CQgFmnxcrfVmbhYE9CbzT4+P9qX+xImIdaDBtwFkbN6qZTDrNULvM4U2z/L91/scZwtBEEtQFwI0g5CHQvmW3GBlJZw==",
        ),
    ] {
        let key = SigningKey::from_pem(&golden(&format!("{key}.pem")), None).unwrap();
        let signed = hello().sign(&key).unwrap();
        assert_eq!(BASE64_STANDARD.encode(&signed.signatures()[0].sig), sig);
        assert_eq!(signed.signatures()[0].keyid, key.verifying_key().id());
    }
    let key = SigningKey::from_pem(&golden("dsse.pem"), None).unwrap();
    let signed = hello().sign(&key).unwrap();
    // The specification writes r and s one after the other; DER puts a header before each.
    let raw = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
    let raw = BASE64_STANDARD.decode(raw).unwrap();
    let der = [&[0x30, 0x44, 2, 32], &raw[..32], &[2, 32], &raw[32..]].concat();
    assert_eq!(signed.signatures()[0].sig, der);
}

proptest! {
    #[test]
    fn no_damage_to_a_key_file_panics(
        name in prop::sample::select(vec!["p256.pem", "p384.sec1.pem", "p521.pub", "p256.parameters.pem"]),
        at in any::<prop::sample::Index>(),
        bit in 0..7_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = golden(name).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = |bytes: &[u8]| {
            let pem = String::from_utf8_lossy(bytes);
            (SigningKey::from_pem(&pem, None), VerifyingKey::from_pem(&pem))
        };
        let _ = read(&bytes);
        // Without the newline at the end it is still whole.
        let cut = &bytes[..cut.index(bytes.len() - 1)];
        let (signing, verifying) = read(cut);
        prop_assert!(signing.is_err() && verifying.is_err());
    }
}
