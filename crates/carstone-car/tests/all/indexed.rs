//! Blocks by their CIDs: with an index, without one, and with one that lies.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sources::{car, hashed, raw, small};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, Cid, ErrorKind, FileOptions, Index, IndexBuilder,
    IndexCodec, IndexedCar, Part, ReadAt, ReaderOptions, SeekSource, cid_of, codec, hash_code,
    section_len, verify,
};
use proptest::prelude::*;

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

fn v2(blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, &[], options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

fn some_blocks() -> Vec<Block> {
    let mut blocks: Vec<_> = (0..300u32).map(|n| raw(&vec![n as u8; n as usize * 7])).collect();
    blocks.extend(small().1);
    blocks
}

fn options() -> ReaderOptions {
    ReaderOptions::default()
}

/// Every block is there, and others are not.
#[track_caller]
fn finds_all<R: ReadAt>(car: &IndexedCar<R>, blocks: &[Block]) {
    for block in blocks {
        assert_eq!(car.get(&block.cid).expect("sound").as_ref(), Some(&block.data));
        assert!(car.has(&block.cid).expect("sound"));
        assert_eq!(car.size(&block.cid).expect("sound"), Some(block.data.len()));
    }
    for absent in [cid_of(codec::RAW, b"absent"), hashed(hash_code::SHA2_512, b"absent").cid] {
        assert_eq!(car.get(&absent).expect("sound"), None);
        assert!(!car.has(&absent).expect("sound"));
    }
}

#[test]
fn foreign_files_are_searched_with_and_without_an_index() {
    for (name, has_index) in [
        ("sample-wrapped-v2.car", true),
        ("sample-v2-indexless.car", false),
        ("sample-v1.car", false),
        ("carv1-basic.car", false),
        ("simple-unixfs.car", false),
    ] {
        let Some(file) = fixture(name) else { continue };
        let slice = CarSlice::parse(&file).expect("header");
        let blocks: Vec<_> = slice.blocks().map(|item| item.expect("block").1.to_block()).collect();
        let car = IndexedCar::open(&file[..]).expect("header");
        finds_all(&car, &blocks);
        assert_eq!(car.roots(), slice.roots());
        assert_eq!(car.version(), slice.version());
        assert_eq!((car.index_codec().is_some(), car.is_scanned()), (has_index, !has_index));
        assert!(car.index_fault().is_none() && car.scan_fault().is_none());
        let report = car.check_index().expect("sound");
        assert_eq!(
            report.map(|report| (report.is_sound(), report.entries > 0)),
            has_index.then_some((true, true))
        );
        let seeking = IndexedCar::open(SeekSource::new(Cursor::new(&file))).expect("header");
        finds_all(&seeking, &blocks);
    }
}

#[test]
fn a_foreign_detached_index_serves_as_well() {
    let (Some(file), Some(by_hash), Some(by_digest)) = (
        fixture("sample-v1.car"),
        fixture("sample-multihash-index-sorted.carindex"),
        fixture("sample-index.carindex"),
    ) else {
        return;
    };
    let blocks: Vec<_> =
        CarReader::open(&file[..]).expect("header").into_iter().flatten().collect();
    for index in [by_hash, by_digest] {
        let index = Index::open(index).expect("sound");
        let codec = index.codec();
        let car = IndexedCar::with_index(&file[..], options(), index).expect("header");
        finds_all(&car, &blocks);
        assert!(!car.is_scanned());
        assert_eq!(car.index_codec(), Some(codec));
        assert!(car.check_index().expect("sound").expect("one").is_sound());
    }
}

#[test]
fn an_index_without_a_codec_is_reported_and_replaced() {
    let Some(file) = fixture("carv2-basic.car") else { return };
    let car = IndexedCar::open(&file[..]).expect("header");
    let fault = car.index_fault().expect("legacy");
    assert!(matches!(fault.kind(), ErrorKind::UnknownIndex(1)));
    assert!(!car.is_scanned());
    let blocks: Vec<_> =
        CarReader::open(&file[..]).expect("header").into_iter().flatten().collect();
    assert!(!blocks.is_empty());
    finds_all(&car, &blocks);
    assert!(car.is_scanned());
    assert_eq!(car.check_index().expect("none"), None);
}

/// A source that counts calls.
struct Counting(Vec<u8>, AtomicU64);

impl ReadAt for Counting {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn threads_share_one_reader() {
    let blocks = some_blocks();
    for options in [FileOptions::v2(), FileOptions::v2().index(None), FileOptions::v1()] {
        let source = Counting(v2(&blocks, options), AtomicU64::new(0));
        let car = IndexedCar::open(source).expect("header");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| finds_all(&car, &blocks));
            }
        });
        assert_eq!(car.is_scanned(), options.version() == 1 || options.index.is_none());
    }
}

#[test]
fn a_search_reads_little() {
    let blocks = some_blocks();
    let source = Counting(v2(&blocks, FileOptions::v2()), AtomicU64::new(0));
    let car = IndexedCar::open(&source).expect("header");
    source.1.store(0, Ordering::Relaxed);
    car.get(&blocks[100].cid).expect("sound").expect("there");
    assert!(source.1.load(Ordering::Relaxed) < 10);
}

#[test]
fn a_block_takes_one_read_and_a_large_one_two() {
    let blocks: Vec<_> = [0, 1, 100, 16 << 10, (16 << 10) + 200, 1 << 20]
        .map(|len| raw(&vec![len as u8; len]))
        .into();
    let source = Counting(car(&[], &blocks), AtomicU64::new(0));
    let car = IndexedCar::open(&source).expect("header");
    car.scan().expect("sound");
    for block in &blocks {
        source.1.store(0, Ordering::Relaxed);
        assert_eq!(car.get(&block.cid).expect("sound").as_ref(), Some(&block.data));
        let reads = if block.data.len() <= 16 << 10 { 1 } else { 2 };
        assert_eq!(source.1.load(Ordering::Relaxed), reads, "{} bytes", block.data.len());
    }
}

#[test]
fn data_can_be_read_as_a_stream() {
    let blocks = some_blocks();
    let file = v2(&blocks, FileOptions::v2());
    let car = IndexedCar::open(&file[..]).expect("header");
    for block in &blocks {
        let Some(section) = car.section(&block.cid).expect("sound") else { continue };
        let mut data = Vec::new();
        car.danger_read_stream(&section).read_to_end(&mut data).expect("memory");
        assert_eq!(data, block.data);
    }
    // A section that is not there ends where the payload does.
    let mut section = car.section(&blocks[100].cid).expect("sound").expect("there");
    section.data_len = usize::MAX;
    let mut data = Vec::new();
    car.danger_read_stream(&section).read_to_end(&mut data).expect("memory");
    assert!(data.starts_with(&blocks[100].data) && data.len() < file.len());
}

#[test]
fn a_stale_index_is_noticed_and_replaced() {
    let blocks = some_blocks();
    let file = v2(&blocks, FileOptions::v2());
    let start = CarSlice::parse(&file).expect("header").v2_header().expect("v2").index_offset;
    let head = start.expect("index") as usize;
    // Each offset is one too large, as if the index was of another file.
    let mut stale = file.clone();
    let index = Index::open(file[head..].to_vec()).expect("sound");
    let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
    for block in &blocks {
        if let Some(offset) = index.find(&block.cid).expect("sound") {
            builder.add(&block.cid, offset - 1).expect("add");
        }
    }
    stale.truncate(head);
    builder.finish().expect("sorted").write(&mut stale).expect("memory");
    let car = IndexedCar::open(&stale[..]).expect("header");
    let report = car.check_index().expect("sorted").expect("one");
    assert_eq!((report.missing, report.wrong), (report.entries, report.entries));
    assert!(car.index_fault().is_none(), "nothing has been searched yet");
    finds_all(&car, &blocks);
    assert!(matches!(car.index_fault().expect("stale").kind(), ErrorKind::StaleIndex));
    assert!(car.is_scanned());
    assert_eq!(car.index_codec(), None);
}

#[test]
fn what_an_index_lacks_is_found_by_a_scan_only() {
    let blocks = some_blocks();
    let file = v2(&blocks, FileOptions::v2().index(None));
    let mut builder = IndexBuilder::new(IndexCodec::Sorted);
    let mut reader = CarReader::open(Cursor::new(&file)).expect("header");
    let first = reader.skip_section().expect("section").expect("one");
    builder.add(&first.cid, first.offset).expect("add");
    let lost = reader.skip_section().expect("section").expect("two");
    builder.add_all(&mut reader).expect("sections");
    let mut index = Vec::new();
    builder.finish().expect("sorted").write(&mut index).expect("memory");
    let index = Index::open(index).expect("sound");
    let car = IndexedCar::with_index(&file[..], options(), index).expect("header");
    assert_eq!(car.get(&lost.cid).expect("absent for the index"), None);
    let report = car.check_index().expect("sorted").expect("one");
    assert_eq!((report.missing, report.first_missing), (1, Some(lost.offset)));
    assert_eq!(report.wrong, 0);
    let car = IndexedCar::ignoring_index(&file[..], options()).expect("header");
    finds_all(&car, &blocks);
}

#[test]
fn a_missing_identity_entry_counts_only_where_it_is_promised() {
    let (_, blocks) = small();
    let mut file = v2(&blocks, FileOptions::v2());
    let check = |file: &[u8]| {
        IndexedCar::open(file).expect("header").check_index().expect("sorted").expect("one")
    };
    assert!(check(&file).is_sound());
    file[11] = 0x80;
    assert_eq!(check(&file).missing, 1);
    let file = v2(&blocks, FileOptions::v2().index_identity(true));
    assert_eq!(check(&file).entries, blocks.len() as u64);
    assert!(check(&file).is_sound());
}

#[test]
fn cids_of_one_hash_are_one_block_unless_whole_cids_count() {
    let block = raw(b"hello");
    let twin = Cid::new_v0(*block.cid.hash()).expect("SHA-256");
    let other = Cid::new_v1(codec::DAG_CBOR, *block.cid.hash());
    for options in [FileOptions::v2(), FileOptions::v1()] {
        let file = v2(std::slice::from_ref(&block), options);
        let car = IndexedCar::open(&file[..]).expect("header");
        for cid in [twin, other, block.cid] {
            assert_eq!(car.get(&cid).expect("sound").as_ref(), Some(&block.data));
        }
        let car = car.whole_cids(true);
        assert_eq!(car.get(&block.cid).expect("sound").as_ref(), Some(&block.data));
        for cid in [twin, other] {
            assert_eq!(car.get(&cid).expect("sound"), None);
        }
        assert!(car.index_fault().is_none(), "it did not lie");
    }
}

#[test]
fn digests_of_another_function_are_no_lie() {
    let block = raw(b"hello");
    let digest = block.cid.hash().digest();
    let wrap = |code| {
        let hash = carstone_car::multihash::Multihash::wrap(code, digest).expect("short");
        Cid::new_v1(codec::RAW, hash)
    };
    let options = FileOptions::v2().index(Some(IndexCodec::Sorted));
    let car = IndexedCar::open(v2(std::slice::from_ref(&block), options)).expect("header");
    assert_eq!(car.get(&wrap(hash_code::BLAKE3)).expect("sound"), None);
    assert!(car.index_fault().is_none());
}

#[test]
fn an_intact_copy_makes_up_for_a_bad_one() {
    let block = raw(&[7; 1000]);
    let mut file = v2(&[block.clone(), raw(b"x"), block.clone()], FileOptions::v2());
    let car = IndexedCar::open(&file[..]).expect("header");
    let first = car.section(&block.cid).expect("sound").expect("there");
    file[(51 + first.data_offset) as usize + 500] ^= 1;
    let car = IndexedCar::open(&file[..]).expect("header");
    assert_eq!(car.get(&block.cid).expect("the second").as_ref(), Some(&block.data));
    let second = 51 + first.data_offset + 1000 + section_len(&raw(b"x").cid, 1) + 38;
    file[second as usize + 500] ^= 1;
    let car = IndexedCar::open(&file[..]).expect("header");
    let error = car.get(&block.cid).expect_err("both are bad");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }), "{error}");
    assert_eq!(error.file_offset(), Some(51 + first.offset));
    assert!(car.has(&block.cid).expect("not looked at"));
}

#[test]
fn what_is_behind_a_fault_is_not_known() {
    let blocks = some_blocks();
    let mut file = car(&[], &blocks);
    let mut at = 18;
    for block in &blocks[..100] {
        at += section_len(&block.cid, block.data.len() as u64);
    }
    file[at as usize] = 0;
    let car = IndexedCar::open(&file[..]).expect("header");
    for block in &blocks[..100] {
        assert_eq!(car.get(&block.cid).expect("before it").as_ref(), Some(&block.data));
    }
    let error = car.get(&cid_of(codec::RAW, b"absent")).expect_err("not known");
    assert!(matches!(error.kind(), ErrorKind::NotAllScanned), "{error}");
    assert_eq!(error.offset(), Some(at));
    assert!(matches!(car.scan_fault().expect("stopped").kind(), ErrorKind::EmptySection));
}

#[test]
fn a_cut_file_is_refused_or_searched_as_far_as_it_goes() {
    let blocks = some_blocks();
    let file = v2(&blocks, FileOptions::v2());
    let error = IndexedCar::open(&file[..5000]).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::BadV2Header(_)));
    let car = IndexedCar::open(&file[51..5000]).expect("a CARv1");
    assert_eq!(car.get(&blocks[3].cid).expect("before it").as_ref(), Some(&blocks[3].data));
    assert!(car.get(&blocks[299].cid).is_err());
    let kind = car.scan_fault().expect("cut").kind();
    assert!(matches!(kind, ErrorKind::Truncated(Part::Data)), "{kind:?}");
}

#[test]
fn a_large_index_is_made_in_a_file() {
    // 72 bytes an entry: more than is kept in memory.
    let mut writer = carstone_car::CarWriter::new(Vec::new(), &[]).expect("header");
    let hash = |n: u32| {
        let digest = [n.to_be_bytes(); 16].concat();
        carstone_car::multihash::Multihash::wrap(hash_code::SHA2_512, &digest).expect("64 bytes")
    };
    for n in 0..300_000u32 {
        let cid = Cid::new_v1(codec::RAW, hash(n.wrapping_mul(2_654_435_761)));
        writer.danger_write_unverified(&cid, b"").expect("memory");
    }
    let car = IndexedCar::open(writer.finish().expect("finish")).expect("header");
    for n in (0..300_000u32).step_by(9_999) {
        let cid = Cid::new_v1(codec::RAW, hash(n.wrapping_mul(2_654_435_761)));
        let section = car.section(&cid).expect("sound").expect("there");
        assert_eq!(section.offset, 18 + u64::from(n) * 69);
    }
}

/// The file of these blocks, searched with an index that has one entry for each of these hashes and places.
fn misled(blocks: &[Block], entries: &[(Cid, u64)]) -> IndexedCar<Vec<u8>> {
    let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
    for (cid, offset) in entries {
        builder.add(cid, *offset).expect("add");
    }
    let mut index = Vec::new();
    builder.finish().expect("sorted").write(&mut index).expect("memory");
    let index = Index::open(index).expect("sound");
    IndexedCar::with_index(car(&[], blocks), options(), index).expect("header")
}

#[test]
fn a_place_inside_of_a_cid_is_not_taken_for_its_section() {
    let blocks = [raw(&[7; 100]), raw(b"behind it")];
    // 18 bytes of header, then the length, the version of the CID and its codec: that one reads as the length of a CIDv0.
    let inside = [(blocks[0].cid, 18 + 3)];
    for cid in [blocks[0].cid, Cid::new_v0(*blocks[0].cid.hash()).expect("SHA-256")] {
        let fresh = || misled(&blocks, &inside);
        assert_eq!(fresh().get(&cid).expect("sound").as_ref(), Some(&blocks[0].data));
        assert_eq!(fresh().size(&cid).expect("sound"), Some(100));
        assert_eq!(fresh().section(&cid).expect("sound").map(|section| section.offset), Some(18));
        let car = fresh();
        assert!(car.has(&cid).expect("sound") && car.is_scanned());
        assert!(matches!(car.index_fault().expect("a lie").kind(), ErrorKind::StaleIndex));
    }
    let car = misled(&blocks, &inside).whole_cids(true);
    assert_eq!(car.size(&blocks[0].cid).expect("sound"), Some(100));
}

#[test]
fn a_link_in_a_block_is_not_taken_for_a_section() {
    let linked = raw(b"linked");
    let mut node = vec![36]; // A length, and a CID: an empty section to whoever lands here.
    node.extend(linked.cid.to_bytes());
    let blocks = [raw(&node), linked.clone()];
    let car = misled(&blocks, &[(linked.cid, 18 + 1 + 36)]);
    assert_eq!(car.size(&linked.cid).expect("sound"), Some(6));
    assert_eq!(car.get(&linked.cid).expect("sound").as_ref(), Some(&linked.data));
    assert!(car.index_fault().is_some());
}

#[test]
fn a_bad_block_is_no_fault_of_the_index() {
    let blocks = some_blocks();
    let mut file = v2(&blocks, FileOptions::v2());
    let car = IndexedCar::open(&file[..]).expect("header");
    let section = car.section(&blocks[200].cid).expect("sound").expect("there");
    file[(51 + section.data_offset) as usize] ^= 1;
    let car = IndexedCar::open(&file[..]).expect("header");
    assert!(car.get(&blocks[200].cid).expect_err("bad").is_block_error());
    assert_eq!(car.section(&blocks[200].cid).expect("there"), Some(section));
    assert!(car.index_fault().is_none(), "it did not lie");
}

#[test]
fn many_places_of_bad_blocks_do_not_hide_the_right_one() {
    let blocks = [raw(&[7; 100]), raw(&[7; 100])];
    let second = 18 + section_len(&blocks[0].cid, 100);
    let mut entries = vec![(blocks[0].cid, 18 + 3); 40];
    entries.push((blocks[0].cid, second));
    let car = misled(&blocks, &entries);
    assert_eq!(car.get(&blocks[0].cid).expect("sound").as_ref(), Some(&blocks[0].data));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_files_give_right_blocks_or_none(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        at_end in any::<bool>(),
        by_digest in any::<bool>(),
    ) {
        let codec = if by_digest { IndexCodec::Sorted } else { IndexCodec::MultihashSorted };
        let (_, blocks) = small();
        let mut file = v2(&blocks, FileOptions::v2().index(Some(codec)));
        for (at, value) in changes {
            // Header and index are hit most: there is most to go wrong.
            let len = file.len();
            let at = if at_end { len - 1 - at.index(len / 2) } else { at.index(60) };
            file[at] = value;
        }
        if let Ok(car) = IndexedCar::open(&file[..]) {
            for block in &blocks {
                if let Ok(Some(data)) = car.get(&block.cid) {
                    prop_assert!(verify(&block.cid, &data).is_ok());
                }
                let _ = car.has(&block.cid);
            }
            let _ = car.check_index();
        }
    }
}

#[test]
fn what_a_reader_has_comes_in_the_order_of_the_file() {
    let blocks = some_blocks();
    let car = IndexedCar::open(v2(&blocks, FileOptions::v2())).expect("opened");
    let reader = || car.reader().expect("readable");
    let found: Vec<Block> = reader().into_iter().collect::<Result<_, _>>().expect("sound");
    assert_eq!(found, blocks);
    let cids: Vec<Cid> = reader().into_cids().collect::<Result<_, _>>().expect("sound");
    assert_eq!(cids, blocks.iter().map(|block| block.cid).collect::<Vec<_>>());
    assert_eq!((car.version(), car.roots()), (2, &[][..]));
}
