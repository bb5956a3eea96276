//! Places at an upstream: so many requests may run there at the same time, and
//! more wait for a short while, in a queue that is fair between clients.
//!
//! Shared by all workers and kept over reloads. Who finds a free place takes it
//! by an atomic and no lock; only who has to wait, and whoever leaves while
//! somebody waits, takes one.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Requests that may wait for one upstream; each holds a client's connection
/// and, at worst, a body of `max_body`.
const MOST_WAITING: usize = 1024;

/// The places at one upstream, in a cache line that nothing else shares: those who
/// wait are behind it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Places {
    most: AtomicU32,
    taken: AtomicU32,
    /// How many wait; written under the lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
}

/// One of them, given back when it is dropped.
#[derive(Debug)]
pub struct Place(Option<Arc<Places>>);

/// There was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// None became free in time.
    TooLate,
    /// Too many wait already.
    QueueFull,
}

impl Places {
    /// `most` places, all free.
    pub fn new(most: NonZeroU32) -> Self {
        Places {
            most: AtomicU32::new(most.get()),
            taken: AtomicU32::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::default(),
        }
    }

    /// From now on there are `most`. Who has one keeps it, be it one too many.
    pub fn resize(self: &Arc<Self>, most: NonZeroU32) {
        self.most.store(most.get(), Ordering::SeqCst);
        self.serve();
    }

    /// Places that are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Requests that wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, if there is one and nobody waits.
    pub fn take_now(self: &Arc<Self>) -> Option<Place> {
        // Nobody overtakes those who wait.
        let is_free = self.waiting.load(Ordering::SeqCst) == 0 && self.try_take();
        is_free.then(|| Place(Some(Arc::clone(self))))
    }

    /// A place for a request of `client`, waited for no longer than `patience`.
    ///
    /// # Errors
    /// There is none.
    pub async fn take(
        self: &Arc<Self>,
        client: &str,
        patience: Duration,
    ) -> Result<Place, NoPlace> {
        match self.take_now() {
            Some(place) => Ok(place),
            // Boxed, as all that is rare.
            None => Box::pin(self.wait(client, patience)).await,
        }
    }

    async fn wait(self: &Arc<Self>, client: &str, patience: Duration) -> Result<Place, NoPlace> {
        let (give, given) = oneshot::channel();
        let ticket = self.queue().push(client, give, &self.waiting)?;
        let waiter = Waiter {
            places: self,
            ticket,
        };
        // One may have left before it could see us.
        self.serve();
        let outcome = timeout(patience, given).await;
        drop(waiter);
        match outcome {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(NoPlace::QueueFull),
            Err(_) => Err(NoPlace::TooLate),
        }
    }

    fn try_take(&self) -> bool {
        let most = self.most.load(Ordering::SeqCst);
        let one_more = |taken: u32| (taken < most).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .is_ok()
    }

    /// Gives free places to those who wait. Both sides say first what they do
    /// (leave, wait) and then look for the other, so that one of them sees it.
    fn serve(self: &Arc<Self>) {
        // Dropped after the lock is gone, for it takes it.
        let mut place = None;
        let mut queue = self.queue();
        while self.waiting.load(Ordering::SeqCst) > 0 {
            let one = match place.take() {
                Some(one) => one,
                None if self.try_take() => Place(Some(Arc::clone(self))),
                None => return,
            };
            place = match queue.pop(&self.waiting) {
                // Whoever has left since does not take it; the next one does.
                Some(give) => give.send(one).err(),
                None => Some(one),
            };
        }
        drop(queue);
        drop(place);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that could panic runs under it.
        self.queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.0.take() {
            places.taken.fetch_sub(1, Ordering::SeqCst);
            if places.waiting.load(Ordering::SeqCst) > 0 {
                places.serve();
            }
        }
    }
}

/// A place in the queue, left when it is dropped.
struct Waiter<'a> {
    places: &'a Places,
    ticket: u64,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut queue = self.places.queue();
        queue.remove(self.ticket, &self.places.waiting);
    }
}

/// Those who wait: clients in turn, the requests of each in the order in which
/// they came.
#[derive(Debug, Default)]
struct Queue {
    turns: VecDeque<(Box<str>, Line)>,
    length: usize,
    next: u64,
}

type Give = oneshot::Sender<Place>;

/// Those of one client, by their tickets.
type Line = VecDeque<(u64, Give)>;

impl Queue {
    /// Puts a request of `client` at the end of its client's. If the queue is
    /// full, the last one of the client with the most goes for it.
    fn push(&mut self, client: &str, give: Give, waiting: &AtomicUsize) -> Result<u64, NoPlace> {
        let own = self.turns.iter().position(|(name, _)| **name == *client);
        if self.length >= MOST_WAITING {
            let own = own.map_or(0, |at| self.turns[at].1.len());
            let longest = self.turns.iter_mut().max_by_key(|(_, those)| those.len());
            let (_, those) = longest.ok_or(NoPlace::QueueFull)?;
            if those.len() <= own + 1 {
                return Err(NoPlace::QueueFull);
            }
            those.pop_back();
            self.length -= 1;
        }
        let own = own.unwrap_or_else(|| {
            self.turns.push_back((client.into(), VecDeque::new()));
            self.turns.len() - 1
        });
        self.next += 1;
        self.turns[own].1.push_back((self.next, give));
        self.count(1, waiting);
        Ok(self.next)
    }

    /// The one whose turn it is; its client comes last then.
    fn pop(&mut self, waiting: &AtomicUsize) -> Option<Give> {
        let (client, mut those) = self.turns.pop_front()?;
        let (_, give) = those.pop_front()?;
        if !those.is_empty() {
            self.turns.push_back((client, those));
        }
        self.count(-1, waiting);
        Some(give)
    }

    fn remove(&mut self, ticket: u64, waiting: &AtomicUsize) {
        for at in 0..self.turns.len() {
            let those = &mut self.turns[at].1;
            let Ok(found) = those.binary_search_by_key(&ticket, |(ticket, _)| *ticket) else {
                continue;
            };
            those.remove(found);
            if those.is_empty() {
                self.turns.remove(at);
            }
            self.count(-1, waiting);
            return;
        }
    }

    fn count(&mut self, change: isize, waiting: &AtomicUsize) {
        self.length = self.length.saturating_add_signed(change);
        waiting.store(self.length, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn places(most: u32) -> Arc<Places> {
        Arc::new(Places::new(NonZeroU32::new(most).unwrap()))
    }

    fn push(queue: &mut Queue, client: &str) -> (Result<u64, NoPlace>, oneshot::Receiver<Place>) {
        let (give, given) = oneshot::channel();
        (queue.push(client, give, &AtomicUsize::new(0)), given)
    }

    #[test]
    fn clients_come_in_turn_and_their_requests_in_order() {
        let mut queue = Queue::default();
        let waiting = AtomicUsize::new(0);
        let mut given = Vec::new();
        for client in ["a", "a", "a", "b", "c", "c"] {
            let (ticket, receiver) = push(&mut queue, client);
            given.push((ticket.unwrap(), client, receiver));
        }
        let mut order = String::new();
        while let Some(give) = queue.pop(&waiting) {
            // Whose it is can be told by the one that hears that it is gone.
            drop(give);
            let gone = |receiver: &mut oneshot::Receiver<Place>| {
                matches!(
                    receiver.try_recv(),
                    Err(oneshot::error::TryRecvError::Closed)
                )
            };
            let at = given
                .iter_mut()
                .position(|(_, _, given)| gone(given))
                .unwrap();
            order.push_str(given.remove(at).1);
        }
        assert_eq!(order, "abcaca");
        assert!(queue.turns.is_empty() && queue.length == 0);
    }

    #[test]
    fn a_full_queue_has_room_for_a_client_that_has_less() {
        let mut queue = Queue::default();
        let many: Vec<_> = (0..MOST_WAITING)
            .map(|_| push(&mut queue, "many"))
            .collect();
        assert!(many.iter().all(|(ticket, _)| ticket.is_ok()));
        assert_eq!(push(&mut queue, "many").0, Err(NoPlace::QueueFull));
        assert!(push(&mut queue, "few").0.is_ok());
        let (_, mut last) = many.into_iter().next_back().unwrap();
        assert_eq!(
            last.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Closed
        );
        assert_eq!(queue.length, MOST_WAITING);
    }

    #[test]
    fn no_place_is_lost_between_threads() {
        const MOST: u32 = 3;
        let places = places(MOST);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let places = Arc::clone(&places);
                thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let name = format!("client-{number}");
                        let one = || async {
                            for step in 0..300 {
                                // Every third has so little patience that it leaves.
                                let patience = match step % 3 {
                                    0 => Duration::from_micros(50),
                                    _ => Duration::from_secs(30),
                                };
                                let place = places.take(&name, patience).await;
                                assert!(places.taken() <= MOST);
                                assert!(step % 3 == 0 || place.is_ok(), "{place:?}");
                                tokio::task::yield_now().await;
                            }
                        };
                        tokio::join!(one(), one(), one(), one());
                    });
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!((places.taken(), places.waiting()), (0, 0));
    }
}
