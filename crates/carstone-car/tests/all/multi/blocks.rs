//! Blocks by an index over many CARs: confirmed where they lie, also where the index lies.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use super::{Counting, Named, build, cars, numbered, open};
use crate::sources::{car, hashed, raw};
use carstone_car::{
    Block, CarFileWriter, Cid, Error, ErrorKind, FileEntry, FileOptions, Limits, MultiCar,
    MultiIndex, MultiIndexBuilder, Part, ReaderOptions, cid_of, codec, hash_code,
};

type Files = BTreeMap<Vec<u8>, Vec<u8>>;

fn by_name(files: &[Named]) -> Files {
    files.iter().map(|(name, car)| (name.clone().into_bytes(), car.clone())).collect()
}

/// Looks a block up in these files by the bytes of an index.
fn get(index: &[u8], files: &Files, cid: &Cid) -> Result<Option<Vec<u8>>, Error> {
    get_with(index, files, cid, ReaderOptions::default())
}

fn get_with(
    index: &[u8],
    files: &Files,
    cid: &Cid,
    options: ReaderOptions,
) -> Result<Option<Vec<u8>>, Error> {
    let open_file = |file: &FileEntry| {
        files.get(&file.name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    MultiCar::with_options(open(index), open_file, options).get(cid)
}

/// The file that an error names, and the kind of its cause.
#[track_caller]
fn in_file(error: &Error) -> (u32, String) {
    match error.kind() {
        ErrorKind::InFile { file, cause, .. } => {
            let source = std::error::Error::source(error).expect("the cause");
            assert_eq!(source.to_string(), cause.to_string());
            (*file, format!("{:?}", cause.kind()))
        }
        other => panic!("{other:?}"),
    }
}

fn v2(blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let mut writer =
        CarFileWriter::with_options(Cursor::new(Vec::new()), &[], options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

#[test]
fn blocks_come_from_files_of_both_versions() {
    let large = raw(&vec![7; 300_000]);
    let blocks = [raw(b"one"), raw(b""), hashed(hash_code::BLAKE3, b"two"), large];
    let padded = FileOptions::v2().data_padding(1000);
    let files: Vec<Named> = vec![
        ("v1".into(), car(&[], &blocks[..2])),
        ("v2".into(), v2(&blocks[1..], padded)),
        ("bare".into(), v2(&blocks[..1], FileOptions::v2().index(None))),
    ];
    let (index, files) = (build(&files), by_name(&files));
    for block in &blocks {
        assert_eq!(get(&index, &files, &block.cid).expect("sound").as_ref(), Some(&block.data));
        let other = Cid::new_v1(codec::DAG_CBOR, *block.cid.hash());
        assert_eq!(get(&index, &files, &other).expect("sound").as_ref(), Some(&block.data));
    }
    assert_eq!(get(&index, &files, &cid_of(codec::RAW, b"absent")).expect("sound"), None);
    let inline = hashed(hash_code::IDENTITY, b"inline");
    assert_eq!(get(&index, &files, &inline.cid).expect("in the CID"), Some(inline.data));
    let index = open(&index);
    let versions: Vec<_> = index.files().map(|file| file.expect("sound").version).collect();
    assert_eq!(versions, [1, 2, 2]);
    assert_eq!(index.file(1).expect("sound").payload_start, 1051);
}

#[test]
fn a_stale_index_never_gives_another_block() {
    let before = cars(&[&[1, 2, 3, 4], &[3]]);
    let index = build(&before);
    // The same names, other content.
    let mut files = by_name(&cars(&[&[9, 1, 2, 3], &[3]]));
    for n in [1, 2, 4] {
        let error = get(&index, &files, &numbered(n).cid).expect_err("it has moved");
        assert_eq!(in_file(&error), (0, "StaleIndex".into()));
        assert!(matches!(io::Error::from(error).kind(), io::ErrorKind::InvalidData));
    }
    // What is in another file too is found there.
    assert_eq!(get(&index, &files, &numbered(3).cid).expect("sound"), Some(numbered(3).data));
    files.remove(&b"0.car"[..]);
    assert_eq!(get(&index, &files, &numbered(3).cid).expect("sound"), Some(numbered(3).data));
    let error = get(&index, &files, &numbered(4).cid).expect_err("the file is gone");
    assert_eq!(in_file(&error).0, 0);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    // One that is cut, one that is empty.
    files.insert(b"0.car".to_vec(), before[0].1[..100].to_vec());
    assert_eq!(get(&index, &files, &numbered(1).cid).expect("sound"), Some(numbered(1).data));
    let error = get(&index, &files, &numbered(4).cid).expect_err("cut");
    assert_eq!(in_file(&error), (0, "Truncated(Payload)".into()));
    files.insert(b"0.car".to_vec(), Vec::new());
    let error = get(&index, &files, &numbered(1).cid).expect_err("empty");
    assert_eq!(in_file(&error), (0, "Truncated(Payload)".into()));
}

#[test]
fn a_damaged_block_is_an_error_unless_it_is_elsewhere_too() {
    let before = cars(&[&[1, 2], &[2]]);
    let (index, mut files) = (build(&before), by_name(&before));
    let car = files.get_mut(&b"0.car"[..]).expect("there");
    for section in [18 + 44, 18 + 45 + 44] {
        car[section] ^= 1; // The last byte of each block.
    }
    let error = get(&index, &files, &numbered(1).cid).expect_err("damaged");
    assert!(in_file(&error).1.starts_with("Mismatch"), "{error}");
    assert_eq!(get(&index, &files, &numbered(2).cid).expect("sound"), Some(numbered(2).data));
    let trusting = ReaderOptions::default().danger_skip_verification();
    assert!(get_with(&index, &files, &numbered(1).cid, trusting).expect("unverified").is_some());
}

#[test]
fn whole_cids_are_compared_on_request() {
    let (raw, other) = (raw(b"same"), hashed(hash_code::SHA2_256, b"same"));
    let files =
        [("a".to_owned(), car(&[], std::slice::from_ref(&raw))), ("b".into(), car(&[], &[other]))];
    let (index, files) = (build(&files), by_name(&files));
    let open_file = |file: &FileEntry| Ok(&files[&file.name]);
    let whole = MultiCar::new(open(&index), open_file).whole_cids(true);
    let place = |cid: &Cid| whole.get_placed(cid).expect("sound").map(|(place, _)| place.file);
    assert_eq!(place(&raw.cid), Some(0));
    assert_eq!(place(&Cid::new_v1(codec::DAG_CBOR, *raw.cid.hash())), Some(1));
    assert_eq!(place(&Cid::new_v1(codec::DAG_PB, *raw.cid.hash())), None);
}

#[test]
fn sections_over_the_limit_are_refused() {
    let files = [("a".to_owned(), car(&[], &[raw(&[1; 5000])]))];
    let (index, files) = (build(&files), by_name(&files));
    let cid = raw(&[1; 5000]).cid;
    let options = ReaderOptions::default().limits(Limits::default().section(4000));
    let error = get_with(&index, &files, &cid, options).expect_err("too large");
    assert!(in_file(&error).1.starts_with("TooLarge { part: Section"), "{error}");
}

#[test]
fn an_index_of_a_file_is_a_claim_that_is_confirmed() {
    let blocks: Vec<_> = (0..50).map(numbered).collect();
    let file = v2(&blocks, FileOptions::v2());
    let counting = Counting::new(&file[..]);
    let mut builder = MultiIndexBuilder::new();
    builder.add_by_own_index("own", &counting).expect("sound");
    let reads = counting.taken();
    assert!(reads < 20, "{reads} reads: bodies or heads were read");
    builder.add_by_own_index("scanned", &car(&[], &blocks)).expect("no index: scanned");
    let sidecar = carstone_car::Index::open_range(&file[..], index_range(&file), None);
    builder.add_by_index("beside", &file, &sidecar.expect("sound")).expect("sound");
    let claimed: Vec<_> = builder.files().iter().map(|file| file.is_claimed).collect();
    assert_eq!(claimed, [true, false, true]);
    let index = builder.write(Vec::new()).expect("memory");
    open(&index).verify().expect("as it was written");
    let place = open(&index).find(&numbered(7).cid).expect("sound").expect("it is there");
    assert_eq!((place.file, place.len), (0, None));

    let car = MultiCar::new(open(&index), |_: &FileEntry| Ok(&counting));
    counting.taken();
    for block in &blocks {
        assert_eq!(car.get(&block.cid).expect("sound").as_ref(), Some(&block.data));
        assert!(counting.taken() <= 2, "head and data");
    }

    // One that lies: all offsets are those of the next block.
    let mut lying = file.clone();
    let range = index_range(&file);
    let entries = &mut lying[range.start as usize + 2 + 4 + 12 + 12..];
    let offsets: Vec<_> = entries.chunks_exact(40).map(|entry| entry[32..].to_vec()).collect();
    for (entry, offset) in entries.chunks_exact_mut(40).zip(offsets.iter().cycle().skip(1)) {
        entry[32..].copy_from_slice(offset);
    }
    let mut builder = MultiIndexBuilder::new();
    builder.add_by_own_index("lying", &lying).expect("nothing shows that it lies");
    let index = builder.write(Vec::new()).expect("memory");
    let files = BTreeMap::from([(b"lying".to_vec(), lying)]);
    for block in &blocks {
        let error = get(&index, &files, &block.cid).expect_err("it lies");
        assert_eq!(in_file(&error), (0, "StaleIndex".into()));
    }
}

fn index_range(file: &[u8]) -> std::ops::Range<u64> {
    let reader = carstone_car::CarReader::open(file).expect("header");
    let start = reader.v2_header().and_then(|v2| v2.index_offset);
    start.expect("an index")..file.len() as u64
}

#[test]
fn a_file_that_was_replaced_is_noticed() {
    let roots = [numbered(1).cid];
    let first = car(&roots, &[numbered(1), numbered(2)]);
    let index = build(&[("a".to_owned(), first.clone())]);
    let index = open(&index);
    let entry = index.file(0).expect("sound");
    let is_current = |car: &Vec<u8>| entry.is_current(car, ReaderOptions::default());
    assert!(is_current(&first).expect("a CAR"));
    let longer = car(&roots, &[numbered(1), numbered(2), numbered(3)]);
    let other_roots = car(&[numbered(2).cid], &[numbered(1), numbered(2)]);
    assert_eq!(first.len(), other_roots.len());
    for other in [&longer, &other_roots] {
        assert!(!is_current(other).expect("a CAR"));
    }
    assert!(is_current(&b"no CAR".to_vec()).is_err());
}

#[test]
fn an_index_and_its_cars_are_shared_by_threads() {
    fn check<T: Send + Sync>() {}
    check::<MultiIndex<std::fs::File>>();
    check::<MultiCar<std::fs::File, fn(&FileEntry) -> io::Result<std::fs::File>>>();
    check::<MultiIndexBuilder>();
    assert!(matches!(MultiIndex::open(&[][..]).expect_err("empty").kind(), ErrorKind::BadIndex(_)));
    let _ = Part::FileName;
}
