//! The way through a file and everything inside it.

use std::{
    collections::BTreeSet,
    fmt,
    io::{self, Read, Write as _},
};

use tempfile::SpooledTempFile;

use super::{
    Content, Detection, Rule, Scanner, Severity, compressed, config, gguf, jinja, keras,
    limits::{Budget, Limit},
    npy, onnx, pickle, python, safetensors, saved_model,
    section::Section,
    seven, tar, zip,
};
use crate::excerpt::excerpt;

/// Bytes of unpacked content that are held in memory before they go to a temporary file.
const IN_MEMORY: usize = 4 << 20;
/// Bytes that may be unpacked whatever the ratio.
const FREE: u64 = 1 << 20;

/// Why a walker stops before the end. What it found before stands.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The source cannot be read: the scan has no result.
    Io(io::Error),
    /// The content costs too much.
    Limit(Limit),
    /// The content is not what its beginning promises, from this offset on.
    Malformed { offset: u64, what: &'static str },
}

/// One scan under way. Walkers are functions of a [`Section`] and of this: they
/// [`report`](Self::report) what they find and hand what is inside to [`nested`](Self::nested) or
/// [`unpack`](Self::unpack).
pub(crate) struct Walk<'s> {
    pub(crate) scanner: &'s Scanner,
    pub(crate) budget: Budget,
    /// Name of the file.
    name: String,
    member: Vec<String>,
    /// Modules of Python that configurations name.
    pub(crate) referred: BTreeSet<String>,
    detections: Vec<Detection>,
    full: bool,
}

impl<'s> Walk<'s> {
    pub(crate) fn new(scanner: &'s Scanner, name: &str) -> Self {
        Self {
            scanner,
            budget: Budget::new(scanner.limits),
            name: name.to_owned(),
            member: Vec::new(),
            referred: BTreeSet::new(),
            detections: Vec::new(),
            full: false,
        }
    }

    /// Scans a whole file.
    pub(crate) fn file(&mut self, section: &mut Section<'_>) -> io::Result<Content> {
        let mut content = Content::Other;
        let walked = self.identify(section).and_then(|found| {
            content = found;
            self.dispatch(found, section)
        });
        match self.settle(walked) {
            Ok(()) => Ok(content),
            Err(Stop::Io(error)) => Err(error),
            Err(stop) => {
                self.report(Rule::LimitReached, None, &stop.to_string());
                Ok(content)
            }
        }
    }

    /// Scans bytes that lie as they are in a container.
    pub(crate) fn nested(&mut self, member: &str, section: &mut Section<'_>) -> Result<(), Stop> {
        self.inside(member, |walk| walk.any(section))
    }

    /// Scans what `unpacked` gives for `packed` bytes of a container.
    pub(crate) fn unpack(&mut self, member: &str, packed: u64, unpacked: &mut dyn Read) -> Result<(), Stop> {
        self.spooled(member, packed, unpacked, |section, walk| walk.any(section))
    }

    /// Lets `scan` read what `unpacked` gives for `packed` bytes of a container. What came out before an
    /// error is read.
    pub(crate) fn spooled(
        &mut self,
        member: &str,
        packed: u64,
        unpacked: &mut dyn Read,
        scan: impl FnOnce(&mut Section<'_>, &mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.inside(member, |walk| {
            let held = walk.budget.held();
            let mut spool = SpooledTempFile::new(IN_MEMORY);
            let filled = walk.fill(&mut spool, packed, unpacked);
            let scanned = walk.settle(filled).and_then(|()| scan(&mut Section::whole(&mut spool)?, walk));
            drop(spool);
            walk.budget.let_go(held);
            scanned
        })
    }

    /// Lets `scan` report as of a member.
    pub(crate) fn inside(
        &mut self,
        member: &str,
        scan: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.budget.member()?;
        let deep = self.member.len() >= usize::from(self.budget.limits.depth);
        self.member.push(excerpt(member, Detection::SHOWN));
        let walked = if deep { Err(Stop::Limit(Limit::Depth)) } else { scan(self) };
        let settled = self.settle(walked);
        self.member.pop();
        settled
    }

    /// Reports something of the severity of its rule.
    pub(crate) fn report(&mut self, rule: Rule, offset: Option<u64>, detail: &str) {
        self.report_as(rule, rule.severity(), offset, detail);
    }

    /// Reports something of another severity than that of its rule.
    pub(crate) fn report_as(&mut self, rule: Rule, severity: Severity, offset: Option<u64>, detail: &str) {
        let found =
            Detection { offset, member: self.member.clone(), ..Detection::new(rule, severity, detail) };
        if self.detections.len() < self.budget.limits.detections.max(1) as usize {
            return self.detections.push(found);
        }
        // The worst are kept: one of least severity makes room.
        self.full = true;
        let least = self.detections.iter_mut().min_by_key(|detection| detection.severity);
        if let Some(least) = least.filter(|least| least.severity < severity) {
            *least = found;
        }
    }

    /// Everything found.
    pub(crate) fn finish(mut self) -> Vec<Detection> {
        for found in &mut self.detections {
            let name = found.member.last().unwrap_or(&self.name);
            let referred = python::stem(name).is_some_and(|stem| self.referred.contains(stem));
            if found.rule == Rule::PythonSource && referred {
                found.severity = Severity::High;
            }
        }
        if self.full {
            let detail = "there are more findings than `detections` allows";
            self.detections.push(Detection::new(Rule::LimitReached, Rule::LimitReached.severity(), detail));
        }
        self.detections
    }

    fn any(&mut self, section: &mut Section<'_>) -> Result<(), Stop> {
        let content = self.identify(section)?;
        self.dispatch(content, section)
    }

    /// What `section` holds, where its beginning does not tell by what it does.
    fn identify(&mut self, section: &mut Section<'_>) -> Result<Content, Stop> {
        let content = Content::of(section)?;
        // The length of a header can be an opcode that reads over it.
        let may_be_pickle = matches!(content, Content::Other | Content::Safetensors);
        if may_be_pickle && pickle::is_headless(section, self)? {
            return Ok(Content::Pickle);
        }
        if content.may_end_as_zip() && zip::is_at_end(section)? {
            return Ok(Content::Zip);
        }
        // A template may begin with any text, and a program too; who runs them looks for them by their names.
        if content.may_end_as_zip() && jinja::is_named(self.name()) {
            return Ok(Content::Jinja);
        }
        if content != Content::Other {
            return Ok(content);
        }
        Ok(if onnx::is_model(section)? {
            Content::Onnx
        } else if saved_model::is_model(section)? {
            Content::SavedModel
        } else if keras::is_hdf5(section)? {
            Content::Hdf5
        } else if python::is_named(self.name()) {
            Content::Python
        } else {
            content
        })
    }

    /// Name of the file or member.
    pub(crate) fn name(&self) -> &str {
        self.member.last().unwrap_or(&self.name)
    }

    /// The one place that says which walker reads what.
    fn dispatch(&mut self, content: Content, section: &mut Section<'_>) -> Result<(), Stop> {
        match content {
            Content::Bzip2
            | Content::Gzip
            | Content::Lz4
            | Content::Lzma
            | Content::Xz
            | Content::Zlib
            | Content::Zstd => compressed::walk(content, section, self),
            Content::Gguf => gguf::walk(section, self),
            Content::Jinja => jinja::walk(section, self),
            Content::Hdf5 => keras::hdf5(section, self),
            Content::JoblibZ => compressed::joblib_z(section, self),
            Content::Json => config::walk(section, self),
            Content::Npy => npy::walk(section, self),
            Content::Onnx => {
                onnx::walk(section, self)?;
                // The fields of the one are unknown to the other.
                if saved_model::is_model(section)? { saved_model::walk(section, self) } else { Ok(()) }
            }
            Content::Other => Ok(()),
            Content::Pickle => pickle::walk(section, self),
            Content::Python => python::walk(self),
            Content::Safetensors => safetensors::walk(section, self),
            Content::SavedModel => saved_model::walk(section, self),
            Content::SevenZip => seven::walk(section, self),
            Content::Tar => tar::walk(section, self),
            Content::Zip => zip::walk(section, self),
        }
    }

    fn fill(
        &mut self,
        spool: &mut SpooledTempFile,
        packed: u64,
        unpacked: &mut dyn Read,
    ) -> Result<(), Stop> {
        let most = packed.saturating_mul(u64::from(self.budget.limits.ratio)).max(FREE);
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0;
        loop {
            let read = match unpacked.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    return Err(Stop::Malformed { offset: total, what: "it does not unpack any further" });
                }
            };
            total += read as u64;
            if total > most {
                return Err(Stop::Limit(Limit::Ratio));
            }
            self.budget.unpack(read as u64)?;
            spool.write_all(&buffer[..read])?;
        }
    }

    /// Turns what stopped a walker into a finding, unless it ends the whole scan.
    fn settle(&mut self, walked: Result<(), Stop>) -> Result<(), Stop> {
        match walked {
            Err(Stop::Limit(limit)) if !limit.ends_all() => {
                self.report(Rule::LimitReached, None, &limit.to_string());
                Ok(())
            }
            Err(Stop::Malformed { offset, what }) => {
                self.report(Rule::Malformed, Some(offset), what);
                Ok(())
            }
            other => other,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
            Self::Malformed { what, .. } => f.write_str(what),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Limit> for Stop {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}
