//! What can go wrong between us and the upstream.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use super::BodyFault;

/// A request that the upstream did not answer, or an answer that broke off.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// The address it happened at, once one was known.
    pub address: Option<SocketAddr>,
    /// The cause in words, for the event; never a secret, never content.
    pub detail: String,
}

/// What happened. `proxy::fault` maps each to a status, a code and the
/// RFC 9209 error type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The host name has no address, or no name server answered.
    Dns,
    /// The host answered that nobody listens.
    Refused,
    /// No route, network down, or another error of connect(2).
    Unreachable,
    /// No TCP connection within `connect_timeout`.
    ConnectTimeout,
    /// TCP stood, the TLS handshake did not end within `connect_timeout`.
    HandshakeTimeout,
    /// The certificate is expired, unknown, revoked or for another name.
    Certificate,
    /// The upstream ended the handshake with an alert.
    TlsAlert,
    /// Anything else in the handshake.
    TlsProtocol,
    /// No answer within `response_timeout` after the request's last byte.
    ResponseTimeout,
    /// The upstream took no byte of the request's body for `idle_timeout`.
    WriteTimeout,
    /// No byte of the answer's body for `idle_timeout`.
    ReadTimeout,
    /// What came is no HTTP answer.
    Protocol,
    /// The answer's head is larger than our limit.
    HeadTooLarge,
    /// The connection ended before the answer did.
    Incomplete,
    /// The client's body failed on its way; the upstream is not to blame.
    ClientBody(BodyFault),
}

impl Failure {
    pub(super) fn new(
        kind: FailureKind,
        address: Option<SocketAddr>,
        detail: impl Into<String>,
    ) -> Self {
        Failure {
            kind,
            address,
            detail: detail.into(),
        }
    }

    /// Reads an error of hyper's client side.
    pub(super) fn from_hyper(error: &hyper::Error, address: SocketAddr) -> Self {
        let kind = if let Some(fault) = body_fault(error) {
            FailureKind::ClientBody(fault)
        } else if refuses_our_certificate(error) {
            FailureKind::TlsAlert
        } else if error.is_parse_too_large() {
            FailureKind::HeadTooLarge
        } else if error.is_parse() {
            FailureKind::Protocol
        } else if error.is_incomplete_message()
            || is_io(error)
            || error.is_closed()
            || error.is_canceled()
        {
            FailureKind::Incomplete
        } else {
            FailureKind::Protocol
        };
        Failure::new(kind, Some(address), chain(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        if let Some(address) = self.address {
            write!(f, " (at {address})")?;
        }
        Ok(())
    }
}

impl Error for Failure {}

/// An error and its sources, joined by `: `, repetitions left out.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = inner.source();
    }
    text
}

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

fn body_fault(error: &hyper::Error) -> Option<BodyFault> {
    sources(error).find_map(|error| error.downcast_ref::<BodyFault>().copied())
}

/// TLS 1.3 ends the handshake for us before the peer has looked at our
/// certificate, so what it thinks of it comes in place of an answer (RFC 8446,
/// section 4.4.2.4).
fn refuses_our_certificate(error: &hyper::Error) -> bool {
    use rustls::AlertDescription as Alert;
    sources(error)
        .filter_map(|error| error.downcast_ref::<std::io::Error>()?.get_ref())
        .any(|inner| {
            matches!(
                inner.downcast_ref::<rustls::Error>(),
                Some(rustls::Error::AlertReceived(
                    Alert::CertificateRequired
                        | Alert::BadCertificate
                        | Alert::UnsupportedCertificate
                        | Alert::CertificateRevoked
                        | Alert::CertificateExpired
                        | Alert::CertificateUnknown
                        | Alert::UnknownCA
                        | Alert::AccessDenied
                ))
            )
        })
}

fn is_io(error: &hyper::Error) -> bool {
    sources(error).any(|error| error.is::<std::io::Error>())
}
