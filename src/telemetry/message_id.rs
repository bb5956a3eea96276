//! The journal's name for each kind of record: a `MESSAGE_ID`
//! (systemd.journal-fields(7)).
//!
//! By it `journalctl -x` finds the text of `systemd/upstreamd.catalog` that
//! explains a record and says what to do, and a script finds all records of a
//! kind. An event that is new gets a new one, of `systemd-id128 new`; one that
//! is in use never changes.

/// Each event, and its id in 32 lower-case hexadecimal digits.
pub const MESSAGE_IDS: [(&str, &str); 26] = [
    ("request_completed", "1eb9ef8dbc45426c9d0a5cd0a04df82a"),
    ("request_failed", "a20128adf3ce443fb04c2fe9032be1c8"),
    ("streaming_error", "4b61d57159d44caeb825c72d13eef9cd"),
    ("request_received", "a770b5059d2a4321b633d4d56afadc83"),
    ("ready", "517c1c83f05e47e5ad8b5b60ad6bbbf1"),
    ("open_listener", "7788fa3ad69a4bfba215924a6d8a23b2"),
    ("unused_listener", "d32b46a8dc444bacb207b70561e2c986"),
    ("not_configured", "bd2d141a18de4cf8b8ef50ad9197ca2e"),
    ("models_left_out", "1c62143ea087426fae97a50cc8690b10"),
    ("key_set_aside", "8636ae24a78846aa9d1577ec35480b97"),
    ("upstream_ejected", "74b189b430684c8fb15c6f95bd618255"),
    ("upstream_returned", "9cfb9302ae044874a8abeba3bc774fc0"),
    ("accept_failed", "92a41821af1f499ab4847f2dd38af7f2"),
    ("reloaded", "f0753102f15d436d8c32f5c6bbf70652"),
    ("restart_needed", "f8b203675a1c43108069dd1b8a6f8c9d"),
    ("reload_failed", "56d927d68ee34670bba89b901bb50720"),
    ("handing_over", "f7671dd9f55e4ffea37f6e7a4f79265b"),
    ("draining", "9179d6013cc64a009f406d458a5c16db"),
    ("drain_aborted", "f9eca0f1a8bd4046b8cc564541b566ce"),
    ("stopped", "600b52daf71744e08f68a2af961a0fe3"),
    ("start_failed", "e4eed1bfd5384ec6a47d347679184ace"),
    ("notify_failed", "25d648676f3644218b0d080c36ee6ae7"),
    ("watchdog_missed", "c297bdc21fa34bda9b0700d0d4cc0364"),
    ("log_dropped", "2b949baf7f8841f698ca80b05584994e"),
    ("journal_unreachable", "188ed08453ba4f6e91693ae47bd410ef"),
    ("bug", "4b4283603d954a55ada8ace309376e85"),
];

/// The id of an event.
pub(super) fn message_id(event: &str) -> Option<&'static str> {
    let found = MESSAGE_IDS.iter().find(|(name, _)| *name == event);
    found.map(|(_, id)| *id)
}
