//! A terminal whose keys are heard at once, and what is known of its window.

use std::io::{IsTerminal, stdin, stdout};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::frame::Size;

/// What a terminal has that does not say, and what output has that is none, but
/// for its rows.
const USUAL: Size = Size {
    columns: 80,
    rows: 24,
};

/// The window of standard output; None: it is no terminal.
pub(super) fn window() -> Option<Size> {
    let stdout = stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = tcgetwinsize(&stdout).ok();
    // A serial line says 0.
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    Some(size.map_or(USUAL, |size| Size {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
    }))
}

/// The window of output that is no terminal.
pub(super) const ENDLESS: Size = Size {
    rows: usize::MAX,
    ..USUAL
};

/// Standard input as long as each key is heard by itself and not shown, Ctrl-C
/// among them (termios(3): neither ICANON nor ECHO nor ISIG). Dropped, it is as it
/// was before.
pub(super) struct Keyboard(Termios);

impl Keyboard {
    /// None: standard input is no terminal.
    pub(super) fn listen() -> Option<Keyboard> {
        let stdin = stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut modes = before.clone();
        modes
            .local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &modes).ok()?;
        Some(Keyboard(before))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.0);
    }
}
