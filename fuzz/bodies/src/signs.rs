//! Signatures and lists of signers.

use std::time::{Duration, UNIX_EPOCH};

use carstone::keys::sign::{self, Digest, Hash, Signature, Signers};
use data_encoding::BASE64;

use crate::input::Input;

/// Any bytes as a signature file, or as what stands in its armor: what is taken is written to what means the same, and holds for one
/// message at most.
pub fn signature(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else { return };
    let armored = match form % 2 {
        0 => rest.to_vec(),
        _ => armored(rest),
    };
    let Ok(signature) = Signature::parse(&armored, "it") else { return };
    let text = signature.to_text();
    let again = Signature::parse(text.as_bytes(), "it").expect("its own text");
    assert_eq!(again.to_text(), text);
    assert_eq!(again.fingerprint(), signature.fingerprint());
    assert_eq!((again.hash(), again.key_type()), (signature.hash(), signature.key_type()));
    let hash = signature.hash();
    let messages = [MESSAGE, b"another", b""];
    let holds = |message: &&&[u8]| signature.verify(ID, &digest(hash, message)).is_ok();
    let held: Vec<_> = messages.iter().filter(holds).collect();
    assert!(held.len() <= 1, "it holds for {}", held.len());
    for message in messages {
        let digest = digest(hash, message);
        let [first, second] = [&signature, &again].map(|it| it.verify(ID, &digest));
        let kind = |outcome: &Result<(), sign::Error>| match outcome {
            Ok(()) => None,
            Err(error) => {
                assert!(error.is_verdict(), "{error}");
                Some(error.kind().clone())
            }
        };
        assert_eq!(kind(&first), kind(&second));
    }
}

/// Signatures of `ssh-keygen`, in their armor and without it.
pub fn signature_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![b"\0".to_vec()];
    for text in SIGNATURES {
        let signature = Signature::parse(text, "it");
        let noted = format!(
            "{}# carstone pack 07070707070707070707070707070707 sha512 {}\n",
            String::from_utf8_lossy(text),
            "0".repeat(128)
        );
        seeds.push([b"\0", text].concat());
        seeds.push([b"\0", noted.as_bytes()].concat());
        if signature.is_ok() {
            let lines = String::from_utf8_lossy(text);
            let inside: String = lines.lines().filter(|line| !line.starts_with('-')).collect();
            let blob = BASE64.decode(inside.as_bytes()).expect("base64");
            seeds.push([b"\x01", &blob[..]].concat());
        }
    }
    seeds
}

/// Any text as a list, with the key of a signature where the input asks for it: whoever is found stands in the line that is named, with the
/// key that signed; nobody is found for a principal who is not found at all, and a list that is bad is bad each time.
pub fn signers(data: &[u8]) {
    let mut input = Input::new(data);
    let at = UNIX_EPOCH + Duration::from_secs(u64::from(input.u16()) << 17);
    let text = String::from_utf8_lossy(input.rest()).replace("KEY", KEY);
    let signature = Signature::parse(SIGNATURES[0], "it").expect("a signature");
    let signers = match Signers::parse(text.as_bytes(), "it") {
        Ok(signers) => signers,
        Err(error) => {
            assert!(!error.is_verdict());
            let again = Signers::parse(text.as_bytes(), "it").expect_err("the same");
            assert_eq!((again.kind(), again.line()), (error.kind(), error.line()));
            return;
        }
    };
    assert!(!signers.is_empty());
    let found = |who| match signers.find(&signature, who, at) {
        Ok(signer) => Some(signer),
        Err(error) => {
            assert!(error.is_verdict(), "{error}");
            None
        }
    };
    let anybody = found(None);
    for who in ["alice@example.org", "bob", ""] {
        let Some(signer) = found(Some(who)) else { continue };
        assert!(anybody.as_ref().is_some_and(|first| first.line() <= signer.line()));
    }
    if let Some(signer) = anybody {
        let number = usize::try_from(signer.line()).expect("a line");
        let line = text.split('\n').nth(number - 1).expect("there is such a line");
        let base64 = KEY.split(' ').nth(1).expect("two words");
        assert!(line.contains(base64) && line.contains(signer.principals()), "{line}");
    }
}

/// Lines of all kinds. The first two bytes set the time, to one in 2027.
pub fn signers_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "alice@example.org KEY",
        "# a comment\n\n\"alice smith\",*@example.org KEY a comment\r\n",
        "*,!eve namespaces=\"git,car*\",valid-after=\"20200101Z\",valid-before=\"202601010000\" KEY",
        "a cert-authority KEY\na namespaces=\"x\\\"y,carstone\" KEY",
        "a ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=\nbob KEY",
        "a no-such KEY",
        "alice",
    ];
    lines.map(|line| [&[0xff, 0x35][..], line.as_bytes()].concat()).to_vec()
}

fn digest(hash: Hash, message: &[u8]) -> Digest {
    sign::digest(hash, message).expect("a slice can be read")
}

fn armored(blob: &[u8]) -> Vec<u8> {
    let inside = BASE64.encode(blob);
    format!("-----BEGIN SSH SIGNATURE-----\n{inside}\n-----END SSH SIGNATURE-----\n").into_bytes()
}

const ID: [u8; 16] = [7; 16];
/// What was signed, and the signatures.
const MESSAGE: &[u8] = include_bytes!("../../../crates/carstone-keys/tests/sign/message");
const SIGNATURES: [&[u8]; 6] = [
    include_bytes!("../../../crates/carstone-keys/tests/sign/ed25519.sig"),
    include_bytes!("../../../crates/carstone-keys/tests/sign/rsa.sig"),
    include_bytes!("../../../crates/carstone-keys/tests/sign/ecdsa.sig"),
    include_bytes!("../../../crates/carstone-keys/tests/sign/ed25519_sha256.sig"),
    include_bytes!("../../../crates/carstone-keys/tests/sign/certificate.sig"),
    include_bytes!("../../../crates/carstone-keys/tests/sign/rsa_1024.sig"),
];
/// The key of the first of them.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlLAzBeBkA3T49zrL5INh2eVAT8Fj1l8PrHNzGsPuhd";
