//! Disks that fail, files that others have changed, journals that are damaged.

use super::model::{Image, Model, Op};
use super::rig::*;
use crate::store::disk::Disk;
use crate::store::{CarStore, StoreOptions, SyncPolicy};
use crate::{BlockRef, CarFileWriter, CarWriter, Cid, ErrorKind, Part, codec};

#[test]
fn faults_of_the_disk_leave_a_file_that_opens() {
    for old in [None, Some(blocks(50, 4))] {
        let run = Run::new(old.as_deref(), &blocks(1, 6), End::Finalize, SyncPolicy::EachPut);
        for fault in 0..run.log.len() {
            let model = Model::failing_after(run.before.clone(), fault);
            let mut acknowledged = Vec::new();
            if let Ok(store) = open(&model, run.options) {
                for block in &run.put {
                    match store.put(&block.cid, &block.data) {
                        Ok(_) => acknowledged.push(block.clone()),
                        Err(error) => {
                            assert!(matches!(error.kind(), ErrorKind::Io(_) | ErrorKind::Broken));
                        }
                    }
                }
                for block in &acknowledged {
                    let found = store.get(&block.cid).expect("readable");
                    assert_eq!(found.as_ref(), Some(&block.data));
                }
                let _ = store.finalize();
            }
            run.check(&model.image(), usize::MAX, &acknowledged, false);
        }
    }
}

#[test]
fn a_put_that_fails_leaves_nothing_and_the_next_one_succeeds() {
    let options = StoreOptions::default().file(file_options());
    let model = Model::new(Image { car: Some(Vec::new()), journal: None });
    let store = open(&model, options).expect("a store");
    let [first, second, third] = [raw(&[1; 900]), raw(&[2; 900]), raw(&[3; 90])];
    assert!(store.put(&first.cid, &first.data).expect("put"));
    let before = model.image().car;
    model.fail_next_write();
    assert!(store.put(&second.cid, &second.data).is_err());
    assert_eq!(model.image().car, before, "half a block is left");
    assert!(!store.has(&second.cid).expect("read"));
    let three = [first.as_ref(), third.as_ref(), second.as_ref()];
    assert_eq!(store.put_many(three).expect("put"), 2);
    store.finalize().expect("finalize");
    assert_eq!(model.image().car, Some(finished(&[first, third, second])));
}

#[test]
fn a_block_that_the_index_has_no_room_for_leaves_nothing_and_the_store_goes_on() {
    let options = StoreOptions::default().file(file_options()).sync(SyncPolicy::Never);
    let model = Model::new(Image { car: Some(Vec::new()), journal: None });
    let store = open(&model, options).expect("a store");
    let cid = |code: u64, digest: &[u8]| {
        Cid::new_v1(codec::RAW, multihash::Multihash::wrap(code, digest).expect("short"))
    };
    let first = 0x30_0000;
    let buckets = 1 << 16;
    for code in first..first + buckets {
        assert!(store.danger_put_unverified(&cid(code, b"d"), b"").expect("put"));
    }
    let before = model.image();
    let error = store.danger_put_unverified(&cid(first + buckets, b"d"), b"").expect_err("full");
    assert!(matches!(error.kind(), ErrorKind::TooLarge { part: Part::Index, .. }), "{error}");
    assert_eq!(store.len(), buckets);
    assert!(model.image() == before, "a section without an entry is left");
    assert!(store.danger_put_unverified(&cid(first, b"e"), b"").expect("there is room"));
    drop(store);
    let store = open(&model, options).expect("it opens again");
    assert_eq!(store.len(), buckets + 1);
    store.finalize().expect("finalize");
}

#[test]
fn a_new_file_that_cannot_be_begun_is_removed() {
    let options = StoreOptions::default().file(file_options());
    for fails in [Model::fail_next_write, Model::fail_next_sync] {
        let model = Model::new(Image { car: Some(Vec::new()), journal: None });
        fails(&model);
        let error = CarStore::create_on(Box::new(model.clone()), &roots(), options);
        assert!(matches!(error.expect_err("failed").kind(), ErrorKind::Io(_)));
        assert_eq!(model.image().car, None);
    }
}

#[test]
fn a_file_that_somebody_has_changed_meanwhile_is_left_alone() {
    let options = StoreOptions::default().file(file_options());
    let whole = finished(&blocks(50, 6));
    let end = whole.len() as u64;
    let changes: [fn(&Model, u64); 3] = [
        |model, end| model.set_len(end - 1).expect("cut"),
        |model, end| model.write_at(b"x", end).expect("longer"),
        |model, _| model.write_at(&[0; 8], 43).expect("no index any more"),
    ];
    for change in changes {
        let model = Model::new(Image { car: Some(whole.clone()), journal: None });
        let store = open(&model, options).expect("a store");
        change(&model, end);
        let (before, block) = (model.image(), raw(b"block"));
        let error = store.put(&block.cid, &block.data).expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::BadV2Header(_)), "{error}");
        assert_eq!(model.image(), before);
    }
}

#[test]
fn a_failed_sync_is_final() {
    let options = StoreOptions::default().file(file_options());
    let model = Model::new(Image { car: Some(Vec::new()), journal: None });
    let store = open(&model, options).expect("a store");
    let block = raw(b"block");
    assert!(store.put(&block.cid, &block.data).expect("put"));
    model.fail_next_sync();
    assert!(matches!(store.sync().expect_err("failed").kind(), ErrorKind::Io(_)));
    let broken = |error: crate::Error| matches!(error.kind(), ErrorKind::Broken);
    assert!(broken(store.sync().expect_err("final")));
    assert!(broken(store.put(&raw(b"more").cid, b"more").expect_err("final")));
    let many = [BlockRef { cid: raw(b"more").cid, data: b"more" }];
    assert!(broken(store.put_many(many).expect_err("final")));
    assert_eq!(store.get(&block.cid).expect("readable"), Some(block.data));
    assert!(broken(store.finalize().expect_err("final")));
}

#[test]
fn a_journal_that_is_damaged_or_of_another_file_is_refused_and_nothing_changed() {
    let run = Run::new(Some(&blocks(50, 6)), &blocks(1, 3), End::Drop, SyncPolicy::EachPut);
    let left = run.before.after(&run.log, None, 0);
    let journal = left.journal.clone().expect("a journal");
    let refused = |image: Image| {
        let model = Model::new(image);
        let error = open(&model, run.options).expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::BadJournal(_)), "{error}");
        assert!(CarStore::restore_on(&model).is_err());
        assert!(model.log().is_empty());
    };
    for at in 0..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 0x20;
        refused(Image { journal: Some(damaged), ..left.clone() });
        refused(Image { journal: Some(journal[..at].to_vec()), ..left.clone() });
    }
    refused(Image { journal: Some([&journal[..], &[0]].concat()), ..left.clone() });
    refused(Image { car: Some(finished(&blocks(80, 6))), ..left.clone() });
    refused(Image { car: left.car.clone().map(|car| car[..900].to_vec()), ..left.clone() });
    let model = Model::new(Image { car: Some(Vec::new()), ..left });
    let error = open(&model, run.options).expect_err("refused");
    assert!(matches!(error.kind(), ErrorKind::BadJournal(_)), "{error}");
    assert!(model.log().is_empty());
}

#[test]
fn an_index_that_holds_a_section_is_not_taken_for_blocks() {
    let hash = |code, data: &[u8]| crate::multihash_of(code, data).expect("a known function");
    let inner = Cid::new_v1(codec::RAW, hash(crate::hash_code::BLAKE2B_160, b"inside"));
    let mut car = CarWriter::new(Vec::new(), &[]).expect("header");
    let section = car.write_block(&inner, b"inside").expect("block");
    let bytes = car.finish().expect("finish").split_off(section.offset as usize);
    let outer = Cid::new_v1(codec::RAW, hash(crate::hash_code::IDENTITY, &bytes));
    let sink = std::io::Cursor::new(Vec::new());
    let file = file_options().index_identity(true);
    let mut writer = CarFileWriter::with_options(sink, &roots(), file).expect("header");
    writer.write_block(&outer, &bytes).expect("block");
    let file = writer.finish().expect("finish").into_inner();

    let options = StoreOptions::default().file(file_options());
    let before = Image { car: Some(file.clone()), journal: None };
    let model = Model::new(before.clone());
    let block = raw(b"block");
    assert!(open(&model, options).expect("a store").put(&block.cid, &block.data).expect("put"));
    let log = model.log();
    let zeroed = log.iter().position(|op| matches!(op, Op::Write(..))).expect("the header");
    // The header is zeroed, and the index still there.
    let model = Model::new(before.after(&log[..=zeroed], None, 0));
    assert_ne!(model.image().car.as_ref(), Some(&file));
    drop(open(&model, options).expect("it opens"));
    assert_eq!(model.image(), before);
}
