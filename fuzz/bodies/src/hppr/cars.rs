//! CARs of packets.

use carstone_hppr::{
    ErrorKind, Packet, PacketHash, PacketKind, Result, import, import_car, verify,
};

use super::forge::{MARK, by_name, forged, markline};
use super::packets::packet_seeds;
use crate::input::{Input, noise};
use crate::sources::Stutter;

/// What is imported is verified, and the same in whatever pieces a CAR comes. With the right CIDs and hashes, packets go out and come back.
pub(crate) fn car(data: &[u8]) {
    let choices = noise(data.len() as u64, 200);
    let mut input = Input::new(&choices);
    imported(data, &mut input);
    let Some((car, blocks)) = with_digests(data) else { return };
    let (packets, end) = imported(&car, &mut input);
    // Up to what is none, each block is a packet.
    let due = blocks.iter().map_while(|bytes| Packet::parse(bytes, &by_name()).ok());
    let due: Vec<Packet> = due.collect();
    assert_eq!(packets, due);
    assert_eq!(end, (due.len() == blocks.len()).then_some(due.len() as u64));
    let stream: Vec<u8> = due.iter().flat_map(Packet::encode).collect();
    let mut again = Vec::new();
    let read = import(&stream[..], &by_name(), &mut |packet| {
        again.push(packet.clone());
        Ok(())
    });
    assert!(read == Ok(due.len() as u64) && again == due);
}

fn imported(car: &[u8], input: &mut Input<'_>) -> (Vec<Packet>, Option<u64>) {
    let mut packets = Vec::new();
    let whole = import_car(car, &by_name(), &mut |packet| {
        assert_eq!(verify(&packet.encode(), &by_name()), Ok(packet.hashes()));
        packets.push(packet.clone());
        Ok(())
    });
    if let Err(error) = &whole {
        assert!(error.offset().is_some_and(|at| at <= car.len() as u64), "{error}");
    }
    if whole.is_ok() {
        let (len, mut rest) = varint(car).expect("there is a header");
        rest = &rest[len..];
        while !rest.is_empty() {
            let (len, section) = varint(rest).expect("there is a section");
            assert!(section.starts_with(CID), "a foreign block is taken");
            rest = &section[len..];
        }
    }
    let mut pieces = Vec::new();
    let read = import_car(Stutter::new(car, input), &by_name(), &mut |packet| {
        pieces.push(packet.clone());
        Ok(())
    });
    assert!(read == whole && pieces == packets, "{read:?} or {whole:?}");
    // What stores ends it.
    let stopped: Result<u64> = import_car(car, &by_name(), &mut |packet| {
        Err(import(&packet.encode()[1..], &by_name(), &mut |_| Ok(())).expect_err("no packet"))
    });
    if let (Err(error), false) = (&stopped, packets.is_empty()) {
        assert_eq!(*error.kind(), ErrorKind::NoMarkline);
    }
    (packets, whole.ok())
}

/// A CAR of the header that the bytes have, or a good one, and their sections with CIDs and hashes that are right; and the packets that they are. `None` where a section is not
/// like one of a packet.
fn with_digests(data: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut rest = data.strip_prefix(HEADER)?;
    let mut car = HEADER.to_vec();
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (len, behind) = varint(rest)?;
        let section = behind.get(..len)?;
        let payload = section.strip_prefix(CID)?.get(32..)?;
        let first = [
            (&b"Data-Length: "[..], PacketKind::Blob),
            (b"Group: ", PacketKind::Plex),
            (b"Seal-By: ", PacketKind::Seal),
        ];
        let (_, kind) = *first.iter().find(|(name, _)| payload.starts_with(name))?;
        let packet = forged(&[&markline(&PacketHash::new(kind, [0; 32]))[..], payload].concat());
        car.extend_from_slice(&section_of(&packet));
        blocks.push(packet);
        rest = &behind[len..];
    }
    Some((car, blocks))
}

/// The section of a packet.
fn section_of(packet: &[u8]) -> Vec<u8> {
    let payload = &packet[MARK.len() + carstone_hppr::TYPED + 1..];
    let digest = *PacketHash::of(PacketKind::Blob, payload).digest();
    let mut len = CID.len() + digest.len() + payload.len();
    let mut section = Vec::new();
    while len >= 0x80 {
        section.push(len as u8 | 0x80);
        len >>= 7;
    }
    section.push(len as u8);
    section.extend_from_slice(&[CID, &digest, payload].concat());
    section
}

fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(3).position(|byte| byte & 0x80 == 0)?;
    let len = bytes[..=end].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
    Some((len, &bytes[end + 1..]))
}

/// CARs of packets of the vectors, and those with roots and other versions.
pub(crate) fn car_seeds() -> Vec<Vec<u8>> {
    let packets =
        packet_seeds().into_iter().filter(|packet| Packet::parse(packet, &by_name()).is_ok());
    let packets: Vec<Vec<u8>> = packets.filter(|packet| packet.len() < 1000).step_by(3).collect();
    let sections = packets.chunks(4).map(|some| some.iter().flat_map(|packet| section_of(packet)));
    let mut seeds: Vec<Vec<u8>> =
        sections.map(|sections| HEADER.iter().copied().chain(sections).collect()).collect();
    let packet = section_of(&packets[0]);
    let [root, second] = [ROOT, VERSION_2].map(|header| [header, &packet].concat());
    // The digest is the right one, but said to be of another hash.
    let mut foreign = [HEADER, &packet].concat();
    let cid = packet.len() - varint(&packet).map_or(0, |(len, _)| len);
    foreign[HEADER.len() + cid + 2] = 0x1f;
    seeds.extend([HEADER.to_vec(), root, second, foreign]);
    seeds
}

/// The header of a CAR without roots, with its length.
const HEADER: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01";
/// One of another version.
const VERSION_2: &[u8] = b"\x0a\xa1\x67version\x02";
/// One with more in it than is needed.
const ROOT: &[u8] = b"\x1b\xa3\x65roots\x81\xd8\x2a\x41\x00\x67version\x01\x61x\xa1\x61y\xf6";
/// What CIDs of packets begin with.
const CID: &[u8] = &[1, 0x55, 0x1e, 32];
