//! What is said about the rules of archives, and of whatever else holds bytes.

use super::{About, Severity};

pub(super) const ENCRYPTED: About = About {
    id: "encrypted",
    severity: Severity::Medium,
    description: "a member is encrypted, so nobody can say what it holds",
    remedy: "unpack it with its password and scan what comes out",
    cves: &[],
};

pub(super) const HIDDEN_BYTES: About = About {
    id: "hidden-bytes",
    severity: Severity::Medium,
    description: "bytes of the archive belong to no member that it lists",
    remedy: "ask what they are; have it packed again",
    cves: &[],
};

pub(super) const LIMIT_REACHED: About = About {
    id: "limit-reached",
    severity: Severity::Medium,
    description: "a limit of the scanner ended the walk before the end of the content",
    remedy: "if the file is meant to be this large or nested, raise the limit that the finding names",
    cves: &[],
};

pub(super) const LINK_ESCAPES: About = About {
    id: "link-escapes",
    severity: Severity::High,
    description: "a link leads out of the directory that the archive is unpacked into",
    remedy: "do not unpack the archive; have it packed again without links",
    cves: &["CVE-2007-4559"],
};

pub(super) const MALFORMED: About = About {
    id: "malformed",
    severity: Severity::Medium,
    description: "the content is damaged or cut short, so that what follows was not read",
    remedy: "fetch the file again and compare its digest; if it is whole, have it saved again",
    cves: &[],
};

pub(super) const PATH_TRAVERSAL: About = About {
    id: "path-traversal",
    severity: Severity::High,
    description: "a member's name leads out of the directory that the archive is unpacked into",
    remedy: "do not unpack the archive; have it packed again with plain relative names",
    cves: &["CVE-2007-4559"],
};

pub(super) const UNKNOWN_COMPRESSION: About = About {
    id: "unknown-compression",
    severity: Severity::Medium,
    description: "a member is compressed in a way that is not supported, so it was not read",
    remedy: "have it packed with deflate or without compression",
    cves: &[],
};

pub(super) const ZIP_DISAGREEMENT: About = About {
    id: "zip-disagreement",
    severity: Severity::Medium,
    description: "two records of the archive contradict each other, so that readers see different content",
    remedy: "have it packed again; archivers do not write this",
    cves: &["CVE-2025-1944", "CVE-2025-1945"],
};

pub(super) const ZIP_DUPLICATE: About = About {
    id: "zip-duplicate-name",
    severity: Severity::Medium,
    description: "two members have one name, and readers differ in which they take",
    remedy: "have it packed again with each member once",
    cves: &[],
};
