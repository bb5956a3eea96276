//! Fields: which pass, which stop here, and which the operator puts on.

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::message::Head;
use crate::support::upstream::Upstream;

/// What reached the upstream of a request with `fields`.
fn passed_up(fields: &str) -> Head {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    asked(&mut daemon.client(), fields);
    upstream.wait_requests(1).remove(0).head
}

/// What reached the client of an answer with `fields`.
fn passed_down(fields: &'static str) -> Answer {
    let upstream = Upstream::tls(move |conn| conn.serve(|conn, _| conn.answer(200, fields, "{}")));
    let daemon = Daemon::before(&upstream);
    asked(&mut daemon.client(), "")
}

fn asked(client: &mut Client, fields: &str) -> Answer {
    client.send("GET", "/v1/models", fields, b"").unwrap();
    let answer = client.answer();
    assert_eq!(answer.status(), 200);
    answer
}

#[track_caller]
fn assert_absent(head: &Head, names: &[&str]) {
    for name in names {
        assert!(!head.has(name), "{name} passed: {:?}", head.fields);
    }
}

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

#[test]
fn hop_by_hop_fields_do_not_reach_the_upstream() {
    let head = passed_up(
        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Authorization: Basic secret\r\nTE: gzip\r\n\
         Upgrade: h2c\r\nX-Passes: yes\r\n",
    );
    assert_absent(&head, &HOP_BY_HOP);
    assert_eq!(head.field("x-passes"), Some("yes"));
}

#[test]
fn hop_by_hop_fields_do_not_reach_the_client() {
    let answer = passed_down(
        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Passes: yes\r\n",
    );
    assert_absent(&answer.head, &HOP_BY_HOP);
    assert_eq!(answer.head.field("x-passes"), Some("yes"));
}

#[test]
fn fields_named_by_connection_stop_here_both_ways() {
    let named = "Connection: X-One, x-two\r\nConnection: \tx-THREE ,,\r\nX-One: 1\r\n\
                 x-two: 2\r\nX-Three: 3\r\nX-Three: 3 again\r\nX-Four: 4\r\n";
    let names = ["x-one", "x-two", "x-three", "connection"];
    let up = passed_up(named);
    assert_absent(&up, &names);
    assert_eq!(up.field("x-four"), Some("4"));
    let down = passed_down(named).head;
    assert_absent(&down, &names);
    assert_eq!(down.field("x-four"), Some("4"));
}

#[test]
fn connection_cannot_name_away_what_the_operator_puts_on() {
    let head = passed_up("Connection: authorization, host, x-request-id, content-length\r\n");
    let key = format!("Bearer {UPSTREAM_KEY}");
    assert_eq!(head.values("authorization"), [key.as_str()]);
    assert_eq!(head.values("host").len(), 1);
    assert_eq!(head.values("x-request-id").len(), 1);
}

#[test]
fn a_clients_credentials_and_tenants_do_not_reach_the_upstream() {
    let head = passed_up(
        "Authorization: Bearer client-secret\r\napi-key: client-secret\r\n\
         X-Api-Key: client-secret\r\nOpenAI-Organization: org\r\nOpenAI-Project: proj\r\n\
         Cookie: a=client-secret\r\nCookie: b=client-secret\r\nOpenAI-Beta: assistants=v2\r\n",
    );
    let raw = String::from_utf8_lossy(&head.raw);
    assert!(!raw.contains("client-secret"), "{raw}");
    assert_absent(&head, &["openai-organization", "openai-project", "cookie"]);
    assert_eq!(head.field("openai-beta"), Some("assistants=v2"));
}

#[test]
fn sdk_fingerprints_and_forwarding_fields_do_not_reach_the_upstream() {
    let head = passed_up(
        "X-Stainless-Lang: python\r\nx-stainless-retry-count: 0\r\nX-Forwarded-For: 10.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Anything: 1\r\nForwarded: for=10.0.0.1\r\n\
         Via: 1.1 other\r\nX-Real-IP: 10.0.0.1\r\nX-Stain: passes\r\n",
    );
    let raw = String::from_utf8_lossy(&head.raw).to_ascii_lowercase();
    for gone in ["stainless", "forwarded", "via:", "10.0.0.1"] {
        assert!(!raw.contains(gone), "{gone} passed: {raw}");
    }
    assert_eq!(head.field("x-stain"), Some("passes"));
}

#[test]
fn the_operators_key_user_agent_and_fields_are_put_on() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .config(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n\
             [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
             user_agent = \"QwenCode/0.2.0 (linux; x64)\"\n\
             fields = { x-title = \"operator\", accept = \"operator/type\" }\n\
             tls = { ca_file = \"@CA@\", platform_roots = false }\n",
        )
        .start();
    asked(
        &mut daemon.client(),
        "User-Agent: OpenAI/Python 2.0\r\nX-Title: client\r\nX-Title: client\r\nAccept: a/b\r\n",
    );
    let head = upstream.wait_requests(1).remove(0).head;
    let key = format!("Bearer {UPSTREAM_KEY}");
    let host = format!("localhost:{}", upstream.address().port());
    assert_eq!(head.values("authorization"), [key.as_str()]);
    assert_eq!(head.values("user-agent"), ["QwenCode/0.2.0 (linux; x64)"]);
    assert_eq!(head.values("x-title"), ["operator"]);
    assert_eq!(head.values("accept"), ["operator/type"]);
    assert_eq!(head.values("host"), [host.as_str()]);
}

#[test]
fn a_clients_user_agent_passes_where_the_operator_sets_none() {
    let head = passed_up("User-Agent: OpenAI/Python 2.0\r\n");
    assert_eq!(head.values("user-agent"), ["OpenAI/Python 2.0"]);
}

#[test]
fn a_clients_request_id_is_kept_and_given_back() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let answer = asked(&mut daemon.client(), "X-Request-Id: mine-1\r\n");
    assert_eq!(answer.head.values("x-request-id"), ["mine-1"]);
    let head = upstream.wait_requests(1).remove(0).head;
    assert_eq!(head.values("x-request-id"), ["mine-1"]);
    let event = daemon.wait_event("request_completed");
    assert_eq!(event["request_id"], "mine-1");
    assert_eq!(event["client_request_id"], "mine-1");
}

#[test]
fn without_a_usable_request_id_a_uuidv7_is_made() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let too_long = format!("X-Request-Id: {}\r\n", "x".repeat(257));
    let unusable = [
        "",
        "X-Request-Id:\r\n",
        &too_long,
        "X-Request-Id: \u{e9}\r\n",
    ];
    for fields in unusable {
        let answer = asked(&mut daemon.client(), fields);
        let id = answer.head.field("x-request-id").unwrap();
        let id = uuid::Uuid::parse_str(id).expect("a UUID");
        assert_eq!(id.get_version_num(), 7);
        let head = upstream.requests().pop().unwrap().head;
        assert_eq!(head.values("x-request-id"), [id.to_string()]);
    }
    let events = daemon.wait_events("request_completed", unusable.len());
    assert!(events[0]["client_request_id"].is_null());
}

#[test]
fn an_upstreams_request_id_is_the_one_the_client_gets() {
    let answer = passed_down("X-Request-Id: req_upstream\r\n");
    assert_eq!(answer.head.values("x-request-id"), ["req_upstream"]);
}

#[test]
fn an_answer_loses_what_is_about_the_upstreams_own_site() {
    let answer = passed_down(
        "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nAlt-Svc: h3=\":443\"\r\n\
         Strict-Transport-Security: max-age=1\r\nX-Ratelimit-Remaining-Requests: 9\r\n",
    );
    assert_absent(
        &answer.head,
        &["set-cookie", "alt-svc", "strict-transport-security"],
    );
    let left = answer.head.field("x-ratelimit-remaining-requests");
    assert_eq!(left, Some("9"));
}

#[test]
fn repeated_fields_are_neither_merged_nor_lost_nor_reordered() {
    let fields = "X-Many: 3, 4\r\nX-Other: a\r\nx-many: 1\r\nX-MANY:\r\nX-Other: a\r\n\
                  X-Many: 1\r\nX-Many: 2\r\n";
    for head in [passed_up(fields), passed_down(fields).head] {
        assert_eq!(head.values("x-many"), ["3, 4", "1", "", "1", "2"]);
        assert_eq!(head.values("x-other"), ["a", "a"]);
    }
}

#[test]
fn values_keep_their_octets() {
    // As UTF-8, which is obs-text to HTTP; the inner tab and blanks stay.
    let fields = "X-Text: caf\u{e9}  \u{20ac}\tx\r\nX-Quoted: \"a\\\"b, c\"; d\r\n";
    for head in [passed_up(fields), passed_down(fields).head] {
        let raw = String::from_utf8(head.raw).unwrap();
        assert!(raw.contains("x-text: caf\u{e9}  \u{20ac}\tx\r\n"), "{raw}");
        assert!(raw.contains("x-quoted: \"a\\\"b, c\"; d\r\n"), "{raw}");
    }
}

#[test]
fn a_value_of_octets_that_are_no_utf8_passes() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.write(b"HTTP/1.1 200 OK\r\nX-Raw: \xff\xfe\x80\r\nContent-Length: 0\r\n\r\n")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client
        .write(b"GET /v1/x HTTP/1.1\r\nHost: u\r\nX-Raw: \xff\xfe\x80\r\n\r\n")
        .unwrap();
    assert_eq!(
        client.answer().head.field("x-raw"),
        Some("\u{ff}\u{fe}\u{80}")
    );
    let head = upstream.wait_requests(1).remove(0).head;
    assert_eq!(head.field("x-raw"), Some("\u{ff}\u{fe}\u{80}"));
}

#[test]
fn a_clients_transfer_encoding_does_not_reach_the_upstream() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    for coding in ["chunked", "Chunked", "\tchunked "] {
        let mut client = daemon.client();
        client
            .write(format!(
                "POST /v1/files HTTP/1.1\r\nHost: u\r\nTransfer-Encoding: {coding}\r\n\r\n\
                 3\r\nabc\r\n0\r\n\r\n"
            ))
            .unwrap();
        assert_eq!(client.answer().status(), 200);
        let request = upstream.requests().pop().unwrap();
        assert_eq!(request.head.values("transfer-encoding"), ["chunked"]);
        assert_eq!(request.body.data(), b"abc");
    }
}

#[test]
fn a_reason_phrase_of_the_upstreams_own_passes() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.write("HTTP/1.1 299 Fine, mostly\r\nContent-Length: 2\r\n\r\n{}")
    });
    let daemon = Daemon::before(&upstream);
    let answer = daemon.client().get("/v1/x");
    assert_eq!(answer.head.start_line, "HTTP/1.1 299 Fine, mostly");
}

#[test]
fn a_trace_of_the_clients_passes_and_is_in_the_event() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let fields = format!("Traceparent: {traceparent}\r\ntracestate: a=1\r\nTracestate: b=2\r\n");
    asked(&mut daemon.client(), &fields);
    let head = upstream.wait_requests(1).remove(0).head;
    assert_eq!(head.values("traceparent"), [traceparent]);
    assert_eq!(head.values("tracestate"), ["a=1", "b=2"]);
    let event = daemon.wait_event("request_completed");
    assert_eq!(event["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[test]
fn a_trace_begins_where_the_client_has_none_that_is_valid() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let zero = "Traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01\r\n";
    let given = ["", "Tracestate: a=1\r\n", zero];
    // On one connection, so that the events come in this order.
    let mut client = daemon.client();
    for fields in given {
        asked(&mut client, fields);
    }
    let events = daemon.wait_events("request_completed", given.len());
    for (event, seen) in events.iter().zip(upstream.wait_requests(given.len())) {
        let id = event["trace_id"].as_str().unwrap();
        let [begun] = &seen.head.values("traceparent")[..] else {
            panic!("one traceparent: {:?}", seen.head.fields);
        };
        assert!(begun.starts_with(&format!("00-{id}-")), "{begun}, {id}");
        assert!(begun.len() == 55 && begun.ends_with("-01"), "{begun}");
        assert!(!seen.head.has("tracestate"));
    }
    assert_ne!(events[0]["trace_id"], events[1]["trace_id"]);
}
