//! What it may cost to derive a key from a passphrase.

use pkcs8::pkcs5::{EncryptionScheme, pbes2::Kdf};

/// `N · r · p` of scrypt (RFC 7914). Sixteen times what OpenSSL writes (2¹⁴ · 8 · 1); it takes about 128
/// bytes each, so at most 256 MiB.
const MOST_SCRYPT: u64 = 1 << 21;

/// Rounds of PBKDF2. OWASP asks for 600 000, Python's `cryptography` writes 20 000, OpenSSL 2 048.
const MOST_ROUNDS: u32 = 4_000_000;

/// Why a key encrypted with `scheme` is not even tried: a hostile key file must not keep a machine busy.
pub(super) fn refusal(scheme: &EncryptionScheme) -> Option<String> {
    let Some(parameters) = scheme.pbes2() else {
        return Some("PBES1 is not read; encrypt it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`".into());
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => match pbkdf2.iteration_count {
            1..=MOST_ROUNDS => None,
            rounds => Some(format!(
                "its passphrase is hashed in {rounds} rounds; encrypt it anew with 1 to {MOST_ROUNDS}"
            )),
        },
        Kdf::Scrypt(scrypt) => {
            let (n, r, p) = (scrypt.cost_parameter, scrypt.block_size, scrypt.parallelization);
            let cost = n.checked_mul(r.into()).and_then(|cost| cost.checked_mul(p.into()));
            match cost {
                Some(1..=MOST_SCRYPT) => None,
                _ => Some(format!(
                    "its scrypt parameters N={n} r={r} p={p} are out of bounds; encrypt it anew with N·r·p of at most {MOST_SCRYPT}"
                )),
            }
        }
        _ => Some("its key derivation is neither PBKDF2 nor scrypt; encrypt it anew".into()),
    }
}
