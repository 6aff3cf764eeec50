//! The stanza and the keys, down to what other programs refuse.

use age::{Identity as _, Recipient as _};
use age_core::primitives::bech32_encode;
use bech32::{Bech32, Fe32, Fe32IterExt};
use sha2::{Digest, Sha256};

use super::*;

/// Of the specification.
const SAMPLE: &str =
    "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";

fn sample() -> HybridIdentity {
    HybridIdentity::parse(SAMPLE).expect("a key")
}

fn file_key() -> FileKey {
    FileKey::new(Box::new([9; FILE_KEY_LEN]))
}

fn sealed() -> Stanza {
    let (mut stanzas, labels) = sample().to_public().wrap_file_key(&file_key()).expect("sealed");
    assert_eq!(labels, HashSet::from(["postquantum".to_owned()]));
    assert_eq!(stanzas.len(), 1);
    stanzas.pop().expect("a stanza")
}

enum Outcome {
    Key,
    Nothing,
    BadHeader,
}

fn outcome(identity: &HybridIdentity, stanza: &Stanza) -> Outcome {
    match identity.unwrap_stanza(stanza) {
        Some(Ok(key)) => {
            assert_eq!(key.expose_secret(), file_key().expose_secret());
            Outcome::Key
        }
        None => Outcome::Nothing,
        Some(Err(DecryptError::InvalidHeader)) => Outcome::BadHeader,
        Some(Err(other)) => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_nothing(stanza: &Stanza, what: &str) {
    assert!(matches!(outcome(&sample(), stanza), Outcome::Nothing), "{what}");
}

#[track_caller]
fn check_bad_header(stanza: &Stanza, what: &str) {
    assert!(matches!(outcome(&sample(), stanza), Outcome::BadHeader), "{what}");
}

fn with_share(change: impl FnOnce(&mut Vec<u8>)) -> Stanza {
    let mut stanza = sealed();
    let mut share = BASE64_NOPAD.decode(stanza.args[0].as_bytes()).expect("base64");
    change(&mut share);
    stanza.args[0] = BASE64_NOPAD.encode(&share);
    stanza
}

#[test]
fn sample_of_the_specification_has_the_public_key_of_another_implementation() {
    let public = sample().to_public().to_string();
    assert_eq!(public.len(), 1959);
    assert!(public.starts_with("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9"), "{public}");
    // Of the text that npm's age-encryption gives.
    let digest = "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea";
    let found: String = Sha256::digest(&public).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, digest);
    assert_eq!(sample().to_text().expose_secret(), SAMPLE);
}

#[test]
fn own_key_opens_and_another_does_not() {
    let stanza = sealed();
    assert_eq!((stanza.tag.as_str(), stanza.args.len()), ("mlkem768x25519", 1));
    assert_eq!((stanza.args[0].len(), stanza.body.len()), (1494, 32));
    assert!(matches!(outcome(&sample(), &stanza), Outcome::Key));
    let other = HybridIdentity::generate().expect("randomness");
    assert!(matches!(outcome(&other, &stanza), Outcome::Nothing));
    assert_ne!(sealed().args, sealed().args, "each stanza has a share of its own");
}

#[test]
fn stanza_of_another_type_is_passed_over() {
    for tag in ["X25519", "MLKEM768X25519", "mlkem768x25519-grease", "mlkem768p256tag", ""] {
        check_nothing(&Stanza { tag: tag.to_owned(), ..sealed() }, tag);
    }
}

#[test]
fn change_of_any_part_keeps_the_key_away() {
    for at in [0, 500, 1087, 1088, 1119] {
        check_nothing(&with_share(|share| share[at] ^= 1), &format!("byte {at} of the share"));
    }
    for at in 0..SEALED_LEN {
        let mut stanza = sealed();
        stanza.body[at] ^= 0x80;
        check_nothing(&stanza, &format!("byte {at} of the body"));
    }
}

#[test]
fn number_of_arguments_is_exact() {
    check_bad_header(&Stanza { args: Vec::new(), ..sealed() }, "none");
    let mut stanza = sealed();
    stanza.args.push("x".to_owned());
    check_bad_header(&stanza, "one too many");
}

#[test]
fn lengths_are_exact() {
    check_bad_header(&with_share(|share| share.truncate(1119)), "a short share");
    check_bad_header(&with_share(|share| share.push(0)), "a long share");
    check_bad_header(&with_share(Vec::clear), "no share");
    for len in [0, 16, 31, 33, 48] {
        let mut stanza = sealed();
        stanza.body.resize(len, 0);
        check_bad_header(&stanza, &format!("a body of {len} bytes"));
    }
}

#[test]
fn base64_is_canonical() {
    let stanza = sealed();
    let text = &stanza.args[0];
    let with = |text: String| Stanza { args: vec![text], ..sealed() };
    check_bad_header(&with(format!("{text}==")), "padding");
    check_bad_header(&with(format!("{text}\n")), "a line end");
    check_bad_header(&with(text.replace(&text[..1], "-")), "another alphabet");
    // 1120 bytes are 8960 bits, and 1494 letters 8964: four stand behind the last byte.
    let last = text.as_bytes()[text.len() - 1];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = alphabet.iter().position(|&letter| letter == last).expect("a letter");
    let other = char::from(alphabet[value ^ 1]);
    check_bad_header(&with(format!("{}{other}", &text[..text.len() - 1])), "bits behind the end");
}

/// The points with which X25519 always gives zeros: those below 2^255 of <https://cr.yp.to/ecdh.html>,
/// *validate public keys*.
const LOW_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn points() -> impl Iterator<Item = Vec<u8>> {
    let decode = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex");
    LOW_ORDER.into_iter().map(decode)
}

#[test]
fn share_of_low_order_is_a_bad_header() {
    for point in points() {
        let stanza = with_share(|share| share[1088..].copy_from_slice(&point));
        check_bad_header(&stanza, &format!("{point:02x?}"));
    }
}

#[test]
fn public_key_that_keeps_nothing_secret_is_refused() {
    let sound = sample().to_public().0.as_slice().to_vec();
    let parse = |bytes: &[u8]| HybridRecipient::parse(&bech32_encode(RECIPIENT, bytes));
    assert!(parse(&sound).is_some());
    for point in points() {
        let mut bytes = sound.clone();
        bytes[1184..].copy_from_slice(&point);
        assert!(parse(&bytes).is_none(), "{point:02x?}");
    }
    // A number above the modulus of ML-KEM, 3329.
    let mut bytes = sound.clone();
    bytes[..2].copy_from_slice(&[0xff, 0xff]);
    assert!(parse(&bytes).is_none());
    assert!(parse(&sound[..1215]).is_none());
    assert!(parse(&[&sound[..], &[0]].concat()).is_none());
}

#[test]
fn texts_have_one_form() {
    let public = sample().to_public().to_string();
    assert!(HybridRecipient::parse(&public.to_uppercase()).is_none());
    assert!(HybridIdentity::parse(&SAMPLE.to_lowercase()).is_none());
    for text in ["", "age1pq1", "AGE-SECRET-KEY-PQ-1", &SAMPLE[..76], &format!("{SAMPLE}Q")] {
        assert!(HybridIdentity::parse(text).is_none(), "{text}");
        assert!(HybridRecipient::parse(text).is_none(), "{text}");
    }
    for at in 19..SAMPLE.len() {
        let mut other = SAMPLE.to_owned();
        let letter = if &SAMPLE[at..=at] == "Q" { "P" } else { "Q" };
        other.replace_range(at..=at, letter);
        assert!(HybridIdentity::parse(&other).is_none(), "{other}");
    }
    // 32 bytes are 256 bits, and 52 letters 260.
    let letter = |char| Fe32::from_char(char).expect("a letter");
    let coded = |last: Fe32| -> String {
        let data = SAMPLE[19..70].chars().map(letter).chain([last]);
        data.with_checksum::<Bech32>(&IDENTITY).chars().collect::<String>().to_uppercase()
    };
    let last = letter(SAMPLE.chars().nth(70).expect("a letter"));
    assert_eq!(coded(last), SAMPLE);
    let odd = Fe32::try_from(last.to_u8() | 1).expect("five bits");
    assert!(HybridIdentity::parse(&coded(odd)).is_none());
}

#[test]
fn keys_survive_the_way_to_text_and_back() {
    let identity = HybridIdentity::generate().expect("randomness");
    let again = HybridIdentity::parse(identity.to_text().expose_secret()).expect("a key");
    assert!(again.0 == identity.0);
    let public = identity.to_public();
    assert!(HybridRecipient::parse(&public.to_string()).expect("a key") == public);
    assert_ne!(public.to_string(), sample().to_public().to_string());
}

/// Vectors of `draft-ietf-hpke-pq` for its key derivation would need a seed; what is to be seen without is that
/// the halves fit together and differ by their input.
#[test]
fn derived_pairs_belong_together() {
    let (seed, public) = XWing::derive_keypair(&[1; 32]);
    assert!(XWing::sk_to_pk(&seed) == public);
    assert!(XWing::derive_keypair(&[2; 32]).1 != public);
}
