//! The shared test vectors: key envelopes that another program made.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;

use carstone_keys::{Envelope, ErrorKind, Identities, Identity};
use toml::Table;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn envelopes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/envelope.toml");
    let file: Table = fs::read_to_string(path).unwrap().parse().unwrap();
    for case in file["envelope"].as_array().unwrap() {
        let text = |key: &str| case.get(key).map(|value| value.as_str().unwrap());
        let name = text("name").unwrap();
        let mut identities = Identities::new();
        if let Some(secret) = text("identity") {
            let identity = Identity::parse(secret).unwrap();
            assert_eq!(
                Some(identity.to_public().to_string().as_str()),
                text("recipient"),
                "{name}"
            );
            identities.add_identity(identity);
        }
        if let Some(passphrase) = text("passphrase") {
            identities.passphrase(passphrase.to_owned().into());
        }
        let envelope = Envelope::from_bytes(&bytes(text("bytes").unwrap()));
        let outcome = match envelope.and_then(|envelope| identities.open(&envelope)) {
            Ok(key) => {
                assert_eq!(key.as_bytes()[..], bytes(text("content_key").unwrap()), "{name}");
                "ok"
            }
            Err(error) => match error.kind() {
                ErrorKind::NoMatchingKey { .. } | ErrorKind::WrongPassphrase => "no-key",
                ErrorKind::BadPlaintext => "envelope",
                ErrorKind::NotAnEnvelope(_) | ErrorKind::Damaged => "age",
                other => panic!("{name}: {other:?}"),
            },
        };
        assert_eq!(outcome, text("expect").unwrap(), "{name}");
    }
}
