//! The fast scan gives what a reader gives, whatever the threads, the split of reads, the sizes and the damage.

use std::fs;
use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::sources::{car, raw, small};
use carstone_car::{
    AtReader, Block, BlockRef, CarFileWriter, CarReader, CarScan, CarSlice, Error, ErrorKind,
    FileOptions, ReadAt, ReaderOptions, ScanOptions, Section,
};
use proptest::prelude::*;

/// What a reading gives: blocks with their places, and errors.
type Found = (Vec<(Section, Vec<u8>)>, Vec<(String, Option<u64>)>);

fn told(error: &Error) -> (String, Option<u64>) {
    (error.to_string(), error.offset())
}

fn by_reader(bytes: &[u8], options: ReaderOptions) -> Found {
    read_all(CarReader::with_options(bytes, options))
}

fn read_all(reader: Result<CarReader<impl Read>, Error>) -> Found {
    let (mut blocks, mut errors, mut data) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return (blocks, vec![told(&error)]),
    };
    loop {
        match reader.read_block(&mut data) {
            Ok(Some(section)) => blocks.push((section, data.clone())),
            Ok(None) => return (blocks, errors),
            Err(error) => {
                errors.push(told(&error));
                if !error.is_block_error() {
                    return (blocks, errors);
                }
            }
        }
    }
}

fn drain<R: Read>(mut scan: CarScan<R>) -> Found {
    let (mut blocks, mut errors) = (Vec::new(), Vec::new());
    loop {
        match scan.next_block() {
            Ok(Some((section, block))) => {
                assert_eq!(section.cid, block.cid);
                blocks.push((section, block.data.to_vec()));
            }
            Ok(None) => {
                assert!(matches!(scan.next_block(), Ok(None)));
                return (blocks, errors);
            }
            Err(error) => {
                errors.push(told(&error));
                if !error.is_block_error() {
                    let again = scan.next_block().expect_err("broken");
                    assert!(matches!(again.kind(), ErrorKind::Broken));
                    return (blocks, errors);
                }
            }
        }
    }
}

fn by_scan(source: impl Read + Send + 'static, options: ReaderOptions, scan: ScanOptions) -> Found {
    match CarScan::with_options(source, options, scan) {
        Ok(scan) => drain(scan),
        Err(error) => (Vec::new(), vec![told(&error)]),
    }
}

/// A source that is read at any place, though little at a time now and then, and fails from an offset on.
struct Places {
    bytes: Vec<u8>,
    most: usize,
    fails_at: u64,
}

impl ReadAt for Places {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.fails_at {
            return Err(io::Error::other("the disk is gone"));
        }
        let end = buf.len().min((self.fails_at - offset) as usize);
        let end = if offset.is_multiple_of(3) { end.min(self.most) } else { end };
        self.bytes.read_at(&mut buf[..end], offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
}

/// Reading from several places gives what reading from one does.
fn check_places(places: Places, options: ReaderOptions, scan: ScanOptions) {
    let places = Arc::new(places);
    let expected = read_all(CarReader::open_seekable(AtReader::new(places.clone()), options));
    let found = match CarScan::open_at(places, options, scan) {
        Ok(scan) => drain(scan),
        Err(error) => (Vec::new(), vec![told(&error)]),
    };
    assert!(found == expected, "{scan:?}: {:?}, {:?}", found.1, expected.1);
}

/// A source that owns its bytes, and gives as many at a time as a list says.
struct Pieces(Cursor<Vec<u8>>, Vec<usize>, usize);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        let len = self.1[self.2 % self.1.len()].min(buf.len());
        if len == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.0.read(&mut buf[..len])
    }
}

/// In memory, threads give what one of them gives, and `each` can break at any block.
#[track_caller]
fn check_slice(bytes: &[u8], options: ReaderOptions) {
    let Ok(car) = CarSlice::with_options(bytes, options) else { return };
    let told = |item: Result<(Section, BlockRef<'_>), Error>| match item {
        Ok((section, block)) => Ok((section, block.cid, block.data.as_ptr_range())),
        Err(error) => Err(told(&error)),
    };
    let expected: Vec<_> = car.blocks().map(told).collect();
    for threads in [0, 1, 2, 5] {
        for most in [expected.len(), expected.len() / 2] {
            let mut found = Vec::new();
            let ended = car.try_for_each_block(threads, |item| {
                if found.len() == most {
                    return ControlFlow::Break(most);
                }
                found.push(told(item));
                ControlFlow::Continue(())
            });
            assert!(found == expected[..most], "{threads} threads");
            let broke = most < expected.len();
            assert_eq!(
                ended,
                if broke { ControlFlow::Break(most) } else { ControlFlow::Continue(()) }
            );
        }
    }
}

#[track_caller]
fn check(bytes: &[u8], options: ReaderOptions) -> Found {
    let expected = by_reader(bytes, options);
    check_slice(bytes, options);
    for threads in [1, 2, 5] {
        for budget in [0, 3 << 20, usize::MAX] {
            let scan = ScanOptions::default().threads(threads).budget(budget);
            let found = by_scan(Cursor::new(bytes.to_vec()), options, scan);
            assert!(found == expected, "{threads} threads: {:?}, {:?}", found.1, expected.1);
        }
        for steps in [vec![1000, 0, 1], vec![64 << 10]] {
            let scan = ScanOptions::default().threads(threads);
            let source = Pieces(Cursor::new(bytes.to_vec()), steps, 0);
            let found = by_scan(source, options, scan);
            assert!(found == expected, "{threads} threads: {:?}, {:?}", found.1, expected.1);
        }
        for (most, fails_at) in [(700 << 10, u64::MAX), (1 << 20, bytes.len() as u64 * 3 / 4)] {
            let places = Places { bytes: bytes.to_vec(), most, fails_at };
            check_places(places, options, ScanOptions::default().threads(threads));
        }
    }
    let reader = CarReader::with_options(bytes, options);
    if let Ok(reader) = reader {
        assert!(drain(CarScan::on_this_thread(reader)) == expected);
    }
    expected
}

fn v2(blocks: &[Block]) -> Vec<u8> {
    let options = FileOptions::v2().data_padding(100);
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &[], options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

fn all_sizes() -> Vec<Block> {
    let mut blocks = small().1;
    for len in [4095, 4096, 32 << 10, 300_000, 1 << 20, 3 << 20, (1 << 20) - 40, 7 << 20] {
        blocks.push(raw(&vec![len as u8; len]));
        blocks.extend((0..200u32).map(|n| raw(&vec![n as u8; (n * 31) as usize])));
    }
    blocks
}

#[test]
fn all_sizes_come_out_in_their_order() {
    let blocks = all_sizes();
    for bytes in [car(&[blocks[0].cid], &blocks), v2(&blocks)] {
        for options in
            [ReaderOptions::default(), ReaderOptions::default().danger_skip_verification()]
        {
            let (found, errors) = check(&bytes, options);
            assert!(errors.is_empty());
            let data = |block: &Block| block.data.clone();
            assert!(found.into_iter().map(|(_, data)| data).eq(blocks.iter().map(data)));
        }
    }
}

#[test]
fn bad_blocks_are_told_in_their_order_and_the_scan_goes_on() {
    let blocks: Vec<_> = (0..3000u32).map(|n| raw(&[n as u8; 1000])).collect();
    let mut bytes = car(&[], &blocks);
    let bad = [0, 1, 2, 499, 500, 1777, 2999];
    for number in bad {
        bytes[18 + 1038 * number + 38 + 5] ^= 1;
    }
    let (found, errors) = check(&bytes, ReaderOptions::default());
    assert_eq!((found.len(), errors.len()), (3000 - bad.len(), bad.len()));
    let offsets: Vec<_> = errors.iter().map(|(_, offset)| offset.expect("known")).collect();
    assert_eq!(offsets, bad.map(|number| 18 + 1038 * number as u64));
    let (found, errors) = check(&bytes, ReaderOptions::default().danger_skip_verification());
    assert_eq!((found.len(), errors.len()), (3000, 0));
}

#[test]
fn every_end_is_that_of_a_reader() {
    let (bytes, blocks) = small();
    for whole in [bytes, v2(&blocks)] {
        for len in 0..=whole.len() {
            let expected = by_reader(&whole[..len], ReaderOptions::default());
            for threads in [1, 2] {
                let scan = ScanOptions::default().threads(threads);
                let source = Cursor::new(whole[..len].to_vec());
                assert_eq!(by_scan(source, ReaderOptions::default(), scan), expected, "{len}");
                check_slice(&whole[..len], ReaderOptions::default());
            }
        }
    }
    let large = car(&[], &all_sizes());
    for len in [500_000, 600_000, 1_300_000, 5_000_000, large.len() - 1] {
        let (_, errors) = check(&large[..len], ReaderOptions::default());
        assert_eq!(errors.len(), 1, "{len} bytes");
    }
    let padded = [car(&[], &blocks), vec![0; 40]].concat();
    assert_eq!(check(&padded, ReaderOptions::default()).1.len(), 1);
    assert!(check(&padded, ReaderOptions::default().zero_section_is_end(true)).1.is_empty());
}

#[test]
fn foreign_files_are_scanned_as_they_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    let Ok(files) = fs::read_dir(Path::new(folder)) else {
        eprintln!("skipped: no fixtures");
        return;
    };
    let mut blocks = 0;
    for file in files {
        let path = file.expect("readable").path();
        if path.extension().is_some_and(|ending| ending == "car") {
            let bytes = fs::read(&path).expect("readable");
            blocks += check(&bytes, ReaderOptions::default()).0.len();
        }
    }
    assert!(blocks > 4000);
}

#[test]
fn a_scan_goes_on_where_a_reader_stands() {
    let blocks: Vec<_> = (0..2000u32).map(|n| raw(&vec![n as u8; n as usize])).collect();
    let mut reader = CarReader::open(Cursor::new(car(&[], &blocks))).expect("header");
    for _ in 0..700 {
        reader.next_section().expect("section").expect("one");
    }
    let position = reader.position();
    let (found, errors) = drain(CarScan::from_reader(reader, ScanOptions::default().threads(2)));
    assert!(errors.is_empty());
    assert_eq!((found.len(), found[0].0.offset), (1300, position));
}

/// A source without end that notes how far it has been read.
struct Endless(Vec<u8>, usize, Arc<AtomicUsize>);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in buf.iter_mut() {
            *byte = self.0[self.1];
            self.1 += 1;
            if self.1 == self.0.len() {
                self.1 = 18; // The first section again.
            }
        }
        self.2.fetch_add(buf.len(), Ordering::Relaxed);
        Ok(buf.len())
    }
}

#[test]
fn no_more_is_read_ahead_than_the_budget_allows() {
    let blocks: Vec<_> = (0..100u32).map(|n| raw(&vec![n as u8; 50_000])).collect();
    let read = Arc::new(AtomicUsize::new(0));
    let source = Endless(car(&[], &blocks), 0, Arc::clone(&read));
    let scan = ScanOptions::default().threads(8).budget(2 << 20);
    let mut scan = CarScan::with_options(source, ReaderOptions::default(), scan).expect("header");
    let mut taken = 0;
    for _ in 0..500 {
        let (_, block) = scan.next_block().expect("sound").expect("endless");
        taken += block.data.len();
        let ahead = read.load(Ordering::Relaxed) - taken;
        // The budget, the section at the end of each batch, and the batch that is handed out.
        assert!(ahead < (2 << 20) + 8 * 50_000 + (600 << 10), "{ahead} bytes ahead");
    }
}

/// A source that ends in a certain way, and is counted.
struct Ends {
    bytes: Cursor<Vec<u8>>,
    end: fn() -> io::Result<usize>,
    _counted: Arc<()>,
}

impl Ends {
    fn new(end: fn() -> io::Result<usize>, counted: &Arc<()>) -> Self {
        let blocks: Vec<_> = (0..100u32).map(|n| raw(&vec![n as u8; 50_000])).collect();
        Ends { bytes: Cursor::new(car(&[], &blocks)), end, _counted: Arc::clone(counted) }
    }
}

impl Read for Ends {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buf)? {
            0 => (self.end)(),
            read => Ok(read),
        }
    }
}

/// A source without end that panics on other threads than the one that has made it.
struct Panics(Endless, ThreadId);

impl Read for Panics {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert_eq!(thread::current().id(), self.1, "a panic that the test asks for");
        thread::sleep(Duration::from_millis(1)); // So that others have their turn.
        self.0.read(buf)
    }
}

#[test]
fn a_source_that_fails_ends_the_scan() {
    for threads in [1, 3] {
        let source = Ends::new(|| Err(io::Error::other("the disk is gone")), &Arc::new(()));
        let options = ScanOptions::default().threads(threads);
        let (found, errors) = by_scan(source, ReaderOptions::default(), options);
        assert_eq!((found.len(), errors.len()), (100, 1));
        assert!(errors[0].0.starts_with("cannot read or write the CAR"), "{}", errors[0].0);
    }
}

#[test]
fn a_scan_that_is_dropped_lets_go_of_its_source() {
    let counted = Arc::new(());
    let source = Ends::new(|| Ok(0), &counted);
    let scan = ScanOptions::default().threads(4);
    let mut scan = CarScan::with_options(source, ReaderOptions::default(), scan).expect("header");
    scan.next_block().expect("sound").expect("one");
    drop(scan);
    // The threads are not waited for, but they end.
    let waited = (0..4000).find(|_| {
        thread::sleep(Duration::from_millis(5));
        Arc::strong_count(&counted) == 1
    });
    assert!(waited.is_some(), "somebody still holds the source");
}

#[test]
fn a_source_that_panics_on_a_thread_breaks_the_scan() {
    let bytes = car(&[], &[raw(&[7; 50_000])]);
    let source = Panics(Endless(bytes, 0, Arc::default()), thread::current().id());
    let scan = ScanOptions::default().threads(3);
    let mut scan = CarScan::with_options(source, ReaderOptions::default(), scan).expect("header");
    let end = loop {
        match scan.next_block() {
            Ok(block) => assert!(block.is_some(), "there is no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(end.kind(), ErrorKind::Broken), "{end}");
}

#[test]
fn a_source_that_panics_while_others_wait_for_their_turn_breaks_the_scan() {
    struct PanicsAt(Vec<u8>, ThreadId);

    impl ReadAt for PanicsAt {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            assert_eq!(thread::current().id(), self.1, "a panic that the test asks for");
            thread::sleep(Duration::from_millis(1));
            self.0.read_at(buf, offset)
        }

        fn size(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }
    }

    let blocks: Vec<_> = (0..400u32).map(|n| raw(&vec![n as u8; 50_000])).collect();
    for threads in [2, 3, 8] {
        let source = PanicsAt(car(&[], &blocks), thread::current().id());
        let scan = ScanOptions::default().threads(threads);
        let mut scan = CarScan::open_at(source, ReaderOptions::default(), scan).expect("header");
        let end = loop {
            match scan.next_block() {
                Ok(block) => assert!(block.is_some(), "blocks are missing"),
                Err(error) => break error,
            }
        };
        assert!(matches!(end.kind(), ErrorKind::Broken), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_are_scanned_as_they_are_read(
        sizes in prop::collection::vec(prop_oneof![0..100usize, 0..20_000usize, 0..900_000usize], 1..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        steps in prop::collection::vec(1..200_000usize, 1..6),
        threads in 1..4usize,
        budget in 0..4_000_000usize,
        second in any::<bool>(),
        fails_at in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        trusted in any::<bool>(),
    ) {
        let blocks: Vec<_> = sizes.iter().map(|&len| raw(&vec![len as u8; len])).collect();
        let mut bytes = if second { v2(&blocks) } else { car(&[], &blocks) };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let expected = by_reader(&bytes, ReaderOptions::default());
        let scan = ScanOptions::default().threads(threads).budget(budget);
        let most = steps[0];
        let source = Pieces(Cursor::new(bytes.clone()), steps, 0);
        let found = by_scan(source, ReaderOptions::default(), scan);
        prop_assert!(found == expected, "{:?} for {:?}", found.1, expected.1);
        let fails_at = fails_at.map_or(u64::MAX, |at| at.index(bytes.len()) as u64);
        let options = match trusted {
            true => ReaderOptions::default().danger_skip_verification(),
            false => ReaderOptions::default(),
        };
        check_places(Places { bytes, most, fails_at }, options, scan);
    }
}
