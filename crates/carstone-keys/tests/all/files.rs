//! Files of recipients and identities.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use carstone_keys::secrecy::ExposeSecret;
use carstone_keys::{
    ContentKey, Envelope, ErrorKind, Identities, Identity, PassphraseFor, Recipients,
};
use tempfile::TempDir;

fn identity() -> Identity {
    Identity::generate().expect("randomness")
}

fn secret(identity: &Identity) -> String {
    identity.to_secret_text().expose_secret().to_owned()
}

fn file(folder: &TempDir, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join("keys.txt");
    fs::write(&path, content).expect("written");
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn seal_to(identities: &[&Identity]) -> (Envelope, ContentKey) {
    let recipients: Recipients = identities.iter().map(|id| id.to_public()).collect();
    let key = ContentKey::generate().expect("randomness");
    (recipients.seal(&key).expect("sealed"), key)
}

#[track_caller]
fn check_bad_recipients(content: impl AsRef<[u8]>, line: Option<u64>, kind: &ErrorKind) {
    let folder = folder();
    let path = file(&folder, content.as_ref());
    let mut recipients = Recipients::new();
    let error = recipients.add_file(&path).expect_err("refused");
    assert_eq!(error.kind(), kind);
    assert_eq!((error.path(), error.line()), (Some(path.as_path()), line));
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    assert!(recipients.is_empty());
}

#[track_caller]
fn check_bad_identities(content: impl AsRef<[u8]>, line: Option<u64>, kind: &ErrorKind) {
    let folder = folder();
    let path = file(&folder, content.as_ref());
    let mut identities = Identities::new();
    let error = identities.add_file(&path).expect_err("refused");
    assert_eq!(error.kind(), kind);
    assert_eq!((error.path(), error.line()), (Some(path.as_path()), line));
    assert!(identities.is_empty());
}

#[test]
fn recipients_file_with_comments_blank_lines_and_crlf() {
    let (alice, bob) = (identity(), identity());
    for end in ["\n", "\r\n"] {
        let text = ["# people", "", &alice.to_public().to_string(), "  ", "# more"].join(end);
        let text = format!("{text}{end}{}", bob.to_public());
        let folder = folder();
        let mut recipients = Recipients::new();
        recipients.add_file(file(&folder, text)).expect("a good file");
        assert_eq!(recipients.keys(), [alice.to_public(), bob.to_public()]);
    }
}

#[test]
fn empty_files_are_refused() {
    for content in ["", "\n\n", "# nobody\n", "\r\n"] {
        check_bad_recipients(content, None, &ErrorKind::NoKeysInFile);
        check_bad_identities(content, None, &ErrorKind::NoKeysInFile);
    }
}

#[test]
fn missing_files_are_refused_with_their_source() {
    let path = Path::new("/nowhere/keys.txt");
    let errors = [
        Recipients::new().add_file(path).expect_err("missing"),
        Identities::new().add_file(path).expect_err("missing"),
    ];
    for error in errors {
        assert_eq!(*error.kind(), ErrorKind::Read);
        assert_eq!(error.to_string(), "/nowhere/keys.txt: cannot read the key file");
        assert!(std::error::Error::source(&error).is_some());
        let io = std::io::Error::from(error);
        assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
    }
}

#[test]
fn bad_lines_are_named_and_nothing_is_added() {
    let public = identity().to_public();
    let junk = ErrorKind::BadRecipient("it does not look like a public key");
    check_bad_recipients(format!("{public}\n\n# x\nalice\n"), Some(4), &junk);
    check_bad_recipients(b"\xff\xfe\n", Some(1), &junk);
    let junk = ErrorKind::BadIdentity("it does not look like an age secret key");
    check_bad_identities(format!("{}\nalice\n", secret(&identity())), Some(2), &junk);
    let public_key = "it is a public key, and opening takes a secret key";
    check_bad_identities(public.to_string(), Some(1), &ErrorKind::BadIdentity(public_key));
}

#[test]
fn secrets_in_the_wrong_file_are_never_shown() {
    let alice = secret(&identity());
    let folder = folder();
    for text in [alice.clone(), alice.to_lowercase(), alice[..40].to_owned()] {
        let path = file(&folder, &text);
        let error = Recipients::new().add_file(&path).expect_err("a secret key");
        let shown = format!("{error} {error:?}").to_lowercase();
        assert!(shown.contains("it is a secret key"), "{shown}");
        assert!(!shown.contains(&alice[16..24].to_lowercase()), "{shown}");
    }
    let cut = file(&folder, &alice[..40]);
    let error = Identities::new().add_file(&cut).expect_err("cut short");
    assert!(!format!("{error} {error:?}").contains(&alice[16..24]));
}

#[test]
fn identity_file_of_keygen_opens() {
    let (alice, bob) = (identity(), identity());
    let folder = folder();
    let text = alice.keygen_text();
    for text in [
        text.expose_secret().to_owned(),
        text.expose_secret().replace('\n', "\r\n"),
        format!("# two keys\n\n{}\n{}", secret(&bob), secret(&alice)),
    ] {
        let mut identities = Identities::new();
        identities.add_file(file(&folder, text)).expect("a good file");
        let (envelope, key) = seal_to(&[&alice]);
        assert_eq!(identities.open(&envelope).expect("opens"), key);
    }
}

#[test]
fn too_long_a_file_is_refused() {
    let long = vec![b'\n'; carstone_keys::MAX_LEN + 1];
    let kind = ErrorKind::TooLarge { limit: carstone_keys::MAX_LEN };
    check_bad_recipients(&long, None, &kind);
    check_bad_identities(&long, None, &kind);
}

/// An identity file sealed to a passphrase, at the lowest work factor.
fn locked_file(content: &str, passphrase: &str, armored: bool) -> Vec<u8> {
    use std::io::Write;
    let mut recipient = age::scrypt::Recipient::new(passphrase.into());
    recipient.set_work_factor(1);
    let format = if armored { age::armor::Format::AsciiArmor } else { age::armor::Format::Binary };
    let sealer = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).expect("sealer");
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), format).expect("armor");
    let mut writer = sealer.wrap_output(armor).expect("header");
    writer.write_all(content.as_bytes()).expect("written");
    writer.finish().and_then(age::armor::ArmoredWriter::finish).expect("finished")
}

#[test]
fn locked_identity_file_is_unlocked_once_and_only_when_needed() {
    let (alice, bob) = (identity(), identity());
    for armored in [false, true] {
        let folder = folder();
        let path =
            file(&folder, locked_file(alice.keygen_text().expose_secret(), "right", armored));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let mut identities = Identities::new();
        identities.add_file(&path).expect("a locked file");
        identities.add_identity(bob.clone());
        identities.passphrase_callback(move |what| {
            let PassphraseFor::IdentityFile(path) = what else { panic!("{what:?}") };
            log.lock().expect("not poisoned").push(path.to_owned());
            Ok("right".into())
        });
        let (envelope, key) = seal_to(&[&alice, &bob]);
        assert_eq!(identities.open(&envelope).expect("bob is at hand"), key);
        assert!(asked.lock().expect("not poisoned").is_empty());

        for _ in 0..2 {
            let (envelope, key) = seal_to(&[&alice]);
            assert_eq!(identities.open(&envelope).expect("alice is locked"), key);
        }
        assert_eq!(*asked.lock().expect("not poisoned"), [path]);

        let (envelope, _) = seal_to(&[&identity()]);
        let error = identities.open(&envelope).expect_err("a stranger's");
        assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { tried: 2, .. }), "{error}");
    }
}

#[test]
fn locked_identity_file_with_a_wrong_or_no_passphrase() {
    let alice = identity();
    let folder = folder();
    let path = file(&folder, locked_file(alice.keygen_text().expose_secret(), "right", false));
    let (envelope, key) = seal_to(&[&alice]);

    let mut identities = Identities::new();
    identities.add_file(&path).expect("a locked file");
    let error = identities.open(&envelope).expect_err("no passphrase");
    assert_eq!(*error.kind(), ErrorKind::PassphraseNeeded);
    assert_eq!(error.path(), Some(path.as_path()));

    identities.passphrase("wrong".into());
    let error = identities.open(&envelope).expect_err("wrong passphrase");
    assert_eq!(error.to_string(), format!("{}: wrong passphrase", path.display()));

    identities.passphrase("right".into());
    assert_eq!(identities.open(&envelope).expect("opens"), key);
}

#[test]
fn locked_identity_file_with_junk_inside() {
    let folder = folder();
    let path = file(&folder, locked_file("# x\njunk\n", "right", false));
    let mut identities = Identities::new();
    identities.add_file(&path).expect("a locked file");
    identities.passphrase("right".into());
    let (envelope, _) = seal_to(&[&identity()]);
    let error = identities.open(&envelope).expect_err("junk");
    assert!(matches!(error.kind(), ErrorKind::BadIdentity(_)), "{error}");
    assert_eq!(error.line(), Some(2));
}

#[test]
fn identity_file_that_is_sealed_to_a_key_is_refused() {
    let (envelope, _) = seal_to(&[&identity()]);
    let why = "the file is sealed, and not to a passphrase";
    check_bad_identities(envelope.as_bytes(), None, &ErrorKind::BadIdentity(why));
}

#[test]
fn malformed_sealed_identity_files_are_refused() {
    let text = "-----BEGIN AGE ENCRYPTED FILE-----\nnot base64!\n";
    check_bad_identities(text, None, &ErrorKind::BadIdentity("the armor is malformed"));
    let folder = folder();
    let path = file(&folder, "age-encryption.org/v1\n-> scrypt");
    let error = Identities::new().add_file(path).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::NotAnEnvelope(_)), "{error}");
}

#[test]
fn locked_file_that_does_not_open_keeps_no_other_from_opening() {
    let (alice, bob) = (identity(), identity());
    let folder = folder();
    let locked = |name: &str, of: &Identity, passphrase| {
        let path = folder.path().join(name);
        std::fs::write(&path, locked_file(of.keygen_text().expose_secret(), passphrase, false))
            .expect("written");
        path
    };
    let mut identities = Identities::new();
    let first = locked("first", &alice, "one");
    identities.add_file(&first).expect("a locked file");
    identities.add_file(locked("second", &bob, "two")).expect("a locked file");
    identities.passphrase("two".into());
    let (envelope, key) = seal_to(&[&bob]);
    assert_eq!(identities.open(&envelope).expect("the second opens it"), key);
    // Where nothing opens it, the first file may be the one that is wanted.
    let error = identities.open(&seal_to(&[&alice]).0).expect_err("still locked");
    assert_eq!(error.to_string(), format!("{}: wrong passphrase", first.display()));
}
