//! The one record of a finished request.
//!
//! Filled in while the request runs, logged once when its last byte has gone:
//! what an on-call engineer needs to know which client, which model, which
//! upstream, which key, and why. Absent is null, nothing is invented, and there
//! is no field that could hold a key, a prompt or a completion.

use std::fmt;
use std::time::Duration;

use slog::{KV, Level, Logger, Record, Serializer};

use super::bounded::Bounded;
use super::tap::{Observed, Usage};

/// The slog tag of these records, by which a drain knows them.
pub(super) const TAG: &str = "request";

/// Everything that is recorded of a request. None: not known, or never happened.
#[derive(Debug, Clone, Default)]
pub struct RequestEvent {
    /// The id that the upstream got and the client sees.
    pub request_id: Option<Bounded>,
    /// The id that the client had sent.
    pub client_request_id: Option<Bounded>,
    /// The id that the upstream answered with.
    pub upstream_request_id: Option<Bounded>,
    /// The id of the trace that it belongs to (W3C Trace Context).
    pub trace_id: Option<Bounded>,
    /// The client's name in the configuration.
    pub client: Option<Bounded>,
    /// The name of the listener it came in by.
    pub listener: Option<Bounded>,
    /// The client's address.
    pub remote: Option<Bounded>,
    /// The request's method.
    pub method: Option<Bounded>,
    /// The request's path. Never its query, which can carry secrets.
    pub path: Option<Bounded>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// Whether the answer was an event stream.
    pub streaming: Option<bool>,
    /// The model that the client asked for.
    pub model: Option<Bounded>,
    /// The model that the answer named.
    pub upstream_model: Option<Bounded>,
    /// The upstream's name in the configuration.
    pub upstream: Option<Bounded>,
    /// The name of the upstream's key, never the key.
    pub key: Option<Bounded>,
    /// Times the request was sent to an upstream; 0 if it never was.
    pub attempts: u32,
    /// From the request's first byte to the answer's last.
    pub duration: Duration,
    /// From the request's first byte to the answer's first.
    pub ttfb: Option<Duration>,
    /// What a new connection to the upstream took; None on a pooled one.
    pub upstream_connect: Option<Duration>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body that the client took.
    pub bytes_out: u64,
    /// Tokens, as the answer counted them.
    pub usage: Option<Usage>,
    /// Whether an answer that should have counted tokens did not.
    pub missing_usage: Option<bool>,
    /// The upstream's name for the answer.
    pub response_id: Option<Bounded>,
    /// What went wrong, in one word of the design's table of errors.
    pub error_code: Option<&'static str>,
    /// What went wrong, with the address it happened at.
    pub error_message: Option<Bounded<1024>>,
    /// The answer was cut after its first byte.
    pub truncated: bool,
    /// The client left before it had the whole answer.
    pub client_aborted: bool,
    /// What upstreamd itself took of `ttfb`, where an upstream answered. Not
    /// written; metrics have it.
    pub added: Option<Duration>,
    /// Times that it was sent again. Not logged: `attempts` are, which a list of models
    /// has several of.
    pub retries: u32,
    /// Asked by a health check; recorded at debug level, so that a probe every
    /// few seconds does not fill the log. Not written.
    pub is_probe: bool,
    /// Whose fault it was; None: nobody's. Not written, decides name and level.
    pub fault: Option<Fault>,
}

/// Who made a request fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client: a wrong key, a bad request, or it left.
    Client,
    /// The upstream, or the way there.
    Upstream,
    /// upstreamd itself, or its configuration.
    Us,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Completed,
    /// By the client's fault: nothing for the operator to do.
    Refused,
    Failed,
    /// Failed after the first byte, when no status could say so any more.
    Cut,
}

impl RequestEvent {
    /// Takes over what the tap saw.
    pub fn observe(&mut self, observed: &Observed) {
        self.upstream_model.clone_from(&observed.model);
        self.response_id.clone_from(&observed.response_id);
        self.usage = observed.usage;
    }

    /// Records it: `request_completed` (info), `request_failed` (warning, but
    /// info if it was the client's fault) or `streaming_error` (warning).
    pub fn log(&self, logger: &Logger) {
        // The macro wants the level as a constant.
        match self.outcome().level() {
            _ if self.is_probe => slog::debug!(logger, #TAG, "{}", Sentence(self); self),
            Level::Warning => slog::warn!(logger, #TAG, "{}", Sentence(self); self),
            _ => slog::info!(logger, #TAG, "{}", Sentence(self); self),
        }
    }

    fn outcome(&self) -> Outcome {
        match self.fault {
            Some(Fault::Client) => Outcome::Refused,
            None if self.client_aborted => Outcome::Refused,
            None | Some(_) if self.truncated => Outcome::Cut,
            Some(_) => Outcome::Failed,
            None => Outcome::Completed,
        }
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "request_completed",
            Outcome::Refused | Outcome::Failed => "request_failed",
            Outcome::Cut => "streaming_error",
        }
    }

    fn level(self) -> Level {
        match self {
            Outcome::Completed | Outcome::Refused => Level::Info,
            Outcome::Failed | Outcome::Cut => Level::Warning,
        }
    }
}

impl KV for RequestEvent {
    fn serialize(&self, _: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        let usage = self.usage.unwrap_or_default();
        let mut fields = Fields(serializer);
        fields.text("event", Some(self.outcome().name()))?;
        fields.text("request_id", self.request_id.as_deref())?;
        fields.text("client_request_id", self.client_request_id.as_deref())?;
        fields.text("upstream_request_id", self.upstream_request_id.as_deref())?;
        fields.text("trace_id", self.trace_id.as_deref())?;
        fields.text("client", self.client.as_deref())?;
        fields.text("listener", self.listener.as_deref())?;
        fields.text("remote", self.remote.as_deref())?;
        fields.text("method", self.method.as_deref())?;
        fields.text("path", self.path.as_deref())?;
        fields.number("status", self.status.map(u64::from))?;
        fields.flag("streaming", self.streaming)?;
        fields.text("model", self.model.as_deref())?;
        fields.text("upstream_model", self.upstream_model.as_deref())?;
        fields.text("upstream", self.upstream.as_deref())?;
        fields.text("key", self.key.as_deref())?;
        fields.number("attempts", Some(self.attempts.into()))?;
        fields.seconds("duration_s", Some(self.duration))?;
        fields.seconds("ttfb_s", self.ttfb)?;
        fields.seconds("upstream_connect_s", self.upstream_connect)?;
        fields.number("bytes_in", Some(self.bytes_in))?;
        fields.number("bytes_out", Some(self.bytes_out))?;
        fields.number("prompt_tokens", usage.prompt_tokens)?;
        fields.number("completion_tokens", usage.completion_tokens)?;
        fields.number("reasoning_tokens", usage.reasoning_tokens)?;
        fields.number("cached_tokens", usage.cached_tokens)?;
        fields.number("total_tokens", usage.total_tokens)?;
        fields.flag("missing_usage", self.missing_usage)?;
        fields.text("response_id", self.response_id.as_deref())?;
        fields.text("error_code", self.error_code)?;
        fields.text("error_message", self.error_message.as_deref())?;
        fields.flag("truncated", Some(self.truncated))?;
        fields.flag("client_aborted", Some(self.client_aborted))
    }
}

/// Writes fields; those that are absent as none, so that every event has them all.
struct Fields<'a>(&'a mut dyn Serializer);

impl Fields<'_> {
    fn text(&mut self, key: &'static str, value: Option<&str>) -> slog::Result {
        match value {
            Some(text) => self.0.emit_str(key, text),
            None => self.0.emit_none(key),
        }
    }

    fn number(&mut self, key: &'static str, value: Option<u64>) -> slog::Result {
        match value {
            Some(number) => self.0.emit_u64(key, number),
            None => self.0.emit_none(key),
        }
    }

    fn flag(&mut self, key: &'static str, value: Option<bool>) -> slog::Result {
        match value {
            Some(flag) => self.0.emit_bool(key, flag),
            None => self.0.emit_none(key),
        }
    }

    /// In seconds, to the microsecond.
    fn seconds(&mut self, key: &'static str, value: Option<Duration>) -> slog::Result {
        match value {
            Some(time) => self.0.emit_f64(key, time.as_micros() as f64 / 1e6),
            None => self.0.emit_none(key),
        }
    }
}

/// The event for a person: `POST /v1/models 502 in 0.010s: connection refused`.
struct Sentence<'a>(&'a RequestEvent);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        let method = event.method.as_deref().unwrap_or("(no request)");
        write!(f, "{method} {}", event.path.as_deref().unwrap_or("-"))?;
        if let Some(status) = event.status {
            write!(f, " {status}")?;
        }
        if event.outcome() == Outcome::Cut {
            f.write_str(", cut")?;
        }
        write!(f, " in {:.3}s", event.duration.as_secs_f64())?;
        match (event.error_message.as_deref(), event.error_code) {
            (Some(why), _) | (None, Some(why)) => write!(f, ": {why}"),
            (None, None) if event.client_aborted => f.write_str(": the client left"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
