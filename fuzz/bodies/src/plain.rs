//! Plain CARs of either version, under any profile.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};

use carstone::car::{Cid, FileOptions, IndexCodec, IndexedCar, hash_code, verify};
use carstone::pack::{EntrySink, Metadata, PackOptions, PackWriter, PlainPipe, PlainWriter};
use carstone::unixfs::{CidVersion, EntryKind, FileReader, Leaves, Limits, State, Step, walk};

use crate::built::PACK;
use crate::input::{Input, noise};
use crate::unixfs::profile;

/// A plain CAR holds the DAG of a pack of the same entries, each block once, and all of their content.
pub fn plain(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = input.pick(&[Some(IndexCodec::MultihashSorted), Some(IndexCodec::Sorted), None]);
    let padding = input.pick(&[0, 1, 40]);
    let car = match input.one_in(3) {
        true => FileOptions::v1(),
        false => FileOptions::v2().index(codec).data_padding(padding).index_padding(padding),
    };
    let profile = profile(&mut input);
    let kind = (profile.leaves(), profile.cid_version(), profile.hash());
    let is_only_plain = kind != (Leaves::Raw, CidVersion::V1, hash_code::SHA2_256);
    let options = PackOptions::default().threads(1).profile(profile).plain(car);
    let options = options.budget(input.pick(&[64 << 20, 64 << 20, 5000]));
    let entries = entries(&mut input);
    let mut writer = PlainWriter::with_options(Cursor::new(Vec::new()), options.clone())
        .expect("a Vec takes all");
    fill(&mut writer, &entries);
    let (sink, summary) = writer.finish().expect("a Vec takes all");
    let bytes = sink.into_inner();
    let indexed = IndexedCar::open(&bytes[..]).expect("just written");
    assert_eq!((indexed.version(), indexed.roots()), (car.version(), &[summary.root][..]));
    if let Some(report) = indexed.check_index().expect("just written") {
        assert!(report.is_sound(), "{report:?}");
    }
    let mut blocks = HashMap::new();
    let mut last = None;
    for block in indexed.reader().expect("just written") {
        let block = block.expect("just written");
        verify(&block.cid, &block.data).expect("just written");
        last = Some(block.cid);
        assert_eq!(indexed.get(&block.cid).expect("just written").as_ref(), Some(&block.data));
        assert!(blocks.insert(block.cid, block.data).is_none(), "each block stands once");
    }
    assert_eq!((last, blocks.len() as u64), (Some(summary.root), summary.blocks));
    assert!(read(&blocks, &summary.root) == entries, "other content");
    if input.flag() {
        match PackWriter::with_options(PlainPipe::new(Vec::new()), PACK, options) {
            Ok(mut writer) => {
                fill(&mut writer, &entries);
                let (_, pack) = writer.finish().expect("a Vec takes all");
                assert_eq!(pack.root, summary.root, "the root of a pack");
            }
            // Packs have raw leaves and CIDs of version 1.
            Err(_) => assert!(is_only_plain),
        }
    }
}

/// What stands under a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Directory,
    Symlink(Vec<u8>),
    File(Vec<u8>),
}

fn entries(input: &mut Input<'_>) -> BTreeMap<String, Item> {
    let mut entries = BTreeMap::new();
    for n in 0..input.below(14) {
        let directory = input.pick(&["", "d/", "d/e/", "x y/"]);
        let body = noise(u64::from(input.byte() % 4), input.pick(&[0, 1, 10, 100, 3000]));
        let item = match input.below(5) {
            0 => Item::Directory,
            1 => Item::Symlink(b"../to".to_vec()),
            _ => Item::File(body),
        };
        entries.insert(format!("{directory}f{n}"), item);
        for (at, _) in directory.match_indices('/') {
            entries.insert(directory[..at].to_owned(), Item::Directory);
        }
    }
    entries
}

fn fill(sink: &mut impl EntrySink, entries: &BTreeMap<String, Item>) {
    for (path, item) in entries {
        let (path, none) = (path.as_bytes(), Metadata::default());
        match item {
            Item::Directory => drop(sink.add_directory(path, none).expect("a Vec takes all")),
            Item::Symlink(to) => drop(sink.add_symlink(path, to, none).expect("a Vec takes all")),
            Item::File(body) => {
                let id = sink.start_entry(path, none).expect("a Vec takes all");
                sink.fill_entry(id, &mut &body[..], &mut |_| {}).expect("a Vec takes all");
                sink.end_entry(id).expect("a Vec takes all");
            }
        }
    }
}

fn read(blocks: &HashMap<Cid, Vec<u8>>, root: &Cid) -> BTreeMap<String, Item> {
    let (mut found, mut files) = (BTreeMap::new(), Vec::new());
    walk(blocks, root, &Limits::default(), &mut |entry| {
        assert!(matches!(entry.state, State::Present), "{:?}", entry.state);
        let path = String::from_utf8(entry.path.clone()).expect("names are UTF-8");
        let item = match &entry.kind {
            EntryKind::Symlink { target } => Item::Symlink(target.to_vec()),
            EntryKind::File => {
                files.push((path.clone(), entry.cid));
                Item::File(Vec::new())
            }
            _ => Item::Directory,
        };
        if !path.is_empty() {
            found.insert(path, item);
        }
        Ok(Step::Into)
    })
    .expect("just written");
    for (path, cid) in files {
        let mut body = Vec::new();
        let mut file = FileReader::open(blocks, &cid).expect("just written");
        file.read_to_end(&mut body).expect("just written");
        found.insert(path, Item::File(body));
    }
    found
}
