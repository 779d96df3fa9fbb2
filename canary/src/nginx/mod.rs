//! An nginx that is reloaded.

mod include;
mod router;
mod syntax;

pub use self::router::Nginx;
