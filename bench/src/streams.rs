//! A client of SSE: many streams open at once, each event checked and its time
//! under way taken, until the upstream ends them all.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::messages::{EVENT_LENGTH, STREAM_END, event_delay_us, request};
use crate::recorded::{Times, say};
use crate::wire::Connection;

/// Streams that open at the same time; more would only wait in the backlog.
const OPENING: usize = 64;

/// How many streams, at what pace, for how long.
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) streams: usize,
    /// Between two events of a stream.
    pub(crate) interval: Duration,
    /// Between the last stream's opening and the measured time.
    pub(crate) settle: Duration,
    pub(crate) measured: Duration,
}

#[derive(Default)]
struct Seen {
    open: usize,
    events: u64,
    delays: Times,
}

/// Says `open` when every stream had its first event, `start` and `end` around
/// the measured time, then waits for the end of every stream and says `done`
/// with the number of events that arrived in all.
pub(crate) async fn measure(plan: Plan) -> io::Result<()> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let all_open = Rc::new(Notify::new());
    let opening = Rc::new(Semaphore::new(OPENING));
    let request: Rc<[u8]> = request(&plan.to.to_string(), Some(plan.interval)).into();
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut clients = JoinSet::new();
            for _ in 0..plan.streams {
                let (seen, all_open) = (Rc::clone(&seen), Rc::clone(&all_open));
                let (opening, request) = (Rc::clone(&opening), Rc::clone(&request));
                let (to, streams) = (plan.to, plan.streams);
                clients.spawn_local(async move {
                    let mut permit = Some(opening.acquire().await.map_err(io::Error::other)?);
                    stream(to, &request, |delay| {
                        let mut seen = seen.borrow_mut();
                        seen.events += 1;
                        seen.delays.add(delay);
                        if permit.take().is_some() {
                            seen.open += 1;
                            if seen.open == streams {
                                all_open.notify_one();
                            }
                        }
                    })
                    .await
                });
            }
            tokio::select! {
                Some(ended) = clients.join_next() => {
                    ended.map_err(io::Error::other)??;
                    return Err(io::Error::other("a stream ended before its time"));
                }
                done = phases(&plan, &all_open, &seen) => done?,
            }
            while let Some(ended) = clients.join_next().await {
                ended.map_err(io::Error::other)??;
            }
            say("done", &[("events", seen.borrow().events)])
        })
        .await
}

/// Opens one stream and reads it to its proper end.
async fn stream(to: SocketAddr, request: &[u8], mut each_event: impl FnMut(u64)) -> io::Result<()> {
    let tcp = TcpStream::connect(to).await?;
    tcp.set_nodelay(true)?;
    let mut connection = Connection::new(tcp);
    connection.send(request).await?;
    let head = connection
        .head()
        .await?
        .ok_or_else(|| io::Error::other("closed before an answer"))?;
    head.must_be_ok()?;
    let mut rest = Vec::with_capacity(EVENT_LENGTH);
    connection
        .body(head.framing()?, |bytes| {
            rest.extend_from_slice(bytes);
            let whole = rest.len() - rest.len() % EVENT_LENGTH;
            for event in rest[..whole].chunks_exact(EVENT_LENGTH) {
                each_event(event_delay_us(event)?);
            }
            rest.drain(..whole);
            Ok(())
        })
        .await?;
    if rest != STREAM_END.as_bytes() {
        return Err(io::Error::other("a stream with a wrong end"));
    }
    Ok(())
}

async fn phases(plan: &Plan, all_open: &Notify, seen: &RefCell<Seen>) -> io::Result<()> {
    all_open.notified().await;
    say("open", &[])?;
    sleep(plan.settle).await;
    let before = {
        let mut seen = seen.borrow_mut();
        seen.delays = Times::default();
        seen.events
    };
    say("start", &[])?;
    let start = Instant::now();
    sleep(plan.measured).await;
    let elapsed = start.elapsed().as_micros() as u64;
    let events = seen.borrow().events - before;
    let (p50, p99) = std::mem::take(&mut seen.borrow_mut().delays).percentiles();
    say(
        "end",
        &[
            ("events", events),
            ("elapsed_us", elapsed),
            ("p50_us", p50),
            ("p99_us", p99),
        ],
    )
}
