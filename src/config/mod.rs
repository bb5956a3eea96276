//! The configuration: from what the operator wrote to what the daemon runs on.
//!
//! File, environment and flags become one *written* configuration, in which
//! every value is optional and has its place; the checks make the *checked*
//! one of it, in which nothing can be wrong. `load` does both, at the start
//! and at each reload, and says everything that is wrong at once.
//!
//! Precedence: flags > environment > file > defaults. Knows none of the
//! modules that run on it.

mod base_url;
pub mod checked;
mod credentials;
mod duration;
mod environment;
mod errors;
mod field;
mod file;
mod hiding;
mod limits;
mod listen;
mod log;
mod name;
mod nearest;
mod overrides;
mod place;
mod problem;
mod secret;
mod section;
mod size;
mod source;
mod value;
mod written;

pub use environment::Environment;
pub use errors::Errors;
pub use overrides::Overrides;
