//! From what the operator wrote to what the daemon runs on.
//!
//! Fills in the defaults, holds every number against its bounds, loads secrets
//! and certificates. Goes on after an error, so that all of them are seen.

use std::path::Path;
use std::time::Duration;

use super::Occasion;
use super::checked::{Config, Models};
use super::credentials::Credentials;
use super::duration;
use super::limits::Limit;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::size::Size;
use super::written::Written;

mod client;
mod key;
mod listener;
mod models;
mod retry;
mod server;
mod tls;
mod upstream;

pub(super) use server::listen;
pub(super) use tls::resolve;

/// What the checks need beside the configuration itself.
pub(super) struct Surroundings<'e> {
    /// Where secrets are.
    pub(super) credentials: Credentials<'e>,
    /// The directory that relative paths start from.
    pub(super) directory: Option<&'e Path>,
    /// The file that was read.
    pub(super) file: Option<&'e Path>,
    /// What it is all for.
    pub(super) occasion: Occasion,
}

/// The checked configuration, or None with at least one problem collected.
pub(super) fn check(
    written: &Written,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Config> {
    let server = server::check(&written.server, problems);
    let log = server::log(&written.log);
    let retry = retry::check(written.retry.as_ref(), problems);
    let upstreams = upstream::check(written, surroundings, problems);
    let (default_upstream, models) = models(written, problems);
    let clients = client::check(&written.clients, surroundings, problems);
    let listeners = listener::check(&written.listeners, &written.clients, &clients, problems);
    let file = surroundings.file.map(Path::to_owned);
    if !problems.is_empty() {
        return None;
    }
    Some(Config {
        server,
        log,
        retry,
        upstreams,
        default_upstream,
        models,
        clients,
        listeners,
        unread_keys: problems.unread_keys().to_vec(),
        file,
    })
}

/// The place of the default upstream among all, and every model. Takes no
/// secret.
pub(super) fn models(written: &Written, problems: &mut Problems) -> (usize, Models) {
    let default_upstream = models::default_upstream(written, problems);
    let models = models::check(written, default_upstream, problems);
    (default_upstream, models)
}

/// The written value or the default, within its bounds.
fn within<T: Copy + PartialOrd + Shown>(
    written: Option<&At<T>>,
    limit: &Limit<T>,
    key: &str,
    problems: &mut Problems,
) -> T {
    let Some(At { value, place }) = written else {
        return limit.default;
    };
    if *value < limit.least || *value > limit.most {
        let expected = format!("{} to {}", limit.least.shown(), limit.most.shown());
        problems.add(Problem::found(key, place, &value.shown(), &expected));
    }
    *value
}

/// How a value is written.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format!("\"{}\"", duration::to_text(*self))
    }
}

impl Shown for Size {
    fn shown(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Shown for usize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

/// `missing` unless a written value for `key` was refused already.
fn report_missing(key: &str, place: &Place, message: &str, help: &str, problems: &mut Problems) {
    if !problems.has(key) {
        problems.add(Problem::new(key, place, message).help(help));
    }
}
