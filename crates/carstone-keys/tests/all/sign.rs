//! Signatures: those in `tests/sign` were made with `ssh-keygen -Y sign` (OpenSSH 9.2) over `message`, with keys of `tests/keys` and others.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use carstone_keys::MAX_LEN;
use carstone_keys::secrecy::SecretString;
use carstone_keys::sign::{
    Digest, Error, ErrorKind, Hash, MAX_SIGNATURE_LEN, Signature, Signers, SigningKey, digest,
};
use data_encoding::BASE64;

pub const ID: [u8; 16] = [7; 16];
const MESSAGE: &[u8] = include_bytes!("../sign/message");
const TYPES: [(&str, &str); 3] =
    [("ed25519", "ssh-ed25519"), ("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")];

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).join(name);
    std::fs::read(path).expect("it is there")
}

fn sha512(bytes: &[u8]) -> Digest {
    digest(Hash::Sha512, bytes).expect("a slice can be read")
}

fn no_passphrase() -> io::Result<SecretString> {
    panic!("asked for a passphrase")
}

fn key(name: &str) -> SigningKey {
    let bytes = file(&format!("keys/{name}"));
    SigningKey::from_bytes(&bytes, name, no_passphrase).expect("a key")
}

/// What `ssh-keygen` made.
pub fn theirs(name: &str) -> Signature {
    Signature::parse(&file(&format!("sign/{name}.sig")), "x.sig").expect("a signature")
}

/// Ours over the message.
fn ours(name: &str) -> Signature {
    key(name).sign(ID, &sha512(MESSAGE)).expect("signed")
}

pub fn public(name: &str) -> String {
    String::from_utf8(file(&format!("keys/{name}.pub"))).expect("text").trim().to_owned()
}

#[track_caller]
fn refused(text: &[u8]) -> Error {
    let error = Signature::parse(text, "x.sig").expect_err("no signature");
    assert_eq!(error.path(), Some(Path::new("x.sig")));
    assert!(!error.is_verdict(), "{error}");
    assert!(error.to_string().starts_with("x.sig"), "{error}");
    error
}

#[test]
fn signatures_of_ssh_keygen_hold_for_their_message_only() {
    for (name, kind) in TYPES {
        let signature = theirs(name);
        assert_eq!((signature.hash(), signature.key_type().as_str()), (Hash::Sha512, kind));
        signature.verify(ID, &sha512(MESSAGE)).expect("it holds");
        let error = signature.verify(ID, &sha512(b"other")).expect_err("other bytes");
        assert_eq!(*error.kind(), ErrorKind::Mismatch);
        assert!(error.is_verdict());
    }
    let signature = theirs("ed25519_sha256");
    let short = digest(Hash::Sha256, MESSAGE).expect("read");
    assert_eq!(signature.hash(), Hash::Sha256);
    signature.verify(ID, &short).expect("it holds");
    // A digest of another hash than the one that was signed.
    let error = signature.verify(ID, &sha512(MESSAGE)).expect_err("another hash");
    assert_eq!(*error.kind(), ErrorKind::Mismatch);
}

/// Ed25519 and RSA sign alike each time, so that ours are theirs, byte for byte.
#[test]
fn ours_are_what_ssh_keygen_makes_with_a_line_behind() {
    for name in ["ed25519", "rsa"] {
        let text = ours(name).to_text();
        let line = text.strip_prefix(&theirs(name).to_text()).expect("the same signature");
        assert_eq!(theirs(name).to_text().as_bytes(), file(&format!("sign/{name}.sig")));
        let sum: String =
            sha512(MESSAGE).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(line, format!("# carstone pack {} sha512 {sum}\n", "07".repeat(16)));
    }
}

#[test]
fn ours_are_read_again_and_hold() {
    for (name, kind) in TYPES {
        let signature = Signature::parse(ours(name).to_text().as_bytes(), "x").expect("read");
        assert_eq!(signature.key_type(), kind);
        assert_eq!(signature.fingerprint(), key(name).fingerprint());
        signature.verify(ID, &sha512(MESSAGE)).expect("it holds");
        assert_eq!(signature.to_text(), ours_again(&signature));
    }
    assert_eq!(key("ed25519").fingerprint(), "SHA256:miUBVSoouV/3UE+BAWShpZmGo1FwvmlLm9SLrIko5lI");
}

fn ours_again(signature: &Signature) -> String {
    Signature::parse(signature.to_text().as_bytes(), "x").expect("read").to_text()
}

#[test]
fn a_signature_of_the_pack_before_a_change_is_stale() {
    for (name, _) in TYPES {
        let text = ours(name).to_text();
        let signature = Signature::parse(text.as_bytes(), "x.sig").expect("read");
        let error = signature.verify(ID, &sha512(b"changed")).expect_err("changed");
        assert_eq!(*error.kind(), ErrorKind::Stale);
        assert!(error.is_verdict());
    }
}

#[test]
fn a_signature_of_another_pack_says_of_which() {
    let text = ours("ed25519").to_text();
    let signature = Signature::parse(text.as_bytes(), "x.sig").expect("read");
    let error = signature.verify([1; 16], &sha512(b"another")).expect_err("another");
    assert_eq!(*error.kind(), ErrorKind::OtherPack { pack: ID });
    // Whatever pack it is found with, what was signed is what was signed.
    signature.verify([1; 16], &sha512(MESSAGE)).expect("the same bytes");
}

/// The line gives a reason, and never makes anything hold. It is believed only as far as the key signed its digest.
#[test]
fn a_line_that_the_key_did_not_sign_gives_no_reason() {
    let text = ours("ed25519").to_text();
    let sum = |bytes: &[u8]| {
        sha512(bytes).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (right, changed) = (sum(MESSAGE), sum(b"changed"));
    for forged in [
        text.replace(&right, &changed),
        text.replace(&right, &sum(b"a third")),
        text.replace(&right, "00"),
        text.replace("sha512", "sha256"),
        text.replace("# carstone", "# carstone2"),
    ] {
        assert_ne!(forged, text);
        let signature = Signature::parse(forged.as_bytes(), "x.sig").expect("read");
        let error = signature.verify(ID, &sha512(b"changed")).expect_err("changed");
        assert_eq!(*error.kind(), ErrorKind::Mismatch);
        signature.verify(ID, &sha512(MESSAGE)).expect("it holds without the line");
    }
}

#[test]
fn an_empty_file_is_no_signature() {
    for text in [&b""[..], b"\n", b" \t\r\n "] {
        assert_eq!(*refused(text).kind(), ErrorKind::Empty);
    }
}

#[test]
fn other_files_are_no_signature() {
    let armored = "-----BEGIN AGE ENCRYPTED FILE-----\n-----END AGE ENCRYPTED FILE-----\n";
    for text in ["x", "-----BEGIN PGP SIGNATURE-----", armored, &public("ed25519"), "\0\0\0"] {
        assert_eq!(*refused(text.as_bytes()).kind(), ErrorKind::NotASignature, "{text}");
    }
}

#[test]
fn a_huge_file_is_no_signature() {
    let mut text = file("sign/ed25519.sig");
    text.resize(MAX_SIGNATURE_LEN, b'\n');
    Signature::parse(&text, "x").expect("the limit is exact");
    text.push(b'\n');
    let kind = ErrorKind::TooLarge { limit: MAX_SIGNATURE_LEN };
    assert_eq!(*refused(&text).kind(), kind);
    let error = Signature::read(io::repeat(b'-'), "x").expect_err("endless");
    assert_eq!(*error.kind(), kind);
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let text = file("sign/ed25519.sig");
    let end = text.trim_ascii_end().len();
    for len in 1..end {
        let error = refused(&text[..len]);
        assert_eq!(*error.kind(), ErrorKind::Truncated, "{len}");
    }
    Signature::parse(&text[..end], "x").expect("without the last line end");
}

#[test]
fn every_cut_of_what_is_in_the_armor_is_refused() {
    let blob = blob("ed25519");
    for len in 0..blob.len() {
        let error = refused(&armored(&blob[..len]));
        assert_eq!(*error.kind(), ErrorKind::Truncated, "{len}");
        assert!(error.offset().is_some_and(|at| at <= len as u64), "{error}");
    }
}

#[test]
fn every_flipped_bit_is_refused_or_does_not_hold() {
    for (name, _) in TYPES {
        let blob = blob(name);
        for bit in 0..blob.len() * 8 {
            let mut blob = blob.clone();
            blob[bit / 8] ^= 1 << (bit % 8);
            if let Ok(signature) = Signature::parse(&armored(&blob), "x") {
                signature.verify(ID, &sha512(MESSAGE)).expect_err("flipped");
            }
        }
    }
}

#[test]
fn wrong_magic_is_refused() {
    let mut blob = blob("ed25519");
    blob[0] = b'X';
    let error = refused(&armored(&blob));
    assert_eq!(*error.kind(), ErrorKind::Malformed("wrong magic"));
    assert_eq!(error.offset(), Some(0));
}

#[test]
fn another_version_is_refused() {
    for version in [0, 2, u32::MAX] {
        let parts = Parts { version, ..Parts::of("ed25519") };
        assert_eq!(*refused(&parts.text()).kind(), ErrorKind::Version(version));
    }
}

#[test]
fn another_namespace_is_refused() {
    let error = refused(&file("sign/other_namespace.sig"));
    assert_eq!(*error.kind(), ErrorKind::Namespace("file".to_owned()));
    for name in ["", "carstone\0", "Carstone", "carstone ", "\u{1b}[31m"] {
        let parts = Parts { namespace: name.into(), ..Parts::of("ed25519") };
        let error = refused(&parts.text());
        assert_eq!(*error.kind(), ErrorKind::Namespace(name.to_owned()));
        assert!(!error.to_string().contains(['\0', '\u{1b}']), "escaped: {error}");
    }
    let parts = Parts { namespace: vec![b'x'; 9000], ..Parts::of("ed25519") };
    assert!(refused(&parts.text()).to_string().len() < 200, "messages stay short");
}

#[test]
fn another_hash_is_refused() {
    for name in ["md5", "sha1", "sha384", "SHA512", ""] {
        let parts = Parts { hash: name.into(), ..Parts::of("ed25519") };
        assert_eq!(*refused(&parts.text()).kind(), ErrorKind::UnknownHash(name.to_owned()));
    }
    // The other one that is known was not signed.
    let parts = Parts { hash: b"sha256".to_vec(), ..Parts::of("ed25519") };
    let signature = Signature::parse(&parts.text(), "x").expect("well formed");
    let short = digest(Hash::Sha256, MESSAGE).expect("read");
    let error = signature.verify(ID, &short).expect_err("another hash");
    assert_eq!(*error.kind(), ErrorKind::Mismatch);
}

#[test]
fn a_reserved_field_is_refused() {
    let parts = Parts { reserved: b"x".to_vec(), ..Parts::of("ed25519") };
    assert!(matches!(refused(&parts.text()).kind(), ErrorKind::Malformed(_)));
}

#[test]
fn what_follows_the_end_is_refused() {
    let mut blob = blob("ed25519");
    blob.push(0);
    assert!(matches!(refused(&armored(&blob)).kind(), ErrorKind::Malformed(_)));
    let mut parts = Parts::of("ed25519");
    parts.signature.push(0);
    assert!(matches!(refused(&parts.text()).kind(), ErrorKind::Malformed(_)));
    let mut parts = Parts::of("ed25519");
    parts.key.push(0);
    assert!(matches!(refused(&parts.text()).kind(), ErrorKind::Malformed(_)));
}

#[test]
fn what_is_not_base64_is_refused() {
    let text = String::from_utf8(file("sign/ed25519.sig")).expect("text");
    for bad in [text.replace("U1NI", "U1*I"), text.replace("U1NI", "=1NI")] {
        assert_eq!(*refused(bad.as_bytes()).kind(), ErrorKind::Malformed("it is not base64"));
    }
}

#[test]
fn line_ends_and_widths_make_no_difference() {
    let text = String::from_utf8(file("sign/rsa.sig")).expect("text");
    let windows = text.replace('\n', "\r\n");
    let wide = armored(&blob("rsa"));
    for text in [windows.as_bytes(), &wide, format!("\n{text}").as_bytes()] {
        let signature = Signature::parse(text, "x").expect("a signature");
        signature.verify(ID, &sha512(MESSAGE)).expect("it holds");
    }
}

#[test]
fn keys_of_other_types_and_certificates_are_refused() {
    let error = refused(&file("sign/p384.sig"));
    assert_eq!(*error.kind(), ErrorKind::UnknownKeyType("ecdsa-sha2-nistp384".to_owned()));
    let error = refused(&file("sign/certificate.sig"));
    let certificate = "ssh-ed25519-cert-v01@openssh.com".to_owned();
    assert_eq!(*error.kind(), ErrorKind::UnknownKeyType(certificate));
}

#[test]
fn short_rsa_keys_are_refused() {
    assert_eq!(*refused(&file("sign/rsa_1024.sig")).kind(), ErrorKind::KeySize(1024));
    let error = SigningKey::from_bytes(&file("sign/rsa_1024"), "k", no_passphrase);
    assert_eq!(*error.expect_err("too short").kind(), ErrorKind::KeySize(1024));
}

#[test]
fn rsa_with_sha_1_and_signatures_of_another_kind_are_refused() {
    for (of, name) in [("rsa", "ssh-rsa"), ("rsa", "ssh-ed25519"), ("ed25519", "rsa-sha2-512")] {
        let parts = Parts { algorithm: Some(name.into()), ..Parts::of(of) };
        let kind = ErrorKind::UnknownAlgorithm(name.to_owned());
        assert_eq!(*refused(&parts.text()).kind(), kind);
    }
    // Known, and not what the key made.
    let parts = Parts { algorithm: Some(b"rsa-sha2-256".to_vec()), ..Parts::of("rsa") };
    let signature = Signature::parse(&parts.text(), "x").expect("well formed");
    assert!(signature.verify(ID, &sha512(MESSAGE)).is_err());
}

#[test]
fn another_public_key_does_not_hold() {
    let key = Parts::of("rsa").key;
    let parts = Parts { key, ..Parts::of("ed25519") };
    assert!(matches!(refused(&parts.text()).kind(), ErrorKind::UnknownAlgorithm(_)));
    let mut other = Parts::of("ed25519");
    other.key = BASE64
        .decode(public("ed25519_locked").split(' ').nth(1).expect("base64").as_bytes())
        .expect("base64");
    let signature = Signature::parse(&other.text(), "x").expect("well formed");
    assert!(signature.verify(ID, &sha512(MESSAGE)).is_err());
}

#[test]
fn locked_keys_ask_once_and_open_keys_never() {
    let bytes = file("keys/ed25519_locked");
    let mut asked = 0;
    let ask = || {
        asked += 1;
        Ok("passphrase".into())
    };
    let key = SigningKey::from_bytes(&bytes, "k", ask).expect("unlocked");
    assert_eq!(asked, 1);
    let signature = key.sign(ID, &sha512(MESSAGE)).expect("signed");
    let list = format!("me {}", public("ed25519_locked"));
    let signers = Signers::parse(list.as_bytes(), "list").expect("a list");
    assert_eq!(signers.find(&signature, None, SystemTime::now()).expect("listed").line(), 1);

    let error = SigningKey::from_bytes(&bytes, "k", || Ok("wrong".into()));
    assert_eq!(*error.expect_err("wrong").kind(), ErrorKind::WrongPassphrase);
    let error = SigningKey::from_bytes(&bytes, "k", || Err(io::Error::other("no terminal")));
    let error = error.expect_err("nobody there");
    assert_eq!(*error.kind(), ErrorKind::Prompt);
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_key_that_takes_hours_to_unlock_is_refused_before_anybody_is_asked() {
    let text = String::from_utf8(file("keys/ed25519_locked")).expect("text");
    let inside: String = text.lines().filter(|line| !line.starts_with("---")).collect();
    let mut blob = BASE64.decode(inside.as_bytes()).expect("base64");
    // magic ‖ cipher ‖ kdf ‖ options { salt of 16, rounds }
    let at = 15 + (4 + 10) + (4 + 6) + 4 + (4 + 16);
    assert_eq!(blob[at..at + 3], [0, 0, 0], "the rounds");
    blob[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = SigningKey::from_bytes(&key_file(&blob), "k", no_passphrase).expect_err("hours");
    assert_eq!(*error.kind(), ErrorKind::ExcessiveWork(u32::MAX));
}

#[test]
fn what_is_no_private_key_says_what_it_is() {
    let check = |bytes: &[u8], word: &str| {
        let error = SigningKey::from_bytes(bytes, "k", no_passphrase).expect_err("no key");
        assert!(matches!(error.kind(), ErrorKind::BadKey(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    check(b"", "empty");
    check(b"\x7fELF", "not in the format");
    check(public("rsa").as_bytes(), "public key");
    check(&file("sign/pem_format"), "ssh-keygen -p");
    check(b"# created: today\nAGE-SECRET-KEY-1", "age");
    let key = file("keys/ed25519");
    for len in [40, 100, 200, key.len() - 40, key.len() - 3] {
        check(&key[..len], "cut off");
    }
    let large = vec![b'#'; MAX_LEN + 1];
    let error = SigningKey::from_bytes(&large, "k", no_passphrase).expect_err("large");
    assert_eq!(*error.kind(), ErrorKind::TooLarge { limit: MAX_LEN });
}

/// A fault in the secret exponent would else give a signature that tells the factors of the key.
#[test]
fn a_damaged_rsa_key_signs_nothing() {
    let text = String::from_utf8(file("keys/rsa")).expect("text");
    let inside: String = text.lines().filter(|line| !line.starts_with("---")).collect();
    let blob = BASE64.decode(inside.as_bytes()).expect("base64");
    let mut refused = 0;
    for at in (blob.len() / 2..blob.len() - 40).step_by(61) {
        let mut blob = blob.clone();
        blob[at] ^= 4;
        let Ok(key) = SigningKey::from_bytes(&key_file(&blob), "k", no_passphrase) else {
            continue;
        };
        match key.sign(ID, &sha512(MESSAGE)) {
            Err(error) => {
                assert_eq!(*error.kind(), ErrorKind::BrokenKey);
                refused += 1;
            }
            // One part of the key is not needed.
            Ok(signature) => signature.verify(ID, &sha512(MESSAGE)).expect("it holds"),
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", key("ed25519"));
    assert_eq!(text, format!("SigningKey({:?})", key("ed25519").fingerprint()));
}

#[test]
fn hashing_takes_pieces_of_any_size() {
    struct Slow<'a>(&'a [u8]);
    impl io::Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buf.len()).min(3);
            let (front, rest) = self.0.split_at(n);
            buf[..n].copy_from_slice(front);
            self.0 = rest;
            Ok(n)
        }
    }
    let long = MESSAGE.repeat(20_000);
    assert_eq!(digest(Hash::Sha512, Slow(&long)).expect("read"), sha512(&long));
    assert_eq!(Digest::from_bytes(Hash::Sha256, &[0; 64]), None);
}

/// The fields of a signature, to be put together in another way.
#[derive(Clone)]
struct Parts {
    version: u32,
    key: Vec<u8>,
    namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
    /// Takes the place of the one in the signature.
    algorithm: Option<Vec<u8>>,
}

impl Parts {
    fn of(name: &str) -> Self {
        let blob = blob(name);
        let mut rest = &blob[10..];
        let mut next = || take(&mut rest);
        let [key, namespace, reserved, hash, signature] = [next(), next(), next(), next(), next()];
        Self { version: 1, key, namespace, reserved, hash, signature, algorithm: None }
    }

    fn text(&self) -> Vec<u8> {
        let mut signature = self.signature.clone();
        if let Some(algorithm) = &self.algorithm {
            let mut rest = &signature[..];
            take(&mut rest);
            signature = [&string(algorithm)[..], rest].concat();
        }
        let mut blob = [b"SSHSIG", &self.version.to_be_bytes()[..]].concat();
        for field in [&self.key, &self.namespace, &self.reserved, &self.hash, &signature] {
            blob.extend(string(field));
        }
        armored(&blob)
    }
}

fn take(rest: &mut &[u8]) -> Vec<u8> {
    let (len, behind) = rest.split_first_chunk().expect("a length");
    let (field, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
    *rest = behind;
    field.to_vec()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

fn blob(name: &str) -> Vec<u8> {
    let text = String::from_utf8(file(&format!("sign/{name}.sig"))).expect("text");
    let inside: String = text.lines().filter(|line| !line.starts_with("---")).collect();
    BASE64.decode(inside.as_bytes()).expect("base64")
}

fn armored(blob: &[u8]) -> Vec<u8> {
    let inside = BASE64.encode(blob);
    format!("-----BEGIN SSH SIGNATURE-----\n{inside}\n-----END SSH SIGNATURE-----\n").into_bytes()
}

fn key_file(blob: &[u8]) -> Vec<u8> {
    let inside = BASE64.encode(blob);
    let lines: Vec<_> =
        inside.as_bytes().chunks(70).map(|line| String::from_utf8_lossy(line)).collect();
    let [begin, end] = ["BEGIN", "END"].map(|what| format!("-----{what} OPENSSH PRIVATE KEY-----"));
    format!("{begin}\n{}\n{end}\n", lines.join("\n")).into_bytes()
}
