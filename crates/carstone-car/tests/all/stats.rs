//! Numbers of a CAR.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::sources::{car, hashed, raw, small};
use carstone_car::{
    Block, CarReader, CarStats, CarWriter, Cid, ErrorKind, Part, ReaderOptions, cid_of, codec,
    hash_code, multihash::Multihash,
};

fn stats(bytes: &[u8]) -> CarStats {
    let options = ReaderOptions::default();
    let mut reader = CarReader::open_seekable(Cursor::new(bytes), options).expect("header");
    CarStats::of(&mut reader).expect("sound")
}

fn verified(bytes: &[u8]) -> CarStats {
    CarStats::verified_of(&mut CarReader::open(bytes).expect("header")).expect("sound")
}

#[test]
fn a_foreign_file_has_the_numbers_that_its_makers_give() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    for name in ["sample-v1.car", "sample-wrapped-v2.car"] {
        let bytes = match fs::read(Path::new(folder).join(name)) {
            Ok(bytes) => bytes,
            Err(error) => return eprintln!("skipped: {name}: {error}"),
        };
        let stats = stats(&bytes);
        let codecs = BTreeMap::from([(codec::RAW, 6), (codec::DAG_CBOR, 1043)]);
        let hashes = BTreeMap::from([(hash_code::IDENTITY, 6), (hash_code::BLAKE2B_256, 1043)]);
        assert_eq!((stats.codecs.clone(), stats.hash_functions.clone()), (codecs, hashes));
        assert_eq!(stats.payload_len, 479_907);
        let lengths =
            [&stats.blocks, &stats.cids].map(|l| (l.count(), l.min(), l.average(), l.max()));
        assert_eq!(lengths, [(1049, 1, 417, 1342), (1049, 14, 37, 38)]);
        assert!(stats.missing_roots.is_empty());
        let full = verified(&bytes);
        assert_eq!((full.verified, full.mismatched, full.unverifiable), (1049, 0, 0));
    }
}

#[test]
fn faults_of_blocks_are_counted_when_they_are_looked_for() {
    let unknown = Cid::new_v1(codec::RAW, Multihash::wrap(0x22, &[1; 8]).expect("short"));
    let mut bytes = car(&[], &[raw(b"one"), raw(b"two"), raw(b"three")]);
    let section = [&[unknown.to_bytes().len() as u8 + 1][..], &unknown.to_bytes(), b"x"].concat();
    bytes.extend(section);
    let at = 18 + 40 + 39; // The data of the second block.
    bytes[at] ^= 1;
    let found = stats(&bytes);
    assert_eq!((found.verified, found.mismatched, found.unverifiable), (0, 0, 0));
    let found = verified(&bytes);
    assert_eq!((found.verified, found.mismatched, found.unverifiable), (2, 1, 1));
    assert_eq!(found.first_mismatch, Some(18 + 40));
    // Whatever the reader was told, this verifies.
    let options = ReaderOptions::default().danger_skip_verification();
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    assert_eq!(CarStats::verified_of(&mut reader).expect("sound"), found);
}

#[test]
fn roots_that_are_no_blocks_are_named() {
    let (one, absent) = (raw(b"one"), cid_of(codec::RAW, b"absent"));
    let other = Cid::new_v1(codec::DAG_CBOR, *one.cid.hash());
    let bytes = car(&[absent, one.cid, other, absent], &[one]);
    assert_eq!(stats(&bytes).missing_roots, [absent, other, absent]);
    assert_eq!(verified(&bytes).missing_roots, [absent, other, absent]);
}

#[test]
fn a_car_of_codes_alone_takes_no_memory_without_end() {
    let cid = |codec: u64| Cid::new_v1(codec, Multihash::wrap(0, b"").expect("empty"));
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("header");
    for codec in 0..1 << 16 {
        writer.write_block(&cid(codec), b"").expect("block");
    }
    assert_eq!(stats(writer.get_ref()).codecs.len(), 1 << 16);
    writer.write_block(&cid(0), b"").expect("block");
    assert_eq!(stats(writer.get_ref()).codecs[&0], 2);
    let at = writer.position();
    writer.write_block(&cid(1 << 16), b"").expect("block");
    let bytes = writer.finish().expect("finish");
    let mut reader = CarReader::open(&bytes[..]).expect("header");
    let error = CarStats::verified_of(&mut reader).expect_err("too many");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { part: Part::Codes, .. }));
    assert_eq!(error.offset(), Some(at));
}

#[test]
fn an_empty_car_has_zeros_and_a_cut_one_none() {
    let empty = stats(&car(&[], &[]));
    assert_eq!((empty.blocks.count(), empty.blocks.min(), empty.blocks.average()), (0, 0, 0));
    assert_eq!(empty.payload_len, 18);
    let (bytes, blocks) = small();
    let found = stats(&bytes);
    let sum: usize = blocks.iter().map(|block: &Block| block.data.len()).sum();
    assert_eq!((found.blocks.sum(), found.blocks.min()), (sum as u64, 0));
    let mut reader = CarReader::open(&bytes[..bytes.len() - 1]).expect("header");
    assert!(CarStats::verified_of(&mut reader).is_err());
    assert_eq!(stats(&car(&[], &[hashed(hash_code::SHA2_512, b"x")])).cids.max(), 68);
}
