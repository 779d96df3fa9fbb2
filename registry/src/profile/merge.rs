//! How the files of a version add up.

use std::collections::BTreeMap;

use super::{
    Onnx, Profile,
    reading::{Facts, Reading, Settings},
    tally::Tally,
};

/// Notes that are kept.
const MOST_NOTES: usize = 16;

/// Characters of a note.
const LONGEST_NOTE: usize = 256;

/// Operator sets, and names of files with weights, that are kept.
const MOST_NAMES: usize = 16;

/// Which format speaks for the weights where a version has them in several.
const FORMATS: [&str; 3] = ["safetensors", "gguf", "onnx"];

impl Profile {
    /// What the files of a version say together.
    ///
    /// * Files add up: shards of one model, and components such as an encoder and a decoder.
    /// * Files in one directory with the same number of parameters are the same weights in different
    ///   precision, and so are `model.onnx` and `model_quantized.onnx`, whose numbers differ by the scales.
    ///   The first by path is counted, the others are noted. Shards, which are named
    ///   `…-00001-of-00003…`, count as one file for this.
    /// * Weights in several formats are the same weights: safetensors are counted before GGUF, and GGUF before ONNX.
    /// * Of several `config.json`, that nearest to the root speaks. Several equally near describe
    ///   components, and none of them the version; so with the other JSON files.
    #[must_use]
    pub fn of(readings: impl IntoIterator<Item = Reading>) -> Self {
        let mut readings: Vec<_> = readings.into_iter().collect();
        readings.sort_by(|a, b| a.path.cmp(&b.path));
        let mut profile = Self::default();
        let mut notes = Notes::default();
        for damage in readings.iter().filter_map(Reading::damage) {
            notes.push(damage);
        }

        let sets = sets(&readings, &mut notes);
        profile.formats = sets.keys().map(|(format, _)| (*format).to_owned()).collect();
        let counted = FORMATS.into_iter().find(|format| profile.formats.contains(*format));
        let mut total = Tally::default();
        // From the most to the least trusted.
        let mut settings: Vec<&Settings> = Vec::new();
        let (mut by_number, mut by_name) = (BTreeMap::new(), BTreeMap::new());
        for ((format, stem), set) in &sets {
            if Some(*format) != counted {
                continue;
            }
            let parameters = set.tally.parameters;
            let same_number = *by_number.entry((directory(stem), parameters)).or_insert(set.first);
            let same_name = *by_name.entry(precise(stem)).or_insert(set.first);
            let twin = [same_name, same_number].into_iter().find(|first| *first != set.first);
            if let Some(twin) = twin.filter(|_| parameters > 0) {
                notes.push(format!("{} holds the same weights as {twin}; they are counted once", set.first));
            } else if total.add(&set.tally).is_ok() {
                settings.push(set.settings);
            } else {
                notes.push(format!("the parameters of {} do not fit into the sum", set.first));
            }
        }
        if counted.is_some() {
            profile.parameters = Some(total.parameters);
        }
        for set in sets.values() {
            profile.onnx.take_in(&set.onnx);
        }

        for kind in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
            if let Some(Facts::Settings(found)) = nearest(&readings, kind) {
                settings.push(found);
            }
        }
        for found in settings {
            fill(&mut profile.architecture, &found.architecture);
            fill(&mut profile.family, &found.family);
            fill(&mut profile.quantization, &found.quantization);
            fill(&mut profile.context_length, &found.context_length);
            fill(&mut profile.tokenizer.model, &found.tokenizer.model);
            fill(&mut profile.tokenizer.vocabulary, &found.tokenizer.vocabulary);
        }
        if profile.quantization.is_none() {
            profile.quantization = total.small().map(str::to_owned);
        }
        profile.dtypes = total.dtypes;
        profile.notes = notes.finish();
        profile
    }
}

/// Weights that belong together: a file, or all shards of one.
struct Set<'a> {
    first: &'a str,
    tally: Tally,
    settings: &'a Settings,
    onnx: Onnx,
}

/// The weights by format and by path without the number of a shard.
fn sets<'a>(readings: &'a [Reading], notes: &mut Notes) -> BTreeMap<(&'static str, String), Set<'a>> {
    let mut sets = BTreeMap::<_, Set<'_>>::new();
    for reading in readings {
        let Some(Facts::Weights(weights)) = reading.facts() else { continue };
        let path = reading.path.as_str();
        let set = sets.entry((reading.kind, stem(path))).or_insert_with(|| Set {
            first: path,
            tally: Tally::default(),
            settings: &weights.settings,
            onnx: Onnx::default(),
        });
        set.onnx.take_in(&weights.onnx);
        if set.tally.add(&weights.tally).is_err() {
            notes.push(format!("the parameters of {path} do not fit into the sum"));
        }
    }
    sets
}

impl Onnx {
    /// What two graphs need together. The first that is taken in says who wrote it.
    fn take_in(&mut self, other: &Self) {
        fill(&mut self.producer, &other.producer);
        self.ir_version = self.ir_version.max(other.ir_version);
        for (domain, version) in &other.opsets {
            if self.opsets.len() == MOST_NAMES && !self.opsets.contains_key(domain) {
                continue;
            }
            let known = self.opsets.entry(domain.clone()).or_insert(0);
            *known = (*known).max(*version);
        }
        let room = MOST_NAMES.saturating_sub(self.external.len());
        self.external.extend(other.external.iter().take(room).cloned());
    }
}

fn fill<T: Clone>(place: &mut Option<T>, found: &Option<T>) {
    if place.is_none() {
        place.clone_from(found);
    }
}

/// The one file of a kind that is nearer to the root than any other of that kind.
fn nearest<'a>(readings: &'a [Reading], kind: &str) -> Option<&'a Facts> {
    let depth = |reading: &Reading| reading.path.as_str().matches('/').count();
    let of_kind = || readings.iter().filter(|reading| reading.kind == kind);
    let least = of_kind().map(depth).min()?;
    let mut nearest = of_kind().filter(|reading| depth(reading) == least);
    let only = nearest.next()?;
    if nearest.next().is_some() { None } else { only.facts() }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// `stem` without what the converters of `transformers` append to a graph in another precision.
///
/// Source: <https://huggingface.co/docs/transformers.js/guides/dtypes>.
fn precise(stem: &str) -> &str {
    const PRECISIONS: [&str; 8] = ["_bnb4", "_fp16", "_int8", "_q4", "_q4f16", "_q8", "_quantized", "_uint8"];
    let Some(graph) = stem.strip_suffix(".onnx") else { return stem };
    PRECISIONS.into_iter().find_map(|precision| graph.strip_suffix(precision)).unwrap_or(graph)
}

/// `path` without `-00001-of-00003`.
fn stem(path: &str) -> String {
    let five = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    for (at, of) in path.match_indices("-of-") {
        let Some(begin) = at.checked_sub(6) else { continue };
        let end = at + of.len() + 5;
        if let (Some(head), Some(number)) = (path.get(..begin), path.get(begin..at))
            && let (Some(count), Some(tail)) = (path.get(at + of.len()..end), path.get(end..))
            && number.strip_prefix('-').is_some_and(five)
            && five(count)
        {
            return format!("{head}{tail}");
        }
    }
    path.to_owned()
}

#[derive(Debug, Default)]
struct Notes {
    kept: Vec<String>,
    more: usize,
}

impl Notes {
    fn push(&mut self, mut note: String) {
        if self.kept.len() == MOST_NOTES - 1 {
            self.more += 1;
            return;
        }
        if note.chars().nth(LONGEST_NOTE).is_some() {
            note = note.chars().take(LONGEST_NOTE - 1).chain(['…']).collect();
        }
        self.kept.push(note);
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more", self.more));
        }
        self.kept
    }
}
