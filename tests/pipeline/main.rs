//! The example `pipeline`, driven as a team would: by its description, its exit status and its documents.

mod described;
#[expect(dead_code, reason = "the tests of the command line look into the registry")]
#[path = "../cli/desk.rs"]
mod desk;
mod driven;
#[path = "../ports/mod.rs"]
mod ports;
#[path = "../../examples/pipeline/progress.rs"]
#[expect(dead_code, reason = "the tests look at how it is folded alone")]
mod progress;
#[path = "../../examples/pipeline/schedule.rs"]
mod schedule;
mod scheduled;
mod signed;
mod whole;
mod workshop;
