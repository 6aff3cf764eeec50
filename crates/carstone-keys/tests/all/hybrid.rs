//! The hybrid post-quantum keys `age1pq1…`, with envelopes that another implementation made.

use std::path::{Path, PathBuf};

use carstone_keys::secrecy::ExposeSecret;
use carstone_keys::{
    ContentKey, Envelope, ErrorKind, Identities, Identity, PassphraseFor, Recipient, RecipientKind,
    Recipients,
};

fn identity() -> Identity {
    Identity::generate_post_quantum().expect("randomness")
}

fn path(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).join(name)
}

fn with_file(name: &str) -> Identities {
    let mut identities = Identities::new();
    identities.add_file(path(name)).expect("a key file");
    identities
}

#[track_caller]
fn check_opens(envelope: &str, keys: &[&str]) {
    let stored = std::fs::read(path(envelope)).expect("an envelope");
    let envelope = Envelope::from_bytes(&stored).expect("an envelope");
    let expected = std::array::from_fn(|i| u8::try_from(i).expect("below 32"));
    for keys in keys {
        let opened = with_file(keys).open(&envelope).expect("opens");
        assert_eq!(opened, ContentKey::from_bytes(expected));
    }
}

#[test]
fn stored_envelope_of_typage_opens() {
    check_opens("hybrid.age", &["hybrid_key.txt"]);
}

/// Ours are never sealed so, but who has them gets at what is inside.
#[test]
fn stored_envelope_for_both_kinds_opens_with_either() {
    check_opens("mixed.age", &["key.txt", "hybrid_key.txt"]);
}

#[test]
fn each_recipient_opens_alone_and_a_stranger_does_not() {
    let (alice, bob) = (identity(), identity());
    let key = ContentKey::generate().expect("randomness");
    let recipients: Recipients = [alice.to_public(), bob.to_public()].into_iter().collect();
    let envelope = recipients.seal(&key).expect("sealed");
    assert_eq!(envelope.recipients(), [const { RecipientKind::MlKem768X25519 }; 2]);
    for who in [alice, bob] {
        let mut identities = Identities::new();
        identities.add(who.to_secret_text().expose_secret()).expect("a key");
        assert_eq!(identities.open(&envelope).expect("opens"), key);
    }
    for stranger in [identity(), Identity::generate().expect("randomness")] {
        let mut identities = Identities::new();
        identities.add_identity(stranger);
        let error = identities.open(&envelope).expect_err("a stranger");
        assert_eq!(
            error.to_string(),
            "the identity does not open the key envelope, which is for mlkem768x25519"
        );
    }
}

#[test]
fn sealing_refuses_to_mix() {
    let seal = |others: &[Recipient]| {
        let mut recipients: Recipients = others.iter().cloned().collect();
        recipients.add(identity().to_public());
        recipients.seal(&ContentKey::from_bytes([1; 32])).map(|envelope| envelope.recipients())
    };
    let native = Identity::generate().expect("randomness").to_public();
    let error = seal(&[native]).expect_err("mixed");
    assert_eq!(*error.kind(), ErrorKind::MixedPostQuantum);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/tagpq.pub");
    let mut hardware = Recipients::new();
    hardware.add_file(file).expect("a public key");
    // Those of hardware keys are of the same strength.
    assert_eq!(
        seal(hardware.keys()).expect("sealed"),
        [RecipientKind::MlKem768P256Tag, RecipientKind::MlKem768X25519]
    );
    let mut with_passphrase: Recipients = [identity().to_public()].into_iter().collect();
    with_passphrase.passphrase("x".into());
    let error = with_passphrase.seal(&ContentKey::from_bytes([1; 32])).expect_err("mixed");
    assert_eq!(*error.kind(), ErrorKind::MixedPassphrase);
}

#[test]
fn key_file_has_the_lines_of_age_keygen() {
    let identity = identity();
    let text = identity.keygen_text();
    let lines: Vec<&str> = text.expose_secret().lines().collect();
    assert!(lines[0].starts_with("# created: "));
    assert_eq!(lines[1], format!("# public key: {}", identity.to_public()));
    assert!(lines[1].starts_with("# public key: age1pq1"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-PQ-1"));
    assert_eq!((lines.len(), lines[2].len()), (3, 77));
    let mut identities = Identities::new();
    identities.add_reader(text.expose_secret().as_bytes(), "keys").expect("a key file");
    let shown = format!("{identity:?} {identities:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
    let public = Recipient::parse(&identity.to_public().to_string()).expect("a public key");
    assert_eq!(public.kind(), RecipientKind::MlKem768X25519);
    assert_eq!(public, identity.to_public());
}

#[test]
fn locked_key_file_is_asked_for() {
    let identity = identity();
    // The lock is an age file of any content, so an envelope will not do: the age library makes it.
    let mut lock = age::scrypt::Recipient::new("right".into());
    lock.set_work_factor(1);
    let text = identity.keygen_text();
    let locked = age::encrypt(&lock, text.expose_secret().as_bytes()).expect("locked");
    let mut identities = Identities::new();
    identities.add_reader(&locked[..], "locked").expect("a key file");
    identities.passphrase_callback(|what| {
        assert_eq!(what, PassphraseFor::IdentityFile(Path::new("locked")));
        Ok("right".into())
    });
    let recipients: Recipients = [identity.to_public()].into_iter().collect();
    let key = ContentKey::generate().expect("randomness");
    assert_eq!(identities.open(&recipients.seal(&key).expect("sealed")).expect("opens"), key);
}
