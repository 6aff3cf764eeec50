//! Packets out of a repository and into another: streams and CARs.

use std::collections::BTreeSet;

use carstone_hppr::{
    Error, ErrorKind, ExportOptions, Packet, PacketKind, PacketReader, ParseOptions, Repository,
    Result, import, import_car,
};
use cid::Cid;

use crate::laid::{B, Laid, S, SEAL, TAI, at_item, file, other_seal, plex, seal};

fn several() -> (Laid, Vec<Packet>) {
    let laid = Laid::new();
    let packets = vec![
        seal(),
        other_seal(),
        at_item("1640995199:000000000", "before"),
        plex(["b", "app", "é"], TAI, ""),
    ];
    packets.iter().for_each(|packet| laid.lay(packet));
    laid.lay_hashes(&lone());
    (laid, packets)
}

fn lone() -> Packet {
    carstone_hppr::Blob::new("nobody has it").expect("a Blob").into()
}

fn exported(repository: &Repository, options: &ExportOptions) -> Vec<Packet> {
    let mut stream = Vec::new();
    let exported = repository.export(options, &mut stream).expect("an export");
    assert_eq!(exported.bytes, stream.len() as u64);
    let packets: Result<Vec<Packet>> = PacketReader::new(&stream[..]).collect();
    let packets = packets.expect("packets");
    assert_eq!(exported.packets, packets.len() as u64);
    packets
}

fn hashes(packets: &[Packet]) -> BTreeSet<String> {
    packets.iter().map(|packet| packet.hash().to_string()).collect()
}

#[test]
fn a_stream_has_each_packet_that_is_attached_once() {
    let (laid, packets) = several();
    let out = exported(&laid.read_only(), &ExportOptions::default());
    assert_eq!(out.len(), 4);
    assert_eq!(hashes(&out), hashes(&packets));
}

#[test]
fn a_stream_below_a_prefix_has_nothing_else() {
    let (laid, packets) = several();
    let options = ExportOptions::default().prefix("//b/app/".parse().expect("a prefix"));
    assert_eq!(exported(&laid.open(), &options), packets[3..]);
    let error = laid.open().export(&options.lone_blobs(true), &mut Vec::new());
    assert!(matches!(error.expect_err("it cannot be").kind(), ErrorKind::Invalid(_)));
}

#[test]
fn lone_blobs_are_exported_by_option() {
    let (laid, packets) = several();
    let out = exported(&laid.open(), &ExportOptions::default().lone_blobs(true));
    assert_eq!(out.len(), 5);
    assert_eq!(out[4], lone());
    assert_eq!(hashes(&out[..4]), hashes(&packets));
}

#[test]
fn what_is_detached_is_not_exported() {
    let laid = Laid::new();
    laid.lay_hashes(&seal());
    assert_eq!(exported(&laid.open(), &ExportOptions::default()), []);
    let blobs = exported(&laid.open(), &ExportOptions::default().lone_blobs(true));
    assert_eq!(blobs, [seal().blob().clone().into()]);
}

#[test]
fn what_is_damaged_ends_an_export_or_is_left_out() {
    let (laid, _) = several();
    laid.write(file(B), "This is signed content!");
    let error = laid.open().export(&ExportOptions::default(), &mut Vec::new());
    let error = error.expect_err("it is damaged");
    assert_eq!(error.kind(), &ErrorKind::HashMismatch { packet: PacketKind::Blob });
    let options = ExportOptions::default().skip_damaged(true);
    let mut stream = Vec::new();
    let out = laid.open().export(&options, &mut stream).expect("an export");
    // Two Seals and their Plex.
    assert_eq!((out.packets, out.damaged), (2, 3));
}

/// What takes the packets of an import.
type Store<'s> = &'s mut dyn FnMut(&Packet) -> Result<()>;

fn imported(from: impl FnOnce(Store<'_>) -> Result<u64>) -> Result<Vec<Packet>> {
    let mut packets = Vec::new();
    let count = from(&mut |packet| {
        packets.push(packet.clone());
        Ok(())
    })?;
    assert_eq!(count, packets.len() as u64);
    Ok(packets)
}

fn from_car(car: &[u8]) -> Result<Vec<Packet>> {
    imported(|store| import_car(car, &ParseOptions::default(), store))
}

#[test]
fn a_stream_is_imported() {
    let (laid, packets) = several();
    let mut stream = Vec::new();
    laid.open().export(&ExportOptions::default(), &mut stream).expect("an export");
    let into = Laid::new();
    let count = import(&stream[..], &ParseOptions::default(), &mut |packet| {
        into.lay(packet);
        Ok(())
    });
    assert_eq!(count, Ok(4));
    assert_eq!(hashes(&exported(&into.open(), &ExportOptions::default())), hashes(&packets));
}

#[test]
fn a_stream_with_a_flipped_bit_is_refused_at_its_byte() {
    let bytes = SEAL.replace("signed", "Signed");
    let stream = [SEAL.as_bytes(), bytes.as_bytes()].concat();
    let mut count = 0;
    let error = import(&stream[..], &ParseOptions::default(), &mut |_| {
        count += 1;
        Ok(())
    });
    let error = error.expect_err("it is damaged");
    let at = (SEAL.len() + SEAL.find("B.xNC").expect("a hash")) as u64;
    assert_eq!(error.kind(), &ErrorKind::HashMismatch { packet: PacketKind::Blob });
    assert_eq!((error.offset(), count), (Some(at), 1));
}

#[test]
fn what_cannot_be_stored_ends_an_import() {
    let mut fails = |_: &Packet| Err(Error::from_kind());
    let error = import(SEAL.as_bytes(), &ParseOptions::default(), &mut fails);
    assert_eq!(error.expect_err("it fails").kind(), &ErrorKind::BadLength);
}

#[test]
fn what_is_refused_is_told_with_the_byte_of_its_packet() {
    let command = plex(["g", "\u{1f5a7}get", "l"], TAI, "x");
    let source = Laid::new();
    source.lay(&plex(["a", "a", "l"], TAI, "x"));
    source.lay(&command);
    let refused = |read: &dyn Fn(Store<'_>) -> Result<u64>| {
        let into = Laid::new();
        let repository = into.open();
        let error = read(&mut |packet| repository.store(packet, &Default::default()).map(drop));
        let error = error.expect_err("it is a command");
        assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
        assert_eq!(exported(&repository, &ExportOptions::default()).len(), 1);
        error.offset()
    };
    let mut stream = Vec::new();
    source.open().export(&ExportOptions::default(), &mut stream).expect("an export");
    let at = stream.len() - command.encode().len();
    let options = ParseOptions::default();
    assert_eq!(refused(&|store| import(&stream[..], &options, store)), Some(at as u64));
    let car = car(&source);
    let cid = [&[0x01, 0x55, 0x1e, 0x20], &command.hash().digest()[..]].concat();
    let at = car.windows(cid.len()).rposition(|bytes| bytes == cid).expect("its block");
    assert_eq!(refused(&|store| import_car(&car[..], &options, store)), Some(at as u64));
}

trait FromKind {
    fn from_kind() -> Error;
}

impl FromKind for Error {
    /// Any error that can be had from outside.
    fn from_kind() -> Error {
        carstone_hppr::PacketHash::parse(b"").expect_err("it is none")
    }
}

fn car(laid: &Laid) -> Vec<u8> {
    let mut car = Vec::new();
    let out = laid.open().export_car(&ExportOptions::default(), &mut car).expect("a CAR");
    assert_eq!(out.bytes, car.len() as u64);
    car
}

#[test]
fn a_car_has_payloads_under_cids_of_blake3() {
    let car = car(&Laid::with_seal());
    let payload = &SEAL.as_bytes()[SEAL.find('\n').expect("a line") + 1..];
    let cid = {
        let digest = blake3::hash(payload);
        [&[0x01, 0x55, 0x1e, 0x20], &digest.as_bytes()[..]].concat()
    };
    // Three bytes less than 128 and more: a length of two bytes.
    let len = (cid.len() + payload.len()) as u64;
    let varint = [(len % 128) as u8 | 0x80, (len / 128) as u8];
    let expected = [
        &[58][..],
        b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00",
        &cid,
        b"\x67version\x01",
        &varint,
        &cid,
        payload,
    ];
    assert_eq!(car, expected.concat());
    let text = Cid::try_from(&cid[..]).expect("a CID").to_string();
    assert!(text.starts_with("bafkr4i"), "{text}");
}

#[test]
fn a_car_without_packets_has_no_root() {
    let car = car(&Laid::new());
    assert_eq!(car, b"\x11\xa2\x65roots\x80\x67version\x01");
    assert_eq!(from_car(&car), Ok(vec![]));
}

#[test]
fn a_car_is_imported() {
    let (laid, packets) = several();
    let packets_in = from_car(&car(&laid)).expect("packets");
    assert_eq!(hashes(&packets_in), hashes(&packets));
    let stream = exported(&laid.open(), &ExportOptions::default());
    assert_eq!(packets_in, stream);
}

#[test]
fn every_cut_of_a_car_is_seen() {
    let car = car(&Laid::with_seal());
    for len in 0..car.len() {
        match from_car(&car[..len]) {
            // Behind its header it is one without packets.
            Ok(packets) => assert_eq!((packets.len(), len), (0, 59)),
            Err(error) => {
                assert_eq!(error.kind(), &ErrorKind::Truncated, "{len}");
                assert_eq!(error.offset(), Some(len as u64));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_block_is_seen() {
    let car = car(&Laid::with_seal());
    // Behind the header and the length.
    for bit in 61 * 8..car.len() * 8 {
        let mut bytes = car.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = from_car(&bytes).expect_err("a bit is wrong");
        assert!(error.offset().is_some_and(|at| at >= 61), "{bit}: {error}");
    }
}

#[test]
fn a_wrong_hash_in_a_car_is_at_its_block() {
    let mut car = car(&Laid::with_seal());
    let at = car.len() - 1;
    car[at] ^= 1;
    let error = from_car(&car).expect_err("it is damaged");
    assert_eq!(error.kind(), &ErrorKind::HashMismatch { packet: PacketKind::Blob });
    let text = String::from_utf8_lossy(&car);
    assert!(text.contains("B.xNC"));
    let hash = car.windows(5).position(|bytes| bytes == b"B.xNC").expect("the hash");
    assert_eq!(error.offset(), Some(hash as u64));
    // That of the Seal itself is that of the CID.
    let mut car = self::car(&Laid::with_seal());
    car[65] ^= 1;
    let error = from_car(&car).expect_err("it is damaged");
    assert_eq!(error.kind(), &ErrorKind::HashMismatch { packet: PacketKind::Seal });
    assert_eq!(error.offset(), Some(61));
}

#[test]
fn what_is_no_car_of_version_1_is_refused() {
    for bytes in [
        &b"\x0a\xa1\x67version\x02"[..],
        b"\x11\xa2\x65roots\x80\x67version\x02",
        b"\x01\x80",
        SEAL.as_bytes(),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let error = from_car(bytes).expect_err("it is none");
        let kinds = [ErrorKind::BadCar, ErrorKind::Truncated];
        assert!(kinds.contains(error.kind()), "{error}");
    }
    assert_eq!(from_car(b"").expect_err("nothing").kind(), &ErrorKind::Truncated);
}

#[test]
fn blocks_of_others_are_refused_at_their_byte() {
    let header = b"\x11\xa2\x65roots\x80\x67version\x01";
    let sha = [&[0x01, 0x55, 0x12, 0x20], &[7; 32][..], b"Data-Length: 0\n\n"].concat();
    let digest = blake3::hash(b"text");
    let text = [&[0x01, 0x55, 0x1e, 0x20], &digest.as_bytes()[..], b"text"].concat();
    let cbor = [&[0x01, 0x71, 0x1e, 0x20], &digest.as_bytes()[..], b"Group: "].concat();
    let short = [&[0x01, 0x55, 0x1e, 0x04][..], b"1234Data-Length: 0\n\n"].concat();
    for block in [&sha, &text, &cbor, &short] {
        let car = [&header[..], &[block.len() as u8], block].concat();
        let error = from_car(&car).expect_err("it is no packet");
        assert_eq!((error.kind(), error.offset()), (&ErrorKind::ForeignBlock, Some(19)));
    }
    // More than any packet has.
    let car = [&header[..], &[0xff, 0xff, 0xff, 0x7f]].concat();
    let error = from_car(&car).expect_err("it is too long");
    assert_eq!((error.kind(), error.offset()), (&ErrorKind::ForeignBlock, Some(22)));
}

#[test]
fn seals_carry_their_plex() {
    let out = exported(&Laid::with_seal().open(), &ExportOptions::default());
    assert_eq!(out, [seal()]);
    assert_eq!(out[0].hash().to_string(), S);
}
