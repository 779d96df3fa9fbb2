//! `tidegate policy check SELECTOR --channel C`

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use tidegate::registry::{Cause, Channel, Rule, Selector, Unmet};

use super::words;
use crate::{
    Session,
    answer::{Answer, Status},
    words::{count, plain},
};

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// The channel that it is to be promoted to
    #[arg(long, value_name = "CHANNEL")]
    channel: Channel,
}

impl Check {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        let channel = self.channel;
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let rules =
            registry.channels.policies(model.name()).await?.remove(&channel).unwrap_or_default().rules;
        let unmet = registry.channels.unmet(&model, &channel, &Cause::Promote, session.stamp().at).await?;

        let broken = |rule: &Rule| unmet.iter().find(|unmet| unmet.rule.as_ref() == Some(rule));
        // Content in quarantine breaks no rule of the policy; it is refused before.
        let beyond = unmet.iter().filter(|unmet| unmet.rule.is_none()).map(|unmet| (None, Some(unmet)));
        let each: Vec<_> = beyond.chain(rules.iter().map(|rule| (Some(rule), broken(rule)))).collect();
        let mut lines: Vec<String> = each.iter().map(|(rule, unmet)| line(*rule, *unmet)).collect();
        let (may, status) = match unmet.len() {
            0 => ("may".to_owned(), Status::Done),
            n => (format!("may not, for {}, ", count(n, "reason")), Status::Refused),
        };
        let without = if rules.is_empty() { format!("; {channel} has no policy") } else { String::new() };
        lines.push(format!("{model} {} be promoted to {channel}{without}", may.trim_end()));
        let json = json!({
            "model": model,
            "channel": channel,
            "allowed": unmet.is_empty(),
            "rules": each.iter().map(|(rule, unmet)| document(*rule, *unmet)).collect::<Vec<_>>(),
        });
        Ok(Answer { text: lines.join("\n"), json, status })
    }
}

fn line(rule: Option<&Rule>, unmet: Option<&Unmet>) -> String {
    let rule = rule.map_or_else(|| "not in quarantine".to_owned(), words::rule);
    match unmet {
        None => format!("met    {rule}"),
        Some(Unmet { found, remedy, .. }) => {
            format!("unmet  {rule}\n         found: {}\n         to do: {}", plain(found), plain(remedy))
        }
    }
}

fn document(rule: Option<&Rule>, unmet: Option<&Unmet>) -> Value {
    let (found, remedy) = unmet.map(|unmet| (&unmet.found, &unmet.remedy)).unzip();
    json!({ "rule": rule, "met": unmet.is_none(), "found": found, "remedy": remedy })
}
