//! An upstream whose TLS cannot be trusted, or does not trust us.

use super::stream;
use crate::refusal::{Verdict, assert_refused};
use crate::support::certs::{Authority, Identity, LOOPBACK_NAMES};
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;

const CERTIFICATE: Verdict = (502, "upstream_tls_error", "tls_certificate_error");

#[test]
fn a_certificate_that_is_expired_self_signed_or_for_another_name_is_a_502() {
    type Make = fn(&Authority) -> Identity;
    let bad: [(Make, &str); 3] = [
        (
            |authority| authority.expired_server(&LOOPBACK_NAMES),
            "expired",
        ),
        (
            |authority| authority.self_signed_server(&LOOPBACK_NAMES),
            "UnknownIssuer",
        ),
        (
            |authority| authority.server(&["elsewhere.test"]),
            "not valid for name",
        ),
    ];
    for (make, word) in bad {
        let authority = Authority::new();
        let identity = make(&authority);
        let upstream = Upstream::with(authority)
            .identity(identity)
            .tls(|_| panic!("no byte of a request goes to a stranger"));
        let daemon = Daemon::before(&upstream);
        let answer = stream(&daemon);
        let event = assert_refused(&daemon, &answer, CERTIFICATE);
        let message = event["error_message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
        assert!(
            message.contains(&upstream.address().to_string()),
            "{message}"
        );
    }
}

#[test]
fn an_upstream_that_wants_a_client_certificate_gets_the_configured_one() {
    let authority = Authority::new();
    let identity = authority.client("upstreamd");
    let upstream = Upstream::with(authority)
        .client_certificate_needed()
        .tls(|conn| {
            assert!(conn.has_client_certificate());
            conn.serve(|conn, _| conn.answer_json(200, "{}"))
        });
    // The default configuration ends in [upstream.test.tls].
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .more_config(&format!(
            "client_cert = \"{}\"\nclient_key = \"{}\"\n",
            identity.certificate_file.display(),
            identity.key_file.display()
        ))
        .start();
    assert_eq!(stream(&daemon).status(), 200);
}

#[test]
fn an_upstream_that_wants_a_client_certificate_and_gets_none_says_so() {
    let upstream = Upstream::with(Authority::new())
        .client_certificate_needed()
        .tls(|_| Ok(()));
    let daemon = Daemon::before(&upstream);
    let answer = stream(&daemon);
    let verdict = (502, "upstream_tls_error", "tls_alert_received");
    let event = assert_refused(&daemon, &answer, verdict);
    let message = event["error_message"].as_str().unwrap();
    assert!(message.contains("CertificateRequired"), "{message}");
}

#[test]
fn an_alert_in_the_handshake_is_a_502() {
    // No protocol in common: the upstream's rustls sends an alert.
    let upstream = Upstream::with(Authority::new())
        .alpn(&["mqtt"])
        .tls(|_| Ok(()));
    let daemon = Daemon::before(&upstream);
    let verdict = (502, "upstream_tls_error", "tls_alert_received");
    assert_refused(&daemon, &stream(&daemon), verdict);
}

#[test]
fn a_port_that_speaks_no_tls_is_a_502() {
    let upstream = Upstream::plain(|conn| {
        conn.write("220 mail.example ESMTP\r\n")?;
        conn.read_to_end().map(drop)
    });
    let url = upstream.base_url().replace("http:", "https:");
    let authority = Authority::new();
    let daemon = Daemon::builder()
        .upstream_at(&url, Some(authority.ca_file()))
        .start();
    let verdict = (502, "upstream_tls_error", "tls_protocol_error");
    assert_refused(&daemon, &stream(&daemon), verdict);
}
