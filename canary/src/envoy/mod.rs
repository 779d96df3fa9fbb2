//! An Envoy that reads its routes from a file.

mod admin;
mod proto;
mod router;
mod table;

pub use self::router::Envoy;
