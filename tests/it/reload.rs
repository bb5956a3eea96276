//! SIGHUP: a good configuration is in use at once, for everything that comes;
//! what runs keeps what it started with.

use std::fs;
use std::io;
use std::time::Duration;

use crate::support::certs::Authority;
use crate::support::client::Client;
use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::scratch::Scratch;
use crate::support::upstream::{Conn, FIRST, SECOND, Upstream};
use crate::support::wait::{self, Gate};

const NEW_KEY: &str = "sk-another-upstream-key";
const CLIENT_KEY: &str = "sk-client-one";

/// A configuration for the first upstream; `upstream` are further lines of its table.
fn config(upstream: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n\
         [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n{upstream}\n\
         [upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n"
    )
}

fn start(upstream: &Upstream, more: &str) -> Daemon {
    let builder = Daemon::builder().config(&config(more)).upstream(upstream);
    builder.start()
}

/// Sends SIGHUP and waits until one more reload has succeeded.
#[track_caller]
fn reload(daemon: &Daemon) {
    let before = daemon.events_named("reloaded").len();
    daemon.signal("HUP");
    daemon.wait_events("reloaded", before + 1);
}

fn status_with(client: &mut Client, key: &str) -> u16 {
    let field = format!("Authorization: Bearer {key}\r\n");
    client.send("GET", "/v1/models", &field, b"").unwrap();
    client.answer().status()
}

#[test]
fn key_identity_and_base_url_are_new_for_the_next_request_of_the_same_connection() {
    let (old, new) = (Upstream::answering("{}"), Upstream::plain(serve));
    let daemon = start(&old, "user_agent = \"Old/1\"");
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 200);
    daemon.rewrite_credential("test", NEW_KEY);
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 200);
    let elsewhere = format!("base_url = \"{}/deep\"", new.base_url());
    let rewritten = config("user_agent = \"New/2\"\nfields = { x-team = \"blue\" }");
    daemon.rewrite_config(&rewritten.replace("base_url = \"@UPSTREAM@\"", &elsewhere));
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 200);

    let seen = old.wait_requests(2);
    for (request, key) in seen.iter().zip([UPSTREAM_KEY, NEW_KEY]) {
        let bearer = format!("Bearer {key}");
        assert_eq!(request.head.field("authorization"), Some(bearer.as_str()));
        assert_eq!(request.head.field("user-agent"), Some("Old/1"));
    }
    let seen = new.wait_requests(1).remove(0);
    assert_eq!(seen.head.target(), "/v1/deep/models");
    assert_eq!(seen.head.field("user-agent"), Some("New/2"));
    assert_eq!(seen.head.field("x-team"), Some("blue"));
}

fn serve(conn: &mut Conn) -> io::Result<()> {
    conn.serve(|conn, _| conn.answer_json(200, "{}"))
}

#[test]
fn clients_come_change_and_go() {
    let upstream = Upstream::answering("{}");
    let daemon = start(&upstream, "");
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 200);

    daemon.rewrite_credential("client.one", CLIENT_KEY);
    daemon.rewrite_config(&format!(
        "{}\n[client.one]\nkey = \"client.one\"\n",
        config("")
    ));
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 401);
    assert_eq!(status_with(&mut client, CLIENT_KEY), 200);

    daemon.rewrite_credential("client.one", "sk-client-changed");
    reload(&daemon);
    assert_eq!(status_with(&mut client, CLIENT_KEY), 401);
    assert_eq!(status_with(&mut client, "sk-client-changed"), 200);

    daemon.rewrite_config(&config(""));
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 200);
}

#[test]
fn timeouts_are_new_for_the_next_request() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.peer_left(Duration::from_secs(30));
        Ok(())
    });
    let daemon = start(&upstream, "");
    daemon.rewrite_config(&config("response_timeout = \"50ms\""));
    reload(&daemon);
    let answer = daemon.client().get("/v1/models");
    assert_eq!(answer.status(), 504);
    assert_eq!(answer.body.json()["error"]["code"], "upstream_timeout");
}

#[test]
fn a_certificate_authority_is_read_again_also_from_the_same_file() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let wrong = fs::read(Authority::new().ca_file()).unwrap();
    let ca = files.write("ca.pem", wrong);
    let named = config("").replace("@CA@", ca.to_str().unwrap());
    let daemon = Daemon::builder().config(&named).upstream(&upstream).start();
    let mut client = daemon.client();
    let answer = client.get("/v1/models");
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.body.json()["error"]["code"], "upstream_tls_error");
    fs::copy(upstream.ca_file().unwrap(), &ca).unwrap();
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 200);
    // And from another file; connections made before are not used any more.
    let wrong = Authority::new();
    daemon.rewrite_config(&named.replace(ca.to_str().unwrap(), wrong.ca_file().to_str().unwrap()));
    reload(&daemon);
    assert_eq!(client.get("/v1/models").status(), 502);
}

#[test]
fn the_log_level_changes_both_ways() {
    let upstream = Upstream::answering("{}");
    let daemon = start(&upstream, "");
    let mut client = daemon.client();
    for level in ["debug", "warning", "info"] {
        let text = config(&format!("user_agent = \"{level}/1\""));
        daemon.rewrite_config(&format!("{text}\n[log]\nlevel = \"{level}\"\n"));
        daemon.signal("HUP");
        // At level warning no event tells that the reload is done.
        wait::until("the new configuration is in use", || {
            client.get("/v1/probe");
            let last = upstream.requests().pop().unwrap();
            last.head.field("user-agent") == Some(&format!("{level}/1"))
        });
        client.get(&format!("/v1/{level}"));
    }
    daemon.wait_event_where("info's event", |event| event["path"] == "/v1/info");
    let of = |name: &str, path: &str| {
        let events = daemon.events_named(name);
        events.iter().filter(|event| event["path"] == path).count()
    };
    assert_eq!(of("request_received", "/v1/debug"), 1);
    assert_eq!(of("request_completed", "/v1/debug"), 1);
    assert_eq!(of("request_completed", "/v1/warning"), 0);
    assert_eq!(of("request_received", "/v1/info"), 0);
}

#[test]
fn a_running_stream_keeps_what_it_started_with() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = start(&upstream, "idle_timeout = \"60s\"");
    let mut old = daemon.client();
    old.start_stream_at("/v1/old");
    daemon.rewrite_config(&config("idle_timeout = \"50ms\""));
    reload(&daemon);
    // Started later, given up earlier: so the first one would be over by now.
    let mut new = daemon.client();
    new.start_stream_at("/v1/new");
    assert!(!new.rest().is_complete());
    gate.open();
    let body = old.rest();
    assert!(body.is_complete(), "{:?}", body.end);
    assert_eq!(body.text(), [FIRST, SECOND].concat());
}

#[test]
fn what_only_a_restart_changes_says_so() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let text = |server: &str, log: &str| {
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\n{server}\n[log]\n{log}\n\
             [upstream.test]\nbase_url = \"{}\"\nkeys = []\n",
            upstream.base_url()
        )
    };
    // Not by the harness's own file: that comes with --log-format.
    let file = files.write("own.toml", text("", ""));
    let daemon = Daemon::builder().arg("--config").arg(&file).start();
    let address = daemon.address();
    for (key, server, log) in [
        ("server.workers", "workers = 7", ""),
        ("server.max_connections", "max_connections = 7", ""),
        ("log.format", "", "format = \"text\""),
    ] {
        let before = daemon.events_named("restart_needed").len();
        files.write("own.toml", text(server, log));
        daemon.signal("HUP");
        let said = daemon
            .wait_events("restart_needed", before + 1)
            .pop()
            .unwrap();
        let message = said["msg"].as_str().unwrap();
        assert!(message.contains(key), "no {key} in {message:?}");
    }
    let before = daemon.events_named("restart_needed").len();
    files.write(
        "own.toml",
        text("", "").replace("127.0.0.1:0", "127.0.0.1:9"),
    );
    daemon.signal("HUP");
    let said = daemon
        .wait_events("restart_needed", before + 1)
        .pop()
        .unwrap();
    assert!(said["msg"].as_str().unwrap().contains("server.listen"));
    assert_eq!(Client::tcp(address).get("/health").status(), 200);
}

#[test]
fn a_reload_during_a_drain_does_no_harm() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = start(&upstream, "");
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    daemon.wait_event("draining");
    for nonsense in ["", "nonsense"] {
        daemon.rewrite_config(&config(nonsense));
        daemon.signal("HUP");
    }
    gate.open();
    assert!(client.rest().is_complete());
    assert_eq!(daemon.wait_exit(), Some(0));
    assert_eq!(daemon.events_named("drain_aborted").len(), 0);
}

#[test]
fn the_pool_of_the_configuration_before_is_closed_though_its_clients_stay() {
    let upstream = Upstream::answering("{}");
    let daemon = start(&upstream, "");
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 200);
    assert_eq!(upstream.open_connections(), 1);
    reload(&daemon);
    wait::until("the idle connection is closed", || {
        upstream.open_connections() == 0
    });
    assert_eq!(client.get("/v1/models").status(), 200);
}
