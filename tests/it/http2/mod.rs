//! An upstream that speaks HTTP/2 (`http2 = true`).

mod bulk;
mod requests;
mod streams;

use http::HeaderMap;

use crate::support::daemon::Daemon;
use crate::support::http2::Http2Upstream;

/// A daemon with one worker, so one set of connections.
pub(crate) fn before(upstream: &Http2Upstream, settings: &str) -> Daemon {
    Daemon::builder()
        .upstream_at(&upstream.base_url(), upstream.ca_file())
        .server_settings("workers = 1")
        .upstream_settings(&format!("http2 = true\n{settings}"))
        .start()
}

/// The fields of an event stream.
pub(crate) fn events() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("content-type", "text/event-stream".parse().unwrap());
    fields
}
