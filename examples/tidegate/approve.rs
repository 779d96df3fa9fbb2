//! `tidegate approve SELECTOR`

use anyhow::Result;
use clap::Args;
use tidegate::registry::{Approval, Decision, Error, Selector};

use crate::{Session, answer::Answer, attest::recorded, failure::Failure, words::plain};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Approve {
    /// Which version: NAME@1.4.0, NAME@^1.2, NAME@latest or NAME:CHANNEL
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// What you looked at
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Take an approval of yours back
    #[arg(long)]
    withdraw: bool,
}

const EXAMPLES: &str = "\
Examples:
  tidegate approve fraud-scorer@1.4.0 --comment \"read the report, tried ten payments\"
  tidegate approve fraud-scorer@1.4.0 --withdraw --comment \"the report was of 1.3\"

The policy of a channel can ask for approvals by different people; that of whoever published the version
does not count. It goes by the name in --by, and of each by the last word.";

impl Approve {
    pub(crate) async fn run(self, session: &Session) -> Result<Answer> {
        if session.is_nobody() {
            let why = "an approval needs a name; say with --by whose it is";
            return Err(Failure::Misused(why.to_owned()).into());
        }
        let registry = session.location()?.open().await?;
        let model = registry.resolve(&self.selector).await?;
        let published = registry.published(&model).await?;
        let decision = if self.withdraw { Decision::Reject } else { Decision::Approve };
        let comment = self.comment.unwrap_or_default();
        let attestation =
            Approval { stamp: session.stamp(), decision, comment }.attestation().map_err(Error::from)?;
        registry.attestations.attest(&model, attestation.clone()).await?;

        let mut answer = recorded(&model, &attestation);
        let done = if self.withdraw { "withdrew the approval of" } else { "approved of" };
        answer.text = format!("{} {done} {model}", plain(&attestation.stamp.by));
        let counts = published.stamp.by != attestation.stamp.by;
        if !counts && !self.withdraw {
            answer.text.push_str(", which no policy counts: the same person published it");
        }
        answer.json["counts"] = counts.into();
        Ok(answer)
    }
}
