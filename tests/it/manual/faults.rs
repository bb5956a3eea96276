//! upstreamd(8): the table of errors.

use upstreamd::proxy::FaultKind;
use upstreamd::upstream::{BodyFault, FailureKind as F};

use super::assert_same;
use super::page::{Page, words};

/// Each fault and the one behind it. A new one does not compile until it has a
/// place here.
fn after(kind: FaultKind) -> Option<FaultKind> {
    use FaultKind as K;
    Some(match kind {
        K::InvalidClientKey => K::Malformed,
        K::Malformed => K::TransferCoding,
        K::TransferCoding => K::BadTarget,
        K::BadTarget => K::TargetTooLong,
        K::TargetTooLong => K::HeadTooLarge,
        K::HeadTooLarge => K::BodyTooLarge,
        K::BodyTooLarge => K::InvalidJson,
        K::InvalidJson => K::EndpointNotAllowed,
        K::EndpointNotAllowed => K::ModelNotAllowed,
        K::ModelNotAllowed => K::ModelNotFound,
        K::ModelNotFound => K::ClientSlow,
        K::ClientSlow => K::ClientGone,
        K::ClientGone => K::NotConfigured,
        K::NotConfigured => K::Draining,
        K::Draining => K::Unavailable,
        K::Unavailable => K::Upstream(F::Dns),
        K::Upstream(failure) => K::Upstream(match failure {
            F::Dns => F::Refused,
            F::Refused => F::Unreachable,
            F::Unreachable => F::ConnectTimeout,
            F::ConnectTimeout => F::HandshakeTimeout,
            F::HandshakeTimeout => F::Certificate,
            F::Certificate => F::TlsAlert,
            F::TlsAlert => F::TlsProtocol,
            F::TlsProtocol => F::ResponseTimeout,
            F::ResponseTimeout => F::WriteTimeout,
            F::WriteTimeout => F::ReadTimeout,
            F::ReadTimeout => F::Protocol,
            F::Protocol => F::HeadTooLarge,
            F::HeadTooLarge => F::Incomplete,
            F::Incomplete => F::ClientBody(BodyFault::ClientGone),
            F::ClientBody(BodyFault::ClientGone) => F::ClientBody(BodyFault::ClientSlow),
            F::ClientBody(BodyFault::ClientSlow) => F::ClientBody(BodyFault::Malformed),
            F::ClientBody(BodyFault::Malformed) => return None,
        }),
    })
}

#[test]
fn every_error_is_described_with_status_code_type_and_proxy_status() {
    let items = Page::open("upstreamd.8").section("ERROR CODES").items();
    let described = items.iter().flat_map(|item| {
        let words = words(&item.head, "Cm");
        let [status, code, kind, errors @ ..] = &words[..] else {
            panic!("not STATUS CODE TYPE: {}", item.head)
        };
        let row = [status, code, kind].map(String::from);
        // In events only, so without a Proxy-Status.
        let errors = match errors {
            [] => vec!["-".to_owned()],
            errors => errors.to_vec(),
        };
        errors.into_iter().map(move |error| (row.clone(), error))
    });
    let kinds = std::iter::successors(Some(FaultKind::InvalidClientKey), |kind| after(*kind));
    let table = kinds.map(|kind| {
        let row = kind.row();
        let is_gone = row.code == FaultKind::ClientGone.row().code;
        let (status, error) = match is_gone {
            true => ("-", "-"),
            false => (row.status.as_str(), row.proxy_error),
        };
        let row = [status, row.code, row.kind].map(String::from);
        (row, error.to_owned())
    });
    assert_same("errors", described, table.collect::<Vec<_>>());
}
