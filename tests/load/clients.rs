//! The three kinds of clients.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::Body;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Load;
use crate::connect::connect;

/// Between two requests of a client that keeps its connection.
const THINKING: Duration = Duration::from_millis(500);

/// Streams, one after another, the first a share of the ramp later than the
/// client before.
pub(crate) async fn stream_again_and_again(load: Rc<Load>, number: usize) {
    let all = load.plan.streams;
    sleep(load.plan.ramp.mul_f64(number as f64 / all as f64)).await;
    let mut last_of_all = number + 1 == all;
    while !load.over.get() {
        let begun = Instant::now();
        match begin_stream(&load).await {
            Ok((connection, answer)) => {
                let open = load.tally.borrow_mut().streams.opened(begun.elapsed());
                if std::mem::take(&mut last_of_all) {
                    println!("{{\"open\":{open}}}");
                }
                let fault = rest_of_stream(&load, answer).await.err();
                drop(connection);
                load.tally.borrow_mut().streams.closed(fault);
            }
            Err(fault) => {
                load.tally.borrow_mut().streams.failed(fault);
                // Not at once: a refusal would come thousands of times.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A request every so often, however long they take.
pub(crate) async fn arrive(load: Rc<Load>) {
    let mut running = JoinSet::new();
    let mut next = interval(Duration::from_secs(1) / load.plan.requests.max(1));
    // The rate holds if we are late.
    next.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !load.over.get() {
        next.tick().await;
        let load = Rc::clone(&load);
        running.spawn_local(async move {
            let begun = Instant::now();
            let outcome = match open(&load).await {
                Ok(mut connection) => ask(&load, &mut connection, false, true).await,
                Err(fault) => Err(Fault::Final(fault)),
            };
            let mut tally = load.tally.borrow_mut();
            match outcome {
                Ok(()) => tally.requests.answered(begun.elapsed()),
                Err(fault) => tally.requests.failed(fault.text()),
            }
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

/// Requests on one connection, which is opened anew when it was closed between
/// two of them, as the pools of the SDKs do.
pub(crate) async fn keep_asking(load: Rc<Load>, number: u32) {
    sleep(THINKING * number / load.plan.kept.max(1)).await;
    let mut kept: Option<SendRequest<String>> = None;
    while !load.over.get() {
        let begun = Instant::now();
        let mut outcome = Err(Fault::Unsent(String::new()));
        while let Err(Fault::Unsent(_)) = outcome {
            if kept.as_ref().is_none_or(SendRequest::is_closed) {
                load.tally.borrow_mut().kept.reopened += 1;
                kept = match open(&load).await {
                    Ok(connection) => Some(connection),
                    Err(fault) => {
                        outcome = Err(Fault::Final(fault));
                        break;
                    }
                };
            }
            let connection = kept.as_mut().expect("it was opened just now");
            outcome = ask(&load, connection, false, false).await;
            if outcome.is_err() {
                kept = None;
            }
        }
        match outcome {
            Ok(()) => load.tally.borrow_mut().kept.answered(begun.elapsed()),
            Err(fault) => load.tally.borrow_mut().kept.failed(fault.text()),
        }
        sleep(THINKING).await;
    }
}

/// Why a request came to nothing.
enum Fault {
    /// The connection was closed before anything of it was sent.
    Unsent(String),
    Final(String),
}

impl Fault {
    fn text(self) -> String {
        match self {
            Fault::Unsent(text) | Fault::Final(text) => text,
        }
    }
}

async fn open(load: &Load) -> Result<SendRequest<String>, String> {
    let (connection, took) = connect(load.plan.to)
        .await
        .map_err(|error| format!("connect: {error}"))?;
    load.tally.borrow_mut().connects.made(took);
    Ok(connection)
}

async fn begin_stream(load: &Load) -> Result<(SendRequest<String>, Incoming), String> {
    let mut connection = open(load).await?;
    let answer = send(load, &mut connection, true, true)
        .await
        .map_err(Fault::text)?;
    Ok((connection, answer.into_body()))
}

/// Reads it to its proper end.
async fn rest_of_stream(load: &Load, mut body: Incoming) -> Result<(), String> {
    let (mut text, mut last) = (Vec::new(), Instant::now());
    while let Some(piece) = piece(&mut body).await? {
        let silence = std::mem::replace(&mut last, Instant::now()).elapsed();
        load.tally.borrow_mut().streams.piece(silence);
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8_lossy(&text);
    // Beside the words: the role, the end of the choice, and the end of all.
    let events = text.matches("data: ").count();
    if !text.ends_with("data: [DONE]\n\n") || events != load.plan.words + 3 {
        return Err(format!("a stream of {events} events without its end"));
    }
    Ok(())
}

async fn ask(
    load: &Load,
    connection: &mut SendRequest<String>,
    stream: bool,
    close: bool,
) -> Result<(), Fault> {
    let mut body = send(load, connection, stream, close).await?.into_body();
    let mut text = Vec::new();
    while let Some(piece) = piece(&mut body).await.map_err(Fault::Final)? {
        text.extend_from_slice(&piece);
    }
    let answer: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    if answer["object"] != "chat.completion" {
        return Err(Fault::Final("an answer that is no completion".into()));
    }
    Ok(())
}

/// Asks for a completion; the answer's body is to be read.
async fn send(
    load: &Load,
    connection: &mut SendRequest<String>,
    stream: bool,
    close: bool,
) -> Result<Response<Incoming>, Fault> {
    let words = load.plan.words;
    let body =
        format!(r#"{{"model":"gpt-5","messages":[],"max_tokens":{words},"stream":{stream}}}"#);
    let request = Request::post("/v1/chat/completions")
        .header("host", "upstreamd")
        .header("authorization", format!("Bearer {}", load.plan.key))
        .header("content-type", "application/json")
        // The daemon closes first, so that it is its ports which rest in TIME_WAIT.
        .header("connection", if close { "close" } else { "keep-alive" })
        .body(body)
        .expect("a valid request");
    let unsent = |error: hyper::Error| Fault::Unsent(chain(&error));
    connection.ready().await.map_err(unsent)?;
    let answer = match connection.send_request(request).await {
        Ok(answer) => answer,
        Err(error) if error.is_canceled() => return Err(unsent(error)),
        Err(error) => return Err(Fault::Final(chain(&error))),
    };
    match answer.status().as_u16() {
        200 => Ok(answer),
        other => Err(Fault::Final(format!("status {other}"))),
    }
}

async fn piece(body: &mut Incoming) -> Result<Option<Bytes>, String> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(chain(&error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
