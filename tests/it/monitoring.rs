//! packaging/monitoring: alerts and dashboard ask for what there is, and the unit
//! for Prometheus gives it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::metrics::{builder, scrape};
use crate::support::upstream::Upstream;

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("packaging/monitoring").join(name)).unwrap()
}

/// Whatever looks like one of our names.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |part: char| part.is_ascii_alphanumeric() || part == '_';
    let names = text.split(|character| !is_part(character));
    let ours = ["upstreamd_", "gen_ai_", "process_"];
    names
        .filter(|name| ours.iter().any(|ours| name.starts_with(ours)))
        .collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_and_labels_that_there_are() {
    let upstream = Upstream::answering(r#"{"id":"1","object":"chat.completion","model":"m"}"#);
    let daemon = builder(&upstream).start();
    let answer = daemon
        .client()
        .post_json("/v1/chat/completions", r#"{"model":"m"}"#);
    assert_eq!(answer.status(), 200);
    daemon.wait_request_event();
    let lines = scrape(&daemon);
    let samples = lines.iter().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<_> = samples.flat_map(|line| names(line)).collect();

    let dashboard: serde_json::Value = serde_json::from_str(&file("grafana.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter();
    let targets = targets.flat_map(|panel| panel["targets"].as_array().unwrap());
    let asked: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    assert!(asked.len() > 10);
    assert!(asked.iter().all(|expression| !names(expression).is_empty()));
    let (dashboard, alerts) = (asked.join("\n"), file("upstreamd.rules.yml"));
    for text in [&dashboard, &alerts] {
        let unknown: Vec<_> = names(text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn each_alert_is_tested_where_it_fires_and_where_it_does_not() {
    let alerts = file("upstreamd.rules.yml");
    let tests = file("../../tests/monitoring/alerts.yml");
    let lines = alerts.lines().map(str::trim);
    let names: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        for expected in ["[{", "[]"] {
            let test = format!("alertname: {name}, exp_alerts: {expected}");
            assert!(tests.contains(&test), "{test}");
        }
    }
}

#[test]
fn the_unit_for_prometheus_answers_with_the_metrics_and_nothing_else() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let unit = file("upstreamd-metrics@.service");
    let script = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/bin/bash -c '"));
    // As systemd reads it: systemd.service(5), COMMAND LINES.
    let script = script.unwrap().strip_suffix('\'').unwrap();
    let script = script.replace("$$", "$").replace("\\\\", "\\");
    let admin: PathBuf = daemon.directory().join("admin.sock");
    let script = script.replace("/run/upstreamd/admin.sock", admin.to_str().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ask = |head: &str| {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(head.as_bytes()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let output = accepted.try_clone().unwrap();
        let mut child = Command::new("bash")
            .args(["-c", &script])
            .stdin(OwnedFd::from(accepted))
            .stdout(OwnedFd::from(output))
            .spawn()
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let _ = client.shutdown(Shutdown::Both);
        assert!(child.wait().unwrap().success());
        answer
    };
    for head in [
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n",
        "POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ] {
        let answer = ask(head);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("\nupstreamd_build_info{version="),
            "{answer}"
        );
        assert!(answer.ends_with("\n# EOF\n"), "{answer}");
    }
    assert!(daemon.events_named("reloaded").is_empty());
}
