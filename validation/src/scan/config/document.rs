//! What of a JSON document matters, gathered while it is read, so that no document is held.

use std::{collections::BTreeMap, fmt};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use crate::{
    excerpt::excerpt,
    scan::{Rule, Severity, keras::Layer},
};

/// Findings of one kind that are kept; more add nothing.
const REPORTED: usize = 20;
/// Bytes of all templates together.
const TEMPLATES: usize = 8 << 20;
/// Characters of a name that are kept.
const LONGEST: usize = 1000;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Document {
    found: BTreeMap<(Rule, Severity), Vec<String>>,
    /// Templates of Jinja.
    pub(super) templates: Vec<String>,
    held: usize,
    /// Whether there were more templates than are kept.
    pub(super) crowded: bool,
    /// Modules of Python that would be loaded.
    pub(super) modules: Vec<String>,
    /// What would be found if the document is a model of Keras.
    layers: BTreeMap<(Rule, Severity), Vec<String>>,
    keras: bool,
    /// Whether the whole of it is a model or a layer.
    pub(super) model: bool,
}

impl Document {
    /// For what is known to be a configuration of Keras.
    pub(super) fn of_keras() -> Self {
        Self { keras: true, ..Self::default() }
    }

    pub(super) fn found(&self) -> impl Iterator<Item = (Rule, Severity, &str)> {
        let found = self.found.iter().chain(self.keras.then_some(&self.layers).into_iter().flatten());
        found.flat_map(|(&(rule, severity), found)| found.iter().map(move |it| (rule, severity, it.as_str())))
    }

    fn report(&mut self, rule: Rule, severity: Severity, detail: String) {
        keep(&mut self.found, rule, severity, detail);
    }

    /// Takes up an object, at some depth.
    fn layer(&mut self, layer: &Layer, outermost: bool) {
        for (rule, severity, detail) in layer.found() {
            keep(&mut self.layers, rule, severity, detail);
        }
        self.model |= outermost && layer.is_model();
        self.keras |= self.model;
    }

    fn text(&mut self, within: Within, key: &str, text: &str) {
        match within {
            Within::AutoMap => {
                let severity = Rule::ConfigRemoteCode.severity();
                self.report(
                    Rule::ConfigRemoteCode,
                    severity,
                    format!("auto_map names {}", excerpt(text, LONGEST)),
                );
                self.module(text);
            }
            Within::Pipelines if key == "impl" => {
                let severity = Rule::ConfigRemoteCode.severity();
                self.report(
                    Rule::ConfigRemoteCode,
                    severity,
                    format!("custom_pipelines names {}", excerpt(text, LONGEST)),
                );
                self.module(text);
            }
            Within::Template if key != "name" => {
                // Empty ones take room too.
                self.held += text.len() + size_of::<String>();
                if self.held > TEMPLATES {
                    self.crowded = true;
                } else {
                    self.templates.push(text.to_owned());
                }
            }
            _ => {}
        }
    }

    fn flag(&mut self, key: &str, set: bool) {
        let severity = match key {
            "trust_remote_code" => Severity::High,
            "custom_code" => Severity::Medium,
            _ => return,
        };
        if set {
            self.report(Rule::ConfigRemoteCode, severity, format!("{key} is true"));
        }
    }

    /// `repository--module.Class`.
    fn module(&mut self, name: &str) {
        let local = name.rsplit("--").next().unwrap_or(name);
        let mut parts = local.rsplit('.').skip(1);
        if let Some(module) = parts.next()
            && module.len() <= LONGEST
            && self.modules.len() < REPORTED
        {
            self.modules.push(module.to_owned());
        }
    }
}

fn keep(found: &mut BTreeMap<(Rule, Severity), Vec<String>>, rule: Rule, severity: Severity, detail: String) {
    let found = found.entry((rule, severity)).or_default();
    if found.len() < REPORTED {
        found.push(detail);
    }
}

/// Under which key of the document something stands, at any depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Anything,
    AutoMap,
    Pipelines,
    Template,
}

impl Within {
    fn under(self, key: &str) -> Self {
        match key {
            "auto_map" => Self::AutoMap,
            "custom_pipelines" => Self::Pipelines,
            _ if key.starts_with("chat_template") => Self::Template,
            _ => self,
        }
    }
}

/// Reads a value into a document.
pub(super) struct Node<'d, 'k> {
    document: &'d mut Document,
    within: Within,
    key: &'k str,
    outermost: bool,
}

impl<'d> Node<'d, 'static> {
    pub(super) const fn root(document: &'d mut Document) -> Self {
        Self { document, within: Within::Anything, key: "", outermost: true }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    /// The text, if it is one that a [`Layer`] wants.
    type Value = Option<String>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    /// The text, if it is one that a [`Layer`] wants.
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: de::Error>(self, set: bool) -> Result<Option<String>, E> {
        self.document.flag(self.key, set);
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
        self.document.text(self.within, self.key, text);
        Ok(Layer::wants(self.key).then(|| text.chars().take(LONGEST).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<String>, A::Error> {
        let Node { document, within, key, .. } = self;
        while items
            .next_element_seed(Node { document: &mut *document, within, key, outermost: false })?
            .is_some()
        {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Option<String>, A::Error> {
        let mut layer = Layer::default();
        while let Some(key) = entries.next_key::<String>()? {
            let within = self.within.under(&key);
            let node = Node { document: &mut *self.document, within, key: &key, outermost: false };
            let text = entries.next_value_seed(node)?;
            layer.entry(&key, text);
        }
        self.document.layer(&layer, self.outermost);
        Ok(None)
    }
}
