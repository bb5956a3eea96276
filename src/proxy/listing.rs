//! `GET /models`: what can be asked for here. Where models are configured, or
//! the client is held to some, upstreamd answers itself: the configured names,
//! then what the upstreams list and a request would reach there.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use hyper::body::Body;
use slog::info;
use tokio::time::Instant;

use super::access;
use super::answer::AnswerBody;
use super::catalogue::Known;
use super::fault::Fault;
use super::fields;
use super::list;
use super::snapshot::{Engine, Way};
use super::target::Target;
use super::wire::Wire;
use crate::config::checked::Client;
use crate::upstream::Effort;

/// What of the models is asked for.
pub(super) enum Asked {
    /// All of them.
    All,
    /// The one with this name.
    One(String),
}

/// Who asks, and over which connection.
pub(super) struct Asker<'a> {
    pub(super) engine: &'a Engine,
    pub(super) wire: &'a Wire,
    pub(super) client: Option<&'a Client>,
    pub(super) request_id: &'a HeaderValue,
}

impl Asked {
    /// None: the request is about something else.
    pub(super) fn by(head: &Parts, target: &Target) -> Option<Asked> {
        let rest = target.endpoint.strip_prefix("/models")?;
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return None;
        }
        match rest.strip_prefix('/').map(super::target::decoded) {
            None if rest.is_empty() => Some(Asked::All),
            None => None,
            Some(name) if name.is_empty() => Some(Asked::All),
            Some(name) => String::from_utf8(name).ok().map(Asked::One),
        }
    }

    /// The name of the one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Asked::All => None,
            Asked::One(name) => Some(name),
        }
    }
}

impl Asker<'_> {
    /// The answer, if it is not an upstream's to give.
    ///
    /// # Errors
    /// The client may not see the one that it asks for, or it is not there; or
    /// no upstream could say what it has, and nothing else is known.
    pub(super) async fn answer(
        &self,
        asked: &Asked,
        head: &Parts,
        target: &Target,
    ) -> Result<Option<Response<AnswerBody>>, Fault> {
        let routes = &self.engine.snapshot.routes;
        let upstreams: Vec<usize> = match asked {
            Asked::One(name) => {
                access::to_model(self.client, Some(name), target, head)?;
                let candidates = routes.find(Some(name))?.all();
                let is_ours = routes.names().any(|own| own == name)
                    || candidates.iter().any(|candidate| candidate.name.is_some());
                if !is_ours {
                    return Ok(None);
                }
                let mut upstreams: Vec<usize> = candidates.iter().map(|one| one.upstream).collect();
                // One may be there under several names.
                upstreams.sort_unstable();
                upstreams.dedup();
                upstreams
            }
            Asked::All => {
                let is_held = self.client.is_some_and(|client| client.models.is_some());
                if !is_held && !routes.are_configured() {
                    return Ok(None);
                }
                (0..self.engine.snapshot.config.upstreams.len()).collect()
            }
        };
        let user_agent = head.headers.get(header::USER_AGENT);
        let (bodies, failed) = self.ask(&upstreams, user_agent).await;
        let lists = bodies
            .iter()
            .map(|(upstream, body)| (*upstream, list::entries(body)))
            .collect();
        let known = Known {
            engine: self.engine,
            lists,
        };
        let body = match asked {
            Asked::One(name) => known.entry(name, routes.find(Some(name))?.all()),
            Asked::All => {
                let all = known.all(self.client);
                if let (true, Some(fault)) = (all.is_empty(), failed) {
                    return Err(fault);
                }
                format!("{{\"object\":\"list\",\"data\":[{}]}}", all.join(","))
            }
        };
        Ok(Some(self.own(body)))
    }

    /// The lists of those `upstreams` that can be had, all asked at once, and
    /// why the first of the others could not.
    async fn ask(
        &self,
        upstreams: &[usize],
        user_agent: Option<&HeaderValue>,
    ) -> (Vec<(usize, bytes::Bytes)>, Option<Fault>) {
        let mut failed = None;
        let mut asked = Vec::new();
        for upstream in upstreams {
            let way = self.engine.way(*upstream);
            match way.upstream.lacks_key() {
                // Said at the start already.
                Some(key) => failed = failed.or(Some(Fault::not_configured(&way.name(), key))),
                None => asked.push((*upstream, way)),
            }
        }
        let lists = asked
            .iter()
            .map(|(_, way)| self.list_of(*way, user_agent))
            .collect();
        let mut bodies = Vec::new();
        for ((upstream, _), list) in asked.iter().zip(all(lists).await) {
            match list {
                Ok(body) => bodies.push((*upstream, body)),
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        (bodies, failed)
    }

    async fn list_of(
        &self,
        way: Way<'_>,
        user_agent: Option<&HeaderValue>,
    ) -> Result<bytes::Bytes, Fault> {
        let deadline = Instant::now() + list::TIMEOUT;
        let patience = way.upstream.queue_timeout.min(list::TIMEOUT);
        // A request like any other, to an upstream that only so many may run at.
        let room = way.room_within(patience, self.client, self.wire).await;
        let _room = room.inspect_err(|full| self.left_out(way, &full.message))?;
        let mut effort = Effort::default();
        let list = list::ask(way, deadline, user_agent, self.request_id, &mut effort).await;
        self.wire
            .note(|record| record.event.attempts += effort.attempts);
        list.map_err(|failure| {
            self.left_out(way, &failure);
            Fault::upstream(failure, &way.name())
        })
    }

    fn left_out(&self, way: Way<'_>, why: &dyn Display) {
        info!(self.wire.log(), "upstream {} is left out of the list of models: {}", way.name(), why;
            "event" => "models_left_out", "upstream" => &*way.name(), "error" => %why);
    }

    fn own(&self, body: String) -> Response<AnswerBody> {
        let mut answer = Response::new(AnswerBody::own(body));
        let fields = answer.headers_mut();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        fields.insert(fields::X_REQUEST_ID, self.request_id.clone());
        if self.wire.body_is_pending() {
            // Whatever it is, nobody will read it.
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.wire.note(|record| {
            record.event.status = Some(answer.status().as_u16());
            record.event.streaming = Some(false);
            record.event.bytes_out = answer.body().size_hint().exact().unwrap_or_default();
        });
        self.wire.finish();
        answer
    }
}

/// Waits for all of `futures`, which run at the same time in this task.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
