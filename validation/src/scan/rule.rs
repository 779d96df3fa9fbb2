//! What the scanner looks for.

mod archives;
mod formats;
mod pickles;
mod severity;

use std::fmt;

use serde::{Serialize, Serializer};

pub use self::severity::Severity;

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
        match self {
            Self::ConfigRemoteCode => formats::CONFIG_REMOTE_CODE,
            Self::DuplicateKey => formats::DUPLICATE_KEY,
            Self::Encrypted => archives::ENCRYPTED,
            Self::HiddenBytes => archives::HIDDEN_BYTES,
            Self::JinjaEscape => formats::JINJA_ESCAPE,
            Self::JinjaReflection => formats::JINJA_REFLECTION,
            Self::JinjaUnread => formats::JINJA_UNREAD,
            Self::KerasCode => formats::KERAS_CODE,
            Self::KerasFileAccess => formats::KERAS_FILE_ACCESS,
            Self::KerasForeignModule => formats::KERAS_FOREIGN_MODULE,
            Self::LimitReached => archives::LIMIT_REACHED,
            Self::LinkEscapes => archives::LINK_ESCAPES,
            Self::Malformed => archives::MALFORMED,
            Self::OnnxCustomOperator => formats::ONNX_CUSTOM_OPERATOR,
            Self::OnnxExternalPath => formats::ONNX_EXTERNAL_PATH,
            Self::OnnxPythonOperator => formats::ONNX_PYTHON_OPERATOR,
            Self::PathTraversal => archives::PATH_TRAVERSAL,
            Self::PickleCallOfResult => pickles::PICKLE_CALL_OF_RESULT,
            Self::PickleDangerousImport => pickles::PICKLE_DANGEROUS_IMPORT,
            Self::PickleExceptedImport => pickles::PICKLE_EXCEPTED_IMPORT,
            Self::PickleExtension => pickles::PICKLE_EXTENSION,
            Self::PickleFraming => pickles::PICKLE_FRAMING,
            Self::PickleNested => pickles::PICKLE_NESTED,
            Self::PickleOutOfBand => pickles::PICKLE_OUT_OF_BAND,
            Self::PickleProtocol => pickles::PICKLE_PROTOCOL,
            Self::PickleSeveral => pickles::PICKLE_SEVERAL,
            Self::PickleStateOnImport => pickles::PICKLE_STATE_ON_IMPORT,
            Self::PickleTrailing => pickles::PICKLE_TRAILING,
            Self::PickleUnknownImport => pickles::PICKLE_UNKNOWN_IMPORT,
            Self::PickleUnresolvedImport => pickles::PICKLE_UNRESOLVED_IMPORT,
            Self::PythonSource => formats::PYTHON_SOURCE,
            Self::TensorFlowOperator => formats::TENSORFLOW_OPERATOR,
            Self::TensorLayout => formats::TENSOR_LAYOUT,
            Self::TensorMetadata => formats::TENSOR_METADATA,
            Self::TorchScriptOperator => formats::TORCHSCRIPT_OPERATOR,
            Self::UnknownCompression => archives::UNKNOWN_COMPRESSION,
            Self::ZipDisagreement => archives::ZIP_DISAGREEMENT,
            Self::ZipDuplicate => archives::ZIP_DUPLICATE,
        }
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
