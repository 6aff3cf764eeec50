//! Damaged indexes: what is still there is found, and all else is an error that says where.

use super::{PAGE, bad_page, build, cars, numbered, open, places};
use crate::sources::car;
use carstone_car::{Cid, ErrorKind, MultiIndex, MultiPlace, Part, cid_of, codec};

/// An index of four pages, the CIDs that are in it, and their places; the last CID has none.
fn small() -> (Vec<u8>, Vec<(Cid, Vec<MultiPlace>)>) {
    let bytes = build(&cars(&[&[1, 2, 3], &[3, 4], &[1, 1, 5]]));
    assert_eq!(bytes.len(), 4 * PAGE);
    let index = open(&bytes);
    let cids = (1..=6).map(|n| numbered(n).cid);
    let known = cids.map(|cid| (cid, places(&index, &cid).expect("sound"))).collect();
    (bytes, known)
}

/// What an error may be, when an index is opened or searched that was damaged.
#[track_caller]
fn is_typed(error: &carstone_car::Error) {
    match error.kind() {
        ErrorKind::BadPage { .. } => drop(bad_page(error)),
        ErrorKind::BadIndex(_)
        | ErrorKind::UnknownIndexVersion(_)
        | ErrorKind::Truncated(Part::Index) => assert!(error.offset().is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_flipped_bit_gives_a_wrong_place() {
    let (whole, known) = small();
    // One that is there several times, one that is there once, one that is not.
    let known = [&known[0], &known[4], &known[5]];
    assert_eq!(known.map(|(_, places)| places.len()), [3, 1, 0]);
    let (mut opened, mut answers) = (0, 0);
    let mut bytes = whole.clone();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        match MultiIndex::open(&bytes[..]) {
            Ok(index) => {
                opened += 1;
                for (cid, expected) in known {
                    match places(&index, cid) {
                        Ok(found) => {
                            assert_eq!(&found, expected, "bit {bit}");
                            answers += 1;
                        }
                        Err(error) => assert_eq!(bad_page(&error), (bit / 8 / PAGE) as u64),
                    }
                }
                if bit % 40 == 3 {
                    let error = index.verify().expect_err("a flipped bit is found");
                    assert_eq!(bad_page(&error), (bit / 8 / PAGE) as u64);
                }
            }
            Err(error) => is_typed(&error),
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // Only the last page is needed to open it, and only that of the leaf to answer.
    assert_eq!(opened, 3 * PAGE * 8);
    assert_eq!(answers, 2 * PAGE * 8 * known.len());
    assert!(bytes == whole);
}

#[test]
fn a_cut_index_is_not_opened() {
    let (whole, _) = small();
    for len in 0..whole.len() {
        let error = MultiIndex::open(&whole[..len]).expect_err("it is cut");
        is_typed(&error);
        if len >= 8 && len % PAGE != 0 {
            assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Index)), "{len}: {error}");
            assert_eq!(error.offset(), Some(len as u64));
        }
        let longer = [&whole[..], &vec![0; len]].concat();
        if len > 0 {
            is_typed(&MultiIndex::open(&longer[..]).expect_err("it is too long"));
        }
    }
}

#[test]
fn other_files_and_other_versions_are_told() {
    let (whole, _) = small();
    for other in [&b""[..], b"{}", &car(&[], &[numbered(1)]), &vec![0; 3 * PAGE]] {
        let error = MultiIndex::open(other).expect_err("no index");
        assert!(matches!(error.kind(), ErrorKind::BadIndex(_)), "{error}");
    }
    let mut newer = whole.clone();
    let last = newer.len() - PAGE;
    newer[9] = 2;
    newer[last + 20] ^= 1; // What a later version has in its last page is not known.
    let error = MultiIndex::open(&newer[..]).expect_err("newer");
    assert!(matches!(error.kind(), ErrorKind::UnknownIndexVersion(2)), "{error}");
}

#[test]
fn pages_that_change_places_are_noticed() {
    let files = cars(&[&(0..300).collect::<Vec<_>>()]);
    let (mut bytes, known) = (build(&files), numbered(7).cid);
    let pages = bytes.len() / PAGE;
    assert_eq!(pages, 1 + 4 + 2);
    let (one, two) = (bytes[PAGE..2 * PAGE].to_vec(), bytes[2 * PAGE..3 * PAGE].to_vec());
    bytes[PAGE..2 * PAGE].copy_from_slice(&two);
    bytes[2 * PAGE..3 * PAGE].copy_from_slice(&one);
    let index = open(&bytes);
    assert!(places(&index, &known).is_err() || places(&index, &known).is_ok_and(|p| p.len() == 1));
    assert_eq!(bad_page(&index.verify().expect_err("swapped")), 1);
    // A page of another index, with the same number.
    let others = [("other.car".to_owned(), files[0].1.clone())];
    let mut bytes = build(&files);
    bytes[PAGE..2 * PAGE].copy_from_slice(&build(&others)[PAGE..2 * PAGE]);
    assert_eq!(bad_page(&open(&bytes).verify().expect_err("foreign")), 1);
}

#[test]
fn pages_that_are_intact_answer_when_others_are_damaged() {
    let count = 30_000u64;
    let whole = build(&cars(&[&(0..count).collect::<Vec<_>>()]));
    let index = open(&whole);
    assert_eq!(index.depth(), 1);
    let leaves = count.div_ceil(84) as usize;
    let tops = whole.len() / PAGE - leaves - 3;
    assert!(tops >= 2, "{tops} pages of the highest level");
    // Leaf by leaf, in their order.
    let mut sorted: Vec<_> = (0..count).map(|n| numbered(n).cid).collect();
    sorted.sort_by(|a, b| a.hash().digest().cmp(b.hash().digest()));
    let leaf_of = |position: usize| 1 + (position / 84) as u64;
    for page in [1, 2, 100, leaves - 1, leaves + 1, leaves + tops] {
        let mut bytes = whole.clone();
        bytes[page * PAGE + 1000] ^= 4;
        let damaged = open(&bytes);
        let (mut found, mut lost) = (0, 0);
        for (position, cid) in sorted.iter().enumerate().step_by(41) {
            match damaged.find(cid) {
                Ok(place) => {
                    assert_eq!(place, index.find(cid).expect("sound"), "page {page}");
                    assert!(place.is_some() && leaf_of(position) != page as u64);
                    found += 1;
                }
                Err(error) => {
                    assert_eq!(bad_page(&error), page as u64);
                    assert!(page > leaves || leaf_of(position) == page as u64);
                    lost += 1;
                }
            }
        }
        assert!(found > 0 && lost > 0, "page {page}: {found} found, {lost} lost");
        let absent = damaged.find(&cid_of(codec::DAG_PB, b"absent"));
        assert!(!matches!(absent, Ok(Some(_))));
        assert_eq!(bad_page(&damaged.verify().expect_err("damaged")), page as u64);
    }
}

#[test]
fn places_are_found_without_the_names_of_their_files() {
    // So many files that their list has pages.
    let files: Vec<_> = (0..300u64)
        .map(|n| (format!("a file with a name of some length {n}"), car(&[], &[numbered(n)])))
        .collect();
    let mut bytes = build(&files);
    let pages = bytes.len() / PAGE;
    let list = 1 + 300usize.div_ceil(84)..pages - 1;
    assert!(list.len() > 3);
    let (bad, worse) = (list.start + 1, list.start + 2);
    bytes[bad * PAGE + 77] ^= 1;
    bytes[worse * PAGE + 77] ^= 1;
    let index = open(&bytes);
    let mut unknown = 0;
    for n in 0..300 {
        let place = index.find(&numbered(n).cid).expect("sound").expect("it is there");
        assert_eq!(u64::from(place.file), n);
        match index.file(place.file) {
            Ok(file) => assert_eq!(file.name, files[n as usize].0.as_bytes()),
            Err(error) => {
                assert_eq!(bad_page(&error), bad as u64);
                unknown += 1;
            }
        }
    }
    assert!((50..250).contains(&unknown), "{unknown}");
    assert!(matches!(index.file(300).expect_err("none").kind(), ErrorKind::BadIndex(_)));
}
