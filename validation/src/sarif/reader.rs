//! One file: its results, and what keeps it from being complete.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use serde_json::value::RawValue;
use tidegate_registry::Hasher;

use super::{
    log::{Location, Log, Properties, Result as Found, Rule, Run},
    rules::{Rules, severity},
};
use crate::{Issue, Standing, excerpt::excerpt};

/// Longest name of a package that is kept, in characters.
const SHOWN: usize = 300;
/// Packages of a result that are kept.
const MOST_PACKAGES: usize = 100;
/// Things that make a file incomplete that are told.
const TOLD: usize = 5;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Who wrote it, with its version.
    pub(super) tools: Vec<String>,
    /// Why it does not tell everything; complete if there is nothing.
    pub(super) gaps: Vec<String>,
    /// Results looked at.
    pub(super) results: u64,
    /// Its SHA-256, in hex.
    pub(super) digest: String,
}

impl Reading {
    fn gap(&mut self, what: impl AsRef<str>) {
        if self.gaps.len() < TOLD {
            self.gaps.push(excerpt(what.as_ref(), Issue::SHOWN));
        }
    }
}

/// Reads the file at `path`, of at most `largest` bytes, and gives each result that is a finding to `take`, with the packages
/// that it names. Blocking.
pub(super) fn read(
    path: &Path,
    largest: u64,
    new_only: bool,
    take: &mut dyn FnMut(Issue, &[String]),
) -> Reading {
    let mut reading = Reading::default();
    match bytes(path, largest) {
        Ok(bytes) => {
            let mut hasher = Hasher::default();
            hasher.update(&bytes);
            reading.digest = hasher.finish().hex();
            log(&bytes, new_only, &mut reading, take);
        }
        Err(why) => reading.gap(why),
    }
    reading
}

fn bytes(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let unread = |error: io::Error| format!("it cannot be read: {error}; run the scanner first");
    // A pipe or a device might never end, and a pipe to which nobody writes is not even opened.
    if !fs::metadata(path).map_err(unread)?.is_file() {
        return Err("it is no file; name the file that the scanner wrote".to_owned());
    }
    let file = File::open(path).map_err(unread)?;
    let mut bytes = Vec::new();
    file.take(largest.saturating_add(1)).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > largest {
        return Err(format!("it has more than {largest} bytes; raise `largest`"));
    }
    Ok(bytes)
}

fn log(bytes: &[u8], new_only: bool, reading: &mut Reading, take: &mut dyn FnMut(Issue, &[String])) {
    // Some tools of Microsoft write a mark of the byte order.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // What is passed over is not looked at, and JSON is UTF-8 throughout.
    let Ok(text) = std::str::from_utf8(bytes) else {
        return reading.gap("it is not UTF-8, so it is no whole SARIF; run the scanner again");
    };
    let log: Log<'_> = match serde_json::from_str(text) {
        Ok(log) => log,
        Err(error) => return reading.gap(format!("it is no whole SARIF: {error}; run the scanner again")),
    };
    match log.version.as_deref() {
        Some("2.1.0") => {}
        Some(version) => reading.gap(format!("it is SARIF {version}, and 2.1.0 is read")),
        None => reading.gap("it does not say that it is SARIF 2.1.0"),
    }
    if log.inline_external_properties.is_some() {
        reading.gap("it keeps parts of its runs beside them, in `inlineExternalProperties`; have them written into the runs");
    }
    match log.runs {
        Some(runs) if !runs.0.is_empty() => {
            for (n, run) in runs.0.into_iter().enumerate() {
                match serde_json::from_str(run.get()) {
                    Ok(run) => self::run(run, n, new_only, reading, take),
                    Err(error) => reading.gap(format!("runs[{n}] cannot be read: {error}")),
                }
            }
        }
        _ => reading.gap("it has no runs, so nothing was scanned"),
    }
}

fn run(
    run: Run<'_>,
    n: usize,
    new_only: bool,
    reading: &mut Reading,
    take: &mut dyn FnMut(Issue, &[String]),
) {
    let driver = &run.tool.driver;
    let version = driver.semantic_version.as_ref().or(driver.version.as_ref());
    let tool = match version {
        Some(version) => excerpt(&format!("{} {version}", driver.name), SHOWN),
        None => excerpt(&driver.name, SHOWN),
    };
    if !reading.tools.contains(&tool) {
        reading.tools.push(tool.clone());
    }
    for invocation in run.invocations.iter().flat_map(|invocations| &invocations.0) {
        match invocation.execution_successful {
            Some(true) => {}
            Some(false) => reading.gap(format!("{tool} says that it did not succeed")),
            // It has to (§3.20.14).
            None => reading.gap(format!("{tool} does not say whether it succeeded")),
        }
        let notifications =
            [&invocation.tool_execution_notifications, &invocation.tool_configuration_notifications];
        // Its analysis was halted or is incomplete (§3.58.6).
        let errors = notifications.into_iter().flatten().flat_map(|notifications| &notifications.0);
        for error in errors.filter(|notification| notification.level.as_deref() == Some("error")) {
            let message = error.message.as_ref().and_then(|message| message.text.as_deref());
            reading.gap(format!("{tool} notes an error: {}", message.unwrap_or("without a message")));
        }
    }
    let elsewhere = run.external_property_file_references.as_ref().is_some_and(|external| {
        external.results.is_some()
            || external.invocations.is_some()
            || external.driver.is_some()
            || external.extensions.is_some()
    });
    if elsewhere {
        reading.gap(format!("runs[{n}] keeps parts of itself in other files; have it written into one"));
    }
    let Some(results) = &run.results else {
        return reading.gap(format!("runs[{n}] of {tool} has no results, so its scan did not end"));
    };
    let artifacts = run.artifacts.as_ref().map_or(&[][..], |artifacts| &artifacts.0);
    let artifacts: Vec<_> = artifacts
        .iter()
        .map(|artifact| artifact.location.as_ref().and_then(|location| location.uri.as_deref()))
        .collect();
    let rules = Rules::of(&run.tool);
    for (r, result) in results.0.iter().enumerate() {
        reading.results += 1;
        match read_result(result, &rules, &artifacts, new_only, &tool) {
            Ok(Some((issue, packages))) => take(issue, &packages),
            Ok(None) => {}
            Err(error) => reading.gap(format!("runs[{n}].results[{r}] cannot be read: {error}")),
        }
    }
}

/// `None` for what is no finding: what passed, what only informs, and what is gone since the baseline.
fn read_result(
    raw: &RawValue,
    rules: &Rules<'_>,
    artifacts: &[Option<&str>],
    new_only: bool,
    tool: &str,
) -> serde_json::Result<Option<(Issue, Vec<String>)>> {
    let found: Found = serde_json::from_str(raw.get())?;
    let undecided = match found.kind.as_deref() {
        Some("pass" | "notApplicable" | "informational") => return Ok(None),
        Some("open" | "review") => true,
        _ => false,
    };
    if found.baseline_state.as_deref() == Some("absent") {
        return Ok(None);
    }
    let about = rules.about(&found);
    let named = found.rule.as_ref().and_then(|rule| rule.id.as_deref());
    let named = found.rule_id.as_deref().or(named).or_else(|| about.first().map(|rule| &*rule.id));
    let message = found.message.as_ref().and_then(|message| message.text.as_deref());
    let message = message.or_else(|| about.iter().find_map(|rule| description(rule)));
    let standing = match standing(&found, new_only) {
        Some(why) => Standing::Waived(why),
        None if undecided => Standing::Undecided,
        None => Standing::Open,
    };
    let places = found.locations.as_ref().map_or(&[][..], |locations| &locations.0);
    let physical = places.iter().find_map(|place| place.physical_location.as_ref());
    let artifact = physical.and_then(|physical| physical.artifact_location.as_ref());
    let listed = || {
        let index = usize::try_from(artifact?.index?).ok()?;
        *artifacts.get(index)?
    };
    let path = artifact.and_then(|artifact| artifact.uri.as_deref()).or_else(listed);
    let region = physical.and_then(|physical| physical.region.as_ref());
    let packages = packages(&found, places);
    let issue = Issue {
        standing,
        about: about.iter().find_map(|rule| description(rule)).map(|text| excerpt(text, Issue::SHOWN)),
        path: path.map(|path| excerpt(&decoded(path), Issue::SHOWN)),
        line: region.and_then(|region| region.start_line),
        offset: region.and_then(|region| u64::try_from(region.byte_offset?).ok()),
        package: packages.first().cloned(),
        tool: Some(tool.to_owned()),
        ..Issue::new(
            named.unwrap_or("unnamed"),
            severity(&found, &about),
            message.unwrap_or("without a message"),
        )
    };
    Ok(Some((issue, packages)))
}

fn description(rule: &Rule) -> Option<&str> {
    let full = rule.full_description.as_ref().and_then(|full| full.text.as_deref());
    let short = rule.short_description.as_ref().and_then(|short| short.text.as_deref());
    // Trivy's short descriptions are the name once more.
    short.filter(|short| *short != rule.id).or(full).or(short)
}

/// Why a result does not count, if it does not.
fn standing(found: &Found, new_only: bool) -> Option<String> {
    let suppressions = found.suppressions.as_ref().map_or(&[][..], |suppressions| &suppressions.0);
    // One that somebody still looks at, or that was turned down, is none (§3.27.23).
    let holds = |status: Option<&str>| !matches!(status, Some("underReview" | "rejected"));
    if let [first, ..] = suppressions
        && suppressions.iter().all(|suppression| holds(suppression.status.as_deref()))
    {
        let place =
            if first.kind.as_deref() == Some("inSource") { "in the source" } else { "by the scanner" };
        let why = first.justification.as_deref().unwrap_or("no reason is given");
        return Some(excerpt(&format!("suppressed {place}: {why}"), Issue::SHOWN));
    }
    (new_only && found.baseline_state.as_deref() == Some("unchanged"))
        .then(|| "it is in the baseline".to_owned())
}

/// The packages that a result names, in the ways that scanners do.
fn packages(found: &Found, places: &[Location]) -> Vec<String> {
    let mut packages = Vec::new();
    let mut add = |name: &str| {
        let name = excerpt(name, SHOWN);
        if !name.is_empty() && packages.len() < MOST_PACKAGES && !packages.contains(&name) {
            packages.push(name);
        }
    };
    // Trivy: `Package: libssl1.1` in the message, `library/alpine: libssl1.1@1.1.1c-r0` at the location.
    let message = found.message.as_ref().and_then(|message| message.text.as_deref()).unwrap_or_default();
    message.lines().take(20).filter_map(|line| line.strip_prefix("Package: ")).for_each(&mut add);
    let words = |properties: &Properties| [properties.package.0.clone(), properties.package_name.0.clone()];
    found.properties.iter().flat_map(words).flatten().for_each(|name| add(&name));
    for place in places.iter().take(MOST_PACKAGES) {
        for logical in place.logical_locations.iter().flat_map(|logical| &logical.0).take(MOST_PACKAGES) {
            let name = logical.fully_qualified_name.as_deref().or(logical.name.as_deref());
            match (name, logical.kind.as_deref()) {
                (Some(name), _) if name.starts_with("pkg:") => add(of_purl(name)),
                (Some(name), Some("package")) => add(without_version(name)),
                _ => {}
            }
        }
    }
    packages
}

/// The name in `pkg:deb/debian/curl@7.50.3-1?arch=i386` (<https://github.com/package-url/purl-spec>).
fn of_purl(purl: &str) -> &str {
    let path = purl.split(['?', '#']).next().unwrap_or(purl);
    without_version(path.rsplit('/').next().unwrap_or(path))
}

fn without_version(name: &str) -> &str {
    match name.rfind('@') {
        Some(at @ 1..) => &name[..at],
        _ => name,
    }
}

/// A relative URI as a path.
fn decoded(uri: &str) -> String {
    let uri = uri.strip_prefix("file://").unwrap_or(uri);
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let [first, after @ ..] = rest {
        let digits =
            after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        // `from_str_radix` takes a sign.
        let byte = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_without_its_version() {
        assert_eq!(of_purl("pkg:deb/debian/curl@7.50.3-1?arch=i386"), "curl");
        assert_eq!(of_purl("pkg:npm/%40angular/animation@12.3.1"), "animation");
        assert_eq!(without_version("@angular/core@1.0"), "@angular/core");
        assert_eq!(without_version("@angular/core"), "@angular/core");
    }

    #[test]
    fn a_uri_is_decoded_and_what_is_no_escape_stays() {
        assert_eq!(decoded("src/a%20b.py"), "src/a b.py");
        assert_eq!(decoded("100%/a%+1%zz%e2%82%ac"), "100%/a%+1%zz€");
        assert_eq!(decoded("%"), "%");
    }
}
