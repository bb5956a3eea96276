//! A key that is named and not there yet: the port is open, and says what to do.

use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;

/// The key called `later` is its only one.
fn builder(upstream: &Upstream) -> Builder {
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.main]\nbase_url = \"@UPSTREAM@\"\n\
                  keys = [\"later\"]\ntls = { ca_file = \"@CA@\", platform_roots = false }\n";
    Daemon::builder().config(config).upstream(upstream)
}

const COMMAND: &str = "upstreamd key set later";

#[test]
fn requests_are_answered_with_the_command_to_run() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = client.get("/v1/models");
        assert_eq!(answer.status(), 503);
        let by = answer.head.field("proxy-status");
        assert_eq!(by, Some("upstreamd; error=proxy_configuration_error"));
        // Only a person's command brings it about, not time.
        assert_eq!(answer.head.field("retry-after"), None);
        let error = &answer.body.json()["error"];
        assert_eq!(error["code"], "not_configured");
        assert_eq!(error["type"], "server_error");
        assert!(
            error["message"].as_str().unwrap().contains(COMMAND),
            "{error}"
        );
    }
    let answer = daemon
        .client()
        .post_json("/v1/chat/completions", "{\"model\":\"m\"}");
    assert_eq!(answer.status(), 503);
    let events = daemon.wait_events("request_failed", 3);
    assert_eq!(events[0]["level"], "warning");
    assert_eq!(events[0]["error_code"], "not_configured");
    assert_eq!(events[0]["upstream"], "main");
    assert!(events[0]["key"].is_null());
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_start_says_what_is_missing() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let warning = daemon.wait_event("not_configured");
    assert_eq!(warning["level"], "warning");
    assert_eq!(warning["upstream"], "main");
    assert_eq!(warning["key"], "later");
    assert!(
        warning["msg"].as_str().unwrap().contains(COMMAND),
        "{warning}"
    );
}

#[test]
fn a_wrong_client_key_is_said_first_and_health_is_of_the_process() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream)
        .more_config("[client.one]\nkey = \"one\"\n")
        .credential("one", "sk-one")
        .start();
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 401);
    assert_eq!(client.get("/health").status(), 200);
    client
        .send("GET", "/v1/models", "Authorization: Bearer sk-one\r\n", b"")
        .unwrap();
    assert_eq!(client.answer().status(), 503);
}

#[test]
fn a_reload_takes_the_key_and_one_without_it_changes_nothing() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 503);
    daemon.signal("HUP");
    let failed = daemon.wait_event("reload_failed");
    let message = failed["msg"].as_str().unwrap();
    assert!(
        message.contains("upstreamd.toml:5:") && message.contains(COMMAND),
        "{message}"
    );
    assert_eq!(client.get("/v1/models").status(), 503);

    daemon.rewrite_credential("later", "sk-at-last");
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    assert_eq!(client.get("/v1/models").status(), 200);
    let seen = upstream.wait_requests(1).remove(0);
    assert_eq!(seen.head.field("authorization"), Some("Bearer sk-at-last"));
    assert_eq!(daemon.events_named("not_configured").len(), 1);
}

#[test]
fn a_key_that_is_lost_fails_the_reload_and_the_old_one_goes_on() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).credential("later", "sk-there").start();
    std::fs::remove_file(daemon.directory().join("credentials/later")).unwrap();
    daemon.signal("HUP");
    daemon.wait_event("reload_failed");
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
}

#[test]
fn another_key_serves_meanwhile() {
    let upstream = Upstream::answering("{}");
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.main]\nbase_url = \"@UPSTREAM@\"\n\
                  keys = [\"later\", \"test\"]\ntls = { ca_file = \"@CA@\", platform_roots = false }\n";
    let daemon = Daemon::builder().config(config).upstream(&upstream).start();
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
    assert_eq!(daemon.wait_event("not_configured")["key"], "later");
    assert_eq!(daemon.wait_event("request_completed")["key"], "test");
}

#[test]
fn a_check_fails_with_the_command_and_the_place() {
    let upstream = Upstream::answering("{}");
    let mut daemon = builder(&upstream).arg("check").spawn();
    assert_eq!(daemon.wait_exit(), Some(78));
    let said = daemon.stderr();
    assert!(
        said.contains(COMMAND) && said.contains("upstreamd.toml:5:"),
        "{said}"
    );
}

#[test]
fn what_would_run_can_be_printed() {
    let upstream = Upstream::answering("{}");
    let mut daemon = builder(&upstream).arg("--print-config").spawn();
    assert_eq!(daemon.wait_exit(), Some(0), "{}", daemon.stderr());
    assert!(
        daemon.stdout().contains("keys = [\"later\"]"),
        "{}",
        daemon.stdout()
    );
}

#[test]
fn any_other_mistake_ends_the_start_still() {
    let upstream = Upstream::answering("{}");
    let start = || builder(&upstream);
    let with_client = start().more_config("[client.one]\nkey = \"one\"\n");
    let empty = start().credential("later", "");
    let unreadable = start().credential("later/file", "");
    for (builder, said) in [
        (with_client, "there is no key named \"one\""),
        (empty, "it is empty"),
        (unreadable, "is not a file"),
    ] {
        let mut daemon = builder.spawn();
        assert_eq!(daemon.wait_exit(), Some(78), "{said}");
        assert!(daemon.stderr().contains(said), "{}", daemon.stderr());
    }
}
