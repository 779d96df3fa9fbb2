//! `tidegate plan-schema`

use clap::Args;
use tidegate::canary::plan_file;

use crate::answer::Answer;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanSchema;

const EXAMPLES: &str = "\
Example:
  tidegate plan-schema > plan.schema.json

Editors check and complete a plan by it: begin a YAML file with
  # yaml-language-server: $schema=plan.schema.json
or a TOML file with
  #:schema plan.schema.json
Whether the fields go together, such as weights that must increase, `tidegate rollout start` says.";

impl PlanSchema {
    pub(crate) fn run(self) -> Answer {
        let schema = plan_file::schema();
        Answer::done(format!("{schema:#}"), schema)
    }
}
