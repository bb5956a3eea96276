//! What is known about a request once it has passed, and where that is written.
//!
//! It stands beside a request's way, never in it: the [`tap`] looks at answer
//! bytes on their way to the client, the [`event`] is filled in while the
//! request runs and recorded when its last byte has gone, and [`log`] carries
//! it, like every other record, to standard error. Nothing here can delay,
//! change or fail a request: the tap keeps a few KiB and copies nothing else,
//! and a record that finds no room is dropped and counted.
//!
//! Knows [`crate::config`] (the level and the format), and no other module.

pub mod bounded;
pub mod event;
pub mod log;
pub mod message_id;
pub mod metrics;
pub mod tap;
