//! `upstreamd top`: looks again and again, and draws in place.
//!
//! Three threads wait for what can happen (a key, a signal, an answer of the
//! daemon), so that a daemon that hangs keeps nobody from leaving. They are not
//! waited for: the end of the process ends them.

use std::io::{self, Read, Write, stdin, stdout};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::frame::{Size, View, frame};
use super::keyboard::{ENDLESS, Keyboard, window};
use crate::admin::Overview;
use crate::ask;
use crate::cli::{ExitCode, Failed, TopCommand};
use crate::config::checked::ListenAddress;

/// Control sequences (ECMA-48): to the first column of the first row; clear the
/// rest of the line; clear the rest of the window.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Keys that end it: q, and what Ctrl-C and Ctrl-D send.
const ENDS: [u8; 4] = [b'q', b'Q', 0x03, 0x04];

/// What can happen.
enum Event {
    Looked(Result<Box<Overview>, Failed>),
    Resized,
    End,
}

/// Shows how the daemon is, until somebody ends it; once, if `command` says so.
/// Draws in place where standard output is a terminal, else writes frame after
/// frame.
///
/// # Errors
/// Nobody answers at the start, or in between if it is to be shown once (69).
pub fn top(command: &TopCommand) -> Result<(), Failed> {
    let admin = ask::admin_socket(command.admin.clone());
    let first = ask::overview(&admin)?;
    if command.once {
        thread::sleep(command.interval);
        let now = ask::overview(&admin)?;
        let lines = seen(&now, Some(&first), None, "", window().unwrap_or(ENDLESS));
        // A reader that has gone is no error of ours.
        let _ = write_below(&lines);
        return Ok(());
    }
    let (happens, events) = mpsc::channel();
    watch_signals(happens.clone()).map_err(unavailable)?;
    let keyboard = window().and_then(|_| Keyboard::listen());
    if keyboard.is_some() {
        let happens = happens.clone();
        thread::spawn(move || watch_keys(&happens));
    }
    let interval = command.interval;
    thread::spawn(move || look(&admin, interval, &happens));

    let hint = if keyboard.is_some() {
        "q ends it  "
    } else {
        ""
    };
    let (mut before, mut now): (Option<Overview>, _) = (None, first);
    let mut trouble: Option<String> = None;
    let mut drawn: Option<Size> = None;
    let mut is_new = false;
    loop {
        let shown = match window() {
            Some(size) => {
                let lines = seen(&now, before.as_ref(), trouble.as_deref(), hint, size);
                let is_other_size = drawn.replace(size) != Some(size);
                draw(&lines, size, is_other_size)
            }
            // What was not compared with anything says little.
            None if is_new => {
                let lines = seen(&now, before.as_ref(), trouble.as_deref(), "", ENDLESS);
                write_below(&lines).and_then(|()| writeln!(stdout()))
            }
            None => Ok(()),
        };
        if shown.is_err() {
            // Nobody looks any more.
            return Ok(());
        }
        is_new = false;
        match events.recv() {
            Ok(Event::Looked(Ok(next))) => {
                before = Some(std::mem::replace(&mut now, *next));
                trouble = None;
                is_new = true;
            }
            Ok(Event::Looked(Err(failed))) => {
                trouble = Some(failed.message);
                is_new = true;
            }
            Ok(Event::Resized) => {}
            Ok(Event::End) | Err(_) => break,
        }
    }
    if drawn.is_some() {
        // The shell goes on below what was seen last.
        let _ = writeln!(stdout());
    }
    drop(keyboard);
    Ok(())
}

fn seen(
    now: &Overview,
    before: Option<&Overview>,
    trouble: Option<&str>,
    hint: &str,
    size: Size,
) -> Vec<String> {
    let view = View {
        now,
        before,
        trouble,
        hint,
    };
    frame(&view, size)
}

/// Each line is cleared before it is written: behind the last column, a terminal
/// would clear that column.
fn draw(lines: &[String], size: Size, clear: bool) -> io::Result<()> {
    let mut text = HOME.to_owned();
    if clear {
        text.push_str(CLEAR_BELOW);
    }
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            text.push_str("\r\n");
        }
        text.push_str(CLEAR_LINE);
        text.push_str(line);
    }
    if lines.len() < size.rows {
        text.push_str("\r\n");
        text.push_str(CLEAR_BELOW);
    }
    let mut stdout = stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn write_below(lines: &[String]) -> io::Result<()> {
    let mut stdout = stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}")?;
    }
    stdout.flush()
}

fn look(admin: &ListenAddress, interval: Duration, happens: &Sender<Event>) {
    loop {
        thread::sleep(interval);
        let looked = ask::overview(admin).map(Box::new);
        if happens.send(Event::Looked(looked)).is_err() {
            return;
        }
    }
}

fn watch_keys(happens: &Sender<Event>) {
    let mut keys = [0; 64];
    while let Ok(read @ 1..) = stdin().read(&mut keys) {
        if keys[..read].iter().any(|key| ENDS.contains(key)) {
            break;
        }
    }
    // Or the terminal is gone.
    let _ = happens.send(Event::End);
}

fn watch_signals(happens: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGWINCH])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGWINCH => Event::Resized,
                _ => Event::End,
            };
            if happens.send(event).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn unavailable(error: io::Error) -> Failed {
    Failed::new(
        ExitCode::Unavailable,
        format!("signals cannot be heard: {error}"),
    )
}
