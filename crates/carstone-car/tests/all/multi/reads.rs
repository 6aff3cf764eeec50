//! How many reads a search takes.

use std::collections::HashMap;
use std::io;

use super::{Counting, build, cars, numbered, places};
use crate::sources::car;
use carstone_car::{
    Cid, FileEntry, MultiCar, MultiIndex, MultiIndexBuilder, cid_of, codec, multihash::Multihash,
};

#[test]
fn a_thousand_cars_answer_in_three_reads_with_the_block() {
    let files: Vec<_> = (0..1000u64)
        .map(|file| {
            let blocks: Vec<_> = (0..40).map(|n| numbered(file * 40 + n)).collect();
            (format!("shard-{file}.car"), car(&[], &blocks))
        })
        .collect();
    let index = MultiIndex::open(Counting::new(build(&files))).expect("a sound index");
    let by_name: HashMap<_, _> =
        files.iter().map(|(name, car)| (name.as_bytes(), Counting::new(car))).collect();
    let open = |file: &FileEntry| {
        by_name.get(&file.name[..]).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let many = MultiCar::new(index, open);
    let source = || many.index().get_ref().taken();
    let opened = source();
    assert!(opened <= 4, "{opened} reads to open");
    for n in (0..40_000).step_by(97) {
        let block = numbered(n);
        let (place, data) = many.get_placed(&block.cid).expect("sound").expect("it is there");
        assert_eq!((place.file, data), ((n / 40) as u32, block.data));
        let car = &by_name[&many.index().file(place.file).expect("sound").name[..]];
        let (index, block) = (source(), car.taken());
        assert!(index <= 2 && block == 1, "{index} reads of the index, {block} of the CAR");
    }
    assert_eq!(many.get(&cid_of(codec::RAW, b"absent")).expect("sound"), None);
    assert!(source() <= 2);
    assert!(by_name.values().all(|car| car.taken() == 0), "an absent block opens no file");
}

#[test]
fn a_small_index_is_opened_in_one_read_and_searched_in_none() {
    let files = cars(&[&[1, 2, 3], &[3, 4]]);
    let index = MultiIndex::open(Counting::new(build(&files))).expect("a sound index");
    assert_eq!((index.get_ref().taken(), index.depth()), (1, 0));
    assert_eq!(places(&index, &numbered(3).cid).expect("sound").len(), 2);
    assert_eq!(index.get_ref().taken(), 0);
}

#[test]
fn the_widest_entries_take_no_more_reads() {
    // Digests of 64 bytes with equal starts: separators are as long as they can be, and pages as narrow.
    let cid = |n: u64| {
        let digest = [&[7; 56][..], &n.to_be_bytes()].concat();
        Cid::new_v1(codec::RAW, Multihash::wrap(0x13, &digest).expect("64 bytes"))
    };
    let (files, each) = (5, 140_000);
    let mut builder = MultiIndexBuilder::with_budget(8 << 20);
    for file in 0..files {
        let mut car = car(&[], &[]);
        for n in 0..each {
            let cid = cid(n * files + file).to_bytes();
            car.push(cid.len() as u8);
            car.extend_from_slice(&cid);
        }
        builder.add_car(file.to_string(), &car).expect("sound");
    }
    let index = builder.write(Vec::new()).expect("memory");
    let index = MultiIndex::open(Counting::new(index)).expect("sound");
    assert_eq!(index.depth(), 2);
    index.get_ref().taken();
    for n in (0..files * each).step_by(997) {
        let place = index.find(&cid(n)).expect("sound").expect("it is there");
        assert_eq!(u64::from(place.file), n % files);
        let reads = index.get_ref().taken();
        assert!(reads <= 2, "{reads} reads");
    }
    for absent in [files * each, u64::MAX] {
        assert_eq!(index.find(&cid(absent)).expect("sound"), None);
        assert!(index.get_ref().taken() <= 2);
    }
    index.verify().expect("as it was written");
}
