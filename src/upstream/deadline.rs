//! The wait for an answer's head.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::FailureKind;
use super::request::{Upload, UploadState};
use crate::config::checked;

/// Runs `exchange` until the upstream has been silent for too long: after the
/// request's last byte for `response_timeout`, before it for `idle_timeout`.
/// While it is the client that has to send, only the client's timeout runs.
pub(super) async fn within<T>(
    upstream: &checked::Upstream,
    upload: &Upload,
    mut exchange: Pin<&mut impl Future<Output = T>>,
) -> Result<T, FailureKind> {
    // A body that was read before is whole since then; what it took to connect
    // since is no silence of the upstream's.
    let began = Instant::now();
    let since = || upload.since.get().map_or(began, |since| since.max(began));
    let due = || match upload.state.get() {
        UploadState::Done => since() + upstream.response_timeout,
        UploadState::Sending => since() + upstream.idle_timeout,
        UploadState::AwaitingClient => Instant::now() + upstream.idle_timeout,
    };
    let mut timer = pin!(sleep_until(due()));
    poll_fn(|cx| {
        if let Poll::Ready(done) = exchange.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        // The timer is only ever moved when it rings or is set too late:
        // progress costs nothing.
        if due() < timer.deadline() {
            timer.as_mut().reset(due());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if due() <= Instant::now() {
                return Poll::Ready(Err(match upload.state.get() {
                    UploadState::Done => FailureKind::ResponseTimeout,
                    _ => FailureKind::WriteTimeout,
                }));
            }
            timer.as_mut().reset(due());
        }
        Poll::Pending
    })
    .await
}
