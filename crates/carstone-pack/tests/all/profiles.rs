//! Packs and plain CARs under other profiles and chunkers than the default.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use crate::support::{content, pack_with, stream_contents};
use crate::trees::{Thing, Way, at_random, exact, from_stream, meta, tree};
use carstone_car::{CarReader, CarSlice, Cid, hash_code};
use carstone_layer::PackId;
use carstone_pack::fs::{
    CompareOptions, Selection, TreeOptions, add_tree, compare_dag, compare_tree, extract_dag,
};
use carstone_pack::{
    EntrySink, Error, ErrorKind, Metadata, PackOptions, PackWriter, PlainPipe, PlainWriter, Summary,
};
use carstone_unixfs::{
    ChunkerSpec, CidVersion, FileReader, Leaves, Limits, Profile, ShardThreshold, State, Step,
    walk, write_file,
};
use proptest::prelude::*;

const MIB: usize = 1 << 20;

fn chunked(spec: &str) -> Profile {
    let spec: ChunkerSpec = spec.parse().expect("a chunker");
    Profile::unixfs_v1_2025().with_chunker(spec)
}

fn options(profile: &Profile) -> PackOptions {
    PackOptions::default().threads(2).profile(profile.clone())
}

/// Files around every bound that a chunker and the format have.
fn files(profile: &Profile) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (min, max) = (profile.chunker().min(), profile.chunker().max());
    let sizes =
        [0, 1, min, min + 1, max - 1, max, max + 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 5 * MIB];
    let mut files: Vec<_> = sizes
        .into_iter()
        .enumerate()
        .map(|(n, size)| (format!("d/{n:02}").into_bytes(), content(n, size)))
        .collect();
    // Content that stands earlier, whole and in part; a name that no directory node can hold.
    files.push((b"z/again".to_vec(), content(11, 5 * MIB)));
    files.push((b"z/shifted".to_vec(), [&b"!"[..], &content(11, 5 * MIB)].concat()));
    files.push((b"z/\xff".to_vec(), content(99, 2 * MIB)));
    files
}

fn fill(sink: &mut impl EntrySink, files: &[(Vec<u8>, Vec<u8>)]) -> io::Result<()> {
    for (path, data) in files {
        let metadata = meta(0o644, 3);
        if data.len() <= sink.chunk_size() {
            let data = data.clone();
            sink.add_small_file(path, metadata, data.len(), Box::new(move || Ok((data, false))))?;
            continue;
        }
        let id = sink.start_entry(path, metadata)?;
        sink.fill_entry(id, &mut data.as_slice(), &mut |_| {})?;
        sink.expect_hard_links(id);
        sink.end_entry(id)?;
        let link = [path.as_slice(), b" too"].concat();
        if sink.holds(&link) {
            sink.add_hard_link(&link, id, path, meta(0o644, 3))?;
        }
    }
    Ok(())
}

#[track_caller]
fn check_pack(profile: &Profile) {
    let files = files(profile);
    let packed = pack_with(options(profile), |writer| fill(writer, &files));
    assert!(
        packed.bytes == pack_with(options(profile).threads(1), |writer| fill(writer, &files)).bytes
    );
    packed.verify_is_clean();
    let reader = packed.reader();
    for (path, data) in &files {
        let entry = reader.find(path).expect("a sound pack").expect("it was added");
        let mut file = reader.open_file(&entry).expect("a file");
        let mut back = Vec::new();
        file.read_to_end(&mut back).expect("a sound pack");
        assert!(back == *data, "{}", path.escape_ascii());
        let middle = data.len() / 3;
        file.seek(SeekFrom::Start(middle as u64)).expect("within the file");
        let mut part = vec![0; 100.min(data.len() - middle)];
        file.read_exact(&mut part).expect("a sound pack");
        assert_eq!(part, data[middle..][..part.len()]);
        // The DAG is the one that the profile makes of the content.
        let root = write_file(profile, data.as_slice(), &mut |_, _| Ok(())).expect("memory");
        let link = reader.link(&entry).expect("a sound pack");
        assert_eq!(link, Some(root.cid).filter(|_| std::str::from_utf8(path).is_ok()));
    }
    assert!(stream_contents(&packed).into_iter().all(|(path, data)| {
        files.iter().any(|(known, content)| *known == path && *content == data)
    }));
    for way in [at_random as Way, from_stream] {
        let target = tempfile::tempdir().expect("a directory");
        way(&packed, target.path(), &Selection::all(), &exact()).is_clean();
        let found = tree(target.path());
        for (path, data) in &files {
            let same = matches!(&found[path], Thing::File { content, .. } if content == data);
            assert!(same, "{}", path.escape_ascii());
        }
        let report =
            compare_tree(&reader, target.path(), &CompareOptions::default(), &mut |found| {
                // Directories that paths imply have the time of the extraction.
                assert!(
                    ["", "d", "z"].map(str::as_bytes).contains(&found.path.as_slice()),
                    "{found:?}"
                )
            });
        assert!(report.expect("the directory can be read").stopped.is_none());
    }
}

#[test]
fn packs_of_small_chunks() {
    check_pack(&chunked("fixed:32K").with_width(7).expect("in range"));
}

#[test]
fn packs_of_very_small_chunks_that_repeat() {
    let packed = pack_with(options(&chunked("fixed:2")), |writer| {
        writer.add_file(b"zeros", Metadata::default(), vec![0; 60_001].as_slice()).map(drop)
    });
    packed.verify_is_clean();
    assert!(stream_contents(&packed)[&b"zeros"[..]] == vec![0; 60_001]);
}

#[test]
fn packs_of_chunks_that_are_larger_than_a_batch() {
    check_pack(&chunked("fixed:3M"));
    check_pack(&chunked("fixed:8388352"));
}

#[test]
fn packs_of_content_defined_chunks() {
    check_pack(&chunked("fastcdc:16K"));
    let threshold = ShardThreshold::Entries(2);
    check_pack(
        &chunked("fastcdc:1M").with_shard_threshold(threshold).with_fanout(16).expect("allowed"),
    );
    check_pack(&chunked("fastcdc:4M"));
}

#[test]
fn content_defined_chunks_find_what_was_shifted() {
    let (before, after) =
        (content(1, 4 * MIB), [&b"a few bytes"[..], &content(1, 4 * MIB)].concat());
    let size = |profile: &Profile, both: bool| {
        let packed = pack_with(options(profile), |writer| {
            writer.add_file(b"before", Metadata::default(), before.as_slice())?;
            if both {
                writer.add_file(b"after", Metadata::default(), after.as_slice())?;
            }
            Ok(())
        });
        packed.bytes.len()
    };
    let (cut, fixed) = (chunked("fastcdc:16K"), chunked("fixed:16K"));
    assert!(size(&cut, true) - size(&cut, false) < MIB / 4);
    assert!(size(&fixed, true) - size(&fixed, false) > 4 * MIB);
}

#[test]
fn packs_refuse_what_only_plain_cars_hold() {
    let v1 = Profile::unixfs_v1_2025();
    for profile in [
        Profile::unixfs_v0_2015(),
        v1.clone().with_leaves(Leaves::DagPb),
        v1.clone().with_hash(hash_code::BLAKE3).expect("known"),
        v1.with_cid_version(CidVersion::V0),
    ] {
        let (pipe, id) = (PlainPipe::new(Vec::new()), PackId::from_bytes([1; 16]));
        let error = PackWriter::with_options(pipe, id, options(&profile)).err().expect("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = Error::of(&error).expect("the typed error rides inside");
        assert!(matches!(error.kind(), ErrorKind::PlainOnly(_)), "{error}");
        assert!(error.to_string().contains("plain CAR"), "{error}");
    }
}

fn plain(
    profile: &Profile,
    fill: impl FnOnce(&mut PlainWriter<Cursor<Vec<u8>>>) -> io::Result<()>,
) -> (Vec<u8>, Summary) {
    let mut writer =
        PlainWriter::with_options(Cursor::new(Vec::new()), options(profile)).expect("memory");
    fill(&mut writer).expect("memory takes every byte");
    let (car, summary) = writer.finish().expect("memory takes every byte");
    (car.into_inner(), summary)
}

fn blocks(car: &[u8]) -> (HashMap<Cid, Vec<u8>>, Cid) {
    let mut reader = CarReader::open(car).expect("a CARv1");
    let (root, mut blocks) = (reader.roots()[0], HashMap::new());
    while let Some(block) = reader.next_block().expect("sound blocks") {
        blocks.insert(block.cid, block.data);
    }
    (blocks, root)
}

#[track_caller]
fn check_plain(profile: &Profile) {
    let mut files = files(profile);
    files.retain(|(path, _)| std::str::from_utf8(path).is_ok());
    let (car, summary) = plain(profile, |writer| fill(writer, &files));
    let size: usize = files.iter().map(|(_, data)| data.len()).sum();
    assert_eq!((summary.size, summary.stream_len), (size as u64, car.len() as u64));
    let (blocks, root) = blocks(&car);
    assert_eq!((root, blocks.len() as u64), (summary.root, summary.blocks));
    let mut found = HashMap::new();
    walk(&blocks, &root, &Limits::default(), &mut |entry| {
        assert!(matches!(entry.state, State::Present), "{entry:?}");
        if entry.kind == carstone_unixfs::EntryKind::File {
            let mut data = Vec::new();
            FileReader::open(&blocks, &entry.cid)?.read_to_end(&mut data)?;
            assert_eq!(entry.size, Some(data.len() as u64));
            found.insert(entry.path, (data, entry.cid));
        }
        Ok(Step::Into)
    })
    .expect("a whole DAG");
    for (path, data) in &files {
        let root = write_file(profile, data.as_slice(), &mut |_, _| Ok(())).expect("memory");
        assert!(found[path].0 == *data && found[path].1 == root.cid, "{}", path.escape_ascii());
    }
    let target = tempfile::tempdir().expect("a directory");
    let report = extract_dag(
        &blocks,
        &[root],
        None,
        target.path(),
        &Selection::all(),
        &exact(),
        &mut |_| {},
    );
    assert!(report.expect("the target can be used").is_complete());
    let report =
        compare_dag(&blocks, &[root], None, target.path(), &mut |found| panic!("{found:?}"));
    assert!(report.expect("the directory can be read").stopped.is_none());
    // The same again, through a spool.
    let mut writer = PlainWriter::spooled(options(profile)).expect("a file");
    fill(&mut writer, &files).expect("space");
    assert!(writer.finish_to(Vec::new()).expect("space").0 == car);
}

#[test]
fn plain_cars_take_every_profile() {
    check_plain(&Profile::unixfs_v0_2015());
    check_plain(&Profile::unixfs_v0_2015().with_leaves(Leaves::Raw));
    check_plain(&chunked("fastcdc:64K").with_leaves(Leaves::DagPb));
    let narrow = chunked("fixed:20K").with_leaves(Leaves::DagPb).with_cid_version(CidVersion::V0);
    let threshold = ShardThreshold::Entries(3);
    let narrow = narrow.with_width(3).expect("in range").with_shard_threshold(threshold);
    check_plain(&narrow);
    // Digests of 64, 32 and 20 bytes.
    for code in [hash_code::SHA2_512, hash_code::BLAKE3, hash_code::BLAKE2B_160] {
        check_plain(&narrow.clone().with_hash(code).expect("known"));
        check_plain(&Profile::default().with_hash(code).expect("known"));
    }
}

#[test]
fn a_root_that_its_cid_could_hold_is_hashed_as_all_others() {
    for code in [hash_code::SHA2_256, hash_code::SHA2_512, hash_code::BLAKE2B_160] {
        let profile = Profile::default().with_hash(code).expect("known");
        let (_, expected) = plain(&profile, |_| Ok(()));
        let profile = profile.with_inline_limit(64).expect("in range");
        let (car, summary) = plain(&profile, |_| Ok(()));
        let (blocks, root) = blocks(&car);
        assert_eq!((root, root.hash().code()), (summary.root, code));
        assert_eq!((root, blocks.len()), (expected.root, 1));
    }
}

#[test]
fn a_tree_has_the_root_that_other_programs_give() {
    // As ipfs-unixfs-importer has it, with its profile unixfs-v0-2015.
    let files = [
        ("a.txt", "hello"),
        ("empty", ""),
        (".hidden/y", "x"),
        ("Z", "Z"),
        ("ü", "u"),
        ("sub/deep/z", "deep"),
    ];
    let (car, summary) = plain(&Profile::unixfs_v0_2015(), |writer| {
        files.into_iter().try_for_each(|(path, text)| {
            writer.add_file(path.as_bytes(), Metadata::default(), text.as_bytes()).map(drop)
        })
    });
    assert_eq!(summary.root.to_string(), "QmQLn51nmf8ciaD7VvNRbnw2YqPZtkQ7FzqiyS7kU3uL9F");
    // The header holds a root of 34 bytes.
    assert_eq!(CarReader::open(car.as_slice()).expect("a CARv1").roots(), [summary.root]);
    assert_eq!(usize::from(car[0]), 17 + 41 - 2);
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test should say so")]
fn a_tree_of_version_0_is_extracted_and_made_again() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car/simple-unixfs.car");
    let Ok(car) = fs::read(path) else {
        println!("skipped: there is no fixture simple-unixfs.car");
        return;
    };
    let slice = CarSlice::parse(&car).expect("the header is sound");
    let root = slice.header().roots[0];
    let blocks: HashMap<Cid, Vec<u8>> = slice
        .into_iter()
        .map(|item| item.expect("every block is sound").1)
        .map(|block| (block.cid, block.data.to_vec()))
        .collect();
    let target = tempfile::tempdir().expect("a directory");
    let tree = target.path().join("tree");
    let report =
        extract_dag(&blocks, &[root], None, &tree, &Selection::all(), &exact(), &mut |_| {});
    assert!(report.expect("the target can be used").is_complete());
    let (_, again) = plain(&Profile::unixfs_v0_2015(), |writer| {
        let told = add_tree(writer, &[tree], &TreeOptions::default(), &mut |_| {})?;
        assert_eq!(told.files, 9);
        Ok(())
    });
    assert_eq!(again.root, root);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn entries_that_are_written_side_by_side_come_back(
        sizes in prop::collection::vec(0_usize..40_000, 1..6),
        pieces in prop::collection::vec(1_usize..9000, 1..5),
        chunker in prop_oneof![
            Just("fastcdc:256"), Just("fastcdc:1K"), Just("fastcdc:4K"), Just("fixed:1000"), Just("fixed:1"),
        ],
    ) {
        let profile = chunked(chunker).with_width(3).expect("in range");
        let sizes: Vec<_> = sizes.into_iter().map(|size| if chunker == "fixed:1" { size / 50 } else { size }).collect();
        let files: Vec<_> = sizes.iter().enumerate().map(|(n, size)| (format!("f{n}"), content(n / 2, *size))).collect();
        let packed = pack_with(options(&profile).budget(4096), |writer| {
            let mut open = Vec::new();
            for (path, data) in &files {
                open.push((writer.start_entry(path.as_bytes(), Metadata::default())?, data.as_slice()));
            }
            let mut turn = 0;
            while !open.is_empty() {
                let (at, n) = (turn % open.len(), pieces[turn % pieces.len()]);
                let (id, rest) = open[at];
                let (now, later) = rest.split_at(n.min(rest.len()));
                writer.append(id, now)?;
                open[at].1 = later;
                if later.is_empty() {
                    writer.end_entry(id)?;
                    open.remove(at);
                }
                turn += 1;
            }
            Ok(())
        });
        packed.verify_is_clean();
        let found = stream_contents(&packed);
        let reader = packed.reader();
        for (path, data) in &files {
            prop_assert!(found[path.as_bytes()] == *data);
            let entry = reader.find(path.as_bytes()).expect("a sound pack").expect("it was added");
            let root = write_file(&profile, data.as_slice(), &mut |_, _| Ok(())).expect("memory");
            prop_assert_eq!(reader.link(&entry).expect("a sound pack"), Some(root.cid));
        }
    }
}
