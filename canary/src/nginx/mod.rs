//! An nginx that is reloaded.

mod command;
mod include;
mod router;
mod syntax;

pub use self::router::Nginx;
