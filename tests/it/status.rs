//! The sentence that `systemctl status` shows.

use crate::manager::Manager;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

/// Starts it, and gives it with its first status.
#[track_caller]
fn started(manager: &Manager, upstream: &Upstream, server: &str) -> (Daemon, String) {
    let builder = manager.builder(upstream).server_settings(server);
    let daemon = builder.start();
    let status = manager.next().value("STATUS").map(str::to_owned);
    (daemon, status.unwrap_or_default())
}

#[track_caller]
fn wait_for(manager: &Manager, wanted: &str) {
    manager.until_status(|status| status == wanted);
}

#[test]
fn it_counts_upstreams_sockets_and_the_requests_that_run() {
    let manager = Manager::at_path();
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    // The admin socket is none that is served on.
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    let (mut daemon, status) = started(&manager, &upstream, admin);
    assert_eq!(
        status,
        "serving 1 upstream on 2 sockets, 0 requests running"
    );
    let mut first = daemon.client();
    first.start_stream_at("/v1/one");
    wait_for(
        &manager,
        "serving 1 upstream on 2 sockets, 1 request running",
    );
    let mut second = daemon.client();
    second.start_stream_at("/v1/two");
    wait_for(
        &manager,
        "serving 1 upstream on 2 sockets, 2 requests running",
    );
    daemon.signal("TERM");
    wait_for(&manager, "draining, 2 requests running");
    gate.let_one_through();
    wait_for(&manager, "draining, 1 request running");
    gate.open();
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn it_is_told_when_it_changes_and_not_for_each_request() {
    const REQUESTS: usize = 2_000;
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let (daemon, _) = started(&manager, &upstream, "");
    let begun = std::time::Instant::now();
    let mut client = daemon.client();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/v1/models").status(), 200);
    }
    let seconds = begun.elapsed().as_secs();
    daemon.signal("HUP");
    let mut told = 0;
    while manager.next().value("RELOADING").is_none() {
        told += 1;
    }
    assert!(told <= seconds + 1, "{told} in {seconds} s");
}

#[test]
fn an_upstream_that_lacks_its_key_is_said_beside_what_is_served() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let second = "\n[upstream.zwei]\nbase_url = \"http://h\"\nkeys = [\"later\"]\n";
    let builder = manager.builder(&upstream).more_config(second);
    let default = "default_upstream = \"test\"";
    let _daemon = builder.server_settings(default).start();
    let status = manager.next().value("STATUS").map(str::to_owned);
    let expected = "serving 2 upstreams on 2 sockets, 0 requests running; \
                    not configured: no key \"later\"; run: upstreamd key set later";
    assert_eq!(status.as_deref(), Some(expected));
}

#[test]
fn a_reload_that_failed_stays_in_it_until_one_succeeds() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let (daemon, serving) = started(&manager, &upstream, "");
    let good = std::fs::read_to_string(daemon.directory().join("upstreamd.toml")).unwrap();
    daemon.rewrite_config("[server]\nlisten = 7\nworkers = 0\n");
    daemon.signal("HUP");
    let message = manager.next_with("READY", "1");
    let status = message.value("STATUS").unwrap();
    for said in [
        serving.as_str(),
        "the last reload failed, the configuration before is in use",
        "upstreamd.toml:2:10: server.listen",
        "more)",
    ] {
        assert!(status.contains(said), "no {said:?} in {status:?}");
    }
    daemon.rewrite_config(&good);
    daemon.signal("HUP");
    wait_for(&manager, &serving);
}

#[test]
fn whatever_is_wrong_the_message_is_one_that_a_service_manager_takes() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let (daemon, _) = started(&manager, &upstream, "");
    // Its name is in the message; systemd takes 4,096 bytes and no more.
    let name = "é".repeat(8_000);
    daemon.rewrite_config(&format!("[server]\n\"{name}\\nREADY=0\" = 1\n"));
    daemon.signal("HUP");
    let message = manager.next_with("READY", "1");
    assert!(
        message
            .value("STATUS")
            .unwrap()
            .contains("upstreamd.toml:2:1")
    );
}
