//! Streams that break off while something is held back of them.

use std::io;

use super::{BODY, EXTRA, asking, streaming};
use crate::broken_upstream::{assert_cut, assert_error_event};
use crate::support::client::Answer;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::DEADLINE;

/// Sends `text` and leaves.
fn leaving(text: String) -> Upstream {
    streaming(move |conn| {
        conn.write_chunk(&text)?;
        conn.close();
        Ok(())
    })
}

fn ask(daemon: &Daemon) -> Answer {
    daemon.client().post_json("/v1/chat/completions", BODY)
}

#[test]
fn of_a_stream_cut_within_an_event_nothing_is_lost() {
    for event in [
        "data: {\"id\":\"1\",\"choices\":[",
        "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}",
        "data: {\"choices\":[1],\"usage\":nul",
    ] {
        let text = format!("data: 1\n\n{event}");
        let upstream = leaving(text.clone());
        let daemon = asking(&upstream).start();
        let answer = ask(&daemon);
        assert_cut(&daemon, &answer, "upstream_protocol_error");
        assert_eq!(answer.body.text(), text, "no byte of ours in it");
    }
}

#[test]
fn a_stream_cut_behind_the_extra_event_ends_with_an_error_event() {
    for end in ["\n", "\r\n", "\r"] {
        let extra = EXTRA.replace('\n', end);
        let first = format!("data: 1{end}{end}");
        let upstream = leaving(format!("{first}{extra}"));
        let daemon = asking(&upstream).start();
        let answer = ask(&daemon);
        assert_cut(&daemon, &answer, "upstream_protocol_error");
        assert_error_event(&answer, &first, "upstream_protocol_error");
        assert_eq!(daemon.wait_request_event()["total_tokens"], 3);
    }
}

#[test]
fn a_stream_that_falls_silent_gives_what_was_held_back() {
    let silent = |conn: &mut Conn| -> io::Result<()> {
        conn.write_chunk("data: 1\n\ndata: {\"id\":1,")?;
        conn.peer_left(DEADLINE);
        Ok(())
    };
    let upstream = streaming(silent);
    let daemon = asking(&upstream)
        .upstream_settings("idle_timeout = \"300ms\"")
        .start();
    let answer = ask(&daemon);
    assert_cut(&daemon, &answer, "upstream_timeout");
    assert_eq!(answer.body.text(), "data: 1\n\ndata: {\"id\":1,");
}
