//! What the command line says about the configuration.

use std::path::PathBuf;

use super::checked::{BaseUrl, ListenAddress, LogFormat, LogLevel};
use super::place::{At, Place};
use super::problem::Problems;
use super::written::Written;

/// Flags that stand above environment and file. Kept for the life of the
/// process: a reload puts them over the new file again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`: the file to read.
    pub file: Option<PathBuf>,
    /// `--listen`, each time it was given. Empty: not said.
    pub listen: Vec<ListenAddress>,
    /// `--base-url` of the one upstream.
    pub base_url: Option<BaseUrl>,
    /// `--log-format`
    pub log_format: Option<LogFormat>,
    /// `--log-level`
    pub log_level: Option<LogLevel>,
}

impl Overrides {
    /// Puts them over what file and environment say.
    pub(super) fn apply(&self, written: &mut Written, problems: &mut Problems) {
        if !self.listen.is_empty() {
            let place = Place::Flag("--listen");
            let each = self
                .listen
                .iter()
                .map(|address| At::new(address.clone(), place.clone()));
            written.server.listen = Some(At::new(each.collect(), place.clone()));
        }
        if let Some(format) = self.log_format {
            written.log.format = Some(At::new(format, Place::Flag("--log-format")));
        }
        if let Some(level) = self.log_level {
            written.log.level = Some(At::new(level, Place::Flag("--log-level")));
        }
        if let Some(base_url) = &self.base_url {
            let place = Place::Flag("--base-url");
            if let Some(upstream) = written.the_upstream("upstream.base_url", &place, problems) {
                upstream.base_url = Some(At::new(base_url.clone(), place));
            }
        }
    }
}
