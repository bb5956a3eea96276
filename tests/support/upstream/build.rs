//! What an upstream shows to its clients: certificates and ALPN.

use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::{Conn, Upstream};
use crate::support::certs::{self, Authority, Identity, LOOPBACK_NAMES};

/// An upstream that does not listen yet.
pub struct Builder {
    authority: Authority,
    identity: Identity,
    alpn: Vec<Vec<u8>>,
    client_root: Option<CertificateDer<'static>>,
}

impl Builder {
    pub(super) fn new(authority: Authority) -> Builder {
        Builder {
            identity: authority.server(&LOOPBACK_NAMES),
            authority,
            alpn: vec![b"http/1.1".to_vec()],
            client_root: None,
        }
    }

    /// Shows `identity` in place of the valid one.
    pub fn identity(mut self, identity: Identity) -> Builder {
        self.identity = identity;
        self
    }

    /// Speaks these protocols; none: no ALPN at all.
    pub fn alpn(mut self, protocols: &[&str]) -> Builder {
        self.alpn = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// Refuses clients without a certificate of this authority.
    pub fn client_certificate_needed(mut self) -> Builder {
        self.client_root = Some(self.authority.root());
        self
    }

    /// Listens, speaks TLS and runs `script`.
    pub fn tls(
        self,
        script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static,
    ) -> Upstream {
        let builder = ServerConfig::builder_with_provider(certs::provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3");
        let builder = match self.client_root {
            None => builder.with_no_client_auth(),
            Some(root) => {
                let mut roots = RootCertStore::empty();
                roots.add(root).expect("the CA's certificate is a root");
                let roots = Arc::new(roots);
                builder.with_client_cert_verifier(
                    WebPkiClientVerifier::builder_with_provider(roots, certs::provider())
                        .build()
                        .expect("there is a root"),
                )
            }
        };
        let mut config = builder
            .with_single_cert(self.identity.chain, self.identity.key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = self.alpn;
        let config = Some(Arc::new(config));
        Upstream::listen("https", self.authority, config, Arc::new(script))
    }
}
