//! Reading packs whose header or trailer is damaged, gone or of another pack.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::packs::*;
use carstone_layer::{
    Cause, Correction, FailSafeRead, FrameHeader, Gap, Kind, LayerId, PackId, Report,
};
use carstone_raw::{Container, Error, RawFailSafe};

/// What a fail-safe reader had to say.
#[derive(Debug, PartialEq)]
struct Seen {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
    corrections: Vec<(u64, u32)>,
    pack: Option<PackId>,
}

fn read_all<R: Read>(mut reader: RawFailSafe<R>) -> Seen {
    let (mut bytes, mut gaps) = (Vec::new(), Vec::new());
    loop {
        io::copy(&mut reader, &mut bytes).unwrap();
        match reader.next_gap().unwrap() {
            Some(gap) => gaps.push(gap),
            None => break,
        }
    }
    let mut report = Report::default();
    reader.drain_report(&mut report);
    assert!(report.corrections.iter().all(|found| found.layer == LayerId::RAW));
    let corrections = report.corrections.iter().map(|c: &Correction| (c.at, c.bits)).collect();
    Seen { bytes, gaps, corrections, pack: reader.container().map(|c| c.pack_id) }
}

fn forward(stored: &[u8]) -> Seen {
    read_all(RawFailSafe::new(stored).unwrap())
}

/// Reads a pack that stands in a larger file.
fn seekable(stored: &[u8]) -> Seen {
    let mut file = Cursor::new([b"before", stored].concat());
    file.seek(SeekFrom::Start(6)).unwrap();
    read_all(RawFailSafe::open_seekable(file).unwrap())
}

fn seen(bytes: &[u8]) -> Seen {
    Seen { bytes: bytes.to_vec(), gaps: vec![], corrections: vec![], pack: Some(pack_id()) }
}

fn header_gap(stored: u64, cause: Cause) -> Gap {
    Gap::new(LayerId::RAW, 0, Some(0), cause).with_stored(0..stored)
}

fn end_gap(at: u64, cause: Cause) -> Gap {
    Gap::new(LayerId::RAW, at, None, cause)
}

fn frame(pack: PackId, kind: Kind, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, 0);
    header.kind = kind;
    let header = header.with_lengths(0, payload.len() as u32).sealed(payload);
    [header.encode().as_slice(), payload].concat()
}

fn anchor(container: &Container) -> Vec<u8> {
    let mut payload = 256_u32.to_le_bytes().to_vec();
    payload.extend(container.encode());
    payload.extend(0_u32.to_le_bytes());
    frame(container.pack_id, Kind::ANCHOR, 0, &payload)
}

#[test]
fn a_flipped_bit_in_header_or_trailer_is_put_right() {
    let good = pack(&noise(50));
    for bit in (0..HEADER * 8).chain((HEADER + 50) * 8..good.len() * 8) {
        let mut stored = good.clone();
        stored[bit / 8] ^= 1 << (bit % 8);
        let expected = Seen { corrections: vec![(bit as u64 / 8, 1)], ..seen(&noise(50)) };
        assert_eq!(forward(&stored), expected, "bit {bit}");
        assert_eq!(seekable(&stored), expected, "bit {bit}");
    }
}

#[test]
fn a_burst_across_checksum_and_end_magic_is_put_right() {
    let mut stored = pack(&noise(50));
    let magic = stored.len() - 8;
    stored[magic - 2..magic + 2].fill(0);
    let flipped = (magic - 2..magic + 2).map(|at| pack(&noise(50))[at].count_ones()).sum();
    let first = (magic - 2..).find(|&at| pack(&noise(50))[at] != 0).unwrap() as u64;
    let expected = Seen { corrections: vec![(first, flipped)], ..seen(&noise(50)) };
    assert_eq!(forward(&stored), expected);
    assert_eq!(seekable(&stored), expected);
}

#[test]
fn a_lost_header_is_a_gap_and_the_trailer_stands_in() {
    let mut stored = pack(&noise(1000));
    stored[8..200].fill(0);
    let gaps = vec![header_gap(256, Cause::Corrupt)];
    // A forward reader cannot know whether the front is damaged or missing, so it gives all there is.
    let all = &stored[..HEADER + 1000];
    assert_eq!(forward(&stored), Seen { gaps: gaps.clone(), ..seen(all) });
    assert_eq!(seekable(&stored), Seen { gaps, ..seen(&noise(1000)) });
}

#[test]
fn a_pack_without_its_front_is_given_from_its_first_byte_on() {
    let stored = pack(&noise(1000));
    for cut in [1, 100, 256, 300, 1255] {
        let rest = &stored[cut..];
        let expected = |stored: usize| Seen {
            gaps: vec![header_gap(stored as u64, Cause::Missing)],
            ..seen(&rest[..rest.len() - TRAILER])
        };
        assert_eq!(forward(rest), expected(256), "cut {cut}");
        // This one knows that what belongs to the trailer cannot be a header.
        assert_eq!(seekable(rest), expected(256.min(1256 - cut)), "cut {cut}");
    }
}

#[test]
fn a_trailer_alone_is_no_empty_pack() {
    let stored = pack(&noise(1000));
    let rest = &stored[HEADER + 1000..];
    assert_eq!(seekable(rest), Seen { gaps: vec![header_gap(0, Cause::Missing)], ..seen(b"") });
    // It begins as a header does, and a forward reader sees the end too late.
    let gaps = vec![end_gap(48, Cause::Truncated)];
    assert_eq!(forward(rest), Seen { gaps, ..seen(&rest[HEADER..]) });
}

#[test]
fn what_is_no_pack_is_given_whole_between_two_gaps() {
    let gaps = vec![header_gap(256, Cause::Missing), end_gap(2000, Cause::Truncated)];
    let expected = Seen { gaps, pack: None, ..seen(&noise(2000)) };
    assert_eq!(forward(&noise(2000)), expected);
    assert_eq!(seekable(&noise(2000)), expected);
    let expected = Seen { gaps: vec![end_gap(0, Cause::Truncated)], pack: None, ..seen(b"") };
    assert_eq!(forward(b""), expected);
    assert_eq!(seekable(b""), expected);
}

#[test]
fn a_cut_pack_ends_in_a_gap() {
    let stored = pack(&noise(1000));
    for len in [256, 257, 900, 1256, 1300, 1559] {
        let gaps = vec![end_gap(len as u64 - 256, Cause::Truncated)];
        let expected = Seen { gaps, ..seen(&stored[256..len]) };
        assert_eq!(forward(&stored[..len]), expected, "cut to {len}");
        assert_eq!(seekable(&stored[..len]), expected, "cut to {len}");
    }
}

#[test]
fn appendices_are_no_sign_of_a_cut() {
    let mut stored = pack(&noise(1000));
    let end = stored.len();
    stored.extend(appendix(5, &noise(70)));
    assert_eq!(forward(&stored), seen(&noise(1000)));
    assert_eq!(seekable(&stored), seen(&noise(1000)));
    stored[end - 200] ^= 4;
    let corrections = vec![((end - 200) as u64, 1)];
    assert_eq!(forward(&stored), Seen { corrections, ..seen(&noise(1000)) });
}

#[test]
fn appendices_are_left_out_of_a_pipe_in_pieces_of_any_size() {
    for plain in [0, 1, 300, 1000, 20_000] {
        let mut stored = pack(&noise(plain));
        stored.extend(appendix(5, &noise(70)));
        stored.extend(appendix(6, &noise(9_000)));
        for piece in [1, 2, 7, 303, 304, 305, 311, 312, 313, 640, 8_192, 30_000] {
            let mut reader = RawFailSafe::new(Pieces(&stored, piece)).unwrap();
            let mut bytes = Vec::new();
            let mut buf = vec![0; piece];
            while let n @ 1.. = reader.read(&mut buf).unwrap() {
                bytes.extend_from_slice(&buf[..n]);
            }
            assert_eq!(reader.next_gap().unwrap(), None);
            assert!(bytes == noise(plain), "{plain} in pieces of {piece}");
            assert_eq!(reader.get_ref().0.len(), 0, "read to the end");
        }
    }
}

/// Gives so many bytes at once.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buf.len());
        self.0.read(&mut buf[..n])
    }
}

#[test]
fn the_trailer_is_found_behind_the_frames_when_junk_follows() {
    let mut framed = frame(pack_id(), Kind::DATA, 0, &noise(100_000));
    framed.extend(frame(pack_id(), Kind::DATA, 1, &noise(500)));
    let end = HEADER + framed.len();
    let mut stored = pack(&framed);
    stored.extend(noise(70));
    assert_eq!(seekable(&stored), seen(&framed));
    // A broken frame on the way, and one bit in the trailer.
    stored[300..400].fill(0);
    stored[end + 40] ^= 8;
    let damaged = &stored[256..end];
    let expected = Seen { corrections: vec![(end as u64 + 40, 1)], ..seen(damaged) };
    assert_eq!(seekable(&stored), expected);
    // The last frame is broken too: the whole trailer is searched for.
    stored[end - 550..end - 520].fill(0);
    stored[end + 40] ^= 8;
    let damaged = &stored[256..end];
    assert_eq!(seekable(&stored), seen(damaged));
}

#[test]
fn an_anchor_stands_in_when_both_ends_are_gone() {
    let container = Container::new(pack_id(), layers()).unwrap();
    let mut framed = frame(pack_id(), Kind::DATA, 0, &noise(100_000));
    framed.extend(frame(pack_id(), Kind::DATA, 1, &noise(100_000)));
    framed.extend(anchor(&container));
    framed.extend(frame(pack_id(), Kind::DATA, 2, &noise(10)));
    let stored = pack(&framed);
    let rest = &stored[1000..stored.len() - 1];
    let gaps = vec![header_gap(256, Cause::Missing), end_gap(rest.len() as u64, Cause::Truncated)];
    let expected = Seen { gaps, ..seen(rest) };
    assert_eq!(seekable(rest), expected);
    // A forward reader does not look into frames.
    assert_eq!(forward(rest), Seen { pack: None, ..expected });
}

#[test]
fn an_anchor_is_found_wherever_it_stands() {
    let anchor = anchor(&Container::new(pack_id(), layers()).unwrap());
    // The search reads 64 KiB at a time: a magic may lie across two such windows.
    for before in (0..400).chain(65_520..65_550).chain(65_800..65_860) {
        let stored = [noise(before), anchor.clone()].concat();
        assert_eq!(seekable(&stored).pack, Some(pack_id()), "behind {before} bytes");
    }
}

#[test]
fn an_anchor_of_another_pack_is_not_believed() {
    let mut container = Container::new(pack_id(), layers()).unwrap();
    container.pack_id = PackId::from_bytes([1; 16]);
    let mut payload = 256_u32.to_le_bytes().to_vec();
    payload.extend(container.encode());
    let lying = frame(pack_id(), Kind::ANCHOR, 0, &payload);
    assert_eq!(seekable(&lying).pack, None);
    // Of two packs the one with more bytes is the one that is meant.
    let foreign = [frame(pack_id(), Kind::DATA, 0, &noise(1000)), anchor(&container)].concat();
    assert_eq!(seekable(&foreign).pack, None);
}

#[test]
fn header_and_trailer_of_two_packs_are_told_apart_by_the_frames() {
    let other = PackId::from_bytes([1; 16]);
    let framed = frame(other, Kind::DATA, 0, &noise(100));
    let mut stored = pack(&framed);
    let end = HEADER + framed.len();
    stored[end + 32..end + 48].copy_from_slice(other.as_bytes());
    reseal_header(&mut stored[end..]);
    reseal_trailer(&mut stored[end..]);
    // Only the end is foreign for a reader that has seen nothing but the header so far.
    let gaps = vec![end_gap(framed.len() as u64, Cause::Foreign)];
    assert_eq!(forward(&stored), Seen { gaps: gaps.clone(), ..seen(&framed) });
    let header = header_gap(256, Cause::Foreign);
    assert_eq!(seekable(&stored), Seen { gaps: vec![header], pack: Some(other), ..seen(&framed) });
    // Frames of the header's pack make the trailer the foreign one.
    let own = frame(pack_id(), Kind::DATA, 0, &noise(100));
    stored[HEADER..end].copy_from_slice(&own);
    assert_eq!(seekable(&stored), Seen { gaps, ..seen(&own) });
}

#[test]
fn a_newer_pack_is_refused_and_not_taken_for_damage() {
    let mut stored = pack(b"");
    stored[16] = 1;
    reseal_header(&mut stored);
    let error = RawFailSafe::new(stored.as_slice()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    let expected = "feature word 0x1 at byte 16 needs a newer carstone";
    assert_eq!(Error::of(&error).unwrap().to_string(), expected);
    assert!(RawFailSafe::open_seekable(Cursor::new(stored)).is_err());
}

#[test]
fn a_search_among_nothing_but_magics_ends() {
    let magics = carstone_layer::FRAME_MAGIC.repeat(40_000);
    assert_eq!(seekable(&magics).bytes.len(), magics.len());
    let container = pack(b"")[..8].repeat(40_000);
    assert_eq!(seekable(&container).bytes.len(), container.len());
    let frames = frame(pack_id(), Kind::DATA, 0, b"").repeat(10_000);
    assert_eq!(seekable(&frames).bytes.len(), frames.len());
}
