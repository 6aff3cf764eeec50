//! Damaged and foreign bytes: a typed error, never a panic, never a key.

use carstone_keys::{
    ContentKey, Envelope, Error, ErrorKind, Identities, Identity, MAX_LEN, Recipients,
};
use proptest::prelude::*;

fn sealed_to_key() -> (Vec<u8>, Identities) {
    let identity = Identity::generate().expect("randomness");
    let recipients: Recipients = [identity.to_public()].into_iter().collect();
    let mut identities = Identities::new();
    identities.add_identity(identity);
    (seal(&recipients), identities)
}

fn sealed_to_passphrase() -> (Vec<u8>, Identities) {
    let mut recipients = Recipients::new().with_work_factor(1).expect("a work factor");
    recipients.passphrase("right".into());
    let mut identities = Identities::new().with_max_work_factor(4);
    identities.passphrase("right".into());
    (seal(&recipients), identities)
}

fn seal(recipients: &Recipients) -> Vec<u8> {
    recipients.seal(&ContentKey::from_bytes([0x42; 32])).expect("sealed").into_bytes()
}

fn open(bytes: &[u8], identities: &Identities) -> Result<ContentKey, Error> {
    identities.open(&Envelope::from_bytes(bytes)?)
}

fn is_expected(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotAnEnvelope(_)
            | ErrorKind::Damaged
            | ErrorKind::NoMatchingKey { .. }
            | ErrorKind::WrongPassphrase
            | ErrorKind::ExcessiveWork { .. }
    )
}

#[track_caller]
fn check_refused(bytes: &[u8], identities: &Identities, place: usize) {
    let error = open(bytes, identities).expect_err("damaged");
    assert!(is_expected(error.kind()), "{place}: {error}");
    if let Some(offset) = error.offset() {
        assert!(offset <= bytes.len() as u64, "{place}: {error}");
    }
}

#[test]
fn every_shorter_length_is_refused() {
    for (bytes, identities) in [sealed_to_key(), sealed_to_passphrase()] {
        open(&bytes, &identities).expect("whole");
        for len in 0..bytes.len() {
            check_refused(&bytes[..len], &identities, len);
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (bytes, identities) in [sealed_to_key(), sealed_to_passphrase()] {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_refused(&flipped, &identities, bit);
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused() {
    for (bytes, identities) in [sealed_to_key(), sealed_to_passphrase()] {
        for more in [1, 16, 33, 70_000] {
            let mut longer = bytes.clone();
            longer.resize(bytes.len() + more, 0);
            let error = open(&longer, &identities).expect_err("longer");
            assert_eq!(*error.kind(), ErrorKind::Damaged, "{more}");
        }
    }
}

#[test]
fn length_limit_is_exact() {
    let (mut bytes, _) = sealed_to_key();
    bytes.resize(MAX_LEN, 0);
    Envelope::from_bytes(&bytes).expect("at the limit");
    bytes.push(0);
    let error = Envelope::from_bytes(&bytes).expect_err("above the limit");
    assert_eq!(*error.kind(), ErrorKind::TooLarge { limit: MAX_LEN });
}

#[test]
fn a_header_of_very_many_stanzas_takes_no_long_time() {
    // Reading it line by line and parsing from the start each time would take minutes.
    let mut text = String::from("age-encryption.org/v1\n");
    while text.len() < MAX_LEN - 200 {
        text.push_str("-> a\n\n");
    }
    text.push_str("--- ");
    text.push_str(&"A".repeat(43));
    text.push('\n');
    let mut bytes = text.into_bytes();
    bytes.extend([0; 65]);
    let envelope = Envelope::from_bytes(&bytes).expect("well formed");
    assert!(envelope.recipients().len() > 170_000);
    let (_, identities) = sealed_to_key();
    let error = identities.open(&envelope).expect_err("for nobody");
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
fn armor_is_not_an_envelope() {
    let error =
        Envelope::from_bytes(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n").expect_err("armored");
    assert!(matches!(error.kind(), ErrorKind::NotAnEnvelope(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_key_comes_back(bytes in any::<[u8; 32]>()) {
        let identity = Identity::generate().expect("randomness");
        let recipients: Recipients = [identity.to_public()].into_iter().collect();
        let envelope = recipients.seal(&ContentKey::from_bytes(bytes)).expect("sealed");
        let mut identities = Identities::new();
        identities.add_identity(identity);
        let key = open(envelope.as_bytes(), &identities).expect("opened");
        prop_assert_eq!(key.as_bytes(), &bytes);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Envelope::from_bytes(&bytes).is_err());
    }

    #[test]
    fn any_stanzas_do_no_harm(stanzas in "(-> [ -~]{0,20}\n([A-Za-z0-9+/]{64}\n){0,2}[A-Za-z0-9+/]{0,63}\n){0,4}") {
        let mut bytes = format!("age-encryption.org/v1\n{stanzas}--- {}\n", "A".repeat(43)).into_bytes();
        bytes.extend([0; 65]);
        let (_, identities) = sealed_to_key();
        if let Err(error) = open(&bytes, &identities) {
            prop_assert!(is_expected(error.kind()) || *error.kind() == ErrorKind::PassphraseNeeded);
        } else {
            prop_assert!(false, "opened");
        }
    }

    #[test]
    fn any_key_file_does_no_harm(text in "(AGE-SECRET-KEY-1|age1|ssh-|# |-----BEGIN )?.{0,80}\r?\n?") {
        let mut recipients = Recipients::new();
        let mut identities = Identities::new();
        let refusals = [
            recipients.add_reader(text.as_bytes(), "name").err(),
            identities.add_reader(text.as_bytes(), "name").err(),
        ];
        for error in refusals.into_iter().flatten() {
            prop_assert_eq!(error.path(), Some("name".as_ref()));
        }
        prop_assert!(recipients.is_empty() && identities.is_empty());
    }
}
