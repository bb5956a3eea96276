//! From the first try of a request to its last. It may be sent more than once: with
//! another key, to another upstream, or, with `[retry]`, to the same one again. Only as
//! long as not one byte of an answer has reached the client.

use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderValue};
use http::request::Parts;

use super::attempt::{Attempt, Noted, Spare};
use super::backoff::{jittered, unless_draining};
use super::body::Ready;
use super::fault::Fault;
use super::outbound::{Outbound, wants_websocket};
use super::passing::Sent;
use super::places::{Place, Places};
use super::route::Route;
use super::verdict::Trouble;
use crate::config::checked::Retry;
use crate::telemetry::bounded::Bounded;
use crate::upstream::{self, Request};

/// A request that goes on from place to place, since one did not do.
struct Errand<'a> {
    outbound: &'a Outbound<'a>,
    /// None: its body streamed through, and is gone.
    spare: Option<Spare>,
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

/// An answer, and what is recorded of where it is from.
struct Kept {
    sent: Sent,
    upstream: Bounded,
    key: Option<Bounded>,
}

/// What is to be done after a try.
#[expect(
    clippy::large_enum_variant,
    reason = "it is made and taken apart in the same breath"
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

/// Sends a request until there is an answer to give. Nearly all are done with the
/// first try, which therefore comes before all that is needed for a second.
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
        budget.request();
    }
    let mut places = Places::new(engine, route);
    let mut noted = Noted::new(outbound.wire);
    let first = match wants_websocket(&head) {
        false => places.first(outbound),
        true => None,
    };
    let Some((attempt, room)) = first else {
        let errand = Errand::new(outbound, Some(Spare { head, body }), noted);
        return Box::pin(errand.run(places)).await;
    };
    let pool = attempt.way.pool;
    let is_spared = places.may_go_on() || pool.may_ask_again();
    let spare = is_spared.then(|| Spare::of(&head, &body)).flatten();
    let again = || attempt.again(spare.as_ref()?);
    let (request, begun) = attempt.begin(head, body)?;
    let outcome = pool.send(request, &again, &mut noted.effort).await;
    noted.note();
    let goes_on = spare.is_some() && places.may_go_on();
    let (outcome, trouble) = attempt.end(outcome, begun, goes_on);
    let Some(trouble) = trouble else {
        return outcome.map(|sent| Sent { room, ..sent });
    };
    let mut errand = Errand::new(outbound, spare, noted);
    errand.room = room.map(|room| (attempt.candidate.upstream, room));
    errand.take_down(&attempt, outcome, Some(trouble));
    places.first_failed(&attempt, trouble);
    Box::pin(errand.run(places)).await
}

impl<'a> Errand<'a> {
    fn new(outbound: &'a Outbound<'a>, spare: Option<Spare>, noted: Noted<'a>) -> Self {
        Errand {
            outbound,
            spare,
            retry: outbound.engine.snapshot.config.retry.as_ref(),
            noted,
            room: None,
            tries: 0,
            forbidden: Vec::new(),
            again: 0,
            kept: None,
            fault: None,
        }
    }

    async fn run(mut self, mut places: Places<'_>) -> Result<Sent, Fault> {
        while let Some(mut place) = self.next(&mut places).await {
            match self.attempt(&places, &mut place).await {
                Outcome::Answered(sent) => return Ok(sent),
                Outcome::Failed(trouble) => places.failed(&place, trouble),
                Outcome::Full => places.full(&place),
                Outcome::NoKey => {}
                Outcome::Hopeless => break,
            }
        }
        self.end(&places)
    }

    /// Where it is sent next, once it may be. None: nowhere.
    async fn next<'p>(&mut self, places: &mut Places<'p>) -> Option<Place<'p>> {
        self.spare.as_ref()?;
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
        if !budget.is_some_and(|budget| budget.spend()) {
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
        // Now, so that whoever looks sees what it waits for.
        wire.note(|record| {
            record.event.upstream = Some(Bounded::from(&*way.upstream.name));
            record.event.key = None;
        });
        match way.room(client, place.waits, wire).await {
            Ok(room) => {
                self.room = room.map(|room| (upstream, room));
                true
            }
            Err(full) => {
                self.fault = Some(full);
                false
            }
        }
    }

    async fn attempt(&mut self, places: &Places<'_>, place: &mut Place<'_>) -> Outcome {
        if !self.enter(place).await {
            return Outcome::Full;
        }
        if !places.choose_key(place) {
            if self.tries == 0 {
                // That another place was full is not what is wrong now.
                self.fault = None;
            }
            return Outcome::NoKey;
        }
        let Some(Spare { head, body }) = self.take_spare() else {
            return Outcome::Hopeless;
        };
        let attempt = Attempt {
            outbound: self.outbound,
            candidate: place.candidate,
            way: place.way,
            key: place.key,
            is_probe: place.probe.is_some(),
        };
        let wants_websocket = wants_websocket(&head);
        let (mut request, begun) = match attempt.begin(head, body) {
            Ok(begun) => begun,
            // An answer that came before is the client's all the same.
            Err(fault) => return self.take_down(&attempt, Err(fault), None),
        };
        let (pool, effort, spare) = (place.way.pool, &mut self.noted.effort, &self.spare);
        effort.connect = None;
        let (sent, tunnel) = match wants_websocket {
            true => {
                ask_for_websocket(&mut request);
                match pool.upgrade(request, effort).await {
                    Ok((answer, tunnel)) => (Ok(answer), tunnel),
                    Err(failure) => (Err(failure), None),
                }
            }
            false => {
                let again = || attempt.again(spare.as_ref()?);
                (pool.send(request, &again, effort).await, None)
            }
        };
        self.noted.note();
        let goes_on = self.spare.is_some() && places.may_go_on();
        let (mut outcome, trouble) = attempt.end(sent, begun, goes_on);
        if let Ok(sent) = &mut outcome {
            sent.tunnel = tunnel.map(Box::new);
        }
        self.take_down(&attempt, outcome, trouble)
    }

    /// What is sent now; a copy stays, if there can be one.
    fn take_spare(&mut self) -> Option<Spare> {
        let spare = self.spare.take()?;
        self.spare = spare.copy();
        Some(spare)
    }

    /// Keeps what came of a try, and says what is to be done.
    fn take_down(
        &mut self,
        attempt: &Attempt<'_>,
        outcome: Result<Sent, Fault>,
        trouble: Option<Trouble>,
    ) -> Outcome {
        self.tries += 1;
        match (outcome, trouble) {
            (Ok(sent), trouble) => {
                self.look_at_keys(attempt, sent.answer.head.status);
                match trouble {
                    None => Outcome::Answered(Sent {
                        room: self.room.take().map(|(_, room)| room),
                        ..sent
                    }),
                    Some(trouble) => {
                        self.keep(sent, attempt);
                        Outcome::Failed(trouble)
                    }
                }
            }
            (Err(fault), trouble) => {
                self.fault = Some(fault);
                trouble.map_or(Outcome::Hopeless, Outcome::Failed)
            }
        }
    }

    /// A 403 can be about the request: the model, what it says. It is about the
    /// key only if another one of the same upstream may.
    fn look_at_keys(&mut self, attempt: &Attempt<'_>, status: StatusCode) {
        let Some(key) = attempt.key else {
            return;
        };
        let upstream = attempt.candidate.upstream;
        if status == StatusCode::FORBIDDEN {
            self.forbidden.push((upstream, key));
        } else if status.as_u16() < 400 {
            let forbidden = self.forbidden.iter();
            for (_, key) in forbidden.filter(|(of, _)| *of == upstream) {
                let log = self.outbound.wire.log();
                attempt.way.set_aside(*key, StatusCode::FORBIDDEN, log);
            }
        }
    }

    fn keep(&mut self, mut sent: Sent, attempt: &Attempt<'_>) {
        // It may be kept for long, and nothing runs with the key meanwhile.
        sent.lease = None;
        sent.answer.body.gather();
        let key = attempt.way.key(attempt.key);
        self.kept = Some(Kept {
            sent,
            upstream: Bounded::from(&*attempt.way.upstream.name),
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
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if let Some((upstream, key)) = places.lacking() {
            let name = Bounded::from(upstream);
            self.outbound
                .wire
                .note(|record| record.event.upstream = Some(name));
            return Err(Fault::not_configured(upstream, key));
        }
        let back_in = places.soonest().map(|(_, wait)| wait);
        Err(Fault::unavailable(
            &places.why(),
            back_in.unwrap_or_default(),
        ))
    }
}

fn ask_for_websocket(request: &mut Request) {
    let fields = &mut request.head.headers;
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}
