//! From a request to the endpoint that answers it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::answer::{self, Answer, AnswerBody};
use super::files::Files;
use super::seen::Seen;
use super::{Loopback, audio, chat, embeddings, error, models, responses};

/// What all its connections share.
pub struct State {
    /// Between two events of a stream.
    pub pace: Duration,
    seen: Mutex<Seen>,
    files: Mutex<Files>,
    /// Streams whose reader left before their end.
    pub aborted: Arc<AtomicU64>,
    requests: AtomicU64,
}

/// A request with its body read.
pub struct Asked {
    pub head: http::request::Parts,
    pub body: Bytes,
}

/// Reads the whole request and answers it.
pub async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(body) => {
            let asked = Asked { head, body };
            let answer = route(&state, &asked);
            answer::cut_if_asked(answer, &asked.json().unwrap_or_default())
        }
        Err(error) => error::answer(400, &format!("the request's body was cut: {error}")),
    };
    Ok(with_fields(answer, &state, began))
}

fn route(state: &State, asked: &Asked) -> Answer {
    let path = asked.path();
    if path == "/__seen" {
        return state
            .seen()
            .as_answer(state.aborted.load(Ordering::Relaxed));
    }
    state.seen().keep(&asked.head, &asked.body);
    if !asked.is_authorized() {
        return error::answer(401, "Incorrect API key provided.");
    }
    let json = asked.json();
    if let Some(error) = json.as_ref().and_then(error::asked_for) {
        return error;
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (&asked.head.method, segments.as_slice(), json) {
        (&Method::POST, ["chat", "completions"], Some(json)) => chat::chat(state, &json),
        (&Method::POST, ["completions"], Some(json)) => chat::text(state, &json),
        (&Method::POST, ["responses"], Some(json)) => responses::create(state, &json),
        (&Method::POST, ["embeddings"], Some(json)) => embeddings::create(&json),
        (&Method::POST, ["audio", "speech"], Some(_)) => audio::speech(state),
        (&Method::POST, ["audio", "transcriptions"], _) => audio::transcription(asked),
        (&Method::POST, ["files"], _) => state.files().upload(asked),
        (&Method::GET, ["files"], _) => state.files().list(),
        (&Method::GET, ["files", id], _) => state.files().get(id),
        (&Method::GET, ["files", id, "content"], _) => state.files().content(id),
        (&Method::DELETE, ["files", id], _) => state.files().delete(id),
        (&Method::GET, ["models"], _) => models::list(),
        (&Method::GET, ["models", id], _) => models::get(id),
        (method, _, _) => {
            let path = asked.head.uri.path();
            error::answer(404, &format!("Invalid URL ({method} {path})"))
        }
    }
}

/// The fields that OpenAI puts on every answer.
fn with_fields(answer: Answer, state: &State, began: Instant) -> Answer {
    let mut answer = answer;
    let number = state.requests.fetch_add(1, Ordering::Relaxed);
    let fields = answer.headers_mut();
    for (name, value) in [
        ("x-request-id", format!("req_{number:032x}")),
        (
            "openai-processing-ms",
            began.elapsed().as_millis().to_string(),
        ),
        ("openai-organization", "loopback".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", "9999".to_owned()),
        ("strict-transport-security", "max-age=31536000".to_owned()),
        (
            "set-cookie",
            "__cf_bm=loopback; path=/; HttpOnly".to_owned(),
        ),
    ] {
        let value = HeaderValue::try_from(value).expect("letters, digits and blanks");
        fields.insert(name, value);
    }
    answer
}

async fn read(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut data = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(piece) = frame?.into_data() {
            data.extend_from_slice(&piece);
        }
    }
    Ok(data.into())
}

impl State {
    /// Nothing seen yet.
    pub fn new(pace: Duration) -> State {
        State {
            pace,
            seen: Mutex::default(),
            files: Mutex::default(),
            aborted: Arc::default(),
            requests: AtomicU64::new(0),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics while holding it")
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("nobody panics while holding it")
    }
}

impl Asked {
    /// The path without the base URL's.
    fn path(&self) -> String {
        let path = self.head.uri.path();
        path.strip_prefix("/v1").unwrap_or(path).to_owned()
    }

    /// A field's value, empty if there is none.
    pub fn field(&self, name: &str) -> &str {
        let value = self.head.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn is_authorized(&self) -> bool {
        self.field("authorization").strip_prefix("Bearer ") == Some(Loopback::KEY)
    }

    fn json(&self) -> Option<Value> {
        let is_json = self.field("content-type").starts_with("application/json");
        is_json.then(|| serde_json::from_slice(&self.body).ok())?
    }
}
