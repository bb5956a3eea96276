//! No key, prompt or completion gets out but to where it belongs: not into any
//! record at any level, the process's arguments, or a printed configuration.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;

use crate::support::client::Client;
use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait;

const CLIENT_KEY: &str = "sk-client-key-that-no-log-may-show";
const WRONG_KEY: &str = "sk-wrong-key-that-no-log-may-show";
const PROMPT: &str = "prompt-that-no-log-may-show";
const COMPLETION: &str = "completion-that-no-log-may-show";
const QUERY: &str = "query-that-no-log-may-show";
/// What an operator writes into the file where a name belongs.
const MISPLACED: &str = "sk-proj-Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OWFiY2RlZg";
const SECRETS: [&str; 7] = [
    UPSTREAM_KEY,
    CLIENT_KEY,
    WRONG_KEY,
    PROMPT,
    COMPLETION,
    QUERY,
    MISPLACED,
];

/// By its path: every way in which content can come back.
fn answer(conn: &mut Conn) -> io::Result<()> {
    conn.serve(|conn, request| {
        let target = request.head.target();
        let path = target.split('?').next().unwrap_or_default();
        match path.trim_start_matches("/v1") {
            "/garbage" => {
                conn.write(format!("{COMPLETION} {UPSTREAM_KEY}\r\n\r\n"))?;
                conn.reset()
            }
            "/bad-field" => {
                conn.write(format!("HTTP/1.1 200 OK\r\n{COMPLETION} {UPSTREAM_KEY}\r\n\r\n"))?;
                conn.reset()
            }
            "/refused" => {
                let text = format!("{{\"error\":{{\"message\":\"wrong key {UPSTREAM_KEY}: {PROMPT}\",\"code\":\"{COMPLETION}\"}}}}");
                conn.answer_json(401, &text)
            }
            "/cut" | "/responses" => {
                conn.start_events()?;
                conn.write_chunk(format!("data: {{\"delta\":\"{COMPLETION}\"}}\n\n"))?;
                conn.write_chunk(format!("data: {{\"delta\":\"{COMPLETION}"))?;
                conn.reset()
            }
            "/bad-chunk" => {
                conn.start_events()?;
                conn.write(format!("{COMPLETION}\r\n"))?;
                conn.reset()
            }
            "/realtime" => {
                conn.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")?;
                conn.write(COMPLETION)?;
                conn.read_exactly(PROMPT.len())?;
                conn.reset()
            }
            _ => conn.answer_json(
                200,
                &format!("{{\"id\":\"chatcmpl-1\",\"choices\":[{{\"message\":{{\"content\":\"{COMPLETION}\"}}}}],\"usage\":{{\"prompt_tokens\":1,\"prompt\":\"{PROMPT}\"}}}}"),
            ),
        }
    })
}

/// Every way in which a secret can come in.
fn ask_everything(path: &std::path::Path) {
    let good = format!("Authorization: Bearer {CLIENT_KEY}\r\n");
    let wrong = format!("Authorization: Bearer {WRONG_KEY}\r\n");
    let json = "Content-Type: application/json\r\n";
    let body = format!("{{\"model\":\"m\",\"messages\":[{{\"content\":\"{PROMPT}\"}}]}}");
    let odd: String = [
        "X-Api-Key",
        "Api-Key",
        "Cookie",
        "Proxy-Authorization",
        "X-Goog-Api-Key",
        "X-Odd",
        "Sec-WebSocket-Protocol",
        "X-Stainless-Key",
        "Forwarded",
        "Via",
        "Expect",
        "Upgrade",
    ]
    .map(|name| format!("{name}: {WRONG_KEY}\r\n"))
    .concat();
    let query = format!("?api_key={WRONG_KEY}&q={QUERY}");
    let requests: Vec<(&str, String, String, String)> = vec![
        (
            "POST",
            "/v1/chat/completions".into(),
            format!("{good}{json}"),
            body.clone(),
        ),
        (
            "POST",
            format!("/v1/chat/completions{query}"),
            format!("{good}{json}"),
            body.clone(),
        ),
        (
            "POST",
            "/v1/chat/completions".into(),
            format!("{wrong}{json}"),
            body.clone(),
        ),
        (
            "POST",
            "/v1/chat/completions".into(),
            format!("{good}{json}"),
            format!("{{{PROMPT}"),
        ),
        (
            "POST",
            "/v1/chat/completions".into(),
            format!("{good}{json}"),
            format!("{{\"stream\":\"{PROMPT}\"}}"),
        ),
        (
            "POST",
            "/v1/chat/completions".into(),
            format!("{good}{json}"),
            format!("\"{PROMPT}\""),
        ),
        (
            "POST",
            "/v1/responses".into(),
            format!("{good}{json}"),
            body.clone(),
        ),
        ("POST", "/v1/files".into(), good.clone(), PROMPT.into()),
        ("GET", "/v1/models".into(), odd, String::new()),
        (
            "GET",
            format!("/v1/refused{query}"),
            good.clone(),
            String::new(),
        ),
        (
            "GET",
            format!("/v1/garbage{query}"),
            good.clone(),
            String::new(),
        ),
        ("GET", "/v1/bad-field".into(), good.clone(), String::new()),
        (
            "GET",
            format!("/v1/cut{query}"),
            good.clone(),
            String::new(),
        ),
        ("GET", "/v1/bad-chunk".into(), good.clone(), String::new()),
        (
            "GET",
            format!("/v1/a/../../b{query}"),
            good.clone(),
            String::new(),
        ),
        (
            "GET",
            format!("/health{query}"),
            wrong.clone(),
            String::new(),
        ),
    ];
    for (method, target, fields, body) in requests {
        let mut client = Client::unix(path);
        client
            .send(method, &target, &fields, body.as_bytes())
            .unwrap();
        client.answer();
    }
    // What is no request.
    for bytes in [
        format!("{PROMPT} {WRONG_KEY}\r\n\r\n"),
        format!("GET /v1/x HTTP/1.1\r\n{WRONG_KEY} {PROMPT}\r\n\r\n"),
        format!("GET /v1/x HTTP/1.1\r\nContent-Length: {WRONG_KEY}\r\n\r\n"),
        format!(
            "POST /v1/files HTTP/1.1\r\nHost: x\r\n{good}Transfer-Encoding: chunked\r\n\r\n{PROMPT}\r\n"
        ),
        format!(
            "POST /v1/files HTTP/1.1\r\nHost: x\r\n{good}Transfer-Encoding: {PROMPT}, chunked\r\n\r\n"
        ),
        format!("GET http://{WRONG_KEY}:{PROMPT}@host/v1/x HTTP/1.1\r\nHost: x\r\n{good}\r\n"),
        format!("GET /v1/x HTTP/{PROMPT}\r\n\r\n"),
    ] {
        let mut client = Client::unix(path);
        client.write(bytes).unwrap();
        client.answer();
    }
    let mut client = Client::unix(path);
    let upgrade = format!(
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key.{CLIENT_KEY}\r\n"
    );
    client
        .send("GET", &format!("/v1/realtime{query}"), &upgrade, b"")
        .unwrap();
    assert_eq!(client.answer_head().unwrap().1.status(), 101);
    assert_eq!(
        client.read_exactly(COMPLETION.len()).unwrap(),
        COMPLETION.as_bytes()
    );
    client.write(PROMPT).unwrap();
    assert!(client.peer_left(wait::DEADLINE).is_some());
}

const CONFIG: &str = "[server]\nlisten = [\"unix:@DIR@/s\"]\n\
    [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\nresponse_timeout = \"5s\"\n\
    [upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n\
    [client.app]\nkey = \"client.app\"\n";

#[track_caller]
fn holds_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(
            line.is_none(),
            "{secret} in {what}: {}",
            line.unwrap_or_default()
        );
    }
}

#[test]
fn no_record_at_any_level_and_no_argument_holds_a_secret() {
    for format in ["json", "text"] {
        let upstream = Upstream::tls(answer);
        let mut daemon = Daemon::builder()
            .credential("client.app", CLIENT_KEY)
            .config(CONFIG)
            .upstream(&upstream)
            .arg("--log-level=debug")
            .arg(format!("--log-format={format}"))
            .spawn();
        let path = daemon.directory().join("s");
        wait::until("it listens", || UnixStream::connect(&path).is_ok());
        ask_everything(&path);

        let mut failed = 0;
        for wrong in [
            CONFIG.replace("\"client.app\"", &format!("\"{MISPLACED}\"")),
            CONFIG.replace("[\"test\"]", &format!("[\"{MISPLACED}\"]")),
            CONFIG.replace("[\"test\"]", &format!("\"{MISPLACED}\"")),
            CONFIG.replace("keys = ", &format!("api_key = \"{MISPLACED}\"\nkeys = ")),
            CONFIG.replace("\"test\"", &format!("\"{MISPLACED}")),
            CONFIG.replace("@UPSTREAM@", &format!("https://user:{MISPLACED}@host/v1")),
        ] {
            daemon.rewrite_config(&wrong);
            daemon.signal("HUP");
            failed += 1;
            wait::until("the reload has failed", || {
                daemon.stderr().matches("reload_failed").count() >= failed
            });
            failed = daemon.stderr().matches("reload_failed").count();
        }
        daemon.rewrite_credential("test", &format!("{MISPLACED}\nin two lines"));
        daemon.rewrite_config(CONFIG);
        daemon.signal("HUP");
        wait::until("the reload has failed", || {
            daemon.stderr().matches("reload_failed").count() > failed
        });

        let cmdline = fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
        holds_no_secret("cmdline", &String::from_utf8_lossy(&cmdline));
        daemon.signal("TERM");
        assert_eq!(daemon.wait_exit(), Some(0));
        let said = daemon.stderr();
        assert!(said.matches("request_received").count() > 15, "{said}");
        holds_no_secret("standard error", &said);
        holds_no_secret("standard output", &daemon.stdout());
    }
}

#[test]
fn the_printed_configuration_masks_secrets() {
    let upstream = Upstream::answering("{}");
    let start = || {
        Daemon::builder()
            .credential("client.app", CLIENT_KEY)
            .config(CONFIG)
            .upstream(&upstream)
    };
    let mut printed = start().arg("--print-config").spawn();
    assert_eq!(printed.wait_exit(), Some(0), "{}", printed.stderr());
    let text = printed.stdout();
    assert!(text.contains(&upstream.base_url()), "{text}");
    holds_no_secret("the printed configuration", &text);
    // The environment's keys too.
    let mut printed = start()
        .env("OPENAI_API_KEY", MISPLACED)
        .env("LITELLM_MASTER_KEY", WRONG_KEY)
        .arg("--print-config")
        .spawn();
    assert_eq!(printed.wait_exit(), Some(0), "{}", printed.stderr());
    holds_no_secret("the printed configuration", &printed.stdout());
}
