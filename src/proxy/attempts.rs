//! A request that may be sent more than once: to another key, to another
//! upstream, or, with `[retry]`, to the same one again. Only as long as not one
//! byte of an answer has reached the client.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use http::request::Parts;
use tokio::time::Instant;

use super::backoff::{jittered, unless_draining};
use super::body::Ready;
use super::fault::Fault;
use super::outbound::{Outbound, wants_websocket};
use super::passing::Sent;
use super::places::{Place, Places};
use super::route::Route;
use super::verdict::Trouble;
use super::wire::Wire;
use crate::config::checked::Retry;
use crate::telemetry::bounded::Bounded;
use crate::upstream::{self, Answer, Effort, Failure, Request, Stream};

/// A request on its way from place to place.
struct Errand<'a> {
    outbound: &'a Outbound<'a>,
    /// The client's.
    head: Parts,
    /// None: it streamed through, and is gone.
    body: Option<Ready>,
    retry: Option<&'a Retry>,
    noted: Noted<'a>,
    /// The upstream at which it has a place (`max_running`), and the place: kept
    /// for the next key.
    room: Option<(usize, upstream::Place)>,
    tries: usize,
    /// Upstreams and their keys that were answered with 403.
    forbidden: Vec<(usize, usize)>,
    /// Tries for which there was a wait.
    again: u32,
    /// The last answer that did not help; it is the client's if none does.
    kept: Option<Kept>,
    /// What went wrong last where there was no answer.
    fault: Option<Fault>,
}

/// What a request took, which comes into its record whatever becomes of it: its
/// client may leave at any time.
pub(super) struct Noted<'a> {
    pub(super) effort: Effort,
    wire: &'a Wire,
}

/// An answer, and what is recorded of where it is from.
struct Kept {
    sent: Sent,
    upstream: Bounded,
    key: Option<Bounded>,
}

/// What came of a try.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are answered, and a box would be for each of them"
)]
enum Outcome {
    Answered(Sent),
    Failed(Trouble),
    /// As many requests run there as may.
    Full,
    /// The keys went while it waited for a place there.
    NoKey,
    /// Nothing that another try could help with.
    Hopeless,
}

/// Sends a request until there is an answer to give.
///
/// # Errors
/// There is none: what went wrong last, or that no upstream can be asked.
pub(super) async fn run(
    outbound: &Outbound<'_>,
    head: Parts,
    body: Ready,
    route: Route<'_>,
) -> Result<Sent, Fault> {
    let engine = outbound.engine;
    if let Some(budget) = &engine.budget {
        budget.request(Instant::now());
    }
    let mut errand = Errand {
        outbound,
        head,
        body: Some(body),
        retry: engine.snapshot.config.retry.as_ref(),
        noted: Noted::new(outbound.wire),
        room: None,
        tries: 0,
        forbidden: Vec::new(),
        again: 0,
        kept: None,
        fault: None,
    };
    let mut places = Places::new(engine, route);
    while let Some(mut place) = errand.next(&mut places).await {
        match errand.attempt(&places, &mut place).await? {
            Outcome::Answered(sent) => return Ok(sent),
            Outcome::Failed(trouble) => places.failed(&place, trouble),
            Outcome::Full => places.full(&place),
            Outcome::NoKey => {}
            Outcome::Hopeless => break,
        }
    }
    errand.end(&places)
}

impl<'a> Noted<'a> {
    pub(super) fn new(wire: &'a Wire) -> Self {
        Noted {
            effort: Effort::default(),
            wire,
        }
    }

    fn note(&self) {
        self.wire.note(|record| record.effort(&self.effort));
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.note();
    }
}

impl Errand<'_> {
    /// Where it is sent next, once it may be. None: nowhere.
    async fn next<'p>(&mut self, places: &mut Places<'p>) -> Option<Place<'p>> {
        self.body.as_ref()?;
        if let Some(place) = places.fresh().or_else(|| places.full_before()) {
            return Some(place);
        }
        loop {
            let Some((number, ready_in)) = places.soonest() else {
                return places.last_resort().filter(|_| self.tries == 0);
            };
            if !self.waits(ready_in).await {
                return None;
            }
            if let Some(place) = places.again(number) {
                return Some(place);
            }
        }
    }

    /// Waits for another try, at a place that can be used in `ready_in`. False:
    /// there is none.
    async fn waits(&mut self, ready_in: Duration) -> bool {
        let Some(retry) = self.retry else {
            return false;
        };
        let limit = u32::try_from(retry.attempts).unwrap_or(u32::MAX);
        if self.tries >= retry.attempts || self.again >= limit || ready_in > retry.max_retry_after {
            return false;
        }
        let budget = self.outbound.engine.budget.as_ref();
        if !budget.is_some_and(|budget| budget.spend(Instant::now())) {
            return false;
        }
        let wait = match ready_in {
            Duration::ZERO => jittered(retry.longest(self.again)),
            // Whoever was told the same time shall not come at the same time.
            time => time + jittered(retry.longest(0)),
        };
        self.again += 1;
        // Nothing runs there meanwhile.
        self.room = None;
        self.outbound.wire.note(|record| record.waits());
        unless_draining(self.outbound.wire, wait).await
    }

    /// Takes a place at the upstream, if it has none there. False: there was none.
    async fn enter(&mut self, place: &Place<'_>) -> bool {
        let (way, upstream) = (place.way, place.candidate.upstream);
        if self.room.as_ref().is_some_and(|(at, _)| *at == upstream) {
            return true;
        }
        // Given back before another is waited for.
        self.room = None;
        let (client, wire) = (self.outbound.client, self.outbound.wire);
        match way.room(client, place.waits, wire).await {
            Ok(room) => {
                self.room = room.map(|room| (upstream, room));
                true
            }
            Err(full) => {
                wire.note(|record| {
                    record.event.upstream = Some(Bounded::from(&*way.upstream.name));
                    record.event.key = None;
                });
                self.fault = Some(full);
                false
            }
        }
    }

    async fn attempt(
        &mut self,
        places: &Places<'_>,
        place: &mut Place<'_>,
    ) -> Result<Outcome, Fault> {
        if !self.enter(place).await {
            return Ok(Outcome::Full);
        }
        if !places.choose_key(place) {
            if self.tries == 0 {
                // That another place was full is not what is wrong now.
                self.fault = None;
            }
            return Ok(Outcome::NoKey);
        }
        let (way, log) = (place.way, self.outbound.wire.log());
        let Some(body) = self.take_body() else {
            return Ok(Outcome::Hopeless);
        };
        let (head, candidate) = (self.head.clone(), place.candidate);
        let (request, asks_for_usage) = self
            .outbound
            .request(head, body, candidate, way, place.key)?;
        let lease = way.begin(place.key);
        self.tries += 1;
        self.noted.effort.connect = None;
        let sent = self.send(place, request).await;
        self.noted.note();
        let is_probe = place.probe.is_some();
        let (answer, tunnel) = match sent {
            Ok(sent) => sent,
            Err(failure) => {
                let fault = Fault::upstream(failure, &way.upstream.name);
                way.failed(&fault, is_probe, log);
                let trouble = Trouble::of_failure(&fault, self.retry);
                self.fault = Some(fault);
                return Ok(trouble.map_or(Outcome::Hopeless, Outcome::Failed));
            }
        };
        way.answered(place.key, &answer.head, is_probe, log);
        self.look_at_keys(place, answer.head.status);
        let trouble = Trouble::of_answer(&answer.head, self.retry);
        let mut sent = Sent {
            answer,
            tunnel,
            upstream: place.candidate.upstream,
            asks_for_usage,
            lease: Some(lease),
            room: None,
        };
        Ok(match trouble {
            None => {
                sent.room = self.room.take().map(|(_, room)| room);
                Outcome::Answered(sent)
            }
            Some(trouble) => {
                self.keep(sent, place);
                Outcome::Failed(trouble)
            }
        })
    }

    /// A 403 can be about the request: the model, what it says. It is about the
    /// key only if another one of the same upstream may.
    fn look_at_keys(&mut self, place: &Place<'_>, status: StatusCode) {
        let Some(key) = place.key else {
            return;
        };
        let upstream = place.candidate.upstream;
        if status == StatusCode::FORBIDDEN {
            self.forbidden.push((upstream, key));
        } else if status.as_u16() < 400 {
            let forbidden = self.forbidden.iter();
            for (_, key) in forbidden.filter(|(of, _)| *of == upstream) {
                place
                    .way
                    .set_aside(*key, StatusCode::FORBIDDEN, self.outbound.wire.log());
            }
        }
    }

    async fn send(
        &mut self,
        place: &Place<'_>,
        mut request: Request,
    ) -> Result<(Answer, Option<Box<(Stream, Bytes)>>), Failure> {
        let pool = place.way.pool;
        self.outbound.wire.note(|record| record.waits());
        if wants_websocket(&self.head) {
            let fields = &mut request.head.headers;
            fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            // Boxed, as all that is rare: a future is as large as its largest way.
            let (answer, tunnel) = Box::pin(pool.upgrade(request, &mut self.noted.effort)).await?;
            return Ok((answer, tunnel.map(Box::new)));
        }
        let (outbound, head, body) = (self.outbound, &self.head, &self.body);
        let again = || {
            let body = body.as_ref()?.copy()?;
            let again = outbound.request(head.clone(), body, place.candidate, place.way, place.key);
            Some(again.ok()?.0)
        };
        let effort = &mut self.noted.effort;
        let answer = pool.send(request, Some(&again), effort).await?;
        Ok((answer, None))
    }

    /// The body, and if it can be sent again, one to keep.
    fn take_body(&mut self) -> Option<Ready> {
        let body = self.body.take()?;
        self.body = body.copy();
        Some(body)
    }

    fn keep(&mut self, mut sent: Sent, place: &Place<'_>) {
        // It may be kept for long, and nothing runs with the key meanwhile.
        sent.lease = None;
        sent.answer.body.gather();
        let key = place.way.key(place.key);
        self.kept = Some(Kept {
            sent,
            upstream: Bounded::from(&*place.way.upstream.name),
            key: key.map(|key| Bounded::from(&*key.name)),
        });
    }

    /// What is left when nothing helped.
    fn end(&mut self, places: &Places<'_>) -> Result<Sent, Fault> {
        if let Some(kept) = self.kept.take() {
            self.outbound.wire.note(|record| {
                record.event.upstream = Some(kept.upstream);
                record.event.key = kept.key;
            });
            return Ok(kept.sent);
        }
        Err(self.fault.take().unwrap_or_else(|| match places.lacking() {
            Some((upstream, key)) => Fault::not_configured(upstream, key),
            None => {
                let back_in = places.soonest().map(|(_, wait)| wait);
                Fault::unavailable(&places.why(), back_in.unwrap_or_default())
            }
        }))
    }
}
