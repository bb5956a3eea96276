//! The promises of the configuration as a whole, on files of a directory.

mod entry;
mod errors;
mod house;
mod models;
mod precedence;
mod printed;
mod secrets;
mod tls;
