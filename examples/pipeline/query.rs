//! Where metrics are asked for, as the command line has it.

#[path = "../tidegate/query/auth.rs"]
pub(crate) mod auth;
#[expect(dead_code, reason = "the command line shows what was asked and answered")]
#[path = "../tidegate/query/evidence.rs"]
pub(crate) mod evidence;
#[expect(dead_code, reason = "the command line asks sources itself")]
#[path = "../tidegate/query/source.rs"]
pub(crate) mod source;
