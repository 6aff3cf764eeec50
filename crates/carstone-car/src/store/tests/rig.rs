//! Runs of a store on a disk in memory, and what must be left of them.

use super::model::{Image, Model, Op, Random};
use crate::store::{CarStore, StoreOptions, SyncPolicy};
use crate::{
    Block, CarFileWriter, CarReader, CarWriter, Cid, ErrorKind, FileOptions, IndexedCar, cid_of,
    codec,
};

pub(super) fn raw(data: &[u8]) -> Block {
    Block { cid: cid_of(codec::RAW, data), data: data.to_vec() }
}

/// Blocks of many lengths, one of which holds a CAR.
pub(super) fn blocks(from: u8, count: u8) -> Vec<Block> {
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

pub(super) fn roots() -> Vec<Cid> {
    vec![cid_of(codec::RAW, b"root"), cid_of(codec::DAG_CBOR, b"other")]
}

pub(super) fn file_options() -> FileOptions {
    FileOptions::v2().data_padding(13).index_padding(5)
}

/// A finished file.
pub(super) fn finished(blocks: &[Block]) -> Vec<u8> {
    let sink = std::io::Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &roots(), file_options()).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

#[track_caller]
pub(super) fn assert_whole(file: &[u8], expected: &[Block]) {
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
pub(super) enum End {
    Finalize,
    Discard,
    Drop,
}

/// What is known of a disk on which somebody has run.
pub(super) struct Run {
    pub(super) before: Image,
    pub(super) log: Vec<Op>,
    /// A finished file that was there before.
    pub(super) finished: Option<(Vec<u8>, Vec<Block>)>,
    pub(super) put: Vec<Block>,
    pub(super) end: End,
    pub(super) options: StoreOptions,
}

impl Run {
    pub(super) fn new(old: Option<&[Block]>, put: &[Block], end: End, sync: SyncPolicy) -> Self {
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
    pub(super) fn check(&self, image: &Image, ops: usize, kept: &[Block], is_power_cut: bool) {
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
    pub(super) fn last_put(&self) -> usize {
        self.log.iter().rposition(|op| matches!(op, Op::Acknowledged(_))).map_or(0, |at| at + 1)
    }

    /// Blocks that were acknowledged in these steps.
    pub(super) fn acknowledged(&self, log: &[Op]) -> Vec<Block> {
        let number = |op: &Op| if let Op::Acknowledged(number) = op { Some(*number) } else { None };
        log.iter().filter_map(number).map(|number| self.put[number].clone()).collect()
    }

    /// The process ends at every step, and inside of every write.
    pub(super) fn kill_everywhere(&self) {
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
    pub(super) fn cut_power_everywhere(&self, seed: u64, tries: u64) {
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

pub(super) fn open(model: &Model, options: StoreOptions) -> crate::Result<CarStore> {
    CarStore::resume_or_start(Box::new(model.clone()), &roots(), options)
}

pub(super) const ENDS: [End; 3] = [End::Finalize, End::Discard, End::Drop];

pub(super) const POLICIES: [SyncPolicy; 4] =
    [SyncPolicy::Never, SyncPolicy::EachPut, SyncPolicy::EveryBytes(2000), SyncPolicy::AtFinalize];
