//! What people see of a running daemon: `upstreamd status`, a page, and
//! `upstreamd top`, which is drawn again and again.
//!
//! Both show what `GET /status` on the admin socket says ([`Overview`](crate::admin::Overview)); `top`
//! shows what changed from one look to the next. Clients choose names of models,
//! so no text gets to a terminal but through `text`. There is no colour.

mod frame;
mod keyboard;
mod page;
mod rates;
mod tables;
mod text;
mod top;
mod words;

use std::path::PathBuf;

use crate::ask;
use crate::cli::Failed;

pub use top::top;

/// How the daemon is whose admin socket is at `admin`, for a person.
///
/// # Errors
/// Nobody says (69).
pub fn status(admin: Option<PathBuf>) -> Result<String, Failed> {
    let overview = ask::overview(&ask::admin_socket(admin))?;
    Ok(page::page(&overview))
}
