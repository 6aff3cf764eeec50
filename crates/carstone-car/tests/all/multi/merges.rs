//! Joining indexes: damage, and files on the disk.

use std::fs::{self, File};

use super::{PAGE, bad_page, build, cars, numbered, open, places};
use carstone_car::{MultiIndex, MultiIndexBuilder, MultiIndexMerge};

#[test]
fn a_merge_of_nothing_is_an_empty_index() {
    let empty = MultiIndexMerge::<&[u8]>::new().write(Vec::new()).expect("memory");
    assert!(empty == build(&[]));
    let index = open(&empty);
    index.verify().expect("as it was written");
    assert_eq!((index.len(), index.files_len(), index.depth()), (0, 0, 0));
    assert_eq!(places(&index, &numbered(1).cid).expect("sound"), []);
    assert_eq!(index.entries().count(), 0);
}

#[test]
fn a_merge_may_be_merged_again_in_any_grouping() {
    let files = cars(&[&[1, 2, 3], &[3, 4], &[1, 1, 5], &[9]]);
    let one: Vec<_> = files.iter().map(|file| build(std::slice::from_ref(file))).collect();
    let join = |parts: &[&[u8]]| {
        let mut merge = MultiIndexMerge::new();
        for part in parts {
            merge.add(open(part)).expect("sound");
        }
        merge.write(Vec::new()).expect("sound")
    };
    let all = build(&files);
    let left = join(&[&join(&[&join(&[&one[0], &one[1]]), &one[2]]), &one[3]]);
    let pairs = join(&[&join(&[&one[0], &one[1]]), &join(&[&one[2], &one[3]])]);
    assert!(left == all && pairs == all && join(&[&one[0], &one[1], &one[2], &one[3]]) == all);
}

#[test]
fn a_damaged_index_is_not_merged() {
    let files = cars(&[&(0..500).collect::<Vec<_>>()]);
    let mut bytes = build(&files);
    bytes[3 * PAGE + 500] ^= 1;
    let mut merge = MultiIndexMerge::new();
    merge.add(open(&bytes)).expect("its files are known");
    assert_eq!(bad_page(&merge.write(Vec::new()).expect_err("damaged")), 3);

    let list = bytes.len() - 2 * PAGE;
    bytes[list + 30] ^= 1;
    let mut merge = MultiIndexMerge::new();
    assert_eq!(bad_page(&merge.add(open(&bytes)).expect_err("its file is not known")), 8 - 1);
    assert!(merge.files().is_empty());
}

#[test]
fn a_file_takes_its_place_when_it_is_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.index");
    let names = || fs::read_dir(&folder).expect("a folder").count();
    let files = cars(&[&(0..500).collect::<Vec<_>>(), &[7]]);
    let mut builder = MultiIndexBuilder::new();
    for (name, file) in &files {
        builder.add_car(name.as_str(), file).expect("sound");
    }
    builder.write_file(&path).expect("written");
    let whole = build(&files);
    assert!(fs::read(&path).expect("a file") == whole);
    assert_eq!(names(), 1);

    // A merge that fails half-way leaves what was there, and nothing else.
    let mut bytes = whole.clone();
    bytes[5 * PAGE + 500] ^= 1;
    let mut merge = MultiIndexMerge::new();
    merge.add(open(&bytes)).expect("its files are known");
    merge.write_file(&path).expect_err("damaged");
    assert!(fs::read(&path).expect("a file") == whole);
    assert_eq!(names(), 1);

    // One file may be left out of an index in its own place.
    let mut merge = MultiIndexMerge::new();
    let index = MultiIndex::open(File::open(&path).expect("a file")).expect("sound");
    merge.add_without(index, |number, _| number == 0).expect("sound");
    merge.write_file(&path).expect("written");
    assert!(fs::read(&path).expect("a file") == build(&files[1..]));
    assert_eq!(names(), 1);
}
