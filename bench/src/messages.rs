//! What the two ends say to each other: one request, one JSON answer, one SSE
//! event, each of a fixed form so that a client can check every byte.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The field by which a client of `streams` sets the pace of its stream.
pub(crate) const INTERVAL_FIELD: &str = "x-bench-interval-us";

/// What the upstream wants to see in `Authorization`: the proxy's key, not the client's.
pub(crate) const UPSTREAM_AUTHORIZATION: &str = "Bearer sk-upstream";

/// What clients send there.
const CLIENT_AUTHORIZATION: &str = "Bearer sk-client";

/// Bytes of an SSE event, its blank line included.
pub(crate) const EVENT_LENGTH: usize = 250;

/// What stands in an event before and after the time it was sent.
const EVENT_BEFORE: &str = "data: {\"id\":\"chatcmpl-BenchBenchBenchBench\",\"object\":\"chat.completion.chunk\",\"created\":";
const EVENT_AFTER: &str = ",\"model\":\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"";
const EVENT_END: &str = "\"}\n\n";

/// Digits of a time in microseconds since 1970, from 2001 to 2286.
const TIME_DIGITS: usize = 16;

/// How a stream ends: usage, then the API's own last word. Shorter than an event.
pub(crate) const STREAM_END: &str = concat!(
    "data: {\"id\":\"chatcmpl-BenchBenchBenchBench\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5\",",
    "\"choices\":[],\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":100,\"total_tokens\":160}}\n\n",
    "data: [DONE]\n\n"
);

/// A JSON answer of about 800 bytes.
pub(crate) const JSON_ANSWER: &str = concat!(
    "{\"id\":\"chatcmpl-BenchBenchBenchBench\",\"object\":\"chat.completion\",\"created\":1760000000,",
    "\"model\":\"gpt-5-2025-08-07\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":",
    "\"The last hop is the proxy that stands right before the origin. It ends the client's connection, ",
    "opens its own to the upstream, and hands bytes over in both directions as they come. ",
    "Whatever it adds in time or memory is paid by every single request.\",",
    "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],",
    "\"usage\":{\"prompt_tokens\":60,\"completion_tokens\":58,\"total_tokens\":118,",
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},",
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,",
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},",
    "\"service_tier\":\"default\",\"system_fingerprint\":null}"
);

/// The bytes of a request with a body of about 300 bytes, fields as the Python
/// SDK sends them. A pace asks for a stream.
pub(crate) fn request(host: &str, pace: Option<Duration>) -> Vec<u8> {
    let streaming = pace.is_some();
    let body = format!(
        "{{\"model\":\"gpt-5\",\"messages\":[{{\"role\":\"system\",\"content\":\"You answer in plain words, in one paragraph, \
         and say so when you do not know.\"}},{{\"role\":\"user\",\"content\":\"What is the last hop of a request, what does \
         it do with the bytes, and who pays for it?\"}}],\"temperature\":0.7,\"max_completion_tokens\":256,\"stream\":{streaming}}}"
    );
    let pace = pace.map_or_else(String::new, |pace| {
        format!("{INTERVAL_FIELD}: {}\r\n", pace.as_micros())
    });
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\
         Accept-Encoding: identity\r\nAuthorization: {CLIENT_AUTHORIZATION}\r\n\
         Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.1\r\n\
         X-Stainless-Lang: python\r\nX-Stainless-Retry-Count: 0\r\n{pace}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// As [`request`], with the upstream's key: for a client that asks it directly.
pub(crate) fn direct_request(host: &str) -> Vec<u8> {
    String::from_utf8_lossy(&request(host, None))
        .replace(CLIENT_AUTHORIZATION, UPSTREAM_AUTHORIZATION)
        .into_bytes()
}

/// The bytes of the JSON answer, head and body.
pub(crate) fn json_answer() -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nDate: Sun, 12 Oct 2025 07:00:00 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nopenai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n\
         x-request-id: req_BenchBenchBenchBench\r\nx-ratelimit-remaining-requests: 9999\r\n\r\n{JSON_ANSWER}",
        JSON_ANSWER.len()
    )
    .into_bytes()
}

/// The head of a stream's answer.
pub(crate) const STREAM_HEAD: &str = concat!(
    "HTTP/1.1 200 OK\r\nDate: Sun, 12 Oct 2025 07:00:00 GMT\r\n",
    "Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n",
    "Cache-Control: no-cache\r\nopenai-processing-ms: 1\r\nopenai-version: 2020-10-01\r\n",
    "x-request-id: req_BenchBenchBenchBench\r\n\r\n"
);

/// Adds one chunk that holds an event sent now.
pub(crate) fn push_event(out: &mut Vec<u8>) {
    let obfuscation =
        EVENT_LENGTH - EVENT_BEFORE.len() - TIME_DIGITS - EVENT_AFTER.len() - EVENT_END.len();
    out.extend_from_slice(format!("{EVENT_LENGTH:x}\r\n").as_bytes());
    out.extend_from_slice(EVENT_BEFORE.as_bytes());
    out.extend_from_slice(now_us().to_string().as_bytes());
    out.extend_from_slice(EVENT_AFTER.as_bytes());
    out.resize(out.len() + obfuscation, b'x');
    out.extend_from_slice(EVENT_END.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Checks one event and tells how long it was under way, in microseconds.
pub(crate) fn event_delay_us(event: &[u8]) -> io::Result<u64> {
    sent_us(event)
        .map(|sent| now_us().saturating_sub(sent))
        .ok_or_else(|| {
            io::Error::other(format!(
                "a wrong event: {:?}",
                String::from_utf8_lossy(event)
            ))
        })
}

fn sent_us(event: &[u8]) -> Option<u64> {
    if event.len() != EVENT_LENGTH {
        return None;
    }
    let rest = event.strip_prefix(EVENT_BEFORE.as_bytes())?;
    let (time, rest) = rest.split_at_checked(TIME_DIGITS)?;
    let obfuscation = rest
        .strip_prefix(EVENT_AFTER.as_bytes())?
        .strip_suffix(EVENT_END.as_bytes())?;
    if !obfuscation.iter().all(|byte| *byte == b'x') {
        return None;
    }
    str::from_utf8(time).ok()?.parse().ok()
}

/// Upstream and client are processes on one machine: the wall clock is common
/// to them, and a benchmark of two minutes can bear a step of NTP.
fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_sizes_that_the_manual_promises() {
        let request = request("127.0.0.1:4000", None);
        let head = request
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .expect("a head ends in a blank line");
        assert!((280..=380).contains(&(request.len() - head - 4)));
        assert!(
            (750..=850).contains(&JSON_ANSWER.len()),
            "{}",
            JSON_ANSWER.len()
        );
        assert!(STREAM_END.len() < EVENT_LENGTH);
    }

    #[test]
    fn an_event_is_told_from_one_that_a_proxy_changed() {
        let mut chunk = Vec::new();
        push_event(&mut chunk);
        let event = &chunk[4..chunk.len() - 2];
        assert_eq!(event.len(), EVENT_LENGTH);
        assert!(event_delay_us(event).expect("it is right") < 1_000_000);
        let mut changed = event.to_vec();
        changed[EVENT_LENGTH - 10] = b'y';
        assert!(event_delay_us(&changed).is_err());
        assert!(event_delay_us(&event[1..]).is_err());
    }
}
