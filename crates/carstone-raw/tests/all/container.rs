//! The 256 bytes of the header: their places, what is refused, what is put right.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use crate::packs::{layers, pack_id, reseal_header, slot};
use carstone_layer::{LayerId, LayerList, PackId, crc64, digest16};
use carstone_raw::{Container, ErrorKind, read_container};

#[test]
fn every_field_stands_where_the_format_says() {
    let mut container = Container::new(pack_id(), layers()).unwrap();
    container.minor = 0x0605;
    container.compatible = 0x1122_3344_5566_7788;
    let bytes = container.encode();
    let mut expected = vec![0x89, 0x43, 0x53, 0x54, 0x4E, 0x0D, 0x0A, 0x1A, 1, 0, 5, 6, 0, 0, 0, 0];
    expected.extend([0; 8]);
    expected.extend([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    expected.extend(b"sixteen bytes id");
    expected.extend([3, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([2, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expected.resize(232, 0);
    expected.extend(digest16(&[&expected]));
    expected.extend(crc64(&[&expected]).to_le_bytes());
    assert_eq!(bytes.as_slice(), expected);
    assert_eq!(Container::decode(&bytes).unwrap(), container);
    assert_eq!(Container::decode_corrected(&bytes), Some((container, None)));
}

#[test]
fn a_trailer_says_what_the_header_does_and_how_long_the_pack_is() {
    let container = Container::new(pack_id(), layers()).unwrap();
    let mut bytes = container.encode_trailer(4711);
    assert_eq!(bytes[..8], Container::MAGIC);
    assert_eq!(Container::decode_trailer(&bytes), Some((container, 4711)));
    for at in [0, 40, 256, 270, 290, 303] {
        bytes[at] ^= 1;
        assert_eq!(Container::decode_trailer(&bytes), None, "byte {at}");
        bytes[at] ^= 1;
    }
}

/// Changes a good header, makes its checksums right, and expects this refusal.
#[track_caller]
fn check_refused(change: impl FnOnce(&mut [u8; 256]), expected: &str) {
    let mut bytes = Container::new(pack_id(), layers()).unwrap().encode();
    change(&mut bytes);
    reseal_header(&mut bytes);
    let error = Container::decode(&bytes).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(Container::decode_corrected(&bytes), None);
}

#[test]
fn what_a_newer_version_may_write_needs_a_newer_reader() {
    check_refused(|b| b[8] = 2, "major version 0x2 at byte 8 needs a newer carstone");
    check_refused(|b| b[17] = 1, "feature word 0x100 at byte 16 needs a newer carstone");
    check_refused(|b| b[72] = 4, "layer 0x4 at byte 72 needs a newer carstone");
    check_refused(|b| b[72] = 63, "layer 0x3f at byte 72 needs a newer carstone");
    check_refused(|b| b[72] = 128, "layer 0x80 at byte 72 needs a newer carstone");
    check_refused(|b| b[56] = 0, "layer 0x0 at byte 56 needs a newer carstone");
    check_refused(|b| b[57] = 2, "layer algorithm 0x2 at byte 57 needs a newer carstone");
    check_refused(|b| b[73] = 1, "layer algorithm 0x1 at byte 73 needs a newer carstone");
}

#[test]
fn what_no_writer_may_write_is_refused() {
    check_refused(|b| b[12] = 1, "segment number at byte 12 is not valid");
    check_refused(|b| b[48] = 0, "number of layers at byte 48 is not valid");
    check_refused(|b| b[48] = 9, "number of layers at byte 48 is not valid");
    check_refused(|b| b[48] = 2, "unused layer slot at byte 88 is not valid");
    check_refused(|b| b[183] = 1, "unused layer slot at byte 104 is not valid");
    check_refused(|b| b[55] = 1, "reserved bytes of the container header at byte 49 is not valid");
    check_refused(
        |b| b[184] = 1,
        "reserved bytes of the container header at byte 184 is not valid",
    );
    check_refused(
        |b| b[231] = 1,
        "reserved bytes of the container header at byte 184 is not valid",
    );
    check_refused(|b| b[74] = 1, "reserved bytes of a layer slot at byte 72 is not valid");
    check_refused(|b| b[96] = 1, "reserved bytes of a layer slot at byte 88 is not valid");
    check_refused(|b| b[62] = 3, "unit of a layer at byte 60 is not valid");
    check_refused(|b| b[79] = 1, "unit of a layer at byte 76 is not valid");
    check_refused(|b| b[92] = 1, "unit of a layer at byte 92 is not valid");
}

#[test]
fn layers_stand_in_their_order_with_position_innermost() {
    #[track_caller]
    fn check(ids: &[u8], allowed: bool) {
        let slots = ids.iter().map(|&id| match id {
            1 => slot(1, 1, 131_072),
            2 => slot(2, 0, 65_536),
            3 => slot(3, 0, 0),
            private => slot(private, 200, u32::MAX),
        });
        let list = LayerList::new(slots.collect()).unwrap();
        assert_eq!(Container::new(pack_id(), list).is_ok(), allowed);
    }
    check(&[3], true);
    check(&[1, 3], true);
    check(&[2, 3], true);
    check(&[1, 2, 3], true);
    check(&[64, 1, 65, 2, 66, 127, 3], true);
    check(&[2, 1, 3], false);
    check(&[3, 1], false);
    check(&[1, 2], false);
    check(&[64], false);
    check(&[3, 64], false);
}

#[test]
fn any_minor_version_and_any_compatible_feature_are_taken() {
    let mut container = Container::new(pack_id(), layers()).unwrap();
    (container.minor, container.compatible) = (u16::MAX, u64::MAX);
    assert_eq!(Container::decode(&container.encode()).unwrap(), container);
}

#[test]
fn every_changed_byte_is_refused() {
    let good = Container::new(pack_id(), layers()).unwrap().encode();
    for at in 0..good.len() {
        let mut bytes = good;
        bytes[at] ^= 0x40;
        let error = Container::decode(&bytes).unwrap_err();
        match at {
            0..8 => assert!(matches!(error.kind(), ErrorKind::NotAPack), "byte {at}"),
            _ => assert!(matches!(error.kind(), ErrorKind::HeaderDamaged), "byte {at}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_put_right() {
    let container = Container::new(pack_id(), layers()).unwrap();
    let good = container.encode();
    for bit in 0..good.len() * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (found, correction) = Container::decode_corrected(&bytes).expect("one bit is little");
        let correction = correction.expect("something was put right");
        assert_eq!(found, container);
        assert_eq!((correction.layer, correction.at), (LayerId::RAW, bit as u64 / 8));
        assert_eq!(correction.bits, 1);
    }
}

#[test]
fn a_burst_is_put_right_and_two_distant_flips_are_not() {
    let container = Container::new(pack_id(), layers()).unwrap();
    let good = container.encode();
    for at in 0..good.len() - 3 {
        let mut bytes = good;
        bytes[at..at + 4].iter_mut().for_each(|byte| *byte ^= 0xA7);
        let (found, correction) = Container::decode_corrected(&bytes).expect("32 bits at most");
        assert_eq!(found, container, "burst at byte {at}");
        assert_eq!(correction.map(|c| (c.at, c.bits)), Some((at as u64, 20)));
    }
    let mut bytes = good;
    bytes[20] ^= 1;
    bytes[200] ^= 1;
    assert_eq!(Container::decode_corrected(&bytes), None);
}

#[test]
fn the_front_of_a_stream_is_enough_to_read_a_header() {
    let mut stream = Container::new(pack_id(), layers()).unwrap().encode().to_vec();
    stream.extend(b"and more");
    let mut rest = stream.as_slice();
    assert_eq!(read_container(&mut rest).unwrap().pack_id, pack_id());
    assert_eq!(rest, b"and more");
}

#[test]
fn what_is_no_header_is_told_apart() {
    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        assert_eq!(read_container(bytes).unwrap_err().to_string(), expected);
    }
    let good = Container::new(PackId::from_bytes([1; 16]), layers()).unwrap().encode();
    check(b"", "not a pack: there is nothing at all");
    check(b"PK", "not a pack: no container header at byte 0");
    check(&[0; 300], "not a pack: no container header at byte 0");
    check(&good[..1], "pack stops after 1 bytes, inside its container header");
    check(&good[..255], "pack stops after 255 bytes, inside its container header");
}
