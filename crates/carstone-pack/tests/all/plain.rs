//! Plain CARs hold the DAG of a pack, and nothing else.

use std::collections::{HashMap, HashSet};
use std::io::{self, Cursor, Read, Write};

use crate::support::{Failing, content, pack};
use carstone_car::{CarReader, CarSlice, Cid, FileOptions, IndexCodec, IndexedCar};
use carstone_pack::{EntrySink, Metadata, PackOptions, PlainWriter, ProblemKind, Summary};
use carstone_unixfs::{FileReader, Limits, Step, resolve, walk};
use proptest::prelude::*;

type Writer = PlainWriter<Cursor<Vec<u8>>>;

#[track_caller]
fn plain(fill: impl FnOnce(&mut Writer) -> io::Result<()>) -> (Vec<u8>, Summary) {
    let mut writer = PlainWriter::new(Cursor::new(Vec::new())).expect("memory");
    fill(&mut writer).expect("memory takes every byte");
    let (car, summary) = writer.finish().expect("memory takes every byte");
    (car.into_inner(), summary)
}

/// Reads a plain CAR: every block hashes to its CID, stands once, and behind its children; the root is last.
#[track_caller]
fn blocks(car: &[u8], summary: &Summary) -> HashMap<Cid, Vec<u8>> {
    let mut reader = CarReader::open(car).expect("a CARv1");
    assert_eq!(reader.roots(), [summary.root]);
    let (mut blocks, mut last) = (HashMap::new(), None);
    while let Some(block) = reader.next_block().expect("sound blocks") {
        if block.cid.codec() == 0x70 {
            let node = carstone_unixfs::decode(&block.cid, &block.data).expect("UnixFS");
            let links: Vec<Cid> = match node {
                carstone_unixfs::Node::File(file) => file.links.map(|link| link.cid).collect(),
                carstone_unixfs::Node::Directory { links, .. } => {
                    links.map(|link| link.cid).collect()
                }
                _ => Vec::new(),
            };
            assert!(links.iter().all(|cid| blocks.contains_key(cid)), "children come first");
        }
        last = Some(block.cid);
        assert!(blocks.insert(block.cid, block.data).is_none(), "each block stands once");
    }
    assert_eq!(last, Some(summary.root));
    assert_eq!((blocks.len() as u64, car.len() as u64), (summary.blocks, summary.stream_len));
    blocks
}

/// The same entries for either writer.
fn fill(sink: &mut impl EntrySink) -> io::Result<()> {
    let none = Metadata::default;
    sink.add_directory(b"", none())?;
    sink.add_directory(b"empty", none())?;
    sink.add_symlink(b"d/link", b"../large", none())?;
    for (n, size) in [0, 1, 5000, 1 << 20].into_iter().enumerate() {
        let open = Box::new(move || Ok((content(n, size), false)));
        sink.add_small_file(format!("d/{n}").as_bytes(), none(), size, open)?;
    }
    let large = sink.start_entry(b"large", none())?;
    sink.fill_entry(large, &mut content(7, (5 << 20) + 1).as_slice(), &mut |_| {})?;
    sink.expect_hard_links(large);
    sink.end_entry(large)?;
    sink.add_hard_link(b"d/large-too", large, b"large", none())?;
    let again = sink.start_entry(b"z/again", none())?;
    sink.fill_entry(again, &mut content(7, (5 << 20) + 1).as_slice(), &mut |_| {})?;
    sink.end_entry(again)
}

#[test]
fn content_and_names_are_there() {
    let (car, summary) = plain(fill);
    let blocks = blocks(&car, &summary);
    let mut paths = Vec::new();
    walk(&blocks, &summary.root, &Limits::default(), &mut |entry| {
        paths.push(String::from_utf8_lossy(&entry.path).into_owned());
        Ok(Step::Into)
    })
    .expect("a whole DAG");
    paths.sort();
    let expected = ["", "d", "d/0", "d/1", "d/2", "d/3", "d/large-too", "d/link", "empty", "large"];
    assert_eq!(paths, [&expected[..], &["z", "z/again"]].concat());
    let cid = resolve(&blocks, &summary.root, b"d/large-too").expect("sound").expect("a path").cid;
    let mut large = Vec::new();
    let mut file = FileReader::open(&blocks, &cid).expect("a file");
    file.read_to_end(&mut large).expect("a whole file");
    assert!(large == content(7, (5 << 20) + 1));
}

#[test]
fn the_root_is_that_of_a_pack() {
    let (_, summary) = plain(fill);
    assert_eq!(pack(fill).reader().tail().roots, [summary.root]);
    let (car, empty) = plain(|_| Ok(()));
    assert_eq!(pack(|_| Ok(())).reader().tail().roots, [empty.root]);
    // The empty directory, as every implementation of UnixFS has it.
    assert_eq!(
        empty.root.to_string(),
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    );
    assert_eq!(blocks(&car, &empty).len(), 1);
}

#[test]
fn sinks_can_be_chosen_at_run_time_and_sent() {
    fn is_send<T: Send>(_: &T) {}
    let mut writer = PlainWriter::new(Cursor::new(Vec::new())).expect("memory");
    is_send(&writer);
    let sink: &mut dyn EntrySink = &mut writer;
    sink.add_directory(b"d", Metadata::default()).expect("memory");
    let (_, summary) = writer.finish().expect("memory");
    assert_eq!((summary.entries, summary.blocks), (1, 2));
}

#[test]
fn a_spool_gives_the_same_bytes() {
    let (car, summary) = plain(fill);
    let mut writer = PlainWriter::spooled(PackOptions::default().threads(1)).expect("a file");
    fill(&mut writer).expect("space");
    let (spooled, same) = writer.finish_to(Vec::new()).expect("space");
    assert!(spooled == car);
    assert_eq!(same, summary);
}

#[test]
fn a_carv2_holds_the_same_carv1_and_an_index_of_it() {
    let (car, summary) = plain(fill);
    for codec in [None, Some(IndexCodec::MultihashSorted), Some(IndexCodec::Sorted)] {
        let options = PackOptions::default().plain(FileOptions::v2().index(codec));
        let mut sink = Cursor::new(Vec::new());
        sink.write_all(b"before").expect("memory");
        let mut writer = PlainWriter::with_options(sink, options.clone()).expect("memory");
        fill(&mut writer).expect("memory");
        let (sink, same) = writer.finish().expect("memory");
        assert_eq!(same, summary);
        assert_eq!(sink.position(), sink.get_ref().len() as u64);
        let file = &sink.get_ref()[6..];
        let parsed = CarSlice::parse(file).expect("a CARv2");
        assert_eq!((parsed.version(), parsed.roots()), (2, &[summary.root][..]));
        assert!(file[51..][..car.len()] == car);
        let indexed = IndexedCar::open(file).expect("a CARv2");
        assert_eq!(indexed.index_codec(), codec);
        match indexed.check_index().expect("a sound index") {
            None => assert_eq!(codec, None),
            Some(report) => assert_eq!((report.is_sound(), report.entries), (true, summary.blocks)),
        }
        let mut writer = PlainWriter::spooled(options).expect("a file");
        fill(&mut writer).expect("space");
        assert!(writer.finish_to(Vec::new()).expect("space").0 == file);
    }
}

#[test]
fn a_car_may_start_anywhere_in_its_sink() {
    let mut sink = Cursor::new(Vec::new());
    sink.write_all(b"before").expect("memory");
    let mut writer = PlainWriter::new(sink).expect("memory");
    fill(&mut writer).expect("memory");
    let (mut sink, _) = writer.finish().expect("memory");
    sink.write_all(b"behind").expect("memory");
    let (car, _) = plain(fill);
    assert!(sink.into_inner() == [b"before", &car[..], b"behind"].concat());
}

#[test]
fn an_unfinished_car_has_a_root_that_is_missing() {
    let mut car = Cursor::new(Vec::new());
    let mut writer = PlainWriter::new(&mut car).expect("memory");
    writer.add_file(b"f", Metadata::default(), &b"x"[..]).expect("memory");
    writer.settle().expect("memory");
    drop(writer);
    let mut reader = CarReader::open(car.get_ref().as_slice()).expect("a CARv1");
    let root = reader.roots()[0];
    let cids: Vec<Cid> = reader.blocks().map(|block| block.expect("sound").cid).collect();
    assert_eq!(cids.len(), 1);
    assert!(!cids.contains(&root));
}

#[test]
fn what_cannot_be_held_is_told() {
    let none = Metadata::default;
    let (car, summary) = plain(|writer| {
        assert!(!writer.holds(b"d/\xff") && writer.holds(b"d/f"));
        writer.add_directory(b"\xff", none())?;
        let lost = writer
            .add_small_file(b"lost", none(), 9, || Err(io::ErrorKind::PermissionDenied.into()))?;
        writer.expect_hard_links(lost);
        writer.add_hard_link(b"link", lost, b"lost", none())?;
        writer.add_small_file(b"changed", none(), 1, || Ok((vec![1], true)))?;
        writer.add_file(b"\xff/small", none(), &b"not in the CAR"[..])?;
        writer.add_file(b"\xff/large", none(), content(1, 3 << 20).as_slice())?;
        writer.add_file(b"failing", none(), Failing).map(drop).expect_err("the source failed");
        let failing = content(2, 2 << 20);
        let late = failing.chain(Failing);
        writer.add_file(b"late", none(), late).map(drop).expect_err("the source failed");
        writer.settle()?;
        let problems = writer.take_problems();
        let told: Vec<_> = problems.iter().map(|problem| problem.path.as_slice()).collect();
        let expected: [&[u8]; 6] =
            [b"\xff", b"lost", b"link", b"changed", b"\xff/small", b"\xff/large"];
        assert_eq!(told, expected);
        assert!(matches!(problems[1].kind, ProblemKind::Unreadable(_)));
        assert!(matches!(problems[2].kind, ProblemKind::LostOriginal));
        assert!(matches!(problems[3].kind, ProblemKind::Changed));
        assert!(matches!(problems[5].kind, ProblemKind::NotUtf8));
        Ok(())
    });
    let blocks = blocks(&car, &summary);
    assert_eq!((summary.entries, summary.size), (1, 1));
    assert!(!car.windows(14).any(|bytes| bytes == b"not in the CAR"));
    // The file, the directory, and the leaf of the file that failed late.
    assert!(blocks.len() <= 4);
}

#[test]
fn a_sink_that_fails_breaks_the_writer() {
    struct Full(u64);
    impl Write for Full {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0 += buf.len() as u64;
            match self.0 > 1_500_000 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => Ok(buf.len()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl io::Seek for Full {
        fn seek(&mut self, _: io::SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    let mut writer = PlainWriter::new(Full(0)).expect("there is space yet");
    let mut add = |n| {
        writer.add_file(b"f", Metadata::default(), content(n, 3 << 20).as_slice())?;
        writer.settle()
    };
    assert_eq!(add(1).map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    assert!(add(2).is_err());
    assert!(writer.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn packs_and_plain_cars_agree(
        files in prop::collection::btree_map("[a-c]{1,2}/[a-c]{1,2}/[d-f]{1,3}", 0_usize..3000, 0..30),
    ) {
        fn add(sink: &mut impl EntrySink, files: &[(String, usize)]) -> io::Result<()> {
            for (path, size) in files {
                let size = *size;
                let open = Box::new(move || Ok((content(size, size), false)));
                sink.add_small_file(path.as_bytes(), Metadata::default(), size, open)?;
            }
            Ok(())
        }
        let files: Vec<_> = files.into_iter().collect();
        let (car, summary) = plain(|writer| add(writer, &files));
        let held = blocks(&car, &summary);
        prop_assert_eq!(pack(|writer| add(writer, &files)).reader().tail().roots.clone(), [summary.root]);
        for (path, size) in &files {
            let cid = resolve(&held, &summary.root, path.as_bytes()).expect("sound");
            prop_assert_eq!(&held[&cid.expect("a path").cid], &content(*size, *size));
        }
        let distinct: HashSet<usize> = files.iter().map(|(_, size)| *size).collect();
        prop_assert!(held.keys().filter(|cid| cid.codec() == 0x55).count() == distinct.len());
    }
}
