//! packaging/upstreamd.toml: what is installed as the configuration.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;

use super::page::root;

fn shipped() -> String {
    fs::read_to_string(root().join("packaging/upstreamd.toml")).unwrap()
}

/// As installed: no key of the upstream, and one for programs of this machine.
fn installed(config: &str) -> Builder {
    let builder = Daemon::builder().config(config);
    builder.file("clients/local", "sk-local-0123456789\n")
}

/// The file with every setting in use: `#key = value` is one, `# text` is not.
fn in_use() -> String {
    let shipped = shipped();
    let lines = shipped.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            setting
        }
        _ => line,
    });
    // A group that every machine has.
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    text.replace("\"ci\"", "\"root\"")
}

#[test]
fn what_is_installed_is_right_with_every_setting_in_use_and_without() {
    let settings = in_use();
    assert_ne!(settings, shipped());
    for text in [shipped(), settings] {
        let builder = installed(&text).credential("openai", "sk-1");
        let builder = builder.file("clients/litellm", "sk-2");
        let mut daemon = builder.arg("check").spawn();
        assert_eq!(daemon.wait_exit(), Some(0), "{}", daemon.stderr());
    }
}

#[test]
fn what_is_installed_guards_tcp_by_a_key_and_the_unix_socket_by_its_mode() {
    let files = Scratch::new();
    let path = files.path().join("upstreamd.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let builder = installed(&shipped()).pass("upstreamd", tcp);
    let daemon = builder.pass("upstreamd", unix).start();

    // Let in, and not configured yet; or not let in.
    let mut member = Client::unix(&path);
    let answer = member.get("/v1/models");
    assert_eq!(answer.status(), 503);
    let message = answer.body.json()["error"]["message"].to_string();
    let command = "upstreamd key set openai";
    assert!(
        message.contains(command) && shipped().contains(command),
        "{message}"
    );
    let mut client = Client::tcp(address);
    assert_eq!(client.get("/v1/models").status(), 401);
    let field = "Authorization: Bearer sk-local-0123456789\r\n";
    client.send("GET", "/v1/models", field, b"").unwrap();
    assert_eq!(client.answer().status(), 503);

    assert!(daemon.events_named("unused_listener").is_empty());
    let events = daemon.wait_events("request_failed", 3);
    // Of different workers, so in any order.
    assert!(events.iter().any(|event| event["client"] == "local"));
}
