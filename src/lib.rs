//! placeholder
pub mod config;
pub mod upstream;
