//! Bytes on their way: read and hashed when they are published, verified when they are delivered.

pub(crate) mod blocking;
pub(crate) mod copy;
mod destination;
pub(crate) mod directories;
pub(crate) mod download;
pub(crate) mod hashing;
pub(crate) mod source;
mod staging;
pub(crate) mod verify;
