//! Header, trailer and anchors are those of the pack that is meant, whatever else stands around or in it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Write;

use crate::packs::*;
use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, LayerList, PackId};
use carstone_raw::{Container, Edges, RawOptions, RawWriter};

const OTHER: PackId = PackId::from_bytes([1; 16]);

fn frame(pack: PackId, kind: Kind, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u32;
    let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, 0).with_lengths(0, len);
    header.kind = kind;
    [&header.sealed(payload).encode()[..], payload].concat()
}

fn pack_of(id: PackId, framed: &[u8]) -> Vec<u8> {
    let options = RawOptions::default().with_pack_id(id);
    let mut writer = RawWriter::with_options(Vec::new(), layers(), options).unwrap();
    writer.write_all(framed).unwrap();
    writer.finish().unwrap()
}

/// A pack with another one in a frame whose header is lost, and its frames before and behind it.
fn around_another() -> Vec<u8> {
    let inner = pack_of(OTHER, &frame(OTHER, Kind::DATA, 0, &noise(500)));
    let mut container = 256_u32.to_le_bytes().to_vec();
    container.extend(Container::new(pack_id(), layers()).unwrap().encode());
    let mut broken = frame(pack_id(), Kind::DATA, 0, &inner);
    broken[..FRAME_HEADER_LEN].fill(0);
    let rest = frame(pack_id(), Kind::DATA, 1, &noise(2000));
    pack(&[broken, rest, frame(pack_id(), Kind::ANCHOR, 0, &container)].concat())
}

#[track_caller]
fn check(stored: &[u8], header: bool, trailer: Option<usize>) -> Edges {
    let edges = Edges::find(stored, 0..stored.len() as u64).unwrap();
    assert_eq!(edges.container().map(|container| container.pack_id), Some(pack_id()));
    assert_eq!(edges.header().is_some(), header);
    let found = edges.trailer().map(|place| place.range);
    assert_eq!(found, trailer.map(|at| at as u64..(at + TRAILER) as u64));
    edges
}

#[test]
fn what_is_appended_is_not_taken_for_the_end() {
    let stored = pack(&frame(pack_id(), Kind::DATA, 0, &noise(900)));
    let end = stored.len() - TRAILER;
    let more = pack_of(OTHER, &frame(OTHER, Kind::DATA, 0, &noise(5000)));
    check(&[&stored[..], &more].concat(), true, Some(end));
    check(&[&stored[..], &noise(100)].concat(), true, Some(end));
}

#[test]
fn a_pack_inside_of_a_frame_that_is_cut_off_is_not_the_one_that_is_meant() {
    let inner = pack_of(OTHER, &frame(OTHER, Kind::DATA, 0, &noise(500)));
    let outer = frame(pack_id(), Kind::DATA, 0, &[&inner[..], &noise(700)].concat());
    for cut in [1, 100, 600] {
        let edges = Edges::find(&outer[..], 0..(outer.len() - cut) as u64).unwrap();
        assert_eq!(edges.container(), None, "{cut} bytes are gone");
    }
    // Where nothing of the outer one can be seen, the inner one is a pack like any other.
    let edges = Edges::find(&outer[FRAME_HEADER_LEN..], 0..inner.len() as u64 + 100).unwrap();
    assert_eq!(edges.container().map(|container| container.pack_id), Some(OTHER));
}

#[test]
fn a_pack_inside_of_one_without_frames_is_not_the_one_that_is_meant() {
    let inner = pack_of(OTHER, &frame(OTHER, Kind::DATA, 0, &noise(500)));
    let layers = LayerList::new(vec![slot(3, 0, 0)]).unwrap();
    let options = RawOptions::default().with_pack_id(pack_id());
    let mut writer = RawWriter::with_options(Vec::new(), layers, options).unwrap();
    writer.write_all(&[&noise(100), &inner[..], &noise(100)].concat()).unwrap();
    let stored = writer.finish().unwrap();
    let end = stored.len() - TRAILER;
    check(&stored, true, Some(end));
    for cut in [end + TRAILER - 1, end, end - 50, end - 100] {
        check(&stored[..cut], true, None);
    }
    check(&[&stored[..], &inner].concat(), true, Some(end));
    check(&stored[HEADER..], false, Some(end - HEADER));
    // Its header has been written over that of a pack with frames.
    let over = [&stored[..HEADER], &inner[HEADER..]].concat();
    let edges = Edges::find(&over[..], 0..over.len() as u64).unwrap();
    assert_eq!(edges.container().map(|container| container.pack_id), Some(OTHER));
}

#[test]
fn a_pack_inside_of_a_broken_frame_is_not_the_one_that_is_meant() {
    let stored = around_another();
    let end = stored.len() - TRAILER;
    check(&stored, true, Some(end));
    check(&stored[..end], true, None);
    check(&stored[HEADER..], false, Some(end - HEADER));
    check(&stored[HEADER..end], false, None);
}

/// Of the outer one only the header is left, and perhaps the header of its frame.
#[test]
fn a_pack_inside_of_a_frame_is_not_meant_where_the_header_of_the_outer_one_stands() {
    let inner = pack_of(OTHER, &frame(OTHER, Kind::DATA, 0, &noise(500)));
    let stored =
        pack(&frame(pack_id(), Kind::DATA, 0, &[&noise(50), &inner[..], &noise(700)].concat()));
    let end = HEADER + FRAME_HEADER_LEN + 50 + inner.len();
    for cut in [end, end + 500] {
        check(&stored[..cut], true, None);
        let mut hurt = stored[..cut].to_vec();
        hurt[HEADER..HEADER + FRAME_HEADER_LEN].fill(0);
        check(&hurt, true, None);
    }
    // Where the other one begins with the header, or its frames follow at once, another header was written over it.
    let (frames, trailer) = inner[HEADER..].split_at(inner.len() - TRAILER - HEADER);
    for between in [0, 10] {
        let over = [&stored[..HEADER], frames, &noise(between), trailer].concat();
        let edges = Edges::find(&over[..], 0..over.len() as u64).unwrap();
        assert_eq!(edges.container().map(|container| container.pack_id), Some(OTHER));
    }
}

#[test]
fn appendices_are_known_without_a_trailer() {
    let stored = pack(&frame(pack_id(), Kind::DATA, 0, &noise(900)));
    let end = stored.len() as u64;
    let mut damaged = [stored, appendix(5, &noise(70))].concat();
    let behind = end..damaged.len() as u64;
    let trailer = behind.start as usize - TRAILER;
    let edges = check(&damaged, true, Some(trailer));
    assert_eq!(edges.behind(&damaged).unwrap(), (behind.clone(), true));
    damaged[trailer..behind.start as usize].fill(0);
    let edges = check(&damaged, true, None);
    assert_eq!(edges.behind(&damaged).unwrap(), (behind.clone(), true));
    // A flipped bit in them: what stands behind the trailer is then anything.
    damaged[behind.end as usize - 20] ^= 1;
    let edges = check(&damaged, true, None);
    assert_eq!(edges.behind(&damaged).unwrap(), (behind.end..behind.end, false));
}
