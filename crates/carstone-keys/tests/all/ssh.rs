//! Keys of OpenSSH as recipients and identities. The keys in `tests/keys` were made for these tests.
use std::path::{Path, PathBuf};

use carstone_keys::{
    ContentKey, Envelope, ErrorKind, Identities, Identity, PassphraseFor, Recipient, RecipientKind,
    Recipients,
};

fn path(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys")).join(name)
}

fn seal_to_file(name: &str) -> (Envelope, ContentKey) {
    let mut recipients = Recipients::new();
    recipients.add_file(path(name)).expect("a public key");
    let key = ContentKey::generate().expect("randomness");
    (recipients.seal(&key).expect("sealed"), key)
}

fn with_file(name: &str) -> Identities {
    let mut identities = Identities::new();
    identities.add_file(path(name)).expect("a private key");
    identities
}

#[track_caller]
fn check(name: &str, kind: RecipientKind) {
    let (envelope, key) = seal_to_file(&format!("{name}.pub"));
    assert_eq!(envelope.recipients(), [kind]);
    assert_eq!(with_file(name).open(&envelope).expect("opens"), key);
}

#[test]
fn private_keys_open_what_was_sealed_to_the_public_ones() {
    check("ed25519", RecipientKind::SshEd25519);
    check("rsa", RecipientKind::SshRsa);
}

#[test]
fn another_key_does_not_open() {
    let (envelope, _) = seal_to_file("ed25519.pub");
    let error = with_file("rsa").open(&envelope).expect_err("another key");
    assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { tried: 1, .. }), "{error}");
}

#[test]
fn locked_key_is_unlocked_when_an_ssh_stanza_asks_for_it() {
    let (envelope, key) = seal_to_file("ed25519_locked.pub");
    let mut identities = with_file("ed25519_locked");
    let error = identities.open(&envelope).expect_err("locked");
    assert_eq!(*error.kind(), ErrorKind::PassphraseNeeded);
    identities.passphrase("wrong".into());
    let error = identities.open(&envelope).expect_err("wrong");
    assert_eq!(*error.kind(), ErrorKind::WrongPassphrase);
    identities.passphrase_callback(|what| {
        assert_eq!(what, PassphraseFor::SshKey(&path("ed25519_locked")));
        Ok("passphrase".into())
    });
    assert_eq!(identities.open(&envelope).expect("opens"), key);
}

#[test]
fn locked_key_is_not_asked_for_without_an_ssh_stanza() {
    let mut identities = with_file("ed25519_locked");
    identities.passphrase_callback(|what| panic!("asked for {what:?}"));
    let native: Recipients =
        [Identity::generate().expect("randomness").to_public()].into_iter().collect();
    let envelope = native.seal(&ContentKey::from_bytes([1; 32])).expect("sealed");
    let error = identities.open(&envelope).expect_err("for a stranger");
    assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { .. }), "{error}");
}

#[test]
fn ssh_and_native_recipients_mix() {
    let identity = Identity::generate().expect("randomness");
    let mut recipients: Recipients = [identity.to_public()].into_iter().collect();
    recipients.add_file(path("rsa.pub")).expect("a public key");
    let key = ContentKey::generate().expect("randomness");
    let envelope = recipients.seal(&key).expect("sealed");
    assert_eq!(envelope.recipients(), [RecipientKind::X25519, RecipientKind::SshRsa]);
    assert_eq!(with_file("rsa").open(&envelope).expect("opens"), key);
}

#[test]
fn text_survives_without_its_comment() {
    let text = std::fs::read_to_string(path("ed25519.pub")).expect("a public key");
    let text = text.trim();
    let recipient = Recipient::parse(&format!("{text} somebody@somewhere")).expect("a recipient");
    assert_eq!(recipient.to_string(), text);
}

#[test]
fn unsupported_and_damaged_keys_are_refused() {
    let error = Recipients::new().add_file(path("ecdsa.pub")).expect_err("ECDSA");
    assert!(matches!(error.kind(), ErrorKind::BadRecipient(_)), "{error}");
    let error = Identities::new().add_file(path("ecdsa")).expect_err("ECDSA");
    assert!(matches!(error.kind(), ErrorKind::BadIdentity(_)), "{error}");
    let text = std::fs::read(path("ed25519")).expect("a private key");
    for len in 0..text.len() - 1 {
        Identities::new().add_reader(&text[..len], "cut").expect_err("cut short");
    }
    let error = Recipient::parse("ssh-ed25519 AAAA").expect_err("cut short");
    assert!(matches!(error.kind(), ErrorKind::BadRecipient(_)), "{error}");
}

#[test]
fn locked_key_is_asked_for_only_where_the_stanza_is_its_own() {
    let (for_another, _) = seal_to_file("ed25519.pub");
    let mut identities = with_file("ed25519_locked");
    identities.passphrase_callback(|what| panic!("asked for {what:?}"));
    let error = identities.open(&for_another).expect_err("for another key");
    assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { .. }), "{error}");
    let (envelope, key) = seal_to_file("ed25519_locked.pub");
    identities.passphrase_callback(|_| Ok("passphrase".into()));
    assert_eq!(identities.open(&envelope).expect("opens"), key);
}

#[test]
fn keys_of_other_kinds_in_a_list_are_passed_over() {
    let read = |name: &str| std::fs::read_to_string(path(name)).expect("a public key");
    let (good, other) = (read("ed25519.pub"), read("ecdsa.pub"));
    let list = format!("# all keys\n{other}{good}");
    let mut recipients = Recipients::new();
    recipients.add_reader(list.as_bytes(), "list").expect("one is left");
    assert_eq!(recipients.keys().len(), 1);
    let told: Vec<String> = recipients.passed_over().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("list, line 2: "), "{told:?}");
    // Not what only begins like one, and not where none is left.
    for list in [other.clone(), format!("{good}ecdsa-sha2-nistp256 AAAA\n")] {
        let error = Recipients::new().add_reader(list.as_bytes(), "list").expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::BadRecipient(_)), "{error}");
    }
}
