//! The vectors of keys and signatures, with what is between their steps, and the laws of signing.

use data_encoding::HEXLOWER;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::{ProjectivePoint, Scalar};
use proptest::prelude::*;

use super::verify::PRIME;
use super::*;
use crate::error::ErrorKind;
use crate::text::{Signature, VerifyingKey};

/// The order of the curve.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

fn hex(text: &str) -> [u8; 32] {
    HEXLOWER.decode(text.as_bytes()).expect("hex").try_into().expect("32 bytes")
}

fn six() -> SigningKey {
    let mut bytes = [0; 32];
    bytes[31] = 6;
    SigningKey::from_scalar(&bytes).expect("a scalar")
}

/// The bytes from this one on.
fn count(first: u8) -> [u8; 32] {
    std::array::from_fn(|at| first + at as u8)
}

fn split(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (r, s) = signature.as_bytes().split_at(32);
    (r.try_into().expect("32 bytes"), s.try_into().expect("32 bytes"))
}

fn joined(r: &[u8], s: &[u8]) -> Signature {
    Signature::new([r, s].concat().try_into().expect("64 bytes"))
}

#[track_caller]
fn refused(key: VerifyingKey, digest: &[u8; 32], signature: &Signature, kind: ErrorKind) {
    let error = key.verify(digest, signature).expect_err("it does not verify");
    assert_eq!((error.kind(), error.offset()), (&kind, None));
}

/// Scalar and key of one.
#[track_caller]
fn check_key(key: &SigningKey, d: &str, text: &str) {
    assert_eq!(HEXLOWER.encode(&key.d.to_bytes()), d);
    assert_eq!(key.verifying_key().to_string(), text);
    assert!(key.verifying_key().is_valid());
    let point = ProjectivePoint::mul_by_generator(&key.d).to_affine();
    assert!(!bool::from(point.y_is_odd()));
}

#[test]
fn tagged_hashes_of_nothing() {
    for (context, digest) in [
        (context::AUX, "fb4495afab5eeeecb9f4b7f3e26782b33f815ef44406a3699d33ecc972b8dbbb"),
        (context::CHALLENGE, "4fbeb9301f365d918083644caf0cec47a02aadf2e55d495b01062533d712684e"),
    ] {
        assert_eq!(*tagged(context, &[]), hex(digest), "{context}");
        assert_eq!(*tagged(context, &[b"ab", b"", b"c"]), *tagged(context, &[b"abc"]));
    }
}

#[test]
fn the_signature_of_the_seal_of_the_specification_step_by_step() {
    let key = SigningKey::from_scalar(&count(1)).expect("a scalar");
    let d = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
    check_key(&key, d, "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3");
    let x = "84bf7562262bbd6940085748f3be6afa52ae317155181ece31b66351ccffa4b0";
    assert_eq!(*key.verifying_key().as_bytes(), hex(x));
    assert_eq!(*key.to_text(), "&.0G8310K61lW92WhC3GtF414I4mGL5XSO6HdR71pU7n0.H3");

    let digest = hex("7f35ec599f3d2caa6fe9f3424b552e2acdaf5013b8c0bfcb98c9d501dcbb13bd");
    let aux = [0xa5; 32];
    let t = "c6af2664966c957b8ec82daad9727b4533a36e79ceea5bf134776a487e765143";
    assert_eq!(*tagged(context::AUX, &[&aux]), hex(t));
    let nonce = key.nonce(&digest, &aux);
    let k0 = "812bed2c0f2a474ad9e018c343a73f7072fc3bc2e0b9a9575cbbe83da6489f05";
    assert_eq!(HEXLOWER.encode(&nonce.to_bytes()), k0);
    let point = ProjectivePoint::mul_by_generator(&nonce).to_affine();
    assert!(bool::from(point.y_is_odd()));

    let signature = key.sign_with(&digest, &aux).expect("a signature");
    let (r, s) = split(&signature);
    assert_eq!(r, hex("7302ea84f9c6778f1371c4605bbc8c356a14765f1292d1f61682791279bb5f97"));
    assert_eq!(s, hex("74d391ed9a92365725cab556e07f3cdd603143c71dfaa85adfe3324fa70a3615"));
    let e = "4bafde0d677401b477c60cbc12449bbec381795433b8f6ae935ca16376e92e95";
    let found = challenge(&r, key.verifying_key().as_bytes(), &digest);
    assert_eq!(HEXLOWER.encode(&found.to_bytes()), e);
    let text =
        "SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G";
    assert_eq!(signature.to_string(), text);
    key.verifying_key().verify(&digest, &signature).expect("it verifies");
}

#[test]
fn the_scalar_6_is_negated_and_signs() {
    let key = six();
    let d = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd036413b";
    check_key(&key, d, "V.~~awqNLUwfGWHJdKDL8qptBrHnz5QA6BBlLv560eTLO.H3");
    let aux = [0x5a; 32];
    let point = ProjectivePoint::mul_by_generator(&key.nonce(&count(0), &aux)).to_affine();
    assert!(!bool::from(point.y_is_odd()));
    let signature = key.sign_with(&count(0), &aux).expect("a signature");
    let expected = "26109d0140e190b3d5a9b4273e7c53a5eebca79baf8fdb6847aea5b4664d960a\
                    a2fd7699b461c8ac68d44f4a7c0b70f9ae163096647ea33b92a0bedcefa4b4f4";
    assert_eq!(HEXLOWER.encode(signature.as_bytes()), expected);
}

#[test]
fn the_seal_of_the_specification_by_another_key() {
    let plex = "🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3\nGroup: a-group\nApp: some-app\n\
                Location: our-collection/item\nTAI: 1640995200:000000000\n\
                🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3\nData-Length: 23\n\n\
                This is signed content.";
    let digest = hex("7f35ec599f3d2caa6fe9f3424b552e2acdaf5013b8c0bfcb98c9d501dcbb13bd");
    let first = SigningKey::from_scalar(&count(1)).expect("a scalar");
    for (key, aux, hash) in [
        (first, [0xa5; 32], "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3"),
        (six(), [0x5a; 32], "S.u6q2e0IwlsKGsKV66TQ3Ik5p3fFRdMqmBQJhTlk_YlK.H3"),
    ] {
        let signature = key.sign_with(&digest, &aux).expect("a signature");
        let payload = format!("Seal-By: {}\nSeal-Sig: {signature}\n{plex}", key.verifying_key());
        let found = crate::PacketHash::of(crate::PacketKind::Seal, payload.as_bytes());
        assert_eq!(found.to_string(), hash);
    }
}

#[test]
fn keys_of_secrets() {
    let d = "cd456f9b75d051b8c090091fbd64f6706c3f7692c5cf8a7ed73130b803fb8c7b";
    let text = "V.ZCQ6rNNPm~ps~o4peKyV7dfEVj9mgLNzagbLeWYv9eG.H3";
    check_key(&SigningKey::from_secret(b"init").expect("a key"), d, text);
    let d = "99730e3dc12166bd405bbe76d4844f1830e4b20c2453547919a5c22e3b6c5dee";
    let text = "V.WLvpiI1KqWPtiEATOp_hrHLv5v1nHIlzjx02aodmhEW.H3";
    check_key(&SigningKey::from_secret(b"abc").expect("a key"), d, text);
}

#[test]
fn an_empty_secret_is_refused() {
    let error = SigningKey::from_secret(b"").expect_err("empty");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::EmptySecret, Some(0)));
}

#[test]
fn blocks_of_a_secret_that_are_no_scalar_are_passed_over() {
    let mut blocks = [[0; 32], hex(ORDER), [0xff; 32], count(1), count(2)].into_iter();
    let key = SigningKey::of_blocks(|block| *block = blocks.next().expect("no more are asked"));
    assert_eq!(<[u8; 32]>::from(key.d.to_bytes()), count(1));
    assert_eq!(blocks.len(), 1);
}

#[test]
fn scalars_at_the_bounds() {
    let mut last = hex(ORDER);
    last[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    // The point of 1 has an even y-coordinate, so that n - 1 is negated.
    let key = SigningKey::from_scalar(&last).expect("it is below the order");
    assert_eq!(<[u8; 32]>::from(key.d.to_bytes()), one);
    assert_eq!(*key.to_text(), *SigningKey::from_scalar(&one).expect("a scalar").to_text());
    let mut behind = hex(ORDER);
    behind[31] += 1;
    for bytes in [[0; 32], hex(ORDER), behind, [0xff; 32]] {
        let error = SigningKey::from_scalar(&bytes).expect_err("no scalar");
        assert_eq!((error.kind(), error.offset()), (&ErrorKind::BadScalar, Some(0)));
    }
}

#[test]
fn what_is_no_text_of_a_secret_is_refused_at_its_place() {
    let text = "&.0G8310K61lW92WhC3GtF414I4mGL5XSO6HdR71pU7n0.H3";
    SigningKey::parse(text.as_bytes()).expect("a key");
    let zero = format!("&.{}.H3", "0".repeat(43));
    let order = format!("&.{}.H3", crate::b64a::encode(&hex(ORDER)));
    for (text, kind, at) in [
        (zero, ErrorKind::BadScalar, 2),
        (order, ErrorKind::BadScalar, 2),
        (text.replace('&', "V"), ErrorKind::BadType, 0),
        (text.replace("&.", "&-"), ErrorKind::BadText, 1),
        (text.replace("0G8", "0+8"), ErrorKind::BadSymbol, 3),
        (text.replace("7n0.", "7n1."), ErrorKind::BadTail, 44),
        (text.replace(".H3", ".H2"), ErrorKind::BadText, 45),
        (text.replace("0G8", "08"), ErrorKind::BadLength, 47),
        (String::new(), ErrorKind::BadLength, 0),
    ] {
        let error = SigningKey::parse(text.as_bytes()).expect_err(&text);
        assert_eq!((error.kind(), error.offset()), (&kind, Some(at)), "{text}");
    }
}

#[test]
fn what_is_shown_of_a_key_is_not_its_secret() {
    let key = SigningKey::from_secret(b"init").expect("a key");
    let shown = format!("{key:?} {key:#?}");
    assert!(shown.contains(&key.verifying_key().to_string()), "{shown}");
    assert!(!shown.contains(&key.to_text()[2..45]), "{shown}");
    assert!(!shown.to_lowercase().contains("cd456f9b"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", key.d)), "{shown}");
}

#[test]
fn keys_are_wiped() {
    fn wiped<T: ZeroizeOnDropAndSend>() {}
    trait ZeroizeOnDropAndSend: zeroize::ZeroizeOnDrop + Send + Sync {}
    impl<T: zeroize::ZeroizeOnDrop + Send + Sync> ZeroizeOnDropAndSend for T {}
    wiped::<SigningKey>();
}

#[test]
fn random_bytes_of_zero_are_refused() {
    let error = six().sign_with(&count(0), &[0; 32]).expect_err("zero");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::ZeroRandom, Some(0)));
}

#[test]
fn a_nonce_of_zero_is_refused() {
    let error = six().finish(&count(0), &Scalar::ZERO).expect_err("zero");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::ZeroNonce, None));
}

#[test]
fn a_signature_that_came_out_wrong_is_not_given_out() {
    let mut key = six();
    key.d += Scalar::ONE;
    let error = key.sign_with(&count(0), &[1; 32]).expect_err("the scalar is not the key's");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::FaultySignature, None));
}

#[test]
fn a_nonce_point_that_is_no_coordinate_is_refused() {
    let key = six();
    let (r, s) = split(&key.sign_with(&count(0), &[1; 32]).expect("a signature"));
    let mut above = PRIME;
    above[31] += 1;
    for bad in [PRIME, above, [0xff; 32]] {
        let signature = joined(&bad, &s);
        refused(key.verifying_key(), &count(0), &signature, ErrorKind::BadSignaturePoint);
    }
    let mut below = PRIME;
    below[31] -= 1;
    refused(key.verifying_key(), &count(0), &joined(&below, &s), ErrorKind::BadSignature);
    key.verifying_key().verify(&count(0), &joined(&r, &s)).expect("it verifies");
}

#[test]
fn a_second_half_that_is_no_scalar_is_refused() {
    let key = six();
    let (r, _) = split(&key.sign_with(&count(0), &[1; 32]).expect("a signature"));
    for bad in [hex(ORDER), [0xff; 32]] {
        let signature = joined(&r, &bad);
        refused(key.verifying_key(), &count(0), &signature, ErrorKind::BadSignatureScalar);
    }
    let mut below = hex(ORDER);
    below[31] -= 1;
    refused(key.verifying_key(), &count(0), &joined(&r, &below), ErrorKind::BadSignature);
}

#[test]
fn a_key_that_is_no_coordinate_of_a_point_is_refused() {
    let signature = six().sign_with(&count(0), &[1; 32]).expect("a signature");
    let mut five = [0; 32];
    five[31] = 5;
    // 1 is the x-coordinate of a point, and 1 + p is not to be taken for it.
    let mut above = PRIME;
    above[31] += 1;
    for x in [five, [0; 32], PRIME, above, [0xff; 32]] {
        let key = VerifyingKey::new(x);
        assert!(!key.is_valid(), "{key}");
        refused(key, &count(0), &signature, ErrorKind::BadKey);
    }
    let mut one = [0; 32];
    one[31] = 1;
    assert!(VerifyingKey::new(one).is_valid());
    refused(VerifyingKey::new(one), &count(0), &signature, ErrorKind::BadSignature);
}

#[test]
fn the_point_at_infinity_is_refused() {
    let key = six();
    // With s = e·d nothing is left of s·G - e·P, whatever r is; 0 is what its coordinates read as.
    for r in [[0; 32], count(1)] {
        let e = challenge(&r, key.verifying_key().as_bytes(), &count(0));
        let signature = joined(&r, &(e * key.d).to_bytes());
        refused(key.verifying_key(), &count(0), &signature, ErrorKind::BadSignature);
    }
}

#[test]
fn a_nonce_point_with_an_odd_y_is_refused() {
    let key = SigningKey::from_scalar(&count(1)).expect("a scalar");
    let digest = hex("7f35ec599f3d2caa6fe9f3424b552e2acdaf5013b8c0bfcb98c9d501dcbb13bd");
    // As in the vector, but the nonce is not negated.
    let nonce = key.nonce(&digest, &[0xa5; 32]);
    let r = ProjectivePoint::mul_by_generator(&nonce).to_affine().x();
    let e = challenge(&r, key.verifying_key().as_bytes(), &digest);
    let signature = joined(&r, &(*nonce + e * key.d).to_bytes());
    refused(key.verifying_key(), &digest, &signature, ErrorKind::BadSignature);
}

#[test]
fn keys_and_signatures_are_fresh() {
    let (one, two) = (SigningKey::generate().expect("one"), SigningKey::generate().expect("two"));
    assert_ne!(one.verifying_key(), two.verifying_key());
    let first = one.sign(&count(0)).expect("a signature");
    let second = one.sign(&count(0)).expect("a signature");
    assert_ne!(first, second);
    one.verifying_key().verify(&count(0), &first).expect("it verifies");
    one.verifying_key().verify(&count(0), &second).expect("it verifies");
    refused(two.verifying_key(), &count(0), &first, ErrorKind::BadSignature);
}

#[test]
fn every_bit_counts() {
    let key = six();
    let digest = count(0);
    let signature = key.sign_with(&digest, &[1; 32]).expect("a signature");
    let x = *key.verifying_key().as_bytes();
    for bit in 0..256 {
        let (at, flip) = (bit / 8, 1 << (bit % 8));
        let mut other = digest;
        other[at] ^= flip;
        refused(key.verifying_key(), &other, &signature, ErrorKind::BadSignature);
        let mut other = x;
        other[at] ^= flip;
        VerifyingKey::new(other).verify(&digest, &signature).expect_err("another key");
    }
    for bit in 0..512 {
        let mut other = *signature.as_bytes();
        other[bit / 8] ^= 1 << (bit % 8);
        let verified = key.verifying_key().verify(&digest, &Signature::new(other));
        verified.expect_err("another signature");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else(
        secret in prop::collection::vec(any::<u8>(), 1..100),
        digest: [u8; 32],
        aux in any::<[u8; 32]>().prop_filter("zero is refused", |aux| *aux != [0; 32]),
        flip in 0..1024_usize,
    ) {
        let key = SigningKey::from_secret(&secret).expect("a key");
        let signature = key.sign_with(&digest, &aux).expect("a signature");
        prop_assert!(key.verifying_key().verify(&digest, &signature).is_ok());
        prop_assert_eq!(key.sign_with(&digest, &aux).expect("a signature"), signature);

        let x = *key.verifying_key().as_bytes();
        let mut all: Vec<u8> = [&x[..], &digest, signature.as_bytes()].concat();
        all[flip / 8] ^= 1 << (flip % 8);
        let x = VerifyingKey::new(all[..32].try_into().expect("32 bytes"));
        let digest = all[32..64].try_into().expect("32 bytes");
        prop_assert!(x.verify(&digest, &joined(&all[64..96], &all[96..])).is_err());
    }

    #[test]
    fn texts_of_secrets_come_back(bytes: [u8; 32]) {
        let Ok(key) = SigningKey::from_scalar(&bytes) else { return Ok(()) };
        let text = key.to_text();
        prop_assert_eq!(text.len(), crate::TYPED);
        let again = SigningKey::parse(text.as_bytes()).expect("a key");
        prop_assert_eq!(again.verifying_key(), key.verifying_key());
        prop_assert_eq!(again.to_text(), text);
    }

    #[test]
    fn any_bytes_are_verified_without_a_panic(
        x: [u8; 32],
        digest: [u8; 32],
        r: [u8; 32],
        s: [u8; 32],
    ) {
        prop_assert!(VerifyingKey::new(x).verify(&digest, &joined(&r, &s)).is_err());
    }
}
