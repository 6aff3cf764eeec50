//! Crashes at every step of a run, with and without what the system had not put on disk yet.

mod model;

use std::sync::Arc;

use model::{Image, Model, Op, Random};

use super::disk::Disk;
use super::{CarStore, StoreOptions, SyncPolicy};
use crate::{
    Block, BlockRef, CarFileWriter, CarReader, CarWriter, Cid, ErrorKind, FileOptions, IndexedCar,
    Part, cid_of, codec,
};

fn raw(data: &[u8]) -> Block {
    Block { cid: cid_of(codec::RAW, data), data: data.to_vec() }
}

/// Blocks of many lengths, one of which holds a CAR.
fn blocks(from: u8, count: u8) -> Vec<Block> {
    let lens = [5, 700, 0, 1500, 60, 3000, 511];
    let block = |n: u8| match n % 5 {
        3 => {
            let mut car = CarWriter::new(Vec::new(), &[]).expect("header");
            for m in 0..9 {
                car.write_data(codec::RAW, &[n, m, 7]).expect("block");
            }
            raw(&car.finish().expect("finish"))
        }
        _ => raw(&vec![n; lens[usize::from(n) % lens.len()] + usize::from(n)]),
    };
    (from..from + count).map(block).collect()
}

fn roots() -> Vec<Cid> {
    vec![cid_of(codec::RAW, b"root"), cid_of(codec::DAG_CBOR, b"other")]
}

fn file_options() -> FileOptions {
    FileOptions::v2().data_padding(13).index_padding(5)
}

/// A finished file.
fn finished(blocks: &[Block]) -> Vec<u8> {
    let sink = std::io::Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &roots(), file_options()).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

#[track_caller]
fn assert_whole(file: &[u8], expected: &[Block]) {
    let all: Result<Vec<_>, _> = CarReader::open(file).expect("header").into_iter().collect();
    let all = all.expect("sound blocks");
    for block in expected {
        assert!(all.contains(block), "a block is lost");
    }
    let report = IndexedCar::open(file.to_vec()).expect("header").check_index().expect("checked");
    assert!(report.expect("an index").is_sound());
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Finalize,
    Discard,
    Drop,
}

/// What is known of a disk on which somebody has run.
struct Run {
    before: Image,
    log: Vec<Op>,
    /// A finished file that was there before.
    finished: Option<(Vec<u8>, Vec<Block>)>,
    put: Vec<Block>,
    end: End,
    options: StoreOptions,
}

impl Run {
    fn new(old: Option<&[Block]>, put: &[Block], end: End, sync: SyncPolicy) -> Self {
        let options = StoreOptions::default().file(file_options()).sync(sync);
        let finished = old.map(|old| (finished(old), old.to_vec()));
        let car = finished.as_ref().map(|(file, _)| file.clone()).unwrap_or_default();
        let before = Image { car: Some(car), journal: None };
        let model = Model::new(before.clone());
        let store = open(&model, options).expect("a store");
        for (number, block) in put.iter().enumerate() {
            match number % 4 {
                // Two at once, the first of which is put again.
                3 => {
                    let two = [put[number - 1].as_ref(), block.as_ref()];
                    assert_eq!(store.put_many(two).expect("put"), 1);
                }
                _ => assert!(store.put(&block.cid, &block.data).expect("put")),
            }
            model.note(Op::Acknowledged(number));
            if number == put.len() / 2 {
                store.sync().expect("sync");
            }
        }
        match end {
            End::Finalize => store.finalize().expect("finalize"),
            End::Discard => store.discard().expect("discard"),
            End::Drop => drop(store),
        }
        Run { before, log: model.log(), finished, put: put.to_vec(), end, options }
    }

    /// Checks what is left after the first `ops` steps. `kept` are the blocks that must be there.
    #[track_caller]
    fn check(&self, image: &Image, ops: usize, kept: &[Block], is_power_cut: bool) {
        let discards = matches!(self.end, End::Discard);
        // When somebody has begun to discard, blocks go in any order.
        let is_discarding = discards && ops > self.last_put();
        let kept = if is_discarding { &[][..] } else { kept };
        if image.car.is_none() {
            assert!(is_discarding && self.finished.is_none());
            return;
        }
        let reopen = |model: &Model| match open(model, self.options) {
            Err(error) if is_power_cut && matches!(error.kind(), ErrorKind::NotTorn) => {
                open(model, self.options.danger_cut_at_damage())
            }
            result => result,
        };
        let old = self.finished.as_ref().map(|(_, old)| &old[..]).unwrap_or_default();
        let expected = [old, kept].concat();

        let model = Model::new(image.clone());
        let store = reopen(&model).expect("it opens");
        for block in &expected {
            let found = store.get(&block.cid).expect("sound");
            assert_eq!(found.as_ref(), Some(&block.data), "a block is lost");
        }
        for block in store.reader().expect("header") {
            block.expect("only sound blocks are left");
        }
        let more = raw(b"put after the crash");
        store.put(&more.cid, &more.data).expect("put");
        store.finalize().expect("finalize");
        let after = model.image();
        assert!(after.journal.is_none());
        assert_whole(&after.car.expect("a file"), &[&expected[..], &[more]].concat());

        if let Some((file, old)) = &self.finished {
            for way in 0..2 {
                let model = Model::new(image.clone());
                match way {
                    0 => reopen(&model).expect("it opens").discard().expect("discard"),
                    _ => drop(CarStore::restore_on(&model).expect("restore")),
                }
                let after = model.image();
                assert!(after.journal.is_none());
                let after = after.car.expect("a file");
                if after != *file {
                    assert!(matches!(self.end, End::Finalize), "the finished file is damaged");
                    assert_whole(&after, &[old, &self.put[..]].concat());
                }
            }
        }
    }

    /// The step behind the last acknowledged put.
    fn last_put(&self) -> usize {
        self.log.iter().rposition(|op| matches!(op, Op::Acknowledged(_))).map_or(0, |at| at + 1)
    }

    /// Blocks that were acknowledged in these steps.
    fn acknowledged(&self, log: &[Op]) -> Vec<Block> {
        let number = |op: &Op| if let Op::Acknowledged(number) = op { Some(*number) } else { None };
        log.iter().filter_map(number).map(|number| self.put[number].clone()).collect()
    }

    /// The process ends at every step, and inside of every write.
    fn kill_everywhere(&self) {
        for ops in 0..=self.log.len() {
            let kept = self.acknowledged(&self.log[..ops]);
            let mut cuts = vec![0];
            if let Some(Op::Write(_, bytes)) = self.log.get(ops) {
                let step = (bytes.len() / 8).max(1);
                cuts.extend((1..bytes.len()).step_by(step));
                // A short write to one sector is not torn.
                if bytes.len() == crate::V2Header::LEN {
                    cuts.truncate(1);
                }
            }
            for cut in cuts {
                let image = self.before.after(&self.log[..ops], self.log.get(ops), cut);
                self.check(&image, ops, &kept, false);
            }
        }
    }

    /// The power goes at every step, with any part of what was not synced.
    fn cut_power_everywhere(&self, seed: u64, tries: u64) {
        for ops in 0..=self.log.len() {
            let synced = self.log[..ops].iter().rposition(|op| matches!(op, Op::Sync));
            let kept = self.acknowledged(&self.log[..synced.unwrap_or(0)]);
            for n in 0..tries {
                let mut random = Random::new(seed ^ (ops as u64) << 20 ^ n);
                let image = self.before.after_power_cut(&self.log[..ops], &mut random);
                // A file that was never synced may have nothing.
                if self.finished.is_none() && synced.is_none() {
                    continue;
                }
                self.check(&image, ops, &kept, true);
            }
        }
    }
}

fn open(model: &Model, options: StoreOptions) -> crate::Result<CarStore> {
    CarStore::resume_or_start(Box::new(model.clone()), &roots(), options)
}

const ENDS: [End; 3] = [End::Finalize, End::Discard, End::Drop];

const POLICIES: [SyncPolicy; 4] =
    [SyncPolicy::Never, SyncPolicy::EachPut, SyncPolicy::EveryBytes(2000), SyncPolicy::AtFinalize];

#[test]
fn whatever_ends_the_process_a_new_file_keeps_what_was_acknowledged() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(None, &blocks(1, 10), end, sync).kill_everywhere();
        }
    }
}

#[test]
fn whatever_ends_the_process_a_finished_file_is_whole_or_made_whole() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(Some(&blocks(50, 6)), &blocks(1, 6), end, sync).kill_everywhere();
            Run::new(Some(&[]), &blocks(1, 2), end, sync).kill_everywhere();
        }
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_synced() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(None, &blocks(1, 10), end, sync).cut_power_everywhere(1, 12);
        }
    }
}

#[test]
fn a_power_cut_does_not_damage_a_finished_file() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(Some(&blocks(50, 6)), &blocks(1, 6), end, sync).cut_power_everywhere(2, 12);
        }
    }
}

#[test]
fn where_each_put_is_synced_a_power_cut_needs_no_option_to_open() {
    let run = Run::new(None, &blocks(1, 9), End::Drop, SyncPolicy::EachPut);
    let opened = run.log.iter().position(|op| matches!(op, Op::Sync)).expect("synced");
    for ops in opened + 1..=run.log.len() {
        // A block that holds a CAR and whose head alone is lost looks like damage.
        let inside = run.acknowledged(&run.log[..ops]).len();
        if inside % 5 == 2 {
            continue;
        }
        for n in 0..20 {
            let mut random = Random::new((ops as u64) << 8 ^ n);
            let image = run.before.after_power_cut(&run.log[..ops], &mut random);
            run.check(&image, ops, &run.acknowledged(&run.log[..ops]), false);
        }
    }
}

#[test]
fn going_back_can_be_stopped_and_begun_again() {
    let run = Run::new(Some(&blocks(50, 6)), &blocks(1, 6), End::Drop, SyncPolicy::EachPut);
    let (file, _) = run.finished.as_ref().expect("a finished file");
    let left = run.before.after(&run.log, None, 0);
    assert!(left.journal.is_some());
    for way in 0..2 {
        let model = Model::new(left.clone());
        match way {
            0 => open(&model, run.options).expect("it opens").discard().expect("discard"),
            _ => assert!(CarStore::restore_on(&model).expect("restore")),
        }
        assert_eq!(model.image().car.as_ref(), Some(file));
        let log = model.log();
        for ops in 0..=log.len() {
            for n in 0..20 {
                let mut random = Random::new((ops as u64) << 8 ^ n);
                let model = Model::new(left.after_power_cut(&log[..ops], &mut random));
                CarStore::restore_on(&model).expect("restore");
                assert!(
                    model.image().car.as_ref() == Some(file) && model.image().journal.is_none()
                );
                // Whoever opens it goes on with what is left of the blocks, or finds the finished file.
                let model = Model::new(left.after_power_cut(&log[..ops], &mut random));
                open(&model, run.options).expect("it opens").discard().expect("discard");
                assert!(
                    model.image().car.as_ref() == Some(file) && model.image().journal.is_none()
                );
            }
        }
    }
}

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

#[test]
fn each_policy_syncs_when_it_says() {
    let check = |sync: SyncPolicy, after_puts: [usize; 4], at_end: usize| {
        let model = Model::new(Image { car: Some(Vec::new()), journal: None });
        let options = StoreOptions::default().file(file_options()).sync(sync);
        let syncs = || model.log().iter().filter(|op| matches!(op, Op::Sync)).count();
        let store = open(&model, options).expect("a store");
        let begun = syncs();
        let found = [1, 2, 3, 4].map(|n| {
            let block = raw(&[n; 400]);
            store.put(&block.cid, &block.data).expect("put");
            syncs() - begun
        });
        assert_eq!(found, after_puts, "{sync:?}");
        let before = syncs();
        store.finalize().expect("finalize");
        assert_eq!(syncs() - before, at_end, "{sync:?}");
    };
    check(SyncPolicy::Never, [0, 0, 0, 0], 0);
    check(SyncPolicy::AtFinalize, [0, 0, 0, 0], 2);
    check(SyncPolicy::EachPut, [1, 2, 3, 4], 2);
    check(SyncPolicy::EveryBytes(800), [0, 1, 1, 2], 2);
}

#[test]
fn a_block_that_somebody_left_unsynced_is_synced_when_it_is_put_again() {
    let run = Run::new(None, &blocks(1, 1), End::Drop, SyncPolicy::Never);
    let model = Model::new(run.before.after(&run.log, None, 0));
    let store = open(&model, run.options.sync(SyncPolicy::EachPut)).expect("a store");
    assert!(!store.put(&run.put[0].cid, &run.put[0].data).expect("put"));
    let log = model.log();
    assert!(matches!(log[..], [Op::Sync, Op::SyncFolder]), "{log:?}");
}

#[test]
fn many_threads_share_a_store() {
    let model = Model::new(Image { car: Some(Vec::new()), journal: None });
    let options = StoreOptions::default().file(file_options());
    let store = Arc::new(open(&model, options).expect("a store"));
    let all: Vec<_> = (0..200u32).map(|n| raw(&n.to_le_bytes())).collect();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let (store, all) = (&store, &all);
            scope.spawn(move || {
                // Each block is put by two threads.
                for block in all.iter().skip(part / 2).step_by(2) {
                    store.put(&block.cid, &block.data).expect("put");
                    let found = store.get(&block.cid).expect("read");
                    assert_eq!(found.as_ref(), Some(&block.data));
                    for cid in store.cids().expect("header").take(3) {
                        assert!(store.has(&cid.expect("sound")).expect("read"));
                    }
                }
            });
        }
    });
    assert_eq!(store.len(), 200);
    Arc::into_inner(store).expect("the only one").finalize().expect("finalize");
    assert_whole(&model.image().car.expect("a file"), &all);
}
