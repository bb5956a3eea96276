//! What the two ways of ending have in common: the drain, and the hand-over.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::inbound::{Order, WorkerHandle};

/// How often a drain looks whether all is done: somebody waits for it.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// Sends an order to every worker.
pub(super) fn tell(workers: &[WorkerHandle], order: impl Fn() -> Order) {
    for worker in workers {
        worker.order(order());
    }
}

/// Until no connection is left; looked at each `every`.
pub(super) async fn all_closed(workers: &[WorkerHandle], every: Duration) {
    while workers.iter().any(|worker| worker.connections() > 0) {
        sleep(every).await;
    }
}

/// Which of two came first, and what came of it.
pub(super) enum First<A, B> {
    One(A),
    Other(B),
}

/// The first of two to be there; `one` if both are.
pub(super) async fn first<A, B>(
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> First<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        if let Poll::Ready(one) = one.as_mut().poll(cx) {
            return Poll::Ready(First::One(one));
        }
        other.as_mut().poll(cx).map(First::Other)
    })
    .await
}
