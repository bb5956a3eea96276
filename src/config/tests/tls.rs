//! Certificates are loaded and checked with the configuration.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};

use super::house::House;

fn house(tls: &str) -> House {
    let toml =
        format!("[upstream.a]\nbase_url = \"https://h\"\nkeys = []\n[upstream.a.tls]\n{tls}\n");
    House::with(&toml)
}

fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["h".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[test]
fn files_are_found_beside_the_configuration() {
    let (certificate, key) = certificate();
    let config = house("ca_file = \"ca.pem\"\nplatform_roots = false\nclient_cert = \"c.pem\"\nclient_key = \"k.pem\"")
        .file("ca.pem", &format!("{certificate}{certificate}"), 0o644)
        .file("c.pem", &certificate, 0o644)
        .file("k.pem", &key, 0o640)
        .load()
        .unwrap();
    let tls = &config.upstream().tls;
    assert_eq!(tls.extra_roots.len(), 2);
    assert!(tls.without_platform_roots);
    assert_eq!(tls.identity.as_ref().unwrap().chain.len(), 1);
    assert!(!format!("{config:?}").contains("PRIVATE"));
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let errors = house("client_cert = \"c.pem\"").errors();
    assert!(
        errors.contains("tls.client_cert: found no client_key beside it"),
        "{errors}"
    );
    let errors = house("client_key = \"k.pem\"").errors();
    assert!(
        errors.contains("tls.client_key: found no client_cert beside it"),
        "{errors}"
    );
}

#[test]
fn a_key_that_all_users_may_read_is_refused() {
    let (certificate, key) = certificate();
    let errors = house("client_cert = \"c.pem\"\nclient_key = \"k.pem\"")
        .file("c.pem", &certificate, 0o644)
        .file("k.pem", &key, 0o644)
        .errors();
    assert!(
        errors.contains("DIR/k.pem is open to all users (mode 0644)"),
        "{errors}"
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (certificate, _) = certificate();
    let errors = house("client_cert = \"c.pem\"\nclient_key = \"k.pem\"")
        .file("c.pem", &certificate, 0o644)
        .file(
            "k.pem",
            &KeyPair::generate().unwrap().serialize_pem(),
            0o600,
        )
        .errors();
    assert!(
        errors.contains("DIR/k.pem and DIR/c.pem don't go together"),
        "{errors}"
    );
}

#[test]
fn a_file_without_certificates_is_refused_and_not_shown() {
    let broken = "-----BEGIN CERTIFICATE-----\nhunter2\n";
    let garbage = "-----BEGIN CERTIFICATE-----\nMAMBAf8=\n-----END CERTIFICATE-----\n";
    for (content, message) in [
        ("hunter2", "DIR/ca.pem has no PEM block of a certificate"),
        (broken, "DIR/ca.pem is damaged"),
        (garbage, "certificate 1 of DIR/ca.pem:"),
    ] {
        let errors = house("ca_file = \"ca.pem\"")
            .file("ca.pem", content, 0o644)
            .errors();
        assert!(errors.contains(message), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let errors = house("ca_file = \"none.pem\"").errors();
    assert!(
        errors.contains("can't read DIR/none.pem: No such file"),
        "{errors}"
    );
}

#[test]
fn to_trust_nobody_is_refused() {
    let errors = house("platform_roots = false").errors();
    assert!(errors.contains("no upstream could be trusted"), "{errors}");
}
