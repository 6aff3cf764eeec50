//! The packets of the specification.

use super::*;

#[track_caller]
fn known(packet: &Packet, hash: &str, len: usize) {
    assert_eq!(packet.hash().to_string(), hash);
    let bytes = packet.encode();
    assert_eq!(bytes.len(), len);
    for found in everyway(&bytes, strict()) {
        assert_eq!(found.expect("it is one"), packet.hash());
    }
    assert_eq!(&Packet::parse(&bytes, &strict()).expect("it is one"), packet);
}

#[test]
fn blobs_of_the_specification() {
    let all: Vec<u8> = (0..=255).collect();
    for (data, hash, len) in [
        (vec![], EMPTY_BLOB, 71),
        (b"hello\n".to_vec(), "B.f3WWOojJFy1t_J2WinAFeTdxqQbdYr5neCimrmRf~3h.H3", 77),
        (
            b"This is signed content.".to_vec(),
            "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3",
            95,
        ),
        (all, "B.u2JQeHYkGWwD2cRZIDJPA5cqm9vvh4KDN3uzmZQ~zzl.H3", 329),
        (vec![b'a'; 1_000_003], "B.pG7Zsgd7QVXgzgf0Ej9oTfqEJjUWCwaY1GN34jKGbj0.H3", 1_000_080),
    ] {
        known(&Blob::new(data).expect("it fits").into(), hash, len);
    }
    let digest = *Blob::new("").expect("it fits").hash().digest();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "dfaf55f9c587aaa9c906dfe1366bd6cb9637a2edfb90643687475c9efd51c346");
}

#[test]
fn plexes_of_the_specification() {
    let link = format!("+Link: source {EMPTY_BLOB}");
    let one = plex(
        ["a-group", "some-app", "our-collection/item"],
        "1640995200:123000000",
        &["X-Custom: header value", &link],
        b"hello\n",
    );
    known(&one, "P._B8CSOzsmGyZiPoHO0Bdf4Rf0FfqaTqFIHvGMVMNsLO.H3", 303);
    let two = plex(
        ["grüppe", "app", "café/日本#1"],
        "1767225637:000000001",
        &["é: x: y", "a: 0", "A: 2", "A: 1"],
        b"\x00\xff\n",
    );
    known(&two, "P.F8gIPiGPSTfCV2UTB29iFiucSCUj3BNfSUjyPmLivS4.H3", 228);
    let lines: Vec<_> = two.plex().expect("a Plex").extras().iter().map(Header::line).collect();
    assert_eq!(lines, ["A: 1", "A: 2", "a: 0", "é: x: y"]);
    let blob = two.blob().hash().to_string();
    assert_eq!(blob, "B.tuCdMbWfBY0ecgAlj2HIm59c25XPip8hhgy2SaRkHdK.H3");
    let three = plex(["g", "a", "l"], "0000000037:000000000", &[], b"");
    known(&three, "P.WDktGMEDkJGAwsQGxQfa8hDC6WQGXp9Y4jVasCSe3zK.H3", 180);
}

#[test]
fn the_seal_of_the_specification() {
    assert_eq!(SEAL.len(), 445);
    let packet = seal();
    assert_eq!(packet.encode(), SEAL.as_bytes());
    known(&packet, "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3", 445);
    let seal = packet.seal().expect("a Seal");
    let plex = plex(
        ["a-group", "some-app", "our-collection/item"],
        "1640995200:000000000",
        &[],
        seal.data(),
    );
    assert_eq!(plex.plex(), Some(seal.plex()));
    let made = Seal::new(seal.plex().clone(), seal.key(), seal.signature()).expect("it is signed");
    assert_eq!(&made, seal);
    assert_eq!(packet.hashes(), verify(SEAL.as_bytes(), &strict()).expect("a Seal"));
    assert_eq!(packet.hashes().iter().count(), 3);
}
