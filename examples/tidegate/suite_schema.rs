//! `tidegate suite-schema`

use clap::Args;
use tidegate::validation::Suite;

use crate::answer::Answer;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SuiteSchema;

const EXAMPLES: &str = "\
Example:
  tidegate suite-schema > suite.schema.json

Editors check and complete a suite by it: begin a TOML file with
  #:schema suite.schema.json
or a YAML file with
  # yaml-language-server: $schema=suite.schema.json
Whether the fields go together, such as a floor that can be proven, and whether its datasets are as they should be,
`tidegate validate` says.";

impl SuiteSchema {
    pub(crate) fn run(self) -> Answer {
        let schema = Suite::schema();
        Answer::done(format!("{schema:#}"), schema)
    }
}
