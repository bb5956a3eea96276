//! `[upstream.NAME.tls]`: certificates are loaded here, so that a reload with
//! a bad one changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::checked::{Identity, Tls};
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::written;

use super::Surroundings;

/// The rights of users outside of the file's group. A group such as Debian's
/// `ssl-cert` may read a private key; it is there for that.
const RIGHTS_OF_OTHERS: u32 = 0o007;

/// Certificates and keys, loaded. None if something is wrong with them.
pub(super) fn check(
    upstream: &str,
    written: &written::Tls,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Tls> {
    let mut reader = Reader {
        upstream,
        surroundings,
        problems,
    };
    let extra_roots = match &written.ca_file {
        Some(file) => reader.roots(file),
        None => Some(Vec::new()),
    };
    let without_platform_roots = written.platform_roots.as_ref().is_some_and(|at| !at.value);
    if let Some(roots) = &written.platform_roots
        && without_platform_roots
        && written.ca_file.is_none()
    {
        let path = reader.path("platform_roots");
        let message = "found false and no ca_file: no upstream could be trusted";
        let help = "set ca_file to the certification authorities to trust instead";
        reader
            .problems
            .add(Problem::new(path, &roots.place, message).help(help));
    }
    let identity = reader.identity(written.client_cert.as_ref(), written.client_key.as_ref());
    Some(Tls {
        extra_roots: extra_roots?,
        without_platform_roots,
        identity,
    })
}

/// The path of a file as the operator meant it: from the configuration file's
/// directory.
pub(in crate::config) fn resolve(path: &Path, directory: Option<&Path>) -> PathBuf {
    directory.map_or_else(|| path.to_owned(), |directory| directory.join(path))
}

struct Reader<'a, 'e> {
    upstream: &'a str,
    surroundings: &'a Surroundings<'e>,
    problems: &'a mut Problems,
}

impl Reader<'_, '_> {
    fn roots(&mut self, file: &At<PathBuf>) -> Option<Vec<CertificateDer<'static>>> {
        let roots = self.certificates("ca_file", file)?;
        for (index, root) in roots.iter().enumerate() {
            if let Err(error) = RootCertStore::empty().add(root.clone()) {
                let message = format!(
                    "certificate {} of {}: {error}",
                    index + 1,
                    self.resolved(file).display()
                );
                self.complain(
                    "ca_file",
                    file,
                    message,
                    "each has to be an X.509 certificate",
                );
            }
        }
        Some(roots)
    }

    fn identity(
        &mut self,
        chain: Option<&At<PathBuf>>,
        key: Option<&At<PathBuf>>,
    ) -> Option<Identity> {
        let (chain, key_file) = match (chain, key) {
            (Some(chain), Some(key)) => (chain, key),
            (None, None) => return None,
            (Some(one), None) => {
                self.half("client_cert", "client_key", one);
                return None;
            }
            (None, Some(one)) => {
                self.half("client_key", "client_cert", one);
                return None;
            }
        };
        let certificates = self.certificates("client_cert", chain);
        let key = self.private_key(key_file)?;
        let certificates = certificates?;
        let provider = aws_lc_rs::default_provider();
        match CertifiedKey::from_der(certificates.clone(), key.clone_key(), &provider) {
            Ok(_) => Some(Identity {
                chain: certificates,
                key,
            }),
            Err(error) => {
                let message = format!(
                    "{} and {} don't go together: {error}",
                    self.resolved(key_file).display(),
                    self.resolved(chain).display(),
                );
                self.complain(
                    "client_key",
                    key_file,
                    message,
                    "client_cert begins with the key's own certificate",
                );
                None
            }
        }
    }

    fn private_key(&mut self, file: &At<PathBuf>) -> Option<PrivateKeyDer<'static>> {
        let path = self.resolved(file);
        match fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o777) {
            Ok(mode) if mode & RIGHTS_OF_OTHERS != 0 => {
                let message = format!("{} is open to all users (mode {mode:04o})", path.display());
                let help = format!("chmod 600 {}", path.display());
                self.complain("client_key", file, message, &help);
                return None;
            }
            // An error shows itself again below.
            _ => {}
        }
        let key = PrivateKeyDer::from_pem_file(&path);
        key.map_err(|error| self.unreadable("client_key", file, &error, "a private key"))
            .ok()
    }

    fn certificates(
        &mut self,
        key: &str,
        file: &At<PathBuf>,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let read = CertificateDer::pem_file_iter(self.resolved(file));
        let read = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.and_then(|certificates| match certificates.len() {
            0 => Err(pem::Error::NoItemsFound),
            _ => Ok(certificates),
        });
        read.map_err(|error| self.unreadable(key, file, &error, "a certificate"))
            .ok()
    }

    /// Says what is wrong with a file, but not in the words of the parser,
    /// which show lines of it.
    fn unreadable(&mut self, key: &str, file: &At<PathBuf>, error: &pem::Error, expected: &str) {
        let path = self.resolved(file);
        let path = path.display();
        let message = match error {
            pem::Error::Io(error) => format!("can't read {path}: {error}"),
            pem::Error::NoItemsFound => format!("{path} has no PEM block of {expected}"),
            _ => format!("{path} is damaged: it is not PEM all through"),
        };
        let help = format!("expected a PEM file with {expected} that upstreamd's user can read");
        self.complain(key, file, message, &help);
    }

    fn half(&mut self, there: &str, missing: &str, at: &At<PathBuf>) {
        let help = format!("set {missing} too, or leave out both");
        self.complain(there, at, format!("found no {missing} beside it"), &help);
    }

    fn complain(&mut self, key: &str, at: &At<PathBuf>, message: String, help: &str) {
        let path = self.path(key);
        self.problems
            .add(Problem::new(path, &at.place, message).help(help));
    }

    fn path(&self, key: &str) -> String {
        format!("upstream.{}.tls.{key}", self.upstream)
    }

    fn resolved(&self, file: &At<PathBuf>) -> PathBuf {
        resolve(&file.value, self.surroundings.directory)
    }
}
