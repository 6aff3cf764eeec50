//! A disk without room.

use std::io::ErrorKind::{Other, QuotaExceeded, StorageFull};
use std::sync::Arc;

use carstone_hppr::{ErrorKind, OpenOptions, Repository, Result};

use crate::faulty::Faulty;
use crate::laid::{ITEM, Laid, seal};

/// With room for so many names.
fn open(laid: &Laid, names: u64, then: std::io::ErrorKind) -> Result<Repository> {
    let disk = Faulty::default();
    disk.has_room(names, then);
    Repository::open_with(laid.root(), OpenOptions::default().disk(Arc::new(disk)))
}

/// Names that are made to try the file system: a directory, files, and links.
const TRIED: u64 = 1 + 8 + 2;

#[test]
fn a_repository_opens_on_a_full_disk() {
    let laid = Laid::with_seal();
    for then in [StorageFull, QuotaExceeded] {
        for names in 0..=TRIED {
            let repository = open(&laid, names, then).expect("a repository");
            let got = repository.get(&ITEM.parse().expect("an address"));
            assert_eq!(got, Ok(seal()), "{names}");
            assert_eq!(crate::check::names(&laid), [""; 0], "{names}");
        }
    }
    // What is stored needs room.
    let repository = open(&laid, 0, StorageFull).expect("a repository");
    let other = crate::laid::other_seal();
    let error = repository.store(&other, &Default::default()).expect_err("there is no room");
    assert_eq!(error.kind(), &ErrorKind::Io(StorageFull));
}

#[test]
fn what_fails_for_another_reason_is_no_full_disk() {
    let laid = Laid::with_seal();
    assert_eq!(open(&laid, 0, Other).expect_err("it fails").kind(), &ErrorKind::Io(Other));
    for names in 1..TRIED {
        let error = open(&laid, names, Other).expect_err("it fails");
        assert!(matches!(error.kind(), ErrorKind::UnfitFileSystem(_)), "{names}: {error}");
    }
    open(&laid, TRIED, Other).expect("that is all");
}

#[test]
fn what_is_detached_is_collected_on_a_full_disk() {
    let laid = Laid::with_seal();
    laid.open().detach(&seal().hash()).expect("it is detached");
    let collected = open(&laid, 0, StorageFull).expect("a repository").collect();
    assert_eq!(collected.expect("it is collected").blobs, 1);
}
