//! Starting the daemon: its configuration, credentials, arguments and environment.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::output::Output;
use super::{Daemon, UPSTREAM_KEY};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;

/// A daemon to be started.
pub struct Builder {
    binary: PathBuf,
    wrapper: Vec<OsString>,
    passed: Vec<(String, OwnedFd)>,
    config: Option<String>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Scratch,
    places: Vec<(&'static str, String)>,
}

impl Builder {
    pub(super) fn new() -> Builder {
        let directory = Scratch::new();
        directory.write("credentials/test", UPSTREAM_KEY);
        Builder {
            binary: built_binary(),
            wrapper: Vec::new(),
            passed: Vec::new(),
            config: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            places: vec![("@DIR@", directory.path().display().to_string())],
            directory,
        }
    }

    /// Runs this binary instead of the one that cargo built beside us.
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Builder {
        self.binary = path.into();
        self
    }

    /// Starts it by `wrapper`: a program with its first arguments, which gets
    /// the daemon's command line as its last ones and has to `exec` it.
    pub fn through<S: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = S>) -> Builder {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// Passes a descriptor as systemd does, under `name`; two at most, since
    /// they travel as standard input and output. Standard output is then nowhere.
    pub fn pass(mut self, name: &str, descriptor: impl Into<OwnedFd>) -> Builder {
        self.passed.push((name.to_owned(), descriptor.into()));
        let names: Vec<&str> = self.passed.iter().map(|(name, _)| name.as_str()).collect();
        let moved = ["3<&0", "3<&0 4<&1"][names.len() - 1];
        let script = format!(
            "exec {moved} </dev/null >/dev/null; \
             LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES={} exec \"$@\"",
            names.len(),
            names.join(":")
        );
        self.through(["sh", "-c", &script, "sh"])
    }

    /// Fills in `@UPSTREAM@` and `@CA@` with those of `upstream`; without a
    /// [`Builder::config`], a plain one for it is written.
    pub fn upstream(self, upstream: &Upstream) -> Builder {
        self.upstream_at(&upstream.base_url(), upstream.ca_file())
    }

    /// As [`Builder::upstream`], for an upstream that is not scripted.
    pub fn upstream_at(mut self, base_url: &str, ca_file: Option<PathBuf>) -> Builder {
        let tls = match &ca_file {
            Some(_) => "\n[upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n",
            None => "",
        };
        self.config.get_or_insert_with(|| {
            format!(
                "{SERVER}\n[upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n{tls}"
            )
        });
        self.places.push(("@UPSTREAM@", base_url.to_owned()));
        if let Some(file) = ca_file {
            self.places.push(("@CA@", file.display().to_string()));
        }
        self
    }

    /// The configuration file's text. `@UPSTREAM@`, `@CA@` and `@DIR@` are filled in.
    pub fn config(mut self, text: &str) -> Builder {
        self.config = Some(text.to_owned());
        self
    }

    /// Appends to the configuration file's text, after [`Builder::upstream`].
    pub fn more_config(mut self, text: &str) -> Builder {
        self.config.get_or_insert_default().push_str(text);
        self
    }

    /// More lines in `[server]` of the configuration that [`Builder::upstream`] wrote.
    pub fn server_settings(self, lines: &str) -> Builder {
        self.settings("[server]\n", lines)
    }

    /// More lines in `[upstream.test]` of the configuration that
    /// [`Builder::upstream`] wrote.
    pub fn upstream_settings(self, lines: &str) -> Builder {
        self.settings("[upstream.test]\n", lines)
    }

    /// A credential, in a file of mode 0600 in `$CREDENTIALS_DIRECTORY`.
    pub fn credential(self, name: &str, secret: &str) -> Builder {
        self.directory.write(&format!("credentials/{name}"), secret);
        self
    }

    /// A file beside the configuration, readable by this user only.
    pub fn file(self, name: &str, content: &str) -> Builder {
        self.directory.write(name, content);
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Builder {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of its environment, which is otherwise all but empty.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Builder {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn settings(mut self, section: &str, lines: &str) -> Builder {
        let config = self.config.as_mut().expect("there is a configuration");
        assert!(config.contains(section), "it has a section {section}");
        *config = config.replacen(section, &format!("{section}{lines}\n"), 1);
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Daemon {
        let daemon = self.spawn();
        daemon.wait_event("ready");
        daemon
    }

    /// Starts it and waits for nothing: for starts that are to fail, and for
    /// subcommands. `--config` and `--log-format json` are given only with a
    /// configuration.
    pub fn spawn(self) -> Daemon {
        let mut words = self.wrapper.into_iter();
        let mut command = match words.next() {
            None => Command::new(&self.binary),
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(&self.binary);
                command
            }
        };
        let mut passed = self.passed.into_iter().map(|(_, passed)| passed);
        if let Some(config) = &self.config {
            let config = filled_in(config, &self.places);
            let path = self.directory.write("upstreamd.toml", config);
            command.arg("--config").arg(path);
            command.args(["--log-format", "json"]);
        }
        let mut child = command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .env(
                "CREDENTIALS_DIRECTORY",
                self.directory.path().join("credentials"),
            )
            .envs(crate::support::profile())
            .envs(self.environment)
            .stdin(passed.next().map_or_else(Stdio::null, Stdio::from))
            .stdout(passed.next().map_or_else(Stdio::piped, Stdio::from))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("can't run {}: {error}", self.binary.display()));
        Daemon {
            output: Output::of(&mut child),
            child,
            directory: self.directory,
            places: self.places,
        }
    }
}

/// `[server]` of the configuration that tests get unless they bring their own.
const SERVER: &str = "[server]\nlisten = [\"127.0.0.1:0\", \"unix:@DIR@/upstreamd.sock\"]\n";

/// What cargo built: its own word in integration tests; for the examples, which
/// lie in `examples/` beside it, the sibling.
fn built_binary() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_upstreamd") {
        return PathBuf::from(path);
    }
    let this = std::env::current_exe().unwrap_or_default();
    let built = this
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new(""));
    built.join("upstreamd")
}

/// `config` with its placeholders replaced.
pub(super) fn filled_in(config: &str, places: &[(&'static str, String)]) -> String {
    places
        .iter()
        .fold(config.to_owned(), |text, (place, value)| {
            text.replace(place, value)
        })
}
