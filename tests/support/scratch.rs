//! A directory of a test's own, gone with it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A new directory that only this user can look into; removed when dropped.
///
/// Its path is short: a Unix socket's may have 107 bytes (unix(7)).
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one under the system's directory for temporary files.
    pub fn new() -> Scratch {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path =
                std::env::temp_dir().join(format!("upstreamd-test-{}-{number}", process::id()));
            // A killed process with our id may have left one behind: take the next.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Scratch(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("can't make {}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it, readable by this user only; gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory in the scratch directory can be made");
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .expect("a file in the scratch directory can be made");
        std::io::Write::write_all(&mut file, content.as_ref())
            .expect("a file in the scratch directory can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have removed it or taken its permissions away; nothing hangs on it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
