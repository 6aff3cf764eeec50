//! Packs by an attacker who can compute hashes: records are changed and hashed anew. Nothing panics, nothing runs away, and no
//! content is given that does not have the digest it is given under.

use std::io::Read;
use std::sync::Arc;

use crate::support::{Packed, content, pack};
use carstone_car::{CarReader, CarWriter, Cid, cid_of};
use carstone_layer::PackId;
use carstone_pack::{EntryKind, Error, ErrorKind, Event, Metadata, PackReader, PackStream};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

fn sample() -> Packed {
    pack(|writer| {
        writer.add_directory(b"dir", Metadata::new(0o755, Default::default()))?;
        let first = writer.add_file(b"dir/a", Metadata::default(), &b"first"[..])?;
        writer.expect_hard_links(first);
        writer.add_hard_link(b"dir/b", first, b"dir/a", Metadata::default())?;
        writer.add_symlink(b"dir/link", b"a", Metadata::default())?;
        let long = writer.start_entry(b"long", Metadata::default())?;
        writer.append(long, &content(1, 1 << 20))?;
        writer.append(long, &content(1, 1 << 20))?;
        writer.append(long, b"end")?;
        writer.end_entry(long)
    })
}

/// The sections of a pack: CID and bytes.
fn sections(packed: &Packed) -> Vec<(Cid, Vec<u8>)> {
    let mut reader = CarReader::open(packed.bytes.as_slice()).expect("a sound CAR");
    let mut sections = Vec::new();
    while let Some(block) = reader.next_block().expect("a sound CAR") {
        sections.push((block.cid, block.data));
    }
    sections
}

/// Writes sections again; all CIDs have one length, so positions stay where data keeps its length.
fn rebuild(sections: &[(Cid, Vec<u8>)], id: PackId, tail: u64) -> Packed {
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("memory");
    for (cid, data) in sections {
        writer.danger_write_unverified(cid, data).expect("memory");
    }
    Packed { bytes: writer.finish().expect("memory"), id, tail }
}

/// Uses everything a reader offers; gives how many files came out whole.
fn exercise(packed: &Packed) -> usize {
    let mut whole = 0;
    if let Ok(reader) = PackReader::open(Arc::new(packed.bytes.clone()), packed.id, packed.tail) {
        for entry in reader.entries().take(10_000).flatten() {
            let sha256 = reader.sha256(&entry);
            let _ = (reader.announced(&entry), reader.link(&entry), reader.find(&entry.path));
            if !matches!(entry.kind, EntryKind::File | EntryKind::HardLink) {
                continue;
            }
            let mut data = Vec::new();
            if let Ok(file) = reader.open_file(&entry)
                && file.take(8 << 20).read_to_end(&mut data).is_ok()
                && sha256.is_ok_and(|sha256| sha256 == Some(Sha256::digest(&data).into()))
            {
                whole += 1;
            }
        }
        let mut findings = 0;
        let _ = reader.verify(&mut |_| {}, &mut |_| findings += 1);
    }
    if let Ok(mut stream) = PackStream::open(packed.bytes.as_slice(), packed.id) {
        while let Ok(Some(event)) = stream.next() {
            if let Event::Leaf { cid, data, .. } = event {
                carstone_car::verify(&cid, &data).expect("only verified leaves come out");
            }
        }
    }
    whole
}

#[test]
fn the_sound_pack_gives_all_its_files() {
    let packed = sample();
    assert_eq!(exercise(&packed), 3);
    let again = rebuild(&sections(&packed), packed.id, packed.tail);
    assert!(again.bytes == packed.bytes);
}

#[test]
fn a_tail_or_page_that_points_anywhere_is_an_error() {
    let packed = sample();
    let all = sections(&packed);
    for position in (0..packed.bytes.len() as u64 + 3).step_by(1009) {
        let result = PackReader::open(packed.bytes.clone(), packed.id, position);
        assert!(result.is_err(), "no tail record stands at {position}");
    }
    // The tail record with its two positions replaced by each other, by itself, by the end.
    let (_, tail) = all.last().expect("there is a tail");
    for byte in 0..tail.len() {
        for value in [0, 0x17, 0x18, 0x1b, 0x5f, 0x9f, 0xbf, 0xff] {
            let mut changed = all.clone();
            let last = changed.len() - 1;
            changed[last].1[byte] = value;
            changed[last].0 = cid_of(0x71, &changed[last].1);
            exercise(&rebuild(&changed, packed.id, packed.tail));
        }
    }
}

/// The error that ends a stream.
#[track_caller]
fn end_of_stream(packed: &Packed) -> Error {
    let mut stream = PackStream::open(packed.bytes.as_slice(), packed.id).expect("a CAR");
    loop {
        match stream.next() {
            Ok(event) => assert!(event.is_some(), "the stream ends as if nothing were wrong"),
            Err(error) => return error,
        }
    }
}

#[test]
fn nothing_may_follow_the_tail_record_of_a_stream() {
    let packed = sample();
    let mut all = sections(&packed);
    all.push(all[0].clone());
    let error = end_of_stream(&rebuild(&all, packed.id, packed.tail));
    assert!(matches!(error.kind(), ErrorKind::BadRecord(_)), "{error}");
    assert_eq!(error.offset(), packed.bytes.len() as u64);
}

#[test]
fn a_record_that_lost_its_codec_is_missed_by_a_stream() {
    let packed = sample();
    let mut all = sections(&packed);
    // The hash does not cover the codec: the first batch, which announces a directory, is a block like any other now.
    all[0].0 = Cid::new_v1(0x70, *all[0].0.hash());
    let error = end_of_stream(&rebuild(&all, packed.id, packed.tail));
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
    assert_eq!(error.offset(), packed.tail);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changed_records_never_panic(
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let packed = sample();
        let mut all = sections(&packed);
        let records: Vec<usize> = (0..all.len()).filter(|&n| all[n].0.codec() != 0x55).collect();
        for (section, byte, value) in picks {
            let n = records[section.index(records.len())];
            let (cid, data) = &mut all[n];
            let at = byte.index(data.len());
            data[at] = value;
            *cid = cid_of(cid.codec(), data);
        }
        prop_assert!(exercise(&rebuild(&all, packed.id, packed.tail)) <= 3);
    }

    #[test]
    fn changed_bytes_never_panic(
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut packed = sample();
        for (at, value) in picks {
            let at = at.index(packed.bytes.len());
            packed.bytes[at] = value;
        }
        exercise(&packed);
        let cut = cut.index(packed.bytes.len());
        packed.bytes.truncate(cut);
        exercise(&packed);
    }
}
