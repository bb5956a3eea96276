//! The wait between two tries of one request.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use super::random;
use super::wire::Wire;

/// Any time up to `longest` (full jitter): whoever failed together comes back apart.
pub(super) fn jittered(longest: Duration) -> Duration {
    let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random::number() % nanos.saturating_add(1).max(1))
}

/// Waits; false if a drain began meanwhile, which has no time for that.
pub(super) async fn unless_draining(wire: &Wire, time: Duration) -> bool {
    let mut timer = pin!(sleep(time));
    poll_fn(|cx| match wire.is_draining() {
        true => Poll::Ready(false),
        false => timer.as_mut().poll(cx).map(|()| true),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_anything_up_to_the_longest() {
        let longest = Duration::from_millis(100);
        let waits: Vec<_> = (0..1000).map(|_| jittered(longest)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(waits.iter().any(|wait| *wait < longest / 10));
        assert!(waits.iter().any(|wait| *wait > longest * 9 / 10));
        assert_eq!(jittered(Duration::ZERO), Duration::ZERO);
    }
}
