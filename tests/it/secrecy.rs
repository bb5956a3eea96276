//! What no log may hold, whatever its level.

use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::upstream::Upstream;

const CLIENT_KEY: &str = "sk-client-4711";
const WRONG_KEY: &str = "sk-wrong-4712";
const PROMPT: &str = "a-secret-prompt";
const COMPLETION: &str = "a-secret-completion";

#[test]
fn no_secret_and_no_content_is_logged_at_any_level() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/responses" => {
                conn.start_events()?;
                conn.write_chunk(format!("data: {{\"delta\":\"{COMPLETION}\"}}\n\n"))?;
                conn.write_chunk(format!("data: {{\"delta\":\"{COMPLETION}"))?;
                conn.reset()
            }
            "/v1/files" => conn.write(format!("{COMPLETION}\r\n\r\n")),
            _ => conn.answer_json(200, &format!("{{\"choices\":[\"{COMPLETION}\"]}}")),
        })
    });
    let mut daemon = Daemon::builder()
        .upstream(&upstream)
        .more_config("\n[client.app]\nkey = \"client.app\"\n")
        .credential("client.app", CLIENT_KEY)
        .arg("--log-level=debug")
        .start();
    let json = format!("{{\"model\":\"m\",\"input\":\"{PROMPT}\"}}");
    let broken = format!("{{\"model\":\"m\",\"input\":\"{PROMPT}\"");
    for (path, key, body) in [
        ("/v1/chat/completions", CLIENT_KEY, &json),
        ("/v1/chat/completions", CLIENT_KEY, &broken),
        ("/v1/chat/completions", WRONG_KEY, &json),
        ("/v1/responses?key=sk-in-a-query-4713", CLIENT_KEY, &json),
        ("/v1/responses", CLIENT_KEY, &json),
        ("/v1/files", CLIENT_KEY, &json),
    ] {
        let fields = format!(
            "Authorization: Bearer {key}\r\nContent-Type: application/json\r\n\
                 Connection: close\r\n"
        );
        let mut client = daemon.client();
        client.send("POST", path, &fields, body.as_bytes()).unwrap();
        let _ = client.read_to_end();
    }
    daemon.signal("TERM");
    daemon.wait_exit();
    let log = daemon.stderr();
    for event in ["request_received", "request_failed", "stopped"] {
        assert!(log.contains(event), "no {event} in: {log}");
    }
    for secret in [
        UPSTREAM_KEY,
        CLIENT_KEY,
        WRONG_KEY,
        "4713",
        PROMPT,
        COMPLETION,
    ] {
        assert!(!log.contains(secret), "{secret} in: {log}");
    }
}
