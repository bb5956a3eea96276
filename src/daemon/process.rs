//! What the daemon asks of the kernel for itself, and what it does when it panics.

use std::io::{self, IsTerminal};

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use slog::{Logger, error};

/// Keeps keys and prompts to this process (prctl(2), PR_SET_DUMPABLE): no core is
/// written, wherever the kernel's core_pattern would send it, and no process of
/// the same user may read its memory or its environment, or trace it.
pub(super) fn forbid_dumps() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A shell's limit of 1,024 descriptors is for interactive programs; the hard
/// limit is what the operator allows (systemd.exec(5), LimitNOFILE=).
pub(super) fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The limit as it was is worse, but no reason not to start.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// Colour at a terminal where it is not unwanted (no-color.org).
pub(super) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A panic is a bug of ours. It ends one connection, and is logged with its
/// place; the message could quote content, so it stays out.
pub(super) fn log_panics(log: Logger) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        error!(log, "a bug in upstreamd ended a connection; please report the place"; "event" => "bug", "place" => place);
    }));
}
