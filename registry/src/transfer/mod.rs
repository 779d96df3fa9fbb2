//! Bytes on their way: read and hashed when they are published, verified when they are delivered.

mod bandwidth;
pub(crate) mod block;
pub(crate) mod blocking;
pub(crate) mod copy;
pub(crate) mod destination;
pub(crate) mod directories;
pub(crate) mod disk;
pub(crate) mod download;
mod fetch;
pub(crate) mod hashing;
pub(crate) mod lane;
pub(crate) mod options;
pub(crate) mod source;
mod staging;
pub(crate) mod verify;
