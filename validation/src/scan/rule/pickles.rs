//! What is said about the rules of pickles.

use super::{About, Severity};

pub(super) const PICKLE_CALL_OF_RESULT: About = About {
    id: "pickle-call-of-result",
    severity: Severity::High,
    description: "the pickle calls something that is no import but the result of an earlier call",
    remedy: "do not load it; no pickler writes this",
    cves: &[],
};

pub(super) const PICKLE_DANGEROUS_IMPORT: About = About {
    id: "pickle-dangerous-import",
    severity: Severity::Critical,
    description: "the pickle imports something that runs commands or code, or reaches the system",
    remedy: "do not load it; ask its author for safetensors or another format without code",
    cves: &["CVE-2025-32434", "CVE-2025-1716", "CVE-2019-6446", "CVE-2020-13092"],
};

pub(super) const PICKLE_EXCEPTED_IMPORT: About = About {
    id: "pickle-excepted-import",
    severity: Severity::Low,
    description: "the pickle imports something that is on no reviewed list and was excepted by name",
    remedy: "nothing; the reason is in the finding",
    cves: &[],
};

pub(super) const PICKLE_EXTENSION: About = About {
    id: "pickle-extension",
    severity: Severity::High,
    description: "the pickle names an object by a number of the loading program's copyreg registry",
    remedy: "do not load it; have it saved without copyreg extensions",
    cves: &[],
};

pub(super) const PICKLE_FRAMING: About = About {
    id: "pickle-framing",
    severity: Severity::High,
    description: "frames end inside an opcode, so that readers of files and of bytes run different code",
    remedy: "do not load it; no pickler writes this",
    cves: &[],
};

pub(super) const PICKLE_NESTED: About = About {
    id: "pickle-nested",
    severity: Severity::Low,
    description: "a string of the pickle holds a pickle; it was scanned like one",
    remedy: "nothing, if nothing worse was found in it",
    cves: &[],
};

pub(super) const PICKLE_OUT_OF_BAND: About = About {
    id: "pickle-out-of-band",
    severity: Severity::Low,
    description: "the pickle takes objects or buffers that the loading program supplies",
    remedy: "nothing; plain `pickle.load` refuses it",
    cves: &[],
};

pub(super) const PICKLE_PROTOCOL: About = About {
    id: "pickle-protocol",
    severity: Severity::Medium,
    description: "the protocol is declared twice, late, or is one that does not exist",
    remedy: "have it saved again; no pickler writes this",
    cves: &[],
};

pub(super) const PICKLE_SEVERAL: About = About {
    id: "pickle-several",
    severity: Severity::Low,
    description: "there are several pickles, one after the other; all were scanned",
    remedy: "nothing, if nothing worse was found in them",
    cves: &[],
};

pub(super) const PICKLE_STATE_ON_IMPORT: About = About {
    id: "pickle-state-on-import",
    severity: Severity::High,
    description: "the pickle sets attributes of something imported, which changes the loading program",
    remedy: "do not load it; no pickler writes this",
    cves: &[],
};

pub(super) const PICKLE_TRAILING: About = About {
    id: "pickle-trailing-bytes",
    severity: Severity::Medium,
    description: "bytes follow the pickle that are none",
    remedy: "ask what they are; have the file saved again without them",
    cves: &[],
};

pub(super) const PICKLE_UNKNOWN_IMPORT: About = About {
    id: "pickle-unknown-import",
    severity: Severity::High,
    description: "the pickle imports something that is on no reviewed list",
    remedy: "review what it does with arguments of the file's author, then except it by name with the reason",
    cves: &["CVE-2025-1889", "CVE-2026-24747"],
};

pub(super) const PICKLE_UNRESOLVED_IMPORT: About = About {
    id: "pickle-unresolved-import",
    severity: Severity::Critical,
    description: "the pickle imports something whose name it computes while loading",
    remedy: "do not load it; no pickler writes this",
    cves: &[],
};
