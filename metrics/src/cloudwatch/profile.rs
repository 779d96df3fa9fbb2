//! The files in which the tools of AWS keep credentials and settings.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::credentials::{Credentials, NoCredentials};

/// One profile, in both files.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    /// Its name, if somebody named one.
    pub(super) name: Option<String>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) config_file: Option<PathBuf>,
}

type Section = BTreeMap<String, Zeroizing<String>>;

/// Ways to credentials that take more than reading a file, by the settings that stand for them.
const ELSEWHERE: [&str; 5] =
    ["role_arn", "sso_session", "sso_start_url", "web_identity_token_file", "login_session"];

impl Profile {
    /// The credentials of this profile, if it has any.
    pub(super) async fn credentials(&self) -> Result<Option<Credentials>, NoCredentials> {
        let (of_credentials, of_config) = (self.section(false).await?, self.section(true).await?);
        if of_credentials.is_none() && of_config.is_none() {
            return match &self.name {
                Some(name) => Err(NoCredentials::Absent(format!(
                    "no file has a profile `{name}`; correct AWS_PROFILE or add the profile"
                ))),
                None => Ok(None),
            };
        }
        let (of_credentials, of_config) = (of_credentials.unwrap_or_default(), of_config.unwrap_or_default());
        let settles = |key: &&&str| of_config.contains_key(**key) || of_credentials.contains_key(**key);
        if let Some(key) = ELSEWHERE.iter().find(settles) {
            return Err(self.not_here(key));
        }
        for section in [&of_credentials, &of_config] {
            if let Some(credentials) = self.keys(section)? {
                return Ok(Some(credentials));
            }
            if section.contains_key("credential_process") {
                return Err(self.not_here("credential_process"));
            }
        }
        Ok(None)
    }

    /// The region of this profile, if it has one.
    pub(super) async fn region(&self) -> Result<Option<String>, NoCredentials> {
        for config in [true, false] {
            let region = self.section(config).await?.and_then(|mut section| section.remove("region"));
            if let Some(region) = region {
                return Ok(Some(region.as_str().to_owned()));
            }
        }
        Ok(None)
    }

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("default")
    }

    fn keys(&self, section: &Section) -> Result<Option<Credentials>, NoCredentials> {
        let value =
            |key: &str| section.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(id), Some(secret)) => {
                let credentials = Credentials::new(id, secret);
                Ok(Some(match value("aws_session_token") {
                    Some(token) => credentials.with_session_token(token),
                    None => credentials,
                }))
            }
            (None, None) => Ok(None),
            _ => Err(NoCredentials::Absent(format!(
                "the profile `{}` has one of aws_access_key_id and aws_secret_access_key; it takes both",
                self.name()
            ))),
        }
    }

    fn not_here(&self, key: &str) -> NoCredentials {
        NoCredentials::Absent(format!(
            "the profile `{}` gets its credentials by `{key}`, which is not supported; pass credentials by \
             cloudwatch::from_fn, or put into the environment what `aws configure export-credentials` prints",
            self.name()
        ))
    }

    async fn section(&self, config: bool) -> Result<Option<Section>, NoCredentials> {
        let path = if config { &self.config_file } else { &self.credentials_file };
        let Some(path) = path else { return Ok(None) };
        match read(path).await {
            Ok(text) => Ok(section(&text, self.name(), config)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(NoCredentials::Absent(format!("{} cannot be read: {error}", path.display()))),
        }
    }
}

pub(super) async fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    const LONGEST: u64 = 1 << 20;
    let mut text = Zeroizing::new(String::new());
    let file = tokio::fs::File::open(path).await?;
    let length = file.take(LONGEST + 1).read_to_string(&mut text).await?;
    if length as u64 > LONGEST {
        return Err(std::io::Error::other("it is longer than 1 MiB; is it another file?"));
    }
    Ok(text)
}

/// The settings under `[name]` or, in a configuration file, under `[profile name]`, the last of each.
fn section(text: &str, name: &str, config: bool) -> Option<Section> {
    let mut found = None::<Section>;
    let mut inside = false;
    for line in text.lines() {
        // An indented line goes on with a nested setting, of which none is of interest.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(title) = line.strip_prefix('[') {
            let title = title.split(']').next().unwrap_or_default().trim();
            inside = names(title, name, config);
            if inside {
                found.get_or_insert_default();
            }
            continue;
        }
        if let (true, Some(section), Some((key, value))) = (inside, &mut found, line.split_once('=')) {
            section.insert(key.trim().to_ascii_lowercase(), Zeroizing::new(uncommented(value).to_owned()));
        }
    }
    found
}

fn names(title: &str, name: &str, config: bool) -> bool {
    let profile = title.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
    match profile {
        Some(rest) if config => rest.trim().trim_matches(['"', '\'']) == name,
        _ => title == name && (!config || name == "default"),
    }
}

/// A comment after a value begins after white space.
fn uncommented(value: &str) -> &str {
    let comment = value.char_indices().find(|(at, c)| {
        matches!(c, '#' | ';') && value[..*at].ends_with(|before: char| before.is_whitespace())
    });
    comment.map_or(value, |(at, _)| &value[..at]).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str, config: bool, key: &str) -> Option<String> {
        section(text, name, config)?.get(key).map(|value| value.as_str().to_owned())
    }

    #[test]
    fn sections_are_found_by_their_title() {
        let text = "a = 0\n[default]\na = 1\n[profile x]\na=2\n[x]\na = 3\n[ profile \"y z\" ]\na = 4\n[profilex]\na = 5";
        for (name, config, expected) in [
            ("default", true, Some("1")),
            ("default", false, Some("1")),
            ("x", true, Some("2")),
            ("x", false, Some("3")),
            ("y z", true, Some("4")),
            ("y", true, None),
            ("profilex", false, Some("5")),
            ("profilex", true, None),
        ] {
            assert_eq!(value(text, name, config, "a").as_deref(), expected, "{name} {config}");
        }
    }

    #[test]
    fn comments_nested_settings_and_damaged_lines_are_passed_over() {
        let text =
            "[default] # here\r\n# a = 1\n;a = 2\na = b#c=d # e\nA_B = 1 ; 2\ns3 =\n  a = 9\nnonsense\n[";
        assert_eq!(value(text, "default", false, "a").unwrap(), "b#c=d");
        assert_eq!(value(text, "default", false, "a_b").unwrap(), "1");
        assert_eq!(value(text, "default", false, "s3").unwrap(), "");
        assert_eq!(section(text, "default", false).unwrap().len(), 3);
        assert_eq!(value("[a]\nk = 1\n[a]\nk = 2", "a", false, "k").unwrap(), "2");
    }
}
