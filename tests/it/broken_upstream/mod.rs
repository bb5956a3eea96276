//! Whatever an upstream does wrong, the client is told so and never believes
//! that it has a whole answer.

mod connect;
mod cut;
mod garbage;
mod reuse;
mod silence;
mod surplus;
mod tls;

use std::io;

use crate::support::client::Answer;
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::upstream::Conn;

/// What a script does behind a request.
type Act = fn(&mut Conn) -> io::Result<()>;

const TIMEOUT: (u16, &str, &str) = (504, "upstream_timeout", "http_response_timeout");
const PROTOCOL: (u16, &str, &str) = (502, "upstream_protocol_error", "http_protocol_error");
const INCOMPLETE: (u16, &str, &str) = (502, "upstream_protocol_error", "http_response_incomplete");

/// Asks for a stream and reads all that comes.
#[track_caller]
fn stream(daemon: &Daemon) -> Answer {
    let mut client = daemon.client();
    client.ask_for_stream();
    client.answer()
}

/// That the answer began, was cut, and that the only event says so.
#[track_caller]
pub(crate) fn assert_cut(daemon: &Daemon, answer: &Answer, code: &str) {
    assert_eq!(answer.status(), 200);
    assert!(
        matches!(answer.body.end, End::Cut(_)),
        "{:?}",
        answer.body.end
    );
    let event = daemon.wait_request_event();
    assert_eq!(event["event"], "streaming_error", "{event}");
    assert_eq!(event["truncated"], true);
    assert_eq!(event["client_aborted"], false);
    assert_eq!(event["error_code"], code);
}

/// That the last of the answer is an event with an error, behind `before`.
#[track_caller]
pub(crate) fn assert_error_event(answer: &Answer, before: &str, code: &str) {
    let text = answer.body.text();
    let last = text
        .strip_prefix(before)
        .expect("what came before is there");
    let json = last
        .strip_prefix("data: ")
        .and_then(|last| last.strip_suffix("\n\n"));
    let json: serde_json::Value = serde_json::from_str(json.expect("one event")).unwrap();
    assert_eq!(json["error"]["code"], code);
    assert_eq!(json["error"]["type"], "upstream_error");
}
