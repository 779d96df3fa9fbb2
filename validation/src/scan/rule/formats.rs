//! What is said about the rules of formats that are no pickles and no archives.

use super::{About, Severity};

pub(super) const CONFIG_REMOTE_CODE: About = About {
    id: "config-remote-code",
    severity: Severity::High,
    description: "the configuration names Python code that is loaded with the model, or asks for that",
    remedy: "review the code it names and load a reviewed copy of it; never set `trust_remote_code` for a name that may change",
    cves: &[],
};

pub(super) const DUPLICATE_KEY: About = About {
    id: "duplicate-key",
    severity: Severity::Medium,
    description: "a key is there twice, and readers differ in which they take",
    remedy: "have the file saved again; no writer does this",
    cves: &[],
};

pub(super) const JINJA_ESCAPE: About = About {
    id: "jinja-escape",
    severity: Severity::Critical,
    description: "a template names internals of Python, by which it gets from a text to any module",
    remedy: "do not render it; take the template of the model's original author",
    cves: &["CVE-2024-34359", "CVE-2019-10906", "CVE-2016-10745", "CVE-2025-27516"],
};

pub(super) const JINJA_REFLECTION: About = About {
    id: "jinja-reflection",
    severity: Severity::High,
    description: "a template looks up attributes by computed names, or uses what no chat template needs",
    remedy: "read the template; have it written with plain attributes and subscripts",
    cves: &["CVE-2024-56201", "CVE-2024-56326", "CVE-2025-27516"],
};

pub(super) const JINJA_UNREAD: About = About {
    id: "jinja-unread",
    severity: Severity::Medium,
    description: "a template does not parse here, so that what it does is not known",
    remedy: "render it with the program that will serve the model, in a sandbox, and read it",
    cves: &[],
};

pub(super) const KERAS_CODE: About = About {
    id: "keras-code",
    severity: Severity::Critical,
    description: "a layer holds code of the model's author, or a pickle",
    remedy: "do not load it, whatever `safe_mode` says; have it saved without Lambda layers",
    cves: &["CVE-2024-3660", "CVE-2025-1550", "CVE-2025-9905", "CVE-2025-9906", "CVE-2025-49655"],
};

pub(super) const KERAS_FILE_ACCESS: About = About {
    id: "keras-file-access",
    severity: Severity::High,
    description: "a layer reads a file of the loading machine, or downloads one",
    remedy: "do not load it; have it saved with its vocabulary inside",
    cves: &["CVE-2025-8747", "CVE-2025-9906", "CVE-2025-12058"],
};

pub(super) const KERAS_FOREIGN_MODULE: About = About {
    id: "keras-foreign-module",
    severity: Severity::High,
    description: "a layer is a class or function of a module that is not of Keras",
    remedy: "review what it names; load it with `custom_objects` that you chose",
    cves: &["CVE-2025-1550", "CVE-2025-8747"],
};

pub(super) const ONNX_CUSTOM_OPERATOR: About = About {
    id: "onnx-custom-operator",
    severity: Severity::Medium,
    description: "the graph has operators of a library that its author must have installed",
    remedy: "ask which library it is and review that",
    cves: &[],
};

pub(super) const ONNX_EXTERNAL_PATH: About = About {
    id: "onnx-external-path",
    severity: Severity::High,
    description: "the graph reads its tensors from a file outside the directory of the model",
    remedy: "do not load it; have it saved with its tensors beside it",
    cves: &["CVE-2022-25882", "CVE-2024-27318", "CVE-2025-51480"],
};

pub(super) const ONNX_PYTHON_OPERATOR: About = About {
    id: "onnx-python-operator",
    severity: Severity::High,
    description: "the graph calls functions of Python",
    remedy: "review the functions that it names; have it exported without them",
    cves: &[],
};

pub(super) const PYTHON_SOURCE: About = About {
    id: "python-source",
    severity: Severity::Medium,
    description: "there is Python source, which loading the model may import",
    remedy: "review it; it is as safe as any program",
    cves: &[],
};

pub(super) const TENSORFLOW_OPERATOR: About = About {
    id: "tensorflow-operator",
    severity: Severity::High,
    description: "the graph reads or writes files, loads libraries, or calls functions of Python",
    remedy: "do not run it; ask its author for a graph of numbers alone",
    cves: &[],
};

pub(super) const TENSOR_LAYOUT: About = About {
    id: "tensor-layout",
    severity: Severity::Medium,
    description: "tensors overlap, leave bytes between or behind them, or are not as long as their shape says",
    remedy: "have the file saved again; ask what the bytes are that belong to no tensor",
    cves: &[],
};

pub(super) const TENSOR_METADATA: About = About {
    id: "tensor-metadata",
    severity: Severity::Medium,
    description: "a note in the header of the tensors is no text, or holds code or an address",
    remedy: "read it; nothing runs it, unless the program that loads the file does",
    cves: &[],
};

pub(super) const TORCHSCRIPT_OPERATOR: About = About {
    id: "torchscript-operator",
    severity: Severity::High,
    description: "the code of a TorchScript module uses an operator that reaches files or profiles the program",
    remedy: "read the code before you run it; ask its author for weights alone",
    cves: &[],
};
