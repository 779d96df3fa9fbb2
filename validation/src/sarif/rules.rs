//! Which rule a result is about, and how bad that makes it.

use std::collections::HashMap;

use super::log::{Component, ComponentReference, Properties, Result, Rule, Tool};
use crate::Severity;

/// The rules of a run, by component and by name.
pub(super) struct Rules<'r> {
    /// The driver, then the extensions.
    components: Vec<&'r Component>,
    named: HashMap<&'r str, Vec<(usize, usize)>>,
}

impl<'r> Rules<'r> {
    pub(super) fn of(tool: &'r Tool) -> Self {
        let extensions = tool.extensions.iter().flat_map(|extensions| &extensions.0);
        let components: Vec<_> = std::iter::once(&tool.driver).chain(extensions).collect();
        let mut named = HashMap::<_, Vec<_>>::new();
        for (c, component) in components.iter().enumerate() {
            for (r, rule) in rules(component).iter().enumerate() {
                let places = named.entry(&*rule.id).or_default();
                // A file that repeats a name gains nothing by it.
                if places.len() < 8 {
                    places.push((c, r));
                }
            }
        }
        Self { components, named }
    }

    /// What `result` is about: by its index, and by its name in the same component, or in any if that has none. There
    /// is more than one only in a file that contradicts itself.
    pub(super) fn about(&self, result: &Result) -> Vec<&'r Rule> {
        let reference = result.rule.as_ref();
        let component = self.component(reference.and_then(|rule| rule.tool_component.as_ref()));
        let index = reference.and_then(|rule| rule.index).or(result.rule_index);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let by_index = index.zip(component).and_then(|(r, c)| rules(self.components.get(c)?).get(r));
        let mut found: Vec<_> = by_index.into_iter().collect();
        let name = result.rule_id.as_ref().or_else(|| reference?.id.as_ref());
        if let Some(places) = name.and_then(|name| self.places(name.as_str())) {
            let here = |&&(c, _): &&(usize, usize)| Some(c) == component;
            let own: Vec<_> = places.iter().filter(here).collect();
            let places = if own.is_empty() { places.iter().collect() } else { own };
            found.extend(places.into_iter().map(|&(c, r)| &rules(self.components[c])[r]));
        }
        found
    }

    /// Of a name, or of what it is below: `CA1000/1` is of the rule `CA1000` (§3.27.5).
    fn places(&self, name: &str) -> Option<&Vec<(usize, usize)>> {
        let parents = name.match_indices('/').map(|(at, _)| &name[..at]).rev();
        std::iter::once(name).chain(parents.take(8)).find_map(|name| self.named.get(name))
    }

    fn component(&self, reference: Option<&ComponentReference>) -> Option<usize> {
        let Some(reference) = reference else { return Some(0) };
        if let Some(index) = reference.index.filter(|index| *index >= 0) {
            return usize::try_from(index).ok().map(|index| index.saturating_add(1));
        }
        let is = |component: &&Component| {
            let guid = reference.guid.is_some() && reference.guid == component.guid;
            guid || reference.name.as_ref() == Some(&component.name)
        };
        match (&reference.guid, &reference.name) {
            (None, None) => Some(0),
            _ => self.components.iter().position(is),
        }
    }
}

/// How bad `result` is if it is about `rules`: a score counts before a level, and of several the worst.
pub(super) fn severity(result: &Result, rules: &[&Rule]) -> Severity {
    let of_rules = || {
        let scores = rules.iter().filter_map(|rule| score(rule.properties.as_ref()));
        scores.reduce(f64::max)
    };
    if let Some(score) = score(result.properties.as_ref()).or_else(of_rules) {
        return Severity::of_score(score);
    }
    let of_rules = || {
        let configurations = rules.iter().filter_map(|rule| rule.default_configuration.as_ref());
        configurations.filter_map(|configuration| configuration.level.as_deref()).map(of_level).max()
    };
    result.level.as_deref().map(of_level).or_else(of_rules).unwrap_or(Severity::Medium)
}

fn of_level(level: &str) -> Severity {
    match level {
        "error" => Severity::High,
        "note" => Severity::Low,
        "none" => Severity::None,
        // What it is unless it says otherwise (§3.27.10), and what is not known is not made light of.
        _ => Severity::Medium,
    }
}

fn score(properties: Option<&Properties>) -> Option<f64> {
    let score: f64 = properties?.security_severity.0.as_ref()?.trim().parse().ok()?;
    // Low is above 0, and 0 is what is written where nobody has scored anything.
    (score > 0.0 && score <= 10.0).then_some(score)
}

fn rules(component: &Component) -> &[Rule] {
    component.rules.as_ref().map_or(&[], |rules| &rules.0)
}
