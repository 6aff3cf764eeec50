//! Packs by someone who can compute hashes, and packs that are written and read.

use std::io::Cursor;
use std::sync::OnceLock;

use carstone::car::{CarReader, CarWriter, Cid, cid_of};
use carstone::layer::PackId;
use carstone::pack::{
    EntryKind, Metadata, PackOptions, PackReader, PackWriter, PlainPipe, Timestamp, check_path,
    compare_paths, fs::Selection, is_within, split_path,
};

use crate::built::{self, PACK};
use crate::input::{Input, choices, noise};
use crate::records::DAG_CBOR;
use crate::tree::{Item, Tree, at_random, forward};
use crate::vectors;

/// Any bytes as a record: what is read is written to bytes that mean the same. Any bytes as a block in a stream, too.
pub fn record(data: &[u8]) {
    #[cfg(fuzzing)]
    carstone::pack::fuzzing::record(data);
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("a Vec takes all");
    let tail = writer.position();
    writer.write_data(DAG_CBOR, data).expect("a Vec takes all");
    let bytes = writer.finish().expect("a Vec takes all");
    let pack = data.get(4..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    forward(&bytes[..], PackId::from_bytes(pack));
    if let Ok(reader) = PackReader::open(&bytes, PackId::from_bytes(pack), tail) {
        exercise(&reader);
    }
}

/// The shared vectors, and the records of built packs.
pub fn record_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vectors::values(vectors::RECORDS, "bytes");
    for seed in 0..4 {
        let built = built::build(&mut Input::new(&noise(seed, 400)));
        let records = sections(&built.bytes).into_iter().filter(|(cid, _)| cid.codec() == DAG_CBOR);
        seeds.extend(records.map(|(_, data)| data));
    }
    seeds
}

/// Packs that are built section by section: nothing panics or runs away, and a pack that is verified is the same from the front and at random.
pub fn built(data: &[u8]) {
    let mut input = Input::new(data);
    let pack = built::build(&mut input);
    both_ways(&pack.bytes, PACK, pack.tail);
}

/// A sound pack with sections changed, hashed anew, moved, lost and repeated.
pub fn sections_changed(data: &[u8]) {
    let mut input = Input::new(data);
    let (sound, tail) = sample();
    let mut all = sections(sound);
    for _ in 0..input.below(6) {
        let n = input.below(all.len());
        let other = input.below(all.len());
        match input.below(10) {
            0 => all.swap(n, other),
            1 if all.len() > 1 => drop(all.remove(n)),
            2 => {
                let copy = all[n].clone();
                all.insert(other, copy);
            }
            _ => {
                let (cid, data) = &mut all[n];
                let at = input.below(data.len());
                let len = 1 + input.below(4);
                for (byte, new) in data[at..].iter_mut().zip(input.bytes(len)) {
                    *byte = *new;
                }
                if !input.one_in(16) {
                    *cid = cid_of(cid.codec(), data);
                }
            }
        }
    }
    let bytes = car(&all);
    let tail = if input.one_in(8) { input.below(bytes.len()) as u64 } else { tail };
    both_ways(&bytes, PACK, tail);
}

/// Reads a pack at random and front to back. One that is verified gives the same both ways, and no error.
fn both_ways(bytes: &[u8], id: PackId, tail: u64) {
    let streamed = forward(bytes, id);
    let Ok(reader) = PackReader::open(bytes, id, tail) else { return };
    let (tree, failure) = at_random(&reader);
    exercise(&reader);
    let mut findings = 0;
    let verified = reader.verify(&mut |_| {}, &mut |_| findings += 1);
    if verified.is_ok() && findings == 0 {
        assert!(failure.is_none(), "{failure:?}");
        assert!(streamed.is_whole(), "{:?}", streamed.failure);
        assert!(!streamed.has_twins, "two entries under one path");
        assert_eq!(streamed.tree, tree, "front to back and at random");
    }
}

/// Whatever else a reader offers.
fn exercise(reader: &PackReader<impl carstone::layer::ReadAt + Clone>) {
    for path in [&b""[..], b"d", b"d/e", b"f0", b"zz"] {
        let _ = reader.find(path);
        let _ = reader.entries_within(path).take(10).count();
    }
    let mut blocks = reader.blocks();
    let mut data = Vec::new();
    while let Ok(Some(section)) = blocks.read_block(&mut data) {
        if let Ok(Some(position)) = reader.locate(&section.cid) {
            assert!(position < reader.stream_len());
        }
        if let Ok(Some(found)) = reader.get(&section.cid) {
            assert_eq!(found, data, "two blocks under one CID");
        }
    }
    let _ = reader.get(&cid_of(0x55, b"not there"));
}

/// Paths: what is allowed stays inside, their order is one, and patterns are taken as they come.
pub fn paths(data: &[u8]) {
    let mut input = Input::new(data);
    let texts = [input.text(30), input.text(30), input.text(30)];
    for path in texts {
        if check_path(path).is_ok() && !path.is_empty() {
            let names = path.split(|byte| *byte == b'/');
            for name in names {
                assert!(!matches!(name, b"" | b"." | b"..") && !name.contains(&0));
            }
            let mut at = path;
            while let Some((directory, name)) = split_path(at) {
                assert!(
                    is_within(path, directory) && !name.is_empty() && directory.len() < at.len()
                );
                assert!(directory.is_empty() || compare_paths(directory, path).is_lt());
                at = directory;
            }
        }
    }
    let mut sorted = texts;
    sorted.sort_by(|a, b| compare_paths(a, b));
    assert!(sorted.is_sorted_by(|a, b| compare_paths(a, b).is_le()));
    assert!(compare_paths(sorted[0], sorted[2]).is_le());
    let patterns = Selection::patterns([texts[0], texts[1]]);
    let all = patterns.unmatched().len();
    let selects = patterns.selects(texts[2]);
    assert_eq!(selects, patterns.unmatched().len() < all, "what selects has matched");
    assert!(Selection::all().selects(texts[2]));
}

/// Paths and patterns.
pub fn paths_seeds() -> Vec<Vec<u8>> {
    let of =
        |texts: [&[u8]; 3]| texts.map(|text| [&[text.len() as u8][..], text].concat()).concat();
    let mut seeds = choices();
    seeds.push(of([b"a/*", b"[a-z]/**/x", b"a/b/x"]));
    seeds.push(of([b"{a,b}?", b"./d/", b"d/e"]));
    seeds
}

/// What is written is read both ways, whatever its order.
pub fn round_trip(data: &[u8]) {
    let mut input = Input::new(data);
    let options =
        PackOptions::default().threads(1).budget(input.pick(&[64 << 20, 64 << 20, 64 << 20, 5000]));
    let mut writer = PackWriter::with_options(PlainPipe::new(Vec::new()), PACK, options)
        .expect("a Vec takes all");
    let mut tree = Tree::new();
    let mut open = Vec::new();
    let mut originals: Vec<(_, Vec<u8>)> = Vec::new();
    for n in 0..input.below(14) {
        let directory = input.pick(&["", "d/", "d/e/", "x y/"]);
        let mut path = format!("{directory}f{n}").into_bytes();
        if input.one_in(8) {
            path.extend_from_slice(b"\xff\n");
        }
        let metadata = metadata(&mut input);
        let body = content(&mut input);
        let kept = metadata.clone();
        let (kind, body) = match input.below(7) {
            0 => {
                writer.add_directory(&path, kept).map(drop).expect("a Vec takes all");
                (EntryKind::Directory, Vec::new())
            }
            1 => {
                let target = [b"to ", &body[..body.len().min(9)]].concat();
                let target: Vec<u8> = target.into_iter().filter(|byte| *byte != 0).collect();
                writer.add_symlink(&path, &target, kept).map(drop).expect("a Vec takes all");
                (EntryKind::Symlink, target)
            }
            2 if !originals.is_empty() => {
                let (id, original) = originals[input.below(originals.len())].clone();
                writer.add_hard_link(&path, id, &original, kept).expect("a Vec takes all");
                (EntryKind::HardLink, original)
            }
            3 => {
                let id = writer.start_entry(&path, kept).expect("a Vec takes all");
                open.push((id, body.clone(), 0));
                (EntryKind::File, body)
            }
            _ => {
                let id = writer.add_file(&path, kept, Cursor::new(&body)).expect("memory");
                if input.flag() {
                    writer.expect_hard_links(id);
                    originals.push((id, path.clone()));
                }
                (EntryKind::File, body)
            }
        };
        tree.insert(path, Item { kind, metadata, body });
        if !open.is_empty() {
            let turn = input.below(open.len());
            let (id, body, at) = &mut open[turn];
            let len = input.below(body.len() - *at + 1);
            writer.append(*id, &body[*at..*at + len]).expect("a Vec takes all");
            *at += len;
        }
    }
    for (id, body, at) in open {
        writer.append(id, &body[at..]).expect("a Vec takes all");
        writer.end_entry(id).expect("a Vec takes all");
    }
    let (pipe, _) = writer.finish().expect("a Vec takes all");
    let tail = pipe.mark().expect("a finished pack has a tail");
    let bytes = pipe.into_inner();
    let streamed = forward(&bytes[..], PACK);
    assert!(streamed.is_whole(), "{:?}", streamed.failure);
    assert_eq!(streamed.tree, tree);
    let reader = PackReader::open(&bytes, PACK, tail).expect("just written");
    let (read, failure) = at_random(&reader);
    assert!(failure.is_none(), "{failure:?}");
    assert_eq!(read, tree);
    let report = reader.verify(&mut |_| {}, &mut |finding| panic!("{finding:?}"));
    report.expect("just written");
    exercise(&reader);
}

fn metadata(input: &mut Input<'_>) -> Metadata {
    let mut metadata = Metadata::default();
    if input.flag() {
        metadata.mode = Some(u32::from(input.u16()) & 0o7777);
        let seconds = input.number() as i64;
        metadata.mtime = Some(Timestamp { seconds, nanos: u32::from(input.u16()) });
    }
    if input.one_in(4) {
        (metadata.uid, metadata.user) = (Some(input.number() as u32), Some(input.text(5).to_vec()));
        metadata.xattrs = vec![(b"user.a".to_vec(), input.text(9).to_vec())];
    }
    metadata
}

fn content(input: &mut Input<'_>) -> Vec<u8> {
    let len = input.pick(&[0, 1, 10, 100, 3000]);
    noise(u64::from(input.byte() % 4), len)
}

/// Sorting in runs that spill gives what sorting in memory gives.
pub fn sorter(data: &[u8]) {
    #[cfg(fuzzing)]
    carstone::pack::fuzzing::sorter(data);
    let _ = data;
}

/// A map of blocks that spills is one that does not.
pub fn block_map(data: &[u8]) {
    #[cfg(fuzzing)]
    carstone::pack::fuzzing::block_map(data);
    let _ = data;
}

/// The sections of a CAR: CID and bytes.
fn sections(bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    let reader = CarReader::open(bytes).expect("a sound CAR");
    reader.into_iter().map_while(Result::ok).map(|block| (block.cid, block.data)).collect()
}

/// Sections behind a header without roots.
fn car(sections: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("a Vec takes all");
    for (cid, data) in sections {
        writer.danger_write_unverified(cid, data).expect("a Vec takes all");
    }
    writer.finish().expect("a Vec takes all")
}

/// A pack with entries of all kinds, and where its tail stands.
fn sample() -> (&'static [u8], u64) {
    static SAMPLE: OnceLock<(Vec<u8>, u64)> = OnceLock::new();
    let (bytes, tail) = SAMPLE.get_or_init(|| {
        let pipe = PlainPipe::new(Vec::new());
        let options = PackOptions::default().threads(1);
        let mut writer = PackWriter::with_options(pipe, PACK, options).expect("memory");
        fill(&mut writer).expect("a Vec takes all");
        let (pipe, _) = writer.finish().expect("a Vec takes all");
        let tail = pipe.mark().expect("a finished pack has a tail");
        (pipe.into_inner(), tail)
    });
    (bytes, *tail)
}

/// Entries of all kinds.
pub(crate) fn fill<W: carstone::layer::LayerWrite>(
    writer: &mut PackWriter<W>,
) -> std::io::Result<()> {
    let metadata = || Metadata::new(0o640, Timestamp { seconds: 1_700_000_000, nanos: 7 });
    writer.add_directory(b"d", metadata())?;
    let first = writer.add_file(b"d/a", metadata(), &b"first"[..])?;
    writer.expect_hard_links(first);
    writer.add_hard_link(b"d/b", first, b"d/a", metadata())?;
    writer.add_symlink(b"d/link", b"a", metadata())?;
    writer.add_file(b"d/odd \xff", metadata(), &b"first"[..])?;
    writer.add_file(b"nothing", metadata(), &b""[..])?;
    writer.add_file(b"text", metadata(), &b"bed upon bed, ".repeat(50)[..])?;
    writer.add_file(b"noise", metadata(), &noise(9, 700)[..]).map(drop)
}

/// What [`fill`] writes.
pub(crate) fn filled() -> Tree {
    static TREE: OnceLock<Tree> = OnceLock::new();
    let read = || {
        let (bytes, tail) = sample();
        let reader = PackReader::open(bytes, PACK, tail).expect("just written");
        let (tree, failure) = at_random(&reader);
        assert!(failure.is_none() && tree.len() == 8, "just written");
        tree
    };
    TREE.get_or_init(read).clone()
}
