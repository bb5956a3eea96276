//! Certificates of a test's own: a CA, and what it signs or refuses to sign.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::scratch::Scratch;

/// The names under which the loopback interface is reached.
pub const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certification authority that nobody but the test trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    files: Scratch,
}

/// A certificate chain and its key, in memory and as PEM files.
///
/// The files live as long as the [`Authority`] does.
#[derive(Debug)]
pub struct Identity {
    /// The certificate; its issuer is the root and not sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key, PKCS#8.
    pub key: PrivateKeyDer<'static>,
    /// The certificate, PEM.
    pub certificate_file: PathBuf,
    /// The key, PEM, mode 0600.
    pub key_file: PathBuf,
}

impl Authority {
    /// Makes a new one, with a new key.
    pub fn new() -> Authority {
        let mut params = params("upstreamd test CA", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, new_key())
            .expect("parameters made here can be signed");
        let files = Scratch::new();
        files.write("ca.pem", issuer.pem());
        Authority { issuer, files }
    }

    /// Its certificate as PEM, for `ca_file`.
    pub fn ca_file(&self) -> PathBuf {
        self.files.path().join("ca.pem")
    }

    /// Its certificate, for a root store.
    pub fn root(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A valid server certificate for `names` (DNS names or IP addresses).
    pub fn server(&self, names: &[&str]) -> Identity {
        self.sign(server_params(names))
    }

    /// A server certificate for `names` that ended in 2001.
    pub fn expired_server(&self, names: &[&str]) -> Identity {
        let mut params = server_params(names);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params)
    }

    /// A server certificate for `names` that this authority has not signed.
    pub fn self_signed_server(&self, names: &[&str]) -> Identity {
        let key = new_key();
        let certificate = server_params(names)
            .self_signed(&key)
            .expect("parameters made here can be signed");
        self.identity(certificate, &key)
    }

    /// A client certificate.
    pub fn client(&self, name: &str) -> Identity {
        let mut params = params(name, &[name]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// The directory in which the PEM files are.
    pub fn directory(&self) -> &Path {
        self.files.path()
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = new_key();
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("parameters made here can be signed");
        self.identity(certificate, &key)
    }

    fn identity(&self, certificate: rcgen::Certificate, key: &KeyPair) -> Identity {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static MADE: AtomicUsize = AtomicUsize::new(0);

        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Identity {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            certificate_file: self
                .files
                .write(&format!("{number}.cert.pem"), certificate.pem()),
            key_file: self
                .files
                .write(&format!("{number}.key.pem"), key.serialize_pem()),
        }
    }
}

/// The one TLS provider of the tests, as nothing is installed process-wide.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server_params(names: &[&str]) -> CertificateParams {
    let mut params = params(names.first().unwrap_or(&"nameless"), names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names of a test are valid");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a P-256 key can be made")
}
