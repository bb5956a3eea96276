//! Bringing a changed key into use.
//!
//! systemd loads credentials when a service starts, so a reload is not enough.
//! `upstreamd-upgrade.service` restarts it without a cut.

use std::fs;
use std::process::{Command, Stdio};

use super::store::Store;

/// `upstreamd-upgrade.path` watches for it.
const REQUEST: &str = "/run/upstreamd-upgrade";

/// Asks for a restart if one is due, and says so.
pub(super) fn after_change(store: &Store, restart: bool) -> String {
    if !store.is_systems() {
        return "A running upstreamd takes it up at a reload (SIGHUP).\n".to_owned();
    }
    if !is_active("upstreamd.service") {
        return "upstreamd.service does not run; its next start takes it up.\n".to_owned();
    }
    let by_hand = "upstreamd.service takes it up when it is restarted; without a cut: systemctl start upstreamd-upgrade.service\n";
    if !restart {
        return by_hand.to_owned();
    }
    if !is_active("upstreamd-upgrade.path") {
        return by_hand.to_owned();
    }
    match fs::write(REQUEST, "") {
        Ok(()) => "upstreamd.service is being restarted without a cut; `journalctl -u upstreamd-upgrade` tells how it went.\n".to_owned(),
        Err(error) => format!("{REQUEST}: {error}\n{by_hand}"),
    }
}

fn is_active(unit: &str) -> bool {
    let mut command = Command::new("systemctl");
    command
        .args(["--quiet", "is-active", unit])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
