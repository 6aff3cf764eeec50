//! Exchange with the `age` program, where it is installed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use carstone_keys::secrecy::ExposeSecret;
use carstone_keys::{ContentKey, Envelope, ErrorKind, Identities, Identity, Recipients};

#[test]
fn age_opens_our_envelopes_and_we_open_its_files() {
    if !installed("age") {
        eprintln!("skipped: the age program is not installed");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key.txt");
    let identity = Identity::generate().expect("randomness");
    fs::write(&key_file, identity.keygen_text().expose_secret()).expect("written");
    let mut identities = Identities::new();
    identities.add_file(&key_file).expect("a key file");
    let key = ContentKey::generate().expect("randomness");
    let mut plain = vec![1];
    plain.extend(key.as_bytes());

    let recipients: Recipients = [identity.to_public()].into_iter().collect();
    let envelope = recipients.seal(&key).expect("sealed");
    let opened = run("age", &["-d".as_ref(), "-i".as_ref(), &key_file], envelope.as_bytes());
    assert_eq!(opened, plain);

    let public = identity.to_public().to_string();
    let seal = |plain: &[u8]| {
        Envelope::from_bytes(&run("age", &["-r".as_ref(), public.as_ref()], plain))
            .expect("an age file")
    };
    assert_eq!(identities.open(&seal(&plain)).expect("opens"), key);
    for foreign in [&[][..], b"hello", &plain[..32], &[&plain[..], b"x"].concat()] {
        let error = identities.open(&seal(foreign)).expect_err("not a content key");
        assert_eq!(*error.kind(), ErrorKind::BadPlaintext);
    }
}

#[test]
fn age_keygen_reads_our_key_files_and_we_read_its() {
    if !installed("age-keygen") {
        eprintln!("skipped: the age-keygen program is not installed");
        return;
    }
    let identity = Identity::generate().expect("randomness");
    let text = identity.keygen_text();
    let public = run("age-keygen", &["-y".as_ref()], text.expose_secret().as_bytes());
    assert_eq!(public, format!("{}\n", identity.to_public()).as_bytes());

    let made = String::from_utf8(run("age-keygen", &[], b"")).expect("text");
    let secret = made.lines().last().expect("a secret key");
    let public = Identity::parse(secret).expect("a secret key").to_public();
    assert_eq!(made.lines().nth(1), Some(format!("# public key: {public}").as_str()));
    let mut identities = Identities::new();
    identities.add_reader(made.as_bytes(), "age-keygen").expect("a key file");
}

fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[track_caller]
fn run(program: &str, args: &[&Path], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    // Dropped at the end of the statement, which closes the pipe. A program that reads nothing may be gone.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("ended");
    assert!(output.status.success(), "{program} failed");
    output.stdout
}
