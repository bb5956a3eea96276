//! The list of models of one upstream: asked for, and taken apart.

use std::borrow::Cow;
use std::future::poll_fn;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Request as HttpRequest, StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::fields;
use super::snapshot::Way;
use crate::upstream::{Effort, Failure, FailureKind, Request, RequestBody};

/// How long an upstream may take for its list, with the wait for a place there.
/// Whoever waits is a person with a menu or a program that starts, and one slow
/// upstream holds up all.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a list at most: ten times that of the largest catalogue in use.
const MOST_BYTES: usize = 8 << 20;

/// A model, as an upstream lists it.
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) id: Cow<'a, str>,
    /// The whole object, byte for byte.
    pub(super) whole: &'a RawValue,
}

/// Asks the upstream for its list; `deadline` is when [`TIMEOUT`] is over.
///
/// # Errors
/// It cannot be had, or not in time.
pub(super) async fn ask(
    way: Way<'_>,
    deadline: Instant,
    user_agent: Option<&HeaderValue>,
    request_id: &HeaderValue,
    effort: &mut Effort,
) -> Result<Bytes, Failure> {
    match timeout_at(deadline, fetch(way, user_agent, request_id, effort)).await {
        Ok(fetched) => fetched,
        Err(_elapsed) => Err(Failure {
            kind: FailureKind::ResponseTimeout,
            address: None,
            detail: format!("no list of models within {TIMEOUT:?}"),
        }),
    }
}

async fn fetch(
    way: Way<'_>,
    user_agent: Option<&HeaderValue>,
    request_id: &HeaderValue,
    effort: &mut Effort,
) -> Result<Bytes, Failure> {
    let (mut head, ()) = HttpRequest::new(()).into_parts();
    let path = format!("{}/models", way.upstream.base_url.path);
    head.uri = Uri::try_from(path).expect("a base path and a segment are a path");
    // As the client's own request would come.
    if let Some(user_agent) = user_agent {
        head.headers.insert(header::USER_AGENT, user_agent.clone());
    }
    let json = HeaderValue::from_static("application/json");
    head.headers.insert(header::ACCEPT, json);
    let place = way.any_key();
    let _lease = way.begin(place);
    let (headers, key) = (&mut head.headers, way.key(place));
    fields::towards_upstream(headers, way.upstream, key, way.host, request_id);
    let request = || Request {
        head: head.clone(),
        body: RequestBody::empty(),
        interim: None,
    };
    let again = || Some(request());
    let answer = way.pool.send(request(), &again, effort).await?;
    let (head, mut body) = (answer.head, answer.body);
    let broken = |detail: String| Failure {
        kind: FailureKind::Protocol,
        address: effort.address,
        detail,
    };
    if head.status != StatusCode::OK {
        let status = head.status.as_u16();
        return Err(broken(format!("its list of models is a {status}")));
    }
    let mut whole = BytesMut::new();
    while !body.is_end_stream() {
        let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await else {
            break;
        };
        let Ok(data) = frame?.into_data() else {
            break;
        };
        if whole.len() + data.len() > MOST_BYTES {
            let detail = format!("its list of models is larger than {MOST_BYTES} bytes");
            return Err(broken(detail));
        }
        whole.extend_from_slice(&data);
    }
    body.release();
    if entries_of(&whole).is_none() {
        return Err(broken("its list of models is no list in JSON".to_owned()));
    }
    Ok(whole.freeze())
}

/// The models in a list that [`ask`] gave.
pub(super) fn entries(list: &[u8]) -> Vec<Entry<'_>> {
    entries_of(list).unwrap_or_default()
}

fn entries_of(list: &[u8]) -> Option<Vec<Entry<'_>>> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let listed: Vec<&RawValue> = match serde_json::from_slice::<List<'_>>(list) {
        Ok(list) => list.data,
        // A few list them without anything around.
        Err(_) => serde_json::from_slice(list).ok()?,
    };
    let named = listed.into_iter().filter_map(|whole| {
        let Named { id } = serde_json::from_str(whole.get()).ok()?;
        Some(Entry { id, whole })
    });
    Some(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Option<Vec<(String, String)>> {
        let entries = entries_of(list.as_bytes())?.into_iter();
        let texts = entries.map(|entry| (entry.id.into_owned(), entry.whole.get().to_owned()));
        Some(texts.collect())
    }

    #[test]
    fn entries_are_kept_byte_for_byte() {
        let one = "{ \"x\": 1.50, \"id\": \"a\\u002fb\" }";
        let expected = Some(vec![("a/b".to_owned(), one.to_owned())]);
        assert_eq!(
            read(&format!(
                "{{\"object\":\"list\",\"data\":[{one}, {{}}, 1]}}"
            )),
            expected
        );
        assert_eq!(read(&format!(" [{one}]")), expected);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in ["", "{}", "null", "<html>", "{\"data\":{}}"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
