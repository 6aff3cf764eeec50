//! Indexes whose checksums are right and whose content is anything: nothing panics, and no wrong block comes out.

use std::collections::BTreeMap;
use std::io;

use super::{PAGE, build, cars, numbered};
use carstone_car::{FileEntry, MultiCar, MultiIndex, MultiIndexMerge};
use proptest::prelude::*;

/// Makes the checksum of a page right, under this id; that of the first page has none.
fn seal(page: &mut [u8], id: &[u8]) {
    let (content, sum) = page.split_at_mut(PAGE - 16);
    let mut hasher = blake3::Hasher::new();
    hasher.update(id).update(content);
    hasher.finalize_xof().fill(sum);
}

fn reseal(bytes: &mut [u8]) {
    let Some(last) = bytes.len().checked_sub(PAGE) else { return };
    let id = bytes[last + 32..][..16].to_vec();
    for (number, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        seal(page, if number == 0 { &[] } else { &id });
    }
}

#[test]
fn a_sealed_page_is_as_it_was() {
    let bytes = build(&cars(&[&[1, 2], &[3]]));
    let mut again = bytes.clone();
    reseal(&mut again);
    assert!(bytes == again);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn forged_indexes_lead_to_no_wrong_block(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..140usize, any::<u8>()), 1..6),
        many: bool,
        removed in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let most = if many { 400 } else { 4 };
        let files = cars(&[&(0..most).collect::<Vec<_>>(), &[1, 2, 2], &[]]);
        let mut bytes = build(&files);
        for (page, at, value) in changes {
            // Near the starts of pages, where the numbers are.
            let page = page.index(bytes.len() / PAGE);
            bytes[page * PAGE + at] = value;
        }
        if let Some(removed) = removed {
            let page = removed.index(bytes.len() / PAGE);
            bytes.drain(page * PAGE..(page + 1) * PAGE);
        }
        reseal(&mut bytes);
        let Ok(index) = MultiIndex::open(&bytes[..]) else { return Ok(()) };
        let sound = index.verify().is_ok();
        let entries = index.entries().collect::<Result<Vec<_>, _>>();
        if sound {
            prop_assert_eq!(entries.expect("sound").len() as u64, index.len());
        }
        let by_name: BTreeMap<_, _> =
            files.iter().map(|(name, car)| (name.as_bytes(), car)).collect();
        let open = |file: &FileEntry| {
            by_name.get(&file.name[..]).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        let cars = MultiCar::new(index, open);
        for n in 0..most + 2 {
            let block = numbered(n);
            let first = cars.index().find(&block.cid);
            if let (true, Ok(Some(place))) = (sound, &first) {
                let file = cars.index().file(place.file).expect("sound");
                prop_assert!(place.offset + place.len.unwrap_or(0) <= file.payload_len);
            }
            if let Ok(Some(data)) = cars.get(&block.cid) {
                prop_assert_eq!(data, block.data);
            }
        }
        let mut merge = MultiIndexMerge::new();
        if merge.add(cars.into_index()).is_ok() {
            let merged = merge.write(Vec::new());
            prop_assert!(merged.is_ok() || !sound);
            if let (true, Ok(merged)) = (sound, merged) {
                prop_assert!(merged == bytes, "what is sound is what is written again");
            }
        }
    }
}
