//! The index against a map in memory, for any blocks in any files.

use std::collections::BTreeMap;

use super::{Named, numbered, open, places};
use crate::sources::{car, hashed};
use carstone_car::{
    Block, CarReader, Cid, MultiIndexBuilder, MultiIndexMerge, hash_code, multihash::Multihash,
};
use proptest::prelude::*;

/// What an entry says: hash function, digest, file, offset, length.
type Row = (u64, usize, Vec<u8>, u32, u64, u64);

/// All that the index should say of these files, in its order.
fn model(files: &[Named], identity: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((_, file), number) in files.iter().zip(0..) {
        for section in CarReader::open(&file[..]).expect("header").into_sections() {
            let section = section.expect("a sound CAR");
            let hash = section.cid.hash();
            if hash.code() == hash_code::IDENTITY && !identity {
                continue;
            }
            let digest = hash.digest().to_vec();
            rows.push((hash.code(), digest.len(), digest, number, section.offset, section.len()));
        }
    }
    rows.sort();
    rows
}

fn build(files: &[Named], identity: bool, budget: usize) -> Vec<u8> {
    let mut builder = MultiIndexBuilder::with_budget(budget).with_identity(identity);
    for (number, (name, file)) in files.iter().enumerate() {
        assert_eq!(builder.add_car(name.as_str(), file).expect("a sound CAR"), number as u32);
    }
    builder.write(Vec::new()).expect("memory")
}

#[track_caller]
fn agrees(bytes: &[u8], files: &[Named], identity: bool) {
    let (index, rows) = (open(bytes), model(files, identity));
    index.verify().expect("as it was written");
    assert_eq!((index.len(), index.is_empty()), (rows.len() as u64, rows.is_empty()));
    let names: Vec<_> = index.files().map(|file| file.expect("sound").name.clone()).collect();
    let given: Vec<_> = files.iter().map(|(name, _)| name.clone().into_bytes()).collect();
    assert_eq!(names, given);
    let entries = index.entries().map(|entry| {
        let entry = entry.expect("sound");
        let place = entry.place;
        let len = place.len.expect("from a scan");
        (entry.hash_code, entry.digest.len(), entry.digest, place.file, place.offset, len)
    });
    assert_eq!(entries.collect::<Vec<_>>(), rows);
    let mut by_hash: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (code, _, digest, file, offset, len) in rows {
        by_hash.entry((code, digest)).or_default().push((file, offset, len));
    }
    let step = 1 + by_hash.len() / 2000; // Not each one of very many.
    for ((code, digest), expected) in by_hash.iter().step_by(step) {
        let cid = Cid::new_v1(0x71, Multihash::wrap(*code, digest).expect("of a CID"));
        let found = places(&index, &cid).expect("sound");
        let found: Vec<_> =
            found.iter().map(|place| (place.file, place.offset, place.len.unwrap_or(0))).collect();
        assert_eq!(&found, expected);
        let first = index.find(&cid).expect("sound").expect("there is one");
        assert_eq!((first.file, first.offset), (expected[0].0, expected[0].1));
    }
    // Neighbours of what is there are not: other last bytes, lengths and functions.
    for (code, digest) in by_hash.keys().step_by(step) {
        let mut near = vec![(code ^ 1, digest.clone()), (*code, [&digest[..], &[0]].concat())];
        if let Some((last, front)) = digest.split_last() {
            near.push((*code, [front, &[last.wrapping_add(1)]].concat()));
            near.push((*code, front.to_vec()));
        }
        for (code, digest) in near {
            let Ok(hash) = Multihash::wrap(code, &digest) else { continue };
            if !by_hash.contains_key(&(code, digest)) {
                assert_eq!(index.find(&Cid::new_v1(0x55, hash)).expect("sound"), None);
            }
        }
    }
}

fn block() -> impl Strategy<Value = Block> {
    let codes = [
        hash_code::SHA2_256,
        hash_code::SHA2_512,
        hash_code::IDENTITY,
        hash_code::BLAKE2B_160,
        hash_code::BLAKE3,
    ];
    (prop::sample::select(codes.to_vec()), 0..12u8, 0..40usize)
        .prop_map(|(code, byte, len)| hashed(code, &vec![byte; len.min(usize::from(byte) * 9)]))
}

fn files() -> impl Strategy<Value = Vec<Named>> {
    let blocks = prop::collection::vec(block(), 0..60);
    let file = ("[a-z/.é]{0,20}", blocks).prop_map(|(name, blocks)| (name, car(&[], &blocks)));
    prop::collection::vec(file, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_index_says_what_a_scan_of_every_file_finds(
        files in files(), identity: bool, budget in prop::sample::select(&[0, 1 << 20][..]),
    ) {
        agrees(&build(&files, identity, budget), &files, identity);
    }

    #[test]
    fn a_merge_is_the_index_of_all_files_that_are_kept(
        parts in prop::collection::vec(files(), 0..5), out: u32, identity: bool,
    ) {
        let indexes: Vec<_> = parts.iter().map(|files| build(files, identity, 1 << 20)).collect();
        let (mut whole, mut some) = (MultiIndexMerge::new(), MultiIndexMerge::new());
        let mut kept = Vec::new();
        for (index, files) in indexes.iter().zip(&parts) {
            whole.add(open(index)).expect("sound");
            some.add_without(open(index), |number, file| {
                assert_eq!(file.name, files[number as usize].0.as_bytes());
                out >> (number % 32) & 1 == 1
            }).expect("sound");
            let files = files.iter().zip(0u32..).filter(|(_, number)| out >> (number % 32) & 1 == 0);
            kept.extend(files.map(|(file, _)| file.clone()));
        }
        let whole = whole.write(Vec::new()).expect("sound");
        let some = some.write(Vec::new()).expect("sound");
        prop_assert!(whole == build(&parts.concat(), identity, 0), "all files");
        prop_assert!(some == build(&kept, identity, 0), "some files");
        agrees(&some, &kept, identity);
    }
}

#[test]
fn one_block_may_fill_many_pages() {
    // A hash with neighbours, in 900 files: its entries start inside of a page and go over ten of them.
    for others in [0..0u64, 0..1, 0..200] {
        let blocks: Vec<Block> = others.clone().map(numbered).collect();
        let mut files: Vec<Named> =
            (0..900).map(|n| (n.to_string(), car(&[], &[numbered(100)]))).collect();
        files.push(("others".into(), car(&[], &blocks)));
        agrees(&build(&files, false, 1 << 20), &files, false);
    }
}

#[test]
fn pages_that_are_just_full_hold_all() {
    // A page has room for 84 SHA-256 digests.
    for count in [0, 1, 83, 84, 85, 167, 168, 169, 84 * 3] {
        let blocks: Vec<Block> = (0..count).map(numbered).collect();
        let files = [("one".to_owned(), car(&[], &blocks))];
        let bytes = build(&files, false, 1 << 20);
        assert_eq!(bytes.len() as u64, 4096 * (3 + count.div_ceil(84)));
        agrees(&bytes, &files, false);
    }
}

#[test]
fn levels_of_pages_are_searched_like_one() {
    let files: Vec<Named> = (0..3u64)
        .map(|file| {
            let blocks: Vec<_> = (0..14_000).map(|n| numbered(n + file * 7_000)).collect();
            (file.to_string(), car(&[], &blocks))
        })
        .collect();
    let bytes = build(&files, false, 1 << 20);
    assert_eq!(open(&bytes).depth(), 1);
    agrees(&bytes, &files, false);
    assert!(bytes == build(&files, false, 0), "the budget makes a difference");
}
