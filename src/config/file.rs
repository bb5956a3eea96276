//! The configuration file: found, read, and understood as far as it goes.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::environment::Environment;
use super::errors::Errors;
use super::field::{self, FieldValue};
use super::hiding;
use super::listener::ListenerName;
use super::model::ModelName;
use super::name::Name;
use super::overrides::Overrides;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::section::Section;
use super::source::Source;
use super::written::{Client, KeySource, Listener, Log, Retry, Server, Upstream, Written};

mod model;

/// Read if it is there and no other is named.
pub(super) const DEFAULT_PATH: &str = "/etc/upstreamd/upstreamd.toml";

/// Of a configuration file; a thousand times what one needs.
const MOST_BYTES: u64 = 1024 * 1024;

/// Errors of TOML shown at most: a lost bracket makes one of every line behind it.
const MOST_SYNTAX_ERRORS: usize = 3;

/// The configuration file: the one that a flag names, or the environment, or
/// `default` if it exists.
///
/// # Errors
/// A named file is missing, or the file can't be read or isn't text.
pub(super) fn find(
    overrides: &Overrides,
    environment: &Environment,
    default: &Path,
) -> Result<Option<Source>, Errors> {
    let (path, named_by) = if let Some(path) = &overrides.file {
        (path.clone(), Some("the command line"))
    } else if let Some(path) = environment.path("UPSTREAMD_CONFIG") {
        (path, Some("UPSTREAMD_CONFIG"))
    } else {
        (default.to_owned(), None)
    };
    match read_bounded(&path) {
        Ok(bytes) if bytes.len() as u64 > MOST_BYTES => Err(Errors::of_file(
            &path,
            "the configuration file is larger than 1 MiB".to_owned(),
            "is it the right file?",
        )),
        Ok(bytes) => text(path, bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound && named_by.is_none() => Ok(None),
        Err(error) => {
            let help = match named_by {
                Some(who) => format!("{who} names this file; it has to exist and be readable"),
                None => "it exists and has to be readable".to_owned(),
            };
            Err(Errors::of_file(
                &path,
                format!("can't read the configuration file: {error}"),
                &help,
            ))
        }
    }
}

/// A little more than is allowed, at most.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the file says. Collects what is wrong in it.
///
/// # Errors
/// It isn't TOML: every place where it isn't. Its values aren't looked at then,
/// for a lost bracket or header would make errors of right ones.
pub(super) fn read(source: &mut Source, problems: &mut Problems) -> Result<Written, Errors> {
    let mut written = Written::default();
    let text = source.text().to_owned();
    let (table, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        let mut problems = Problems::default();
        let mut line = 0;
        for error in errors {
            let end = text.trim_end().len();
            let span = error.span().unwrap_or(end..end);
            // One a line and a few in all: most follow from those before them.
            let this_line = source.snippet(&span).line;
            if this_line > line && problems.count() < MOST_SYNTAX_ERRORS {
                line = this_line;
                let message = format!("not TOML: {}", error.message());
                let problem = Problem::new("", &Place::File(span), message);
                problems.add(match is_about_a_bare_word(error.message()) {
                    true => problem.help("words, durations, sizes and addresses stand in quotes"),
                    false => problem,
                });
            }
        }
        return Err(Errors::new(problems, Some(source)));
    }
    source.parsed(table.get_ref());
    let mut root = Section::root(table.get_ref(), problems);
    root.take_table("server", |section| written.server = server(section));
    root.take_table("log", |section| written.log = log(section));
    root.take_table("retry", |section| written.retry = Some(retry(section)));
    root.take_named::<Name>("upstream", |name, place, section| {
        written.upstreams.insert(name, upstream(place, section));
    });
    root.take_named::<ModelName>("model", |name, place, section| {
        written.models.insert(name, model::read(place, section));
    });
    root.take_named::<Name>("client", |name, place, section| {
        written.clients.insert(name, client(place, section));
    });
    root.take_named::<ListenerName>("listener", |name, _, section| {
        let listener = Listener {
            clients: section.take_all("clients"),
            require_key: section.take("require_key"),
        };
        written.listeners.insert(name, listener);
    });
    root.finish();
    Ok(written)
}

fn text(path: PathBuf, bytes: Vec<u8>) -> Result<Source, Errors> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(path, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..valid]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            let message = format!("line {line} of the configuration file is not UTF-8");
            Err(Errors::of_file(
                &path,
                message,
                "TOML is UTF-8: save the file as that",
            ))
        }
    }
}

/// Whether an error of the TOML parser is what a text without quotes gets: it
/// is taken for a number, a date or one of the few bare words.
fn is_about_a_bare_word(message: &str) -> bool {
    [
        "invalid float",
        "invalid integer",
        "invalid datetime",
        "string values must be quoted",
    ]
    .iter()
    .any(|beginning| message.starts_with(beginning))
}

fn server(section: &mut Section<'_, '_>) -> Server {
    Server {
        listen: section.take_one_or_all("listen"),
        admin: section.take("admin"),
        workers: section.take("workers"),
        max_connections: section.take("max_connections"),
        drain_timeout: section.take("drain_timeout"),
        handover_timeout: section.take("handover_timeout"),
        max_body: section.take("max_body"),
        max_header: section.take("max_header"),
        header_timeout: section.take("header_timeout"),
        body_timeout: section.take("body_timeout"),
        keepalive_timeout: section.take("keepalive_timeout"),
        write_timeout: section.take("write_timeout"),
        default_upstream: section.take("default_upstream"),
        strict_models: section.take("strict_models"),
    }
}

fn log(section: &mut Section<'_, '_>) -> Log {
    Log {
        format: section.take("format"),
        level: section.take("level"),
    }
}

fn retry(section: &mut Section<'_, '_>) -> Retry {
    Retry {
        attempts: section.take("attempts"),
        statuses: section.take_all("statuses"),
        backoff: section.take("backoff"),
        max_backoff: section.take("max_backoff"),
        max_retry_after: section.take("max_retry_after"),
        budget: section.take("budget"),
    }
}

fn upstream(place: Place, section: &mut Section<'_, '_>) -> Upstream {
    let mut upstream = Upstream {
        base_url: section.take("base_url"),
        keys: section
            .take_all::<Name>("keys")
            .map(|keys| At::new(keys.value.into_iter().map(named).collect(), keys.place)),
        user_agent: section.take("user_agent"),
        connect_timeout: section.take("connect_timeout"),
        response_timeout: section.take("response_timeout"),
        idle_timeout: section.take("idle_timeout"),
        pool_idle_timeout: section.take("pool_idle_timeout"),
        pool_max_idle: section.take("pool_max_idle"),
        http2: section.take("http2"),
        ..Upstream::new(place)
    };
    section.take_table("fields", |section| upstream.fields = fields(section));
    section.take_table("tls", |section| {
        upstream.tls.ca_file = section.take("ca_file");
        upstream.tls.platform_roots = section.take("platform_roots");
        upstream.tls.client_cert = section.take("client_cert");
        upstream.tls.client_key = section.take("client_key");
    });
    upstream
}

fn client(place: Place, section: &mut Section<'_, '_>) -> Client {
    Client {
        place,
        key: section.take::<Name>("key").map(named),
        user: section.take("user"),
        uid: section.take("uid"),
        group: section.take("group"),
        gid: section.take("gid"),
        models: section.take_all("models"),
        endpoints: section.take_all("endpoints"),
    }
}

fn named(name: At<Name>) -> At<KeySource> {
    At::new(KeySource::Named(name.value), name.place)
}

fn fields(section: &mut Section<'_, '_>) -> Vec<(http::HeaderName, At<http::HeaderValue>)> {
    let mut fields: Vec<(http::HeaderName, At<http::HeaderValue>)> = Vec::new();
    for (key, value) in section.take_rest::<FieldValue>() {
        let path = section.path_of(&key.value);
        let name = match field::name(&key.value) {
            Ok(name) => name,
            Err((message, help)) => {
                section.complain(Problem::new(path, &key.place, message).help(help));
                continue;
            }
        };
        if fields.iter().any(|(other, _)| *other == name) {
            let help = "names of fields are the same in upper and lower case";
            section.complain(Problem::new(path, &key.place, "set twice").help(help));
            continue;
        }
        let mut secret = value.value.0;
        secret.set_sensitive(hiding::names_a_secret(name.as_str()));
        fields.push((name, At::new(secret, value.place)));
    }
    fields
}
