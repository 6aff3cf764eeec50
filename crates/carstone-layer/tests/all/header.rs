//! Frame headers and layer lists are the bytes of `docs/format.md`, sections 2.1 and 3.1.

use carstone_layer::{
    Error, ErrorKind, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, LayerId, LayerList,
    LayerSlot, PackId, crc32c, crc64, digest16,
};
use proptest::prelude::*;

fn example() -> (FrameHeader, &'static [u8]) {
    let payload = b"keystone";
    let mut header = FrameHeader::data(LayerId(2), PackId::from_bytes([0xAA; 16]), 5, 6);
    header = header.with_lengths(0x0102_0304, 8);
    (header.kind, header.codec, header.last, header.segment) = (Kind(9), 2, true, 0x1122_3344);
    header.first_boundary = Some(0x0506_0708);
    (header.sealed(payload), payload)
}

#[test]
fn every_field_stands_where_the_format_says() {
    let (header, payload) = example();
    let mut expected = Vec::new();
    expected.extend(FRAME_MAGIC);
    expected.extend([0; 4]);
    expected.extend([1, 2, 9, 2, 1, 0, 0, 0]);
    expected.extend([0xAA; 16]);
    expected.extend([0x44, 0x33, 0x22, 0x11]);
    expected.extend(5_u64.to_le_bytes());
    expected.extend(6_u64.to_le_bytes());
    expected.extend([4, 3, 2, 1, 8, 0, 0, 0, 8, 7, 6, 5, 0, 0, 0, 0]);
    expected.extend(crc64(&[payload]).to_le_bytes());
    expected.extend(digest16(&[&expected[12..72], payload]));
    let sum = crc32c(&[&expected[..8], &expected[12..]]);
    expected[8..12].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(header.encode()[..], expected);
    assert_eq!(header.covered()[..], expected[12..72]);
    assert_eq!(FrameHeader::decode(&header.encode()).expect("a good header"), header);
    assert_eq!(header.frame_len(), 104);
    assert_eq!(header.plain_end(), Some(0x0102_030A));
}

#[test]
fn no_boundary_is_all_ones() {
    let header = FrameHeader::data(LayerId(2), PackId::from_bytes([0; 16]), 0, u64::MAX);
    assert_eq!(header.encode()[64..68], [0xFF; 4]);
    let read = FrameHeader::decode(&header.encode()).expect("a good header");
    assert_eq!((read.first_boundary, read.plain_end()), (None, Some(u64::MAX)));
    assert_eq!(read.with_lengths(1, 1).plain_end(), None);
}

#[test]
fn a_payload_is_intact_with_length_sum_and_digest() {
    let (header, payload) = example();
    assert!(header.payload_is_intact(payload));
    assert!(!header.payload_is_intact(b"keystonE"));
    assert!(!header.payload_is_intact(b"keyston"));
    assert!(!header.payload_matches_crc(b"keystone\0"));
    assert!(!header.payload_matches_digest(b"keystonE"));
    let mut other = header;
    other.sequence += 1;
    assert!(other.payload_matches_crc(payload) && !other.payload_matches_digest(payload));
}

/// Changes bytes and sets the sum right again.
fn forged(at: usize, bytes: &[u8]) -> [u8; FRAME_HEADER_LEN] {
    let mut header = example().0.encode();
    header[at..at + bytes.len()].copy_from_slice(bytes);
    let sum = crc32c(&[&header[..8], &header[12..]]);
    header[8..12].copy_from_slice(&sum.to_le_bytes());
    header
}

#[track_caller]
fn check_refused(header: [u8; FRAME_HEADER_LEN], offset: u64, is: impl Fn(&ErrorKind) -> bool) {
    let error = FrameHeader::decode(&header).expect_err("a bad header");
    assert!(is(error.kind()), "{error:?}");
    assert_eq!(error.offset(), offset);
}

#[test]
fn what_the_format_does_not_allow_is_refused() {
    check_refused(forged(0, &[0]), 0, |kind| matches!(kind, ErrorKind::BadMagic));
    check_refused(forged(12, &[2]), 12, |kind| {
        matches!(kind, ErrorKind::Unknown { what: "frame version", value: 2 })
    });
    check_refused(forged(16, &[3]), 16, |kind| matches!(kind, ErrorKind::BadField(_)));
    check_refused(forged(19, &[1]), 16, |kind| matches!(kind, ErrorKind::BadField(_)));
    check_refused(forged(71, &[1]), 68, |kind| matches!(kind, ErrorKind::BadField(_)));
}

#[test]
fn every_flipped_bit_is_found() {
    let good = example().0.encode();
    for bit in 0..8 * FRAME_HEADER_LEN {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        check_refused(bytes, 0, |kind| match bit {
            0..64 => matches!(kind, ErrorKind::BadMagic),
            _ => matches!(kind, ErrorKind::BadHeaderSum),
        });
    }
}

#[test]
fn kinds_are_known_critical_or_ancillary() {
    let known = (0..=255).filter(|&kind| Kind(kind).is_known()).collect::<Vec<_>>();
    assert_eq!(known, [1, 2, 3, 4, 5]);
    assert!(!Kind(127).is_ancillary() && Kind(128).is_ancillary());
}

fn slot(id: u8) -> LayerSlot {
    LayerSlot { id: LayerId(id), algorithm: 1, unit: 0x0002_0000 }
}

#[test]
fn layer_slots_are_sixteen_bytes() {
    let bytes = [1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(slot(1).encode(), bytes);
    assert_eq!(LayerSlot::decode(&bytes, 0).expect("a good slot"), slot(1));
    for reserved in (2..4).chain(8..16) {
        let mut bytes = bytes;
        bytes[reserved] = 1;
        assert_eq!(LayerSlot::decode(&bytes, 72).expect_err("not zero").offset(), 72);
    }
}

#[test]
fn layer_lists_hold_one_to_eight_different_layers() {
    let list = LayerList::new(vec![slot(1), slot(3)]).expect("two layers");
    assert_eq!(list.canonical(), [&[2][..], &slot(1).encode(), &slot(3).encode()].concat());
    assert_eq!(list.slots(), [slot(1), slot(3)]);
    assert_eq!((list.get(LayerId(3)), list.get(LayerId(2))), (Some(&slot(3)), None));
    assert_eq!(LayerList::single(slot(2)).canonical().len(), 17);
    assert!(LayerList::new((1..=8).map(slot).collect()).is_ok());
    for bad in [vec![], (1..=9).map(slot).collect(), vec![slot(1), slot(2), slot(1)]] {
        assert!(LayerList::new(bad).is_err());
    }
}

#[test]
fn errors_name_the_place_and_travel_through_io_errors() {
    let error = Error::new(ErrorKind::BadPayload, 5).moved(7);
    assert_eq!(error.to_string(), "payload of the frame at byte 12 does not match its checksum");
    let io = std::io::Error::from(error);
    assert_eq!(io.kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(Error::of(&io).expect("it is one of ours").offset(), 12);
    assert!(matches!(Error::from(io).kind(), ErrorKind::BadPayload));
    let foreign = std::io::Error::from(std::io::ErrorKind::TimedOut);
    assert!(Error::of(&foreign).is_none());
    let wrapped = Error::from(foreign);
    assert!(matches!(wrapped.kind(), ErrorKind::Io(_)));
    assert!(std::error::Error::source(&wrapped).is_some());
    assert_eq!(std::io::Error::from(wrapped).kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(Error::new(ErrorKind::BadMagic, 1).moved(u64::MAX).offset(), u64::MAX);
}

#[test]
fn identifiers_are_printed_for_people() {
    assert_eq!(PackId::from_bytes([0x0F; 16]).to_string(), "0f".repeat(16));
    let names = [0, 1, 2, 3, 77].map(|id| LayerId(id).to_string());
    assert_eq!(names, ["raw", "encryption", "compression", "position", "layer 77"]);
}

proptest! {
    #[test]
    fn headers_survive_encoding(
        ids in any::<(u8, u8, u8, bool, [u8; 16], u32)>(),
        places in any::<(u64, u64, u32, u32, Option<u32>)>(),
        checks in any::<(u64, [u8; 16])>(),
    ) {
        let (layer, kind, codec, last, pack, segment) = ids;
        let (sequence, offset, plain, stored, boundary) = places;
        let pack = PackId::from_bytes(pack);
        let mut header = FrameHeader::data(LayerId(layer), pack, sequence, offset);
        header = header.with_lengths(plain, stored);
        (header.kind, header.codec, header.last) = (Kind(kind), codec, last);
        (header.segment, header.first_boundary) = (segment, boundary.filter(|&at| at != u32::MAX));
        (header.payload_crc, header.digest) = checks;
        prop_assert_eq!(FrameHeader::decode(&header.encode()).expect("a good header"), header);
    }

    #[test]
    fn decoding_never_fails_in_another_way(bytes in any::<[u8; 32]>(), sum: bool) {
        let mut header = forged(12, &bytes);
        if !sum {
            header[8] ^= 1;
        }
        if let Ok(read) = FrameHeader::decode(&header) {
            prop_assert!(sum);
            prop_assert_eq!(read.encode(), header);
        }
    }
}
