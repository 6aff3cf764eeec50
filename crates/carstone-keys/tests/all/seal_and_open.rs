//! Sealing to keys and passphrases, and who opens what.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carstone_keys::secrecy::SecretString;
use carstone_keys::{
    ContentKey, Envelope, Error, ErrorKind, Identities, Identity, PassphraseFor, RecipientKind,
    Recipients,
};

fn identity() -> Identity {
    Identity::generate().expect("randomness")
}

fn key() -> ContentKey {
    ContentKey::generate().expect("randomness")
}

fn sealed_to(identities: &[&Identity], key: &ContentKey) -> Envelope {
    let recipients: Recipients = identities.iter().map(|id| id.to_public()).collect();
    recipients.seal(key).expect("sealed")
}

/// The lowest work factor, so that the tests take no time.
fn sealed_with(passphrase: &str, key: &ContentKey) -> Envelope {
    let mut recipients = Recipients::new().with_work_factor(1).expect("a work factor");
    recipients.passphrase(passphrase.into());
    recipients.seal(key).expect("sealed")
}

fn with_identity(identity: &Identity) -> Identities {
    let mut identities = Identities::new();
    identities.add_identity(identity.clone());
    identities
}

fn with_passphrases(passphrases: &[&str]) -> Identities {
    let mut identities = Identities::new();
    for &passphrase in passphrases {
        identities.passphrase(passphrase.into());
    }
    identities
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &ErrorKind) {
    assert_eq!(result.expect_err("refused").kind(), expected);
}

#[test]
fn each_recipient_opens_alone_and_a_stranger_does_not() {
    let (alice, bob, carol) = (identity(), identity(), identity());
    let key = key();
    let envelope = sealed_to(&[&alice, &bob], &key);
    let stored = Envelope::from_bytes(envelope.as_bytes()).expect("an envelope");
    assert_eq!(stored, envelope);
    assert_eq!(stored.recipients(), [RecipientKind::X25519, RecipientKind::X25519]);
    assert!(!stored.needs_passphrase());

    assert_eq!(with_identity(&alice).open(&stored).expect("alice"), key);
    assert_eq!(with_identity(&bob).open(&stored).expect("bob"), key);
    let mut both = with_identity(&carol);
    both.add_identity(bob);
    assert_eq!(both.open(&stored).expect("carol has bob's key"), key);

    let needs = vec![RecipientKind::X25519; 2];
    let error = with_identity(&carol).open(&stored).expect_err("carol");
    assert_eq!(*error.kind(), ErrorKind::NoMatchingKey { tried: 1, needs: needs.clone() });
    assert_eq!(
        error.to_string(),
        "the identity does not open the key envelope, which is for X25519"
    );
    check_refused(Identities::new().open(&stored), &ErrorKind::NoMatchingKey { tried: 0, needs });
}

#[test]
fn two_seals_of_one_key_share_no_bytes_of_the_payload() {
    let (alice, key) = (identity(), key());
    let (one, two) = (sealed_to(&[&alice], &key), sealed_to(&[&alice], &key));
    let tail = |envelope: &Envelope| envelope.as_bytes()[envelope.as_bytes().len() - 49..].to_vec();
    assert_ne!(tail(&one), tail(&two));
}

#[test]
fn the_right_passphrase_opens_and_a_wrong_one_does_not() {
    let key = key();
    let envelope = sealed_with("right", &key);
    assert_eq!(envelope.recipients(), [RecipientKind::Scrypt]);
    assert!(envelope.needs_passphrase());
    assert_eq!(with_passphrases(&["right"]).open(&envelope).expect("right"), key);
    assert_eq!(with_passphrases(&["wrong", "right"]).open(&envelope).expect("second"), key);
    check_refused(with_passphrases(&["wrong"]).open(&envelope), &ErrorKind::WrongPassphrase);
    check_refused(with_passphrases(&["Right"]).open(&envelope), &ErrorKind::WrongPassphrase);
    check_refused(with_passphrases(&[""]).open(&envelope), &ErrorKind::WrongPassphrase);
    check_refused(with_identity(&identity()).open(&envelope), &ErrorKind::PassphraseNeeded);
    check_refused(Identities::new().open(&envelope), &ErrorKind::PassphraseNeeded);
}

#[test]
fn passphrase_alone_does_not_open_what_is_for_a_key() {
    let alice = identity();
    let envelope = sealed_to(&[&alice], &key());
    let needs = vec![RecipientKind::X25519];
    check_refused(
        with_passphrases(&["x"]).open(&envelope),
        &ErrorKind::NoMatchingKey { tried: 0, needs },
    );
}

#[test]
fn callback_is_asked_once_and_only_for_a_passphrase_envelope() {
    let (alice, key) = (identity(), key());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let mut identities = with_identity(&alice);
    identities.passphrase_callback(move |what| {
        assert_eq!(what, PassphraseFor::Envelope);
        count.fetch_add(1, Ordering::Relaxed);
        Ok("right".into())
    });
    identities.open(&sealed_to(&[&alice], &key)).expect("opens by key");
    identities.open(&sealed_to(&[&identity()], &key)).expect_err("for a stranger");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(identities.open(&sealed_with("right", &key)).expect("opens"), key);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    check_refused(identities.open(&sealed_with("other", &key)), &ErrorKind::WrongPassphrase);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    // One that is at hand and fits spares the question.
    identities.passphrase("other".into());
    identities.open(&sealed_with("other", &key)).expect("opens");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn callback_that_fails_is_the_source_of_the_error() {
    let envelope = sealed_with("right", &key());
    let mut identities = Identities::new();
    identities.passphrase_callback(|_| Err(io::Error::new(io::ErrorKind::BrokenPipe, "no tty")));
    let error = identities.open(&envelope).expect_err("no passphrase");
    assert_eq!(*error.kind(), ErrorKind::Prompt);
    let source = std::error::Error::source(&error).expect("a source").to_string();
    assert_eq!(source, "no tty");
    assert!(!error.to_string().contains("no tty"));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn passphrase_is_not_combined_with_keys() {
    let mut recipients: Recipients = [identity().to_public()].into_iter().collect();
    recipients.passphrase("right".into());
    check_refused(recipients.seal(&key()), &ErrorKind::MixedPassphrase);
}

#[test]
fn nobody_and_an_empty_passphrase_are_refused() {
    check_refused(Recipients::new().seal(&key()), &ErrorKind::NoRecipients);
    assert!(Recipients::new().is_empty());
    let mut recipients = Recipients::new();
    recipients.passphrase(SecretString::default());
    check_refused(recipients.seal(&key()), &ErrorKind::EmptyPassphrase);
}

#[test]
fn work_factor_limit_is_exact_and_comes_before_the_question() {
    let key = key();
    let mut recipients = Recipients::new().with_work_factor(5).expect("a work factor");
    recipients.passphrase("right".into());
    let envelope = recipients.seal(&key).expect("sealed");

    let allowed = with_passphrases(&["right"]).with_max_work_factor(5);
    assert_eq!(allowed.open(&envelope).expect("at the limit"), key);

    let mut refused = Identities::new().with_max_work_factor(4);
    refused.passphrase_callback(|_| panic!("asked for nothing"));
    let error = refused.open(&envelope).expect_err("above the limit");
    assert_eq!(*error.kind(), ErrorKind::ExcessiveWork { required: 5, allowed: 4 });
    assert_eq!(
        error.to_string(),
        "the passphrase needs scrypt work factor 5, and at most 4 is allowed"
    );
}

#[test]
fn default_limit_refuses_factor_23() {
    let stanza = format!("-> scrypt {} 23\n{}\n", "A".repeat(22), "A".repeat(43));
    let mut bytes = format!("age-encryption.org/v1\n{stanza}--- {}\n", "A".repeat(43)).into_bytes();
    bytes.extend([0; 65]);
    let envelope = Envelope::from_bytes(&bytes).expect("well formed");
    check_refused(
        with_passphrases(&["x"]).open(&envelope),
        &ErrorKind::ExcessiveWork { required: 23, allowed: 22 },
    );
}

#[test]
fn work_factors_that_cannot_be_are_refused() {
    for n in [0, 64, 255] {
        check_refused(Recipients::new().with_work_factor(n), &ErrorKind::BadWorkFactor(n));
    }
}

#[test]
fn a_thousand_recipients_fit_and_the_last_one_opens() {
    let (last, key) = (identity(), key());
    let other = identity().to_public();
    let mut recipients: Recipients = std::iter::repeat_n(other, 999).collect();
    recipients.add(last.to_public());
    let envelope = recipients.seal(&key).expect("sealed");
    assert_eq!(envelope.recipients().len(), 1000);
    assert_eq!(with_identity(&last).open(&envelope).expect("opens"), key);
}

#[test]
fn shared_state_can_go_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<ContentKey>();
    check::<Envelope>();
    check::<Recipients>();
    check::<Identities>();
    check::<Identity>();
    check::<Error>();
}

#[test]
fn error_travels_inside_an_io_error() {
    let error = Envelope::from_bytes(b"").expect_err("empty");
    let wrapped = io::Error::from(error);
    assert_eq!(wrapped.kind(), io::ErrorKind::InvalidData);
    let inner = Error::of(&wrapped).expect("inside");
    assert_eq!(inner.offset(), Some(0));
    assert!(Error::of(&io::Error::other("else")).is_none());
}

/// Made with the `age` program from `01 00 01 02 … 1f`.
#[test]
fn stored_envelope_of_the_age_program_opens() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut identities = Identities::new();
    identities.add_file(format!("{folder}/key.txt")).expect("a key file");
    let stored = std::fs::read(format!("{folder}/envelope.age")).expect("an envelope");
    let envelope = Envelope::from_bytes(&stored).expect("an envelope");
    let expected = std::array::from_fn(|i| u8::try_from(i).expect("below 32"));
    assert_eq!(identities.open(&envelope).expect("opens"), ContentKey::from_bytes(expected));
}

#[test]
fn hardware_keys_are_sealed_to_and_post_quantum_ones_stay_apart() {
    let keys = |names: &[&str]| {
        let mut recipients = Recipients::new();
        for name in names {
            let path = format!("{}/tests/keys/{name}.pub", env!("CARGO_MANIFEST_DIR"));
            recipients.add_file(path).expect("a public key");
        }
        recipients
    };
    let kinds = |names: &[&str]| keys(names).seal(&key()).expect("sealed").recipients();
    assert_eq!(kinds(&["tag"]), [RecipientKind::P256Tag]);
    assert_eq!(kinds(&["tagpq"]), [RecipientKind::MlKem768P256Tag]);
    check_refused(keys(&["tag", "tagpq"]).seal(&key()), &ErrorKind::MixedPostQuantum);
    let tag = &keys(&["tag"]).keys()[0].to_string();
    assert_eq!(tag.parse::<carstone_keys::Recipient>().expect("a recipient").to_string(), *tag);

    let mut mixed = keys(&["tagpq"]);
    mixed.passphrase("right".into());
    check_refused(mixed.seal(&key()), &ErrorKind::MixedPassphrase);
}
