//! Connections are spread over the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait;

#[test]
fn connections_are_spread_evenly_over_the_workers() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("workers = 2")
        .start();
    if !daemon.process().can_be_looked_into() {
        return;
    }
    let before = watched(daemon.pid());
    let clients: Vec<_> = (0..20).map(|_| daemon.client()).collect();
    let spread = wait::until_some("20 connections are watched", || {
        let added: BTreeSet<Vec<String>> = watched(daemon.pid())
            .into_iter()
            .map(|(epoll, now)| {
                let old = before.get(&epoll);
                let is_new = |line: &String| old.is_none_or(|old| !old.contains(line));
                now.into_iter().filter(is_new).collect()
            })
            .collect();
        let spread: Vec<usize> = added
            .iter()
            .map(Vec::len)
            .filter(|added| *added > 0)
            .collect();
        (spread.iter().sum::<usize>() == clients.len()).then_some(spread)
    });
    assert_eq!(spread, [10, 10]);
}

/// What each epoll of the process watches, as the kernel lists it. Every thread
/// that waits for sockets has one; tokio holds it by two descriptors, which are
/// told from two epolls by what is in them.
fn watched(pid: u32) -> BTreeMap<String, Vec<String>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the daemon runs");
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let info = fs::read_to_string(entry.path()).ok()?;
            let lines = info.lines().filter(|line| line.starts_with("tfd:"));
            let lines: Vec<String> = lines.map(str::to_owned).collect();
            let name = entry.file_name().into_string().ok()?;
            (!lines.is_empty()).then_some((name, lines))
        })
        .collect()
}
