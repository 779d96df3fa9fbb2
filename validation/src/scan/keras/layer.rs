//! One object of a configuration of Keras.

use crate::scan::{Rule, Severity, pickle};

/// What an object says of the class or function that it is made of.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    class: Option<String>,
    module: Option<String>,
    registered: Option<String>,
    /// The name of a function, where the object is of one.
    config: Option<String>,
    vocabulary: Option<String>,
    has_config: bool,
}

/// Packages of Keras.
const PACKAGES: [&str; 6] = ["keras", "keras_core", "keras_cv", "keras_hub", "keras_nlp", "tf_keras"];
/// Classes of values that Keras writes into configurations with a module of its own.
const VALUES: [&str; 12] = [
    "__bytes__",
    "__complex__",
    "__dtype__",
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
    "__tuple__",
    "__typespec__",
    "CompositeTensor",
    "TypeSpec",
];
/// Functions of Keras that reach files, the network, or its own safeguards.
const REACHING: [&str; 9] = [
    "disable_unsafe_deserialization",
    "enable_unsafe_deserialization",
    "extract_archive",
    "get_file",
    "load_model",
    "load_weights",
    "pip_install",
    "save_model",
    "validate_file",
];

impl Layer {
    /// Takes up one entry of the object.
    pub(crate) fn entry(&mut self, key: &str, text: Option<String>) {
        let field = match key {
            "class_name" => &mut self.class,
            "module" => &mut self.module,
            "registered_name" => &mut self.registered,
            "config" => {
                self.has_config = true;
                &mut self.config
            }
            "vocabulary" => &mut self.vocabulary,
            _ => return,
        };
        *field = text;
    }

    /// Whether [`entry`](Self::entry) wants the text of this key.
    pub(crate) fn wants(key: &str) -> bool {
        matches!(key, "class_name" | "module" | "registered_name" | "config" | "vocabulary")
    }

    /// Whether a document that is this object is a model of Keras.
    pub(crate) const fn is_model(&self) -> bool {
        self.class.is_some() && self.has_config
    }

    /// What loading it would do.
    pub(crate) fn found(&self) -> Vec<(Rule, Severity, String)> {
        let mut found = Vec::new();
        let mut report = |rule: Rule, detail: String| found.push((rule, rule.severity(), detail));
        if let Some(path) = &self.vocabulary {
            report(Rule::KerasFileAccess, format!("a vocabulary that is read from {path}"));
        }
        let Some(class) = self.class.as_deref() else { return found };
        // Names come with their package: `keras.layers>Lambda`, `keras.layers.Lambda`.
        let name = class.rsplit(['.', '>']).next().unwrap_or(class);
        match name {
            "Lambda" | "__lambda__" => report(Rule::KerasCode, format!("{class}: code of Python, as bytes")),
            "TorchModuleWrapper" => report(Rule::KerasCode, format!("{class}: a pickle of PyTorch")),
            _ => {}
        }
        let functions = [Some(name), self.config.as_deref(), self.registered.as_deref()];
        for function in functions.into_iter().flatten() {
            let function = function.rsplit(['.', '>']).next().unwrap_or(function);
            if REACHING.contains(&function) {
                report(Rule::KerasFileAccess, format!("the function {function}"));
                break;
            }
        }
        if let Some(foreign) = self.foreign(class) {
            found.push(foreign);
        }
        found
    }

    fn foreign(&self, class: &str) -> Option<(Rule, Severity, String)> {
        if VALUES.contains(&class) || class == "__lambda__" {
            return None;
        }
        let rule = Rule::KerasForeignModule;
        let name = match class {
            "function" => self.config.as_deref().unwrap_or(class),
            _ => class,
        };
        match self.module.as_deref() {
            Some(module) => {
                let package = module.split('.').next().unwrap_or(module);
                let own = PACKAGES.contains(&package) || module.starts_with("tensorflow.python.keras");
                if own {
                    return None;
                }
                let full = format!("{module}.{name}");
                let severity = if pickle::is_dangerous(&full) { Severity::Critical } else { rule.severity() };
                Some((rule, severity, full))
            }
            // Only `custom_objects` of the caller can supply it.
            None => {
                let custom = self.registered.as_deref().filter(|registered| registered.contains('>'));
                custom.map(|custom| (rule, Severity::Medium, format!("{custom}, which the caller supplies")))
            }
        }
    }
}
