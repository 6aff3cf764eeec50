//! Signatures that are none of their keys.

use super::*;

/// The Seal of the specification, with another line in it, and the hash that it then has.
fn sealed_again(piece: &str, with: &str) -> (String, usize) {
    let text = String::from_utf8(seal().encode()).expect("text");
    let (text, at) = replaced(&text, piece, with);
    let (_, payload) = text.split_once('\n').expect("a markline");
    let hash = PacketHash::of(PacketKind::Seal, payload.as_bytes());
    (format!("\u{1f5a7}: {hash}\n{payload}"), at)
}

#[test]
fn a_signature_that_is_wrong() {
    // Another digit in the scalar, and then in the point.
    for (piece, with, kind, behind) in [
        ("Feldr5G", "Feldr5W", ErrorKind::BadSignature, 79),
        ("Seal-Sig: SlBf", "Seal-Sig: SlBg", ErrorKind::BadSignature, 0),
        (
            "Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNu",
            "Seal-Sig: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
            ErrorKind::BadSignaturePoint,
            0,
        ),
    ] {
        let (text, at) = sealed_again(piece, with);
        let at = if behind == 0 { at + "Seal-Sig: ".len() } else { at - behind };
        refused(&text, kind, at);
    }
}

#[test]
fn a_key_that_is_no_coordinate() {
    let none = format!("Seal-By: V.{}.H3", "~".repeat(42) + "x");
    let (text, at) =
        sealed_again("Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3", &none);
    refused(&text, ErrorKind::BadKey, at + "Seal-By: ".len());
}

#[test]
fn no_seal_is_made_of_a_wrong_signature() {
    let packet = seal();
    let seal = packet.seal().expect("a Seal");
    let mut bytes = *seal.signature().as_bytes();
    bytes[40] ^= 1;
    let made = Seal::new(seal.plex().clone(), seal.key(), Signature::new(bytes));
    assert_eq!(*made.expect_err("it is wrong").kind(), ErrorKind::BadSignature);
}
