//! Indexes over many CARs: made of CARs, joined, damaged, forged under checksums that hold, or any bytes.

use std::collections::BTreeMap;
use std::io;

use carstone::car::{
    CarReader, Cid, FileEntry, MultiCar, MultiIndex, MultiIndexBuilder, MultiIndexMerge,
    MultiPlace, ReadAt, cid_of, hash_code, verify,
};
use carstone::layer::digest16;

use crate::carv2::Sample;
use crate::damage;
use crate::indexes::Shy;
use crate::input::{Input, choices, noise};

/// What is there is found, a joined index is the index of all, and whatever the bytes are, no wrong block comes out and what is sound is
/// what would be written again.
pub fn index(data: &[u8]) {
    let mut input = Input::new(data);
    if input.one_in(8) {
        let mut bytes = input.rest().to_vec();
        search(&bytes, &[], &BTreeMap::new());
        bytes.truncate(bytes.len() / PAGE * PAGE);
        seal(&mut bytes);
        search(&bytes, &[], &BTreeMap::new());
        return;
    }
    let (mut files, mut cids) = (Vec::new(), vec![cid_of(0x55, b"not there")]);
    for number in 0..input.below(5) {
        let sample = Sample::new(&mut input);
        cids.extend(sample.blocks.iter().map(|block| block.cid));
        let name = [input.text(4), number.to_string().as_bytes()].concat();
        files.push((name, sample.write(&mut input)));
    }
    let budget = if input.one_in(16) { 0 } else { 1 << 20 };
    let claims = input.one_in(4);
    let whole = built(&files, budget, claims);
    let (front, back) = files.split_at(input.below(files.len() + 1));
    let mut merge = MultiIndexMerge::new();
    for part in [built(front, 1 << 20, claims), built(back, 1 << 20, claims)] {
        merge.add(MultiIndex::open(part).expect("just written")).expect("two lists");
    }
    let joined = merge.write(Vec::new()).expect("just written");
    assert!(joined == whole, "an index of two is the index of all");
    if !claims {
        all_found(&whole, &files);
    }
    let by_name: BTreeMap<_, _> = files.into_iter().collect();
    let mut bytes = whole;
    damage::tampering(&mut bytes, &mut input);
    search(&bytes, &cids, &by_name);
    // Fields at the starts of pages, under checksums that hold.
    for _ in 0..input.below(6) {
        let page = input.below(bytes.len() / PAGE) * PAGE;
        let (at, value) = (page + input.below(200), input.byte());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    seal(&mut bytes);
    search(&bytes, &cids, &by_name);
}

fn built(files: &[(Vec<u8>, Vec<u8>)], budget: usize, claims: bool) -> Vec<u8> {
    let mut builder = MultiIndexBuilder::with_budget(budget);
    for (name, file) in files {
        // An index by digest does not serve: the file is scanned then.
        if !claims || builder.add_by_own_index(name.clone(), file).is_err() {
            builder.add_car(name.clone(), file).expect("just written");
        }
    }
    builder.write(Vec::new()).expect("a Vec takes all")
}

/// Every section of every file is found, and as many entries are there.
fn all_found(index: &[u8], files: &[(Vec<u8>, Vec<u8>)]) {
    let index = MultiIndex::open(index).expect("just written");
    index.verify().expect("just written");
    let mut due: BTreeMap<Cid, Vec<(u32, u64, Option<u64>)>> = BTreeMap::new();
    let mut count = 0;
    for ((_, file), number) in files.iter().zip(0..) {
        for section in CarReader::open(&file[..]).expect("just written").into_sections() {
            let section = section.expect("just written");
            if section.cid.hash().code() != hash_code::IDENTITY {
                let cid = Cid::new_v1(0x55, *section.cid.hash());
                let place = (number, section.offset, Some(section.len()));
                due.entry(cid).or_default().push(place);
                count += 1;
            }
        }
    }
    assert_eq!(index.len(), count);
    for (cid, due) in due {
        let places = index.find_all(&cid).expect("just written");
        let places = places.map(|place| place.expect("just written"));
        let places: Vec<_> = places.map(|place| (place.file, place.offset, place.len)).collect();
        assert_eq!(places, due);
    }
}

/// Looks everything up in any bytes.
fn search(bytes: &[u8], cids: &[Cid], files: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let shy = Shy { bytes, most: 1 + noise(bytes.len() as u64, 1)[0] as usize * 20 };
    let (index, shy) = match (MultiIndex::open(bytes), MultiIndex::open(shy)) {
        (Ok(index), Ok(shy)) => (index, shy),
        (Err(whole), Err(shy)) => {
            assert_eq!(whole.to_string(), shy.to_string(), "pieces make a difference");
            return;
        }
        (whole, shy) => panic!("{whole:?} or {shy:?}"),
    };
    let is_sound = index.verify().is_ok();
    let entries: Vec<_> = index.entries().take(MOST).collect();
    assert!(!is_sound || entries.iter().all(Result::is_ok) && entries.len() as u64 == index.len());
    let known = entries.iter().flatten().filter_map(|entry| {
        let hash = carstone::car::multihash::Multihash::wrap(entry.hash_code, &entry.digest);
        Some((Cid::new_v1(0x55, hash.ok()?), entry.place))
    });
    for (cid, place) in known.take(20) {
        let found = all(&index, &cid);
        assert_eq!(found, all(&shy, &cid), "pieces make a difference");
        assert!(!is_sound || found.contains(&Some(place)), "a search finds what is there");
    }
    let open = |file: &FileEntry| {
        files.get(&file.name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let cars = MultiCar::new(index, open);
    for cid in cids {
        if let Ok(Some(data)) = cars.get(cid) {
            verify(cid, &data).expect("a block is right");
        }
    }
    let mut merge = MultiIndexMerge::new();
    let added = merge.add(cars.into_index());
    let written = added.and_then(|()| merge.write(Vec::new()));
    assert!(
        !is_sound || written.is_ok_and(|written| written == bytes),
        "what is sound is written so"
    );
}

/// Places that are found, `None` for an error.
fn all(index: &MultiIndex<impl ReadAt>, cid: &Cid) -> Vec<Option<MultiPlace>> {
    match index.find_all(cid) {
        Ok(places) => places.take(MOST).map(Result::ok).collect(),
        Err(_) => vec![None],
    }
}

/// Makes all checksums hold.
fn seal(bytes: &mut [u8]) {
    let id = bytes.len().checked_sub(PAGE).and_then(|at| bytes.get(at + 32..at + 48));
    let Some(id) = id.map(<[u8]>::to_vec) else { return };
    for (number, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        let (content, sum) = page.split_at_mut(PAGE - 16);
        let id = if number == 0 { &[] } else { &id[..] };
        sum.copy_from_slice(&digest16(&[id, content])[..]);
    }
}

/// Inputs of choices, and an index that somebody wrote.
pub fn index_seeds() -> Vec<Vec<u8>> {
    let whole = built(&[(b"a".to_vec(), V1.to_vec())], 1 << 20, false);
    let mut seeds = choices();
    seeds.push([&[7], &whole[..]].concat()); // The choice of any bytes.
    seeds
}

/// A CARv1 without roots, of one empty block under an identity CID and one of five bytes.
const V1: &[u8] = b"\x11\xa2\x65roots\x80\x67version\x01\x04\x01\x55\0\0\x0d\x01\x55\x11\x04\x01\x02\x03\x04hello";

/// Bytes of a page.
const PAGE: usize = 4096;

/// More entries or places are not looked at.
const MOST: usize = 5000;
