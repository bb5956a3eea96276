//! What went wrong, and the one table that says how it is answered.
//!
//! A fault is *what* x *whose* x *retryable* x the address it happened at. No
//! other place chooses a status code, an error code or a `Proxy-Status`.

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;

use crate::config::checked::Upstream;
use crate::telemetry::event::Fault as Blame;
use crate::upstream::{BodyFault, Failure, FailureKind, NoPlace};

/// A request that upstreamd itself has to answer, or cannot answer any more.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// What to tell the client: what happened and what to do.
    pub message: String,
    /// The upstream address it happened at, once one was known.
    pub address: Option<SocketAddr>,
    /// How long the client should wait before it tries again, where that is known.
    pub retry_after: Option<Duration>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No client key, or one that is not known.
    InvalidClientKey,
    /// The request breaks HTTP: its line, a field, its framing.
    Malformed,
    /// A transfer coding other than chunked.
    TransferCoding,
    /// A target that is no path, or leaves the base path.
    BadTarget,
    /// The request line is too long.
    TargetTooLong,
    /// Too many or too large fields.
    HeadTooLarge,
    /// A body that has to be read whole is over `max_body`.
    BodyTooLarge,
    /// A body that has to be JSON is not.
    InvalidJson,
    /// The client may not use this endpoint.
    EndpointNotAllowed,
    /// The client may not use this model.
    ModelNotAllowed,
    /// Only models that are configured may be asked for, and this is none.
    ModelNotFound,
    /// The client is over a limit of its own.
    OverLimit,
    /// Nobody knows how the client stands with its limits, and the operator
    /// wants it refused then.
    LimitsUnknown,
    /// As many requests run at the upstream as may, and it waited in vain.
    UpstreamFull,
    /// The client took too long to send its head or body.
    ClientSlow,
    /// The client left; nobody is there to be answered.
    ClientGone,
    /// The upstream's key is named and not there: it was not set yet.
    NotConfigured,
    /// We are draining and the request cannot be finished.
    Draining,
    /// Every upstream that the request may go to is ejected, or all of its keys
    /// cool down.
    Unavailable,
    /// The upstream failed.
    Upstream(FailureKind),
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The status, RFC 9110.
    pub status: StatusCode,
    /// `error.type` of OpenAI's error body.
    pub kind: &'static str,
    /// `error.code` of OpenAI's error body, and the event's `error_code`.
    pub code: &'static str,
    /// The error type of `Proxy-Status` (RFC 9209, section 2.3).
    pub proxy_error: &'static str,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether the same request may be sent to the upstream again, before a
    /// byte of an answer has reached the client.
    pub retryable: bool,
}

impl Fault {
    /// A fault with a message of its own.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Fault {
            kind,
            message: message.into(),
            address: None,
            retry_after: None,
        }
    }

    /// A request that has to end because the drain is over.
    pub fn draining() -> Self {
        Fault::new(
            FaultKind::Draining,
            "upstreamd is shutting down and waits no longer. Send the request again.",
        )
    }

    /// A request to the upstream named `upstream` whose key named `key` is not
    /// there yet.
    pub(super) fn not_configured(upstream: &str, key: &str) -> Self {
        Fault::new(
            FaultKind::NotConfigured,
            format!(
                "This upstreamd is not configured yet: upstream \"{upstream}\" has no key \"{key}\". Its operator has to run: upstreamd key set {key}"
            ),
        )
    }

    /// No upstream can be asked now, for the reasons in `why`; the first can be in
    /// `back_in`.
    pub(super) fn unavailable(why: &str, back_in: Duration) -> Self {
        let seconds = seconds_up(back_in);
        let message =
            format!("No upstream can be asked now: {why}. Send the request again in {seconds} s.");
        Fault {
            retry_after: Some(back_in),
            ..Fault::new(FaultKind::Unavailable, message)
        }
    }

    /// A request that found no place within `patience` at an upstream at which as
    /// many run as may.
    pub(super) fn upstream_full(upstream: &Upstream, why: NoPlace, patience: Duration) -> Self {
        let name = &upstream.name;
        let why = match why {
            NoPlace::TooLate => format!("none ended within {patience:?}"),
            NoPlace::QueueFull => "too many others wait already".to_owned(),
        };
        Fault::new(
            FaultKind::UpstreamFull,
            format!(
                "Upstream \"{name}\": as many requests run as may, and {why}. Send the request again later, or ask the operator to raise upstream.{name}.max_running."
            ),
        )
    }

    /// Its row in the table.
    pub fn row(&self) -> Row {
        self.kind.row()
    }

    /// A failure of the upstream named `upstream`.
    pub fn upstream(failure: Failure, upstream: &str) -> Self {
        let kind = match failure.kind {
            FailureKind::ClientBody(BodyFault::ClientGone) => FaultKind::ClientGone,
            FailureKind::ClientBody(BodyFault::ClientSlow) => FaultKind::ClientSlow,
            FailureKind::ClientBody(BodyFault::Malformed) => FaultKind::Malformed,
            kind => FaultKind::Upstream(kind),
        };
        let message = match kind {
            FaultKind::Upstream(_) => format!(
                "Upstream \"{upstream}\": {failure}. {}",
                advice(failure.kind)
            ),
            _ => format!(
                "The request's body did not arrive whole: {}.",
                failure.detail
            ),
        };
        Fault {
            kind,
            message,
            address: failure.address,
            retry_after: None,
        }
    }
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::ClientGone => Fault::new(
                FaultKind::ClientGone,
                "The client left in the middle of its request.",
            ),
            BodyFault::ClientSlow => Fault::new(
                FaultKind::ClientSlow,
                "The request's body stopped arriving. Send it without long pauses, or ask the operator to raise server.body_timeout.",
            ),
            BodyFault::Malformed => Fault::new(
                FaultKind::Malformed,
                "The request's body is badly framed (chunked coding, RFC 9112 section 7.1).",
            ),
        }
    }
}

/// Whole seconds that are no shorter, and no less than one.
pub(super) fn seconds_up(time: Duration) -> u64 {
    let whole = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    whole.max(1)
}

/// What a person can do about it.
fn advice(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "Check the host of base_url and the machine's name servers.",
        FailureKind::Refused | FailureKind::Unreachable | FailureKind::ConnectTimeout => {
            "Check base_url, the network and the upstream itself; the request did not reach it and can be sent again."
        }
        FailureKind::HandshakeTimeout | FailureKind::TlsAlert | FailureKind::TlsProtocol => {
            "Check that base_url points at a TLS port and what the upstream asks of its clients; the request did not reach it."
        }
        FailureKind::Certificate => {
            "Its certificate could not be verified: check the host name and the clock, or set ca_file in [upstream.NAME.tls]."
        }
        FailureKind::ResponseTimeout => {
            "Send the request again, or ask the operator to raise response_timeout."
        }
        FailureKind::WriteTimeout | FailureKind::ReadTimeout => {
            "Send the request again, or ask the operator to raise idle_timeout."
        }
        FailureKind::Protocol | FailureKind::HeadTooLarge | FailureKind::Incomplete => {
            "It may have been processed nevertheless; send it again if that does no harm."
        }
        FailureKind::ClientBody(_) => "",
    }
}

impl FaultKind {
    /// The table.
    pub fn row(self) -> Row {
        use Blame::{Client, Upstream, Us};
        use FailureKind as F;
        let row = |status, kind, code, proxy_error, blame, retryable| Row {
            status,
            kind,
            code,
            proxy_error,
            blame,
            retryable,
        };
        let client =
            |status, kind, code| row(status, kind, code, "http_request_error", Client, false);
        let denied = |code| {
            row(
                StatusCode::FORBIDDEN,
                "permission_error",
                code,
                "http_request_denied",
                Client,
                false,
            )
        };
        let refused = |code, error| {
            row(
                StatusCode::BAD_GATEWAY,
                "upstream_error",
                code,
                error,
                Upstream,
                true,
            )
        };
        let broken = |error| {
            row(
                StatusCode::BAD_GATEWAY,
                "upstream_error",
                "upstream_protocol_error",
                error,
                Upstream,
                false,
            )
        };
        let silent = |error, retryable| {
            row(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_error",
                "upstream_timeout",
                error,
                Upstream,
                retryable,
            )
        };
        const INVALID: &str = "invalid_request_error";
        match self {
            FaultKind::InvalidClientKey => row(
                StatusCode::UNAUTHORIZED,
                "authentication_error",
                "invalid_api_key",
                "http_request_denied",
                Client,
                false,
            ),
            FaultKind::Malformed => client(StatusCode::BAD_REQUEST, INVALID, "invalid_request"),
            FaultKind::TransferCoding => client(
                StatusCode::NOT_IMPLEMENTED,
                INVALID,
                "transfer_coding_not_supported",
            ),
            FaultKind::BadTarget => client(StatusCode::BAD_REQUEST, INVALID, "invalid_path"),
            FaultKind::TargetTooLong => client(StatusCode::URI_TOO_LONG, INVALID, "path_too_long"),
            FaultKind::HeadTooLarge => client(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                INVALID,
                "header_too_large",
            ),
            FaultKind::BodyTooLarge => {
                client(StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large")
            }
            FaultKind::InvalidJson => client(StatusCode::BAD_REQUEST, INVALID, "invalid_json"),
            FaultKind::EndpointNotAllowed => denied("endpoint_not_allowed"),
            FaultKind::ModelNotAllowed => denied("model_not_allowed"),
            FaultKind::ModelNotFound => client(StatusCode::NOT_FOUND, INVALID, "model_not_found"),
            FaultKind::OverLimit => row(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                "rate_limit_exceeded",
                "http_request_denied",
                Client,
                false,
            ),
            FaultKind::LimitsUnknown => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "limits_unavailable",
                "proxy_internal_error",
                Us,
                false,
            ),
            FaultKind::UpstreamFull => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_error",
                "upstream_unavailable",
                "connection_limit_reached",
                Upstream,
                true,
            ),
            FaultKind::ClientSlow => {
                client(StatusCode::REQUEST_TIMEOUT, INVALID, "request_timeout")
            }
            // Never sent; 400 stands here only because every row has a status.
            FaultKind::ClientGone => client(StatusCode::BAD_REQUEST, INVALID, "client_aborted"),
            FaultKind::NotConfigured => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "not_configured",
                "proxy_configuration_error",
                Us,
                false,
            ),
            FaultKind::Draining => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "server_error",
                "shutting_down",
                "proxy_internal_response",
                Us,
                true,
            ),
            FaultKind::Unavailable => row(
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_error",
                "upstream_unavailable",
                "destination_unavailable",
                Upstream,
                true,
            ),
            FaultKind::Upstream(failure) => match failure {
                F::Dns => refused("upstream_unreachable", "dns_error"),
                F::Refused => refused("upstream_unreachable", "connection_refused"),
                F::Unreachable => refused("upstream_unreachable", "destination_ip_unroutable"),
                F::Certificate => refused("upstream_tls_error", "tls_certificate_error"),
                F::TlsAlert => refused("upstream_tls_error", "tls_alert_received"),
                F::TlsProtocol => refused("upstream_tls_error", "tls_protocol_error"),
                F::ConnectTimeout | F::HandshakeTimeout => silent("connection_timeout", true),
                F::ResponseTimeout => silent("http_response_timeout", false),
                F::WriteTimeout => silent("connection_write_timeout", false),
                F::ReadTimeout => silent("connection_read_timeout", false),
                F::Protocol => broken("http_protocol_error"),
                F::HeadTooLarge => broken("http_response_header_section_size"),
                F::Incomplete => broken("http_response_incomplete"),
                F::ClientBody(BodyFault::ClientGone) => FaultKind::ClientGone.row(),
                F::ClientBody(BodyFault::ClientSlow) => FaultKind::ClientSlow.row(),
                F::ClientBody(BodyFault::Malformed) => FaultKind::Malformed.row(),
            },
        }
    }
}
