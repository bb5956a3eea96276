//! A directory with a configuration, and an environment to read it in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::config::written::Written;
use crate::config::{Config, Environment, Errors, Occasion, Overrides, print, resolve};

/// A directory of one test, removed when it ends.
pub(super) struct House {
    directory: PathBuf,
    pub(super) overrides: Overrides,
    variables: Vec<(String, String)>,
}

impl House {
    /// One without a configuration file.
    pub(super) fn empty() -> House {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upstreamd-config-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        House {
            directory,
            overrides: Overrides::default(),
            variables: Vec::new(),
        }
    }

    /// One with this configuration.
    pub(super) fn with(toml: &str) -> House {
        let mut house = House::empty();
        house.overrides.file = Some(house.write("upstreamd.toml", toml, 0o644));
        house
    }

    /// With an environment variable.
    pub(super) fn set(mut self, name: &str, value: &str) -> House {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a file.
    pub(super) fn file(self, path: &str, content: &str, mode: u32) -> House {
        self.write(path, content, mode);
        self
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    pub(super) fn environment(&self) -> Environment {
        self.variables.iter().cloned().collect()
    }

    pub(super) fn load(&self) -> Result<Config, Errors> {
        self.load_with(&self.overrides)
    }

    pub(super) fn load_with(&self, overrides: &Overrides) -> Result<Config, Errors> {
        self.resolve(overrides, Occasion::Reload)
            .map(|(_, config)| config)
    }

    pub(super) fn load_for(&self, occasion: Occasion) -> Result<Config, Errors> {
        self.resolve(&self.overrides, occasion)
            .map(|(_, config)| config)
    }

    pub(super) fn resolve(
        &self,
        overrides: &Overrides,
        occasion: Occasion,
    ) -> Result<(Written, Config), Errors> {
        let default = self.path("default.toml");
        resolve(overrides, &self.environment(), &default, occasion)
    }

    pub(super) fn print(&self) -> String {
        let resolved = self.resolve(&self.overrides, Occasion::Print);
        let (written, config) = resolved.unwrap();
        print::toml(&written, &config)
    }

    /// All that is wrong, as printed, with this directory called `DIR`.
    pub(super) fn errors(&self) -> String {
        let errors = self.load().expect_err("this configuration is wrong");
        errors
            .to_string()
            .replace(&self.directory.display().to_string(), "DIR")
    }

    fn write(&self, path: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
