//! The key itself: never an argument, never shown.

use std::io::{self, IsTerminal, Read};

use crate::cli::Failed;
use crate::config::{LONGEST_SECRET, Name};

use super::failed;

/// What comes on standard input up to its end, or is typed at a prompt.
pub(super) fn key(name: &Name) -> Result<Vec<u8>, Failed> {
    let read = if io::stdin().is_terminal() {
        let prompt = format!("Key \"{name}\" (it is not shown): ");
        rpassword::prompt_password(prompt).map(String::into_bytes)
    } else {
        let mut content = Vec::new();
        // A newline of two bytes, and one to notice that it is too long.
        let most = LONGEST_SECRET as u64 + 3;
        io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut content)
            .map(|_| content)
    };
    read.map_err(|error| {
        failed(format!(
            "the key can't be read from standard input: {error}"
        ))
    })
}
