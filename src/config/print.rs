//! The configuration as TOML: `--print-config`.
//!
//! Every value is there, defaults too, each with a comment that says where it
//! comes from. Key names stay, for they are names; secrets are masked. It can
//! be loaded again in the same surroundings, where it means the same.

use std::fmt::Write;
use std::path::Path;

use super::check;
use super::checked::{Config, ListenAddress, Listeners, Upstream};
use super::duration;
use super::listener::{in_header, requirement_word};
use super::log;
use super::place::{At, Place};
use super::size::Size;
use super::written::{self, Written};

mod model;
mod retry;

/// What stands in place of a secret.
const MASK: &str = "***";

/// The configuration as TOML.
pub(super) fn toml(written: &Written, config: &Config) -> String {
    let mut page = Page::default();
    server(&mut page, &written.server, config);
    page.header("log");
    page.line(
        "format",
        string(log::format_word(config.log.format)),
        of(&written.log.format),
    );
    page.line(
        "level",
        string(log::level_word(config.log.level)),
        of(&written.log.level),
    );
    if let (Some(written), Some(checked)) = (&written.retry, &config.retry) {
        retry::print(&mut page, written, checked);
    }
    let directory = config.file.as_deref().and_then(Path::parent);
    for (written, checked) in written.upstreams.values().zip(&config.upstreams) {
        upstream(&mut page, written, checked, directory);
    }
    for (name, written) in &written.models {
        model::print(&mut page, name, written, &config.upstream().name);
    }
    for (name, written) in &written.clients {
        client(&mut page, name, written);
    }
    for (name, written) in &written.listeners {
        listener(&mut page, name, written, &config.listeners);
    }
    page.0
}

fn client(page: &mut Page, name: &str, written: &written::Client) {
    page.header(&format!("client.{}", in_header(name)));
    if let Some(At { value, place }) = &written.key {
        page.line("key", string(value.name()), Some(place));
    }
    for (word, user) in [("user", &written.user), ("uid", &written.uid)] {
        if let Some(At { value, place }) = user {
            page.line(word, value.0.shown(), Some(place));
        }
    }
    for (word, group) in [("group", &written.group), ("gid", &written.gid)] {
        if let Some(At { value, place }) = group {
            page.line(word, value.0.shown(), Some(place));
        }
    }
    if let Some(At { value, place }) = &written.models {
        let names = value.iter().map(|at| string(&at.value.0));
        page.line("models", array(names), Some(place));
    }
    if let Some(At { value, place }) = &written.endpoints {
        let paths = value.iter().map(|at| string(&at.value.0));
        page.line("endpoints", array(paths), Some(place));
    }
}

fn listener(page: &mut Page, name: &str, written: &written::Listener, checked: &Listeners) {
    page.header(&format!("listener.{}", in_header(name)));
    if let Some(At { value, place }) = &written.clients {
        let names = value.iter().map(|at| string(&at.value.0));
        page.line("clients", array(names), Some(place));
    }
    let requirement = requirement_word(checked.of(name).require_key);
    page.line("require_key", string(requirement), of(&written.require_key));
}

fn server(page: &mut Page, written: &written::Server, config: &Config) {
    let server = &config.server;
    page.header("server");
    let listen = server
        .listen
        .iter()
        .map(|address| string(&address.to_string()));
    page.line("listen", array(listen), of(&written.listen));
    if let Some(path) = &server.admin {
        let address = ListenAddress::Unix(path.clone());
        page.line("admin", string(&address.to_string()), of(&written.admin));
    }
    page.line("workers", server.workers.to_string(), of(&written.workers));
    page.line(
        "max_connections",
        server.max_connections.to_string(),
        of(&written.max_connections),
    );
    page.duration(
        "drain_timeout",
        server.drain_timeout,
        of(&written.drain_timeout),
    );
    page.duration(
        "handover_timeout",
        server.handover_timeout,
        of(&written.handover_timeout),
    );
    page.line("max_body", size(server.max_body), of(&written.max_body));
    page.line(
        "max_header",
        size(server.max_header),
        of(&written.max_header),
    );
    page.duration(
        "header_timeout",
        server.header_timeout,
        of(&written.header_timeout),
    );
    page.duration(
        "body_timeout",
        server.body_timeout,
        of(&written.body_timeout),
    );
    page.duration(
        "keepalive_timeout",
        server.keepalive_timeout,
        of(&written.keepalive_timeout),
    );
    page.duration(
        "write_timeout",
        server.write_timeout,
        of(&written.write_timeout),
    );
    if let Some(At { value, place }) = &written.default_upstream {
        page.line("default_upstream", string(&value.0), Some(place));
    }
    page.line(
        "strict_models",
        server.strict_models.to_string(),
        of(&written.strict_models),
    );
}

fn upstream(
    page: &mut Page,
    written: &written::Upstream,
    upstream: &Upstream,
    directory: Option<&Path>,
) {
    let table = format!("upstream.{}", in_header(&upstream.name));
    page.header(&table);
    page.line(
        "base_url",
        string(&upstream.base_url.to_string()),
        of(&written.base_url),
    );
    // Those that are missing too.
    let keys = written.keys.iter().flat_map(|keys| &keys.value);
    let keys = keys.map(|key| string(key.value.name()));
    page.line("keys", array(keys), of(&written.keys));
    if let Some(user_agent) = &written.user_agent {
        let text = user_agent.value.to_str().unwrap_or_default();
        page.line("user_agent", string(text), of(&written.user_agent));
    }
    page.duration(
        "connect_timeout",
        upstream.connect_timeout,
        of(&written.connect_timeout),
    );
    page.duration(
        "response_timeout",
        upstream.response_timeout,
        of(&written.response_timeout),
    );
    page.duration(
        "idle_timeout",
        upstream.idle_timeout,
        of(&written.idle_timeout),
    );
    page.duration(
        "pool_idle_timeout",
        upstream.pool_idle_timeout,
        of(&written.pool_idle_timeout),
    );
    page.line(
        "pool_max_idle",
        upstream.pool_max_idle.to_string(),
        of(&written.pool_max_idle),
    );
    page.line("http2", upstream.http2.to_string(), of(&written.http2));
    if !written.fields.is_empty() {
        page.header(&format!("{table}.fields"));
    }
    for (name, At { value, place }) in &written.fields {
        let shown = if value.is_sensitive() {
            MASK
        } else {
            value.to_str().unwrap_or(MASK)
        };
        page.line(&string(name.as_str()), string(shown), Some(place));
    }
    page.header(&format!("{table}.tls"));
    let tls = &written.tls;
    page.path("ca_file", tls.ca_file.as_ref(), directory);
    let platform_roots = !upstream.tls.without_platform_roots;
    page.line(
        "platform_roots",
        platform_roots.to_string(),
        of(&tls.platform_roots),
    );
    page.path("client_cert", tls.client_cert.as_ref(), directory);
    page.path("client_key", tls.client_key.as_ref(), directory);
}

/// The TOML so far.
#[derive(Default)]
struct Page(String);

impl Page {
    fn header(&mut self, table: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.push_str(&format!("{gap}[{table}]\n"));
    }

    fn line(&mut self, key: &str, value: String, place: Option<&Place>) {
        let setting = format!("{key} = {value}");
        let origin = match place {
            None | Some(Place::Nowhere) => "default".to_owned(),
            Some(Place::File(_)) => "file".to_owned(),
            Some(Place::Environment(name)) => format!("${name}"),
            Some(Place::Flag(name)) => (*name).to_owned(),
        };
        writeln!(self.0, "{setting:<39} # {origin}").expect("a String takes everything");
    }

    fn duration(&mut self, key: &str, value: std::time::Duration, place: Option<&Place>) {
        self.line(key, string(&duration::to_text(value)), place);
    }

    /// A path, absolute so that the page may be put anywhere.
    fn path(
        &mut self,
        key: &str,
        written: Option<&At<std::path::PathBuf>>,
        directory: Option<&Path>,
    ) {
        let Some(At { value, place }) = written else {
            return;
        };
        let path = check::resolve(value, directory);
        let path = std::path::absolute(&path).unwrap_or(path);
        self.line(key, string(&path.to_string_lossy()), Some(place));
    }
}

fn of<T>(written: &Option<At<T>>) -> Option<&Place> {
    written.as_ref().map(|at| &at.place)
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn size(bytes: usize) -> String {
    string(&Size(bytes).to_string())
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}
