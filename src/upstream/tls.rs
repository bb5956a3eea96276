//! TLS settings of an upstream.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};

use crate::config::checked;

/// Why no TLS settings could be made.
#[derive(Debug)]
pub enum TlsError {
    /// Neither the platform nor `ca_file` gave a single root certificate.
    NoRoots(String),
    /// `client_cert` and `client_key` do not fit together.
    Identity(rustls::Error),
    /// The cryptography library refused its own defaults.
    Provider(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::NoRoots(why) => write!(
                f,
                "no root certificates to verify the upstream with ({why}): install the package \
                 ca-certificates, or set `ca_file` in [upstream.NAME.tls]"
            ),
            TlsError::Identity(error) => {
                write!(f, "client_cert and client_key cannot be used: {error}")
            }
            TlsError::Provider(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// The settings for one upstream, offering `protocols` in ALPN.
///
/// X25519MLKEM768 is offered first (rustls's `prefer-post-quantum`).
pub(super) fn settings(tls: &checked::Tls) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots(tls)?);
    let mut config = match &tls.identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(TlsError::Identity)?,
        None => builder.with_no_client_auth(),
    };
    // One host: a handful of tickets is plenty.
    config.resumption = Resumption::in_memory_sessions(8);
    Ok(config)
}

/// The settings for a server that is known by the platform's roots.
///
/// # Errors
/// There are none.
pub fn platform_tls() -> Result<ClientConfig, TlsError> {
    settings(&checked::Tls::default())
}

/// A copy of `config` that offers `protocols` in ALPN.
pub(super) fn offering(config: &ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

fn roots(tls: &checked::Tls) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let mut why = String::from("`platform_roots` is off and `ca_file` is empty");
    if !tls.without_platform_roots {
        let found = rustls_native_certs::load_native_certs();
        // Platform stores often hold a certificate or two that no library can
        // read; those are left out, as every other client does.
        store.add_parsable_certificates(found.certs);
        why = found.errors.first().map_or_else(
            || "the platform's store is empty".to_owned(),
            ToString::to_string,
        );
    }
    store.add_parsable_certificates(tls.extra_roots.iter().cloned());
    if store.is_empty() {
        Err(TlsError::NoRoots(why))
    } else {
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn the_post_quantum_key_exchange_is_offered_first() {
        let tls = checked::Tls::default();
        // Where the machine has no roots there is nothing to ask.
        let Ok(settings) = settings(&tls) else { return };
        let groups = &settings.crypto_provider().kx_groups;
        assert_eq!(groups[0].name(), NamedGroup::X25519MLKEM768);
    }
}
