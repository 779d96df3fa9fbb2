//! What the scanner looks for.

mod formats;

use std::fmt;

use serde::{Serialize, Serializer};

/// How bad a finding is. Ordered: the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "verdicts depend on there being no other")]
pub enum Severity {
    /// Worth knowing; the file passes.
    Low,
    /// Not clean: damaged, cut short, or made so that readers disagree. The verdict is inconclusive.
    Medium,
    /// Loading the file may run code that nobody reviewed. The file fails.
    High,
    /// Loading the file runs code of the file's author. The file fails.
    Critical,
}

/// What a finding is about. [`id`](Self::id) is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A configuration that has code of a model's author loaded.
    ConfigRemoteCode,
    /// A key that is there twice.
    DuplicateKey,
    /// A member that needs a password.
    Encrypted,
    /// Bytes that belong to no member of an archive.
    HiddenBytes,
    /// A template that reaches into Python.
    JinjaEscape,
    /// A template that looks up names it should not need.
    JinjaReflection,
    /// A template that does not parse.
    JinjaUnread,
    /// A Keras model with code in it.
    KerasCode,
    /// A Keras model that reads files or downloads.
    KerasFileAccess,
    /// A Keras model that imports from elsewhere.
    KerasForeignModule,
    /// A limit of the scanner ended the walk.
    LimitReached,
    /// A link that leads out of the archive.
    LinkEscapes,
    /// The content is damaged or cut short.
    Malformed,
    /// An operator that is no part of ONNX.
    OnnxCustomOperator,
    /// Tensors of ONNX in a file elsewhere.
    OnnxExternalPath,
    /// An operator of ONNX that calls Python.
    OnnxPythonOperator,
    /// A name that leads out of the directory it is unpacked into.
    PathTraversal,
    /// Something imported is called by way of what an earlier call returned.
    PickleCallOfResult,
    /// An import that runs commands, code, or reaches the system.
    PickleDangerousImport,
    /// An import that the caller excepted.
    PickleExceptedImport,
    /// A name from the registry of extensions.
    PickleExtension,
    /// Frames that readers take apart differently.
    PickleFraming,
    /// A pickle inside a string of a pickle.
    PickleNested,
    /// A buffer or object that only the loading program can supply.
    PickleOutOfBand,
    /// More than one declaration of the protocol, or a late one.
    PickleProtocol,
    /// Several pickles, one after the other.
    PickleSeveral,
    /// State set on something imported rather than on an object made from it.
    PickleStateOnImport,
    /// Bytes after a pickle that are none.
    PickleTrailing,
    /// An import that is not on the reviewed list.
    PickleUnknownImport,
    /// An import whose name is computed.
    PickleUnresolvedImport,
    /// Source of Python beside a model.
    PythonSource,
    /// An operator of TensorFlow that reaches files or Python.
    TensorFlowOperator,
    /// Tensors that are not where they should be.
    TensorLayout,
    /// Notes of a file of tensors that hold code or addresses.
    TensorMetadata,
    /// An operator of TorchScript that reaches files.
    TorchScriptOperator,
    /// An unknown or unsupported compression.
    UnknownCompression,
    /// Two records of a zip contradict each other.
    ZipDisagreement,
    /// Two members of a zip have one name.
    ZipDuplicate,
}

impl Severity {
    /// `critical`, `high`, `medium` or `low`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What is said about a rule.
struct About {
    id: &'static str,
    severity: Severity,
    description: &'static str,
    remedy: &'static str,
    cves: &'static [&'static str],
}

impl Rule {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::ConfigRemoteCode,
        Self::DuplicateKey,
        Self::Encrypted,
        Self::HiddenBytes,
        Self::JinjaEscape,
        Self::JinjaReflection,
        Self::JinjaUnread,
        Self::KerasCode,
        Self::KerasFileAccess,
        Self::KerasForeignModule,
        Self::LimitReached,
        Self::LinkEscapes,
        Self::Malformed,
        Self::OnnxCustomOperator,
        Self::OnnxExternalPath,
        Self::OnnxPythonOperator,
        Self::PathTraversal,
        Self::PickleCallOfResult,
        Self::PickleDangerousImport,
        Self::PickleExceptedImport,
        Self::PickleExtension,
        Self::PickleFraming,
        Self::PickleNested,
        Self::PickleOutOfBand,
        Self::PickleProtocol,
        Self::PickleSeveral,
        Self::PickleStateOnImport,
        Self::PickleTrailing,
        Self::PickleUnknownImport,
        Self::PickleUnresolvedImport,
        Self::PythonSource,
        Self::TensorFlowOperator,
        Self::TensorLayout,
        Self::TensorMetadata,
        Self::TorchScriptOperator,
        Self::UnknownCompression,
        Self::ZipDisagreement,
        Self::ZipDuplicate,
    ];

    /// The stable name: `pickle-dangerous-import`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        self.about().id
    }

    /// How bad it is unless a detection says otherwise.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.about().severity
    }

    /// What it means, in one line.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.about().description
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.about().remedy
    }

    /// Published vulnerabilities that it was learnt from.
    #[must_use]
    pub const fn cves(self) -> &'static [&'static str] {
        self.about().cves
    }

    const fn about(self) -> About {
        use Severity::{Critical, High, Low, Medium};
        let (id, severity, description, remedy, cves): (_, _, _, _, &[&str]) = match self {
            Self::Encrypted => (
                "encrypted",
                Medium,
                "a member is encrypted, so nobody can say what it holds",
                "unpack it with its password and scan what comes out",
                &[],
            ),
            Self::HiddenBytes => (
                "hidden-bytes",
                Medium,
                "bytes of the archive belong to no member that it lists",
                "ask what they are; have it packed again",
                &[],
            ),
            Self::LimitReached => (
                "limit-reached",
                Medium,
                "a limit of the scanner ended the walk before the end of the content",
                "if the file is meant to be this large or nested, raise the limit that the finding names",
                &[],
            ),
            Self::LinkEscapes => (
                "link-escapes",
                High,
                "a link leads out of the directory that the archive is unpacked into",
                "do not unpack the archive; have it packed again without links",
                &["CVE-2007-4559"],
            ),
            Self::Malformed => (
                "malformed",
                Medium,
                "the content is damaged or cut short, so that what follows was not read",
                "fetch the file again and compare its digest; if it is whole, have it saved again",
                &[],
            ),
            Self::PathTraversal => (
                "path-traversal",
                High,
                "a member's name leads out of the directory that the archive is unpacked into",
                "do not unpack the archive; have it packed again with plain relative names",
                &["CVE-2007-4559"],
            ),
            Self::PickleCallOfResult => (
                "pickle-call-of-result",
                High,
                "the pickle calls something that is no import but the result of an earlier call",
                "do not load it; no pickler writes this",
                &[],
            ),
            Self::PickleDangerousImport => (
                "pickle-dangerous-import",
                Critical,
                "the pickle imports something that runs commands or code, or reaches the system",
                "do not load it; ask its author for safetensors or another format without code",
                &["CVE-2025-32434", "CVE-2025-1716", "CVE-2019-6446", "CVE-2020-13092"],
            ),
            Self::PickleExtension => (
                "pickle-extension",
                High,
                "the pickle names an object by a number of the loading program's copyreg registry",
                "do not load it; have it saved without copyreg extensions",
                &[],
            ),
            Self::PickleExceptedImport => (
                "pickle-excepted-import",
                Low,
                "the pickle imports something that is on no reviewed list and was excepted by name",
                "nothing; the reason is in the finding",
                &[],
            ),
            Self::PickleFraming => (
                "pickle-framing",
                High,
                "frames end inside an opcode, so that readers of files and of bytes run different code",
                "do not load it; no pickler writes this",
                &[],
            ),
            Self::PickleNested => (
                "pickle-nested",
                Low,
                "a string of the pickle holds a pickle; it was scanned like one",
                "nothing, if nothing worse was found in it",
                &[],
            ),
            Self::PickleOutOfBand => (
                "pickle-out-of-band",
                Low,
                "the pickle takes objects or buffers that the loading program supplies",
                "nothing; plain `pickle.load` refuses it",
                &[],
            ),
            Self::PickleProtocol => (
                "pickle-protocol",
                Medium,
                "the protocol is declared twice, late, or is one that does not exist",
                "have it saved again; no pickler writes this",
                &[],
            ),
            Self::PickleSeveral => (
                "pickle-several",
                Low,
                "there are several pickles, one after the other; all were scanned",
                "nothing, if nothing worse was found in them",
                &[],
            ),
            Self::PickleStateOnImport => (
                "pickle-state-on-import",
                High,
                "the pickle sets attributes of something imported, which changes the loading program",
                "do not load it; no pickler writes this",
                &[],
            ),
            Self::PickleTrailing => (
                "pickle-trailing-bytes",
                Medium,
                "bytes follow the pickle that are none",
                "ask what they are; have the file saved again without them",
                &[],
            ),
            Self::PickleUnknownImport => (
                "pickle-unknown-import",
                High,
                "the pickle imports something that is on no reviewed list",
                "review what it does with arguments of the file's author, then except it by name with the reason",
                &["CVE-2025-1889", "CVE-2026-24747"],
            ),
            Self::PickleUnresolvedImport => (
                "pickle-unresolved-import",
                Critical,
                "the pickle imports something whose name it computes while loading",
                "do not load it; no pickler writes this",
                &[],
            ),
            Self::TorchScriptOperator => (
                "torchscript-operator",
                High,
                "the code of a TorchScript module uses an operator that reaches files or profiles the program",
                "read the code before you run it; ask its author for weights alone",
                &[],
            ),
            Self::UnknownCompression => (
                "unknown-compression",
                Medium,
                "a member is compressed in a way that is not supported, so it was not read",
                "have it packed with deflate or without compression",
                &[],
            ),
            Self::ZipDisagreement => (
                "zip-disagreement",
                Medium,
                "two records of the archive contradict each other, so that readers see different content",
                "have it packed again; archivers do not write this",
                &["CVE-2025-1944", "CVE-2025-1945"],
            ),
            Self::ZipDuplicate => (
                "zip-duplicate-name",
                Medium,
                "two members have one name, and readers differ in which they take",
                "have it packed again with each member once",
                &[],
            ),
            Self::ConfigRemoteCode => return formats::CONFIG_REMOTE_CODE,
            Self::DuplicateKey => return formats::DUPLICATE_KEY,
            Self::JinjaEscape => return formats::JINJA_ESCAPE,
            Self::JinjaReflection => return formats::JINJA_REFLECTION,
            Self::JinjaUnread => return formats::JINJA_UNREAD,
            Self::KerasCode => return formats::KERAS_CODE,
            Self::KerasFileAccess => return formats::KERAS_FILE_ACCESS,
            Self::KerasForeignModule => return formats::KERAS_FOREIGN_MODULE,
            Self::OnnxCustomOperator => return formats::ONNX_CUSTOM_OPERATOR,
            Self::OnnxExternalPath => return formats::ONNX_EXTERNAL_PATH,
            Self::OnnxPythonOperator => return formats::ONNX_PYTHON_OPERATOR,
            Self::PythonSource => return formats::PYTHON_SOURCE,
            Self::TensorFlowOperator => return formats::TENSORFLOW_OPERATOR,
            Self::TensorLayout => return formats::TENSOR_LAYOUT,
            Self::TensorMetadata => return formats::TENSOR_METADATA,
        };
        About { id, severity, description, remedy, cves }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_in_kebab_case() {
        let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        assert!(
            names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')),
            "{names:?}"
        );
    }
}
