//! Texts that name a release: `registry.example/fraud:{version}`.

use tidegate_registry::Invalid;

use crate::Release;

/// A text with places for the parts of a release.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Digest,
    Hex,
    Name,
    Text(String),
    Version,
}

impl Pattern {
    /// Reads `{name}`, `{version}`, `{digest}` (`sha256:…`) and `{hex}` (the digest without its algorithm).
    pub(crate) fn parse(what: &'static str, text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid::new(what, text, why);
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(invalid("leave out blanks and control characters"));
        }
        let this = Self::loose(what, text)?;
        if !this.0.iter().any(|part| matches!(part, Part::Digest | Part::Hex | Part::Version)) {
            return Err(invalid(
                "it is the same for every release; put {version}, {digest} or {hex} into it",
            ));
        }
        Ok(this)
    }

    /// The same, of a text that may hold blanks and may be the same for every release.
    pub(crate) fn loose(what: &'static str, text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid::new(what, text, why);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, behind) = after.split_once('}').ok_or_else(|| invalid("close the `{`"))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match place {
                "digest" => Part::Digest,
                "hex" => Part::Hex,
                "name" => Part::Name,
                "version" => Part::Version,
                _ => return Err(invalid("use {name}, {version}, {digest} and {hex} only")),
            });
            rest = behind;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text for `release`. A `+` in its version becomes `_`, since no tag of an image can hold one.
    pub(crate) fn image(&self, release: &Release) -> String {
        self.fill(release, release.model.version().to_string().replace('+', "_"))
    }

    /// The text for `release`.
    pub(crate) fn text(&self, release: &Release) -> String {
        self.fill(release, release.model.version().to_string())
    }

    fn fill(&self, release: &Release, version: String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Digest => release.digest.to_string(),
            Part::Hex => release.digest.hex(),
            Part::Name => release.model.name().as_str().to_owned(),
            Part::Text(text) => text.clone(),
            Part::Version => version.clone(),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_registry::Digest;

    use super::*;

    #[test]
    fn places_are_filled() {
        let release = Release { model: "fraud@1.4.0+cu12".parse().unwrap(), digest: Digest::of("x") };
        let fill = |text: &str| Pattern::parse("image", text).unwrap().image(&release);
        assert_eq!(fill("r.example/{name}:{version}"), "r.example/fraud:1.4.0_cu12");
        // sha256 of "x", by coreutils' sha256sum.
        let hex = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(fill("r.example/fraud@{digest}"), format!("r.example/fraud@sha256:{hex}"));
        assert_eq!(fill("{hex}"), hex);
        let uri = Pattern::parse("storage", "s3://models/{name}/{version}/").unwrap();
        assert_eq!(uri.text(&release), "s3://models/fraud/1.4.0+cu12/");
    }

    #[test]
    fn what_cannot_be_filled_is_said_at_once() {
        for (text, word) in [
            ("r/fraud:{tag}", "only"),
            ("r/fraud:{version", "close"),
            ("r/fraud:v1", "the same for every release"),
            ("r/{name}", "the same for every release"),
            ("r/fraud: {version}", "blanks"),
        ] {
            let error = Pattern::parse("image", text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("image"), "{error}");
        }
    }
}
