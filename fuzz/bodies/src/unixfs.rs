//! UnixFS: single nodes, and DAGs that no sane program writes.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};

use carstone::car::{cid_of, hash_code};
use carstone::unixfs::{
    Cid, CidVersion, DirectoryBuilder, EntryKind, FileReader, Leaves, Limits, Link, Links, Node,
    Profile, ShardThreshold, State, Step, check_name, decode, directory_links, leaf_cid, resolve,
    symlink, walk, write_file,
};

use crate::chunks;
use crate::input::{Input, choices, noise};
use crate::laws;

type Blocks = HashMap<Cid, Vec<u8>>;

const DAG_PB: u64 = 0x70;

/// Any bytes as a node: what it says agrees with itself.
pub fn node(data: &[u8]) {
    match decode(&cid_of(DAG_PB, data), data) {
        Ok(Node::File(file)) => {
            let sizes = file.blocksizes.iter().fold(file.data.len() as u64, |sum, size| sum + size);
            assert_eq!(sizes, file.size);
            assert_eq!(file.links.len(), file.blocksizes.len());
            assert_eq!(&data[file.data_offset..][..file.data.len()], file.data);
            count(file.links);
        }
        Ok(Node::Directory { links, .. }) => count(links),
        Ok(Node::Shard(shard)) => {
            assert!((8..=1024).contains(&shard.fanout));
            for link in shard.links.clone() {
                assert!(link.name.len() >= shard.width);
            }
            count(shard.links);
        }
        _ => {}
    }
}

fn count(links: Links<'_>) {
    assert_eq!(links.len(), links.count());
}

/// Nodes of all types.
pub fn node_seeds() -> Vec<Vec<u8>> {
    let mut seeds = choices();
    for seed in 0..12 {
        seeds.extend(hostile(&mut Input::new(&noise(seed, 300))).1.into_values());
    }
    let profile = Profile::unixfs_v1_2025().with_chunk_size(4).expect("allowed");
    let profile = profile.with_width(3).expect("allowed");
    let sharded = profile
        .clone()
        .with_shard_threshold(ShardThreshold::NodeBytes(10))
        .with_fanout(8)
        .expect("allowed");
    let mut keep = |_: &Cid, data: &[u8]| {
        seeds.push(data.to_vec());
        Ok(())
    };
    let file = write_file(&profile, &b"sandstone, layered"[..], &mut keep).expect("memory");
    for profile in [profile, sharded] {
        let mut directory = DirectoryBuilder::new(&profile);
        for name in ["a", "b", "c", "d"] {
            directory.add(name, file.into()).expect("a new name");
        }
        directory.finish(&mut keep).expect("memory");
    }
    seeds
}

/// Directories of any shape: a walk ends, visits nothing twice under one good name, and agrees with looking names up.
pub fn directories(data: &[u8]) {
    let mut input = Input::new(data);
    let (root, blocks) = hostile(&mut input);
    let limits = limits(&mut input);
    let mut seen = HashSet::new();
    let mut children = Vec::new();
    let mut visited = 0_u64;
    let walked = walk(&blocks, &root, &limits, &mut |entry| {
        visited += 1;
        if visited > 1 && matches!(entry.state, State::Present) {
            assert!(entry.path.split(|byte| *byte == b'/').all(|name| check_name(name).is_ok()));
            assert!(seen.insert(entry.path.clone()), "two good entries under one name");
            if !entry.path.contains(&b'/') {
                children.push((entry.path.clone(), entry.cid));
            }
        }
        match input.one_in(16) {
            true => Ok(Step::Over),
            false => Ok(Step::Into),
        }
    });
    assert!(visited <= limits.nodes.saturating_add(1), "more nodes than the limit");
    if walked.is_ok() {
        for (name, cid) in &children {
            if let Ok(found) = resolve(&blocks, &root, name) {
                assert_eq!(found.map(|entry| entry.cid), Some(*cid), "a name leads elsewhere");
            }
        }
    }
    for path in [&b"a/b/a"[..], b"", b"a", b"/", b"..", input.text(9)] {
        let _ = resolve(&blocks, &root, path);
    }
    if let Ok(links) = directory_links(&blocks, &root, &limits) {
        assert!(links.len() as u64 <= limits.nodes);
    }
}

/// Files of any shape: what can be read is the same from every place, and as long as it is said to be.
pub fn files(data: &[u8]) {
    let mut input = Input::new(data);
    let (root, blocks) = hostile(&mut input);
    let limits = limits(&mut input);
    let Ok(mut reader) = FileReader::with_limits(&blocks, &root, limits.clone()) else { return };
    let len = reader.len();
    let mut whole = Vec::new();
    // A few links to one block make more bytes than anybody can read.
    let most = 1 << 16;
    let read = reader.by_ref().take(most).read_to_end(&mut whole);
    if read.is_ok() {
        assert_eq!(whole.len() as u64, len.min(most), "its length is not what it says");
    }
    for _ in 0..input.below(6) {
        let at = input.below(whole.len() + 1) as u64;
        let mut piece = Vec::new();
        assert_eq!(reader.seek(SeekFrom::Start(at)).expect("any place is allowed"), at);
        if reader.by_ref().take(50).read_to_end(&mut piece).is_ok() {
            let rest = &whole[at as usize..];
            let known = rest.len().min(piece.len());
            assert!(rest[..known] == piece[..known], "other bytes at {at}");
        }
    }
    let _ = reader.seek(SeekFrom::End(-3)).map(|_| reader.read(&mut [0; 9]));
}

/// What builders write is what readers read, whatever the profile.
pub fn build(data: &[u8]) {
    let mut input = Input::new(data);
    let profile = profile(&mut input);
    let mut blocks = Blocks::new();
    let mut sink = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let content = noise(u64::from(input.byte()), input.pick(&[200, 3000]));
    let content = &content[..input.below(content.len())];
    let file = write_file(&profile, content, &mut sink).expect("memory");
    assert_eq!(file.size, content.len() as u64);
    let target = input.text(20);
    let link = symlink(&profile, target, &mut sink).expect("memory");
    let mut directory = DirectoryBuilder::new(&profile);
    let mut names = HashMap::new();
    for n in 0..input.below(20) {
        let name = match input.one_in(4) {
            true => String::from_utf8_lossy(input.text(12)).into_owned(),
            false => format!("n{n}"),
        };
        let to: Link = if input.flag() { file.into() } else { link };
        match directory.add(&name, to) {
            Ok(()) => assert!(names.insert(name.into_bytes(), to.cid).is_none()),
            Err(_) => {
                assert!(names.contains_key(name.as_bytes()) || check_name(name.as_bytes()).is_err())
            }
        }
    }
    let root = directory.finish(&mut sink).expect("memory");
    let mut found = HashMap::new();
    walk(&blocks, &root.cid, &Limits::default(), &mut |entry| {
        assert!(matches!(entry.state, State::Present), "{:?}", entry.state);
        if let EntryKind::Symlink { .. } = &entry.kind {
            assert_eq!(entry.cid, link.cid);
        }
        if !entry.path.is_empty() {
            found.insert(entry.path.clone(), entry.cid);
        }
        Ok(Step::Into)
    })
    .expect("it was just built");
    assert_eq!(found, names);
    for (cid, data) in &blocks {
        match cid.codec() {
            DAG_PB => assert_eq!(*cid, profile.node_cid(data)),
            _ => {
                assert_eq!((*cid, profile.leaves()), (profile.leaf(data.clone()).cid, Leaves::Raw))
            }
        }
    }
    let listed = directory_links(&blocks, &root.cid, &Limits::default()).expect("just built");
    assert_eq!(listed.len(), names.len());
    for (name, cid) in &names {
        let entry = resolve(&blocks, &root.cid, name).expect("just built").expect("its name");
        assert_eq!(entry.cid, *cid);
    }
    let reader = FileReader::open(&blocks, &file.cid).expect("just built");
    laws::seeks(reader, content, true, &mut input);
    let reader = FileReader::open(&blocks, &file.cid).expect("just built");
    assert!(laws::strict(reader, content, &mut input));
}

/// Settings that make small DAGs many levels deep.
pub(crate) fn profile(input: &mut Input<'_>) -> Profile {
    let profile = match input.flag() {
        true => Profile::unixfs_v0_2015(),
        false => Profile::unixfs_v1_2025(),
    };
    let name = profile.name().expect("a published profile");
    assert_eq!(Profile::by_name(name).expect("its own name"), profile);
    let bound = input.pick(&[0, 3, 60, 1 << 18]);
    let thresholds: [fn(usize) -> ShardThreshold; 3] =
        [ShardThreshold::NodeBytes, ShardThreshold::LinkBytes, ShardThreshold::Entries];
    let mut profile = profile
        .with_chunker(chunks::spec(input))
        .with_width(2 + input.below(5))
        .and_then(|profile| profile.with_fanout(input.pick(&[8, 16, 256, 1024])))
        .expect("allowed")
        .with_shard_threshold(input.pick(&thresholds)(bound));
    if input.one_in(3) {
        profile = profile.with_leaves(input.pick(&[Leaves::Raw, Leaves::DagPb]));
    }
    if input.one_in(3) {
        profile = profile.with_cid_version(input.pick(&[CidVersion::V0, CidVersion::V1]));
    }
    if input.one_in(3) {
        let code = input.pick(&[hash_code::SHA2_512, hash_code::BLAKE3, hash_code::BLAKE2B_160]);
        profile = profile.with_hash(code).expect("known");
    }
    profile
}

fn limits(input: &mut Input<'_>) -> Limits {
    let limits = Limits::default().with_nodes(input.pick(&[0, 5, 500, 2000]));
    let limits = limits.with_depth(input.pick(&[0, 1, 3, 1024]));
    limits.with_memory(input.pick(&[0, 100, 64 << 20])).with_path(input.pick(&[0, 3, 1000]))
}

/// Nodes that link to earlier ones by whatever name and size, and the last of them. Nothing is hashed: readers believe their source, so
/// even circles can be made.
pub(crate) fn hostile(input: &mut Input<'_>) -> (Cid, Blocks) {
    let mut blocks = Blocks::new();
    // Under this CID stands the last node, so that earlier ones can link to it.
    let circle = cid_of(DAG_PB, b"circle");
    let mut cids = vec![(leaf_cid(b"leaf"), 4), (circle, 0), (cid_of(DAG_PB, b"missing"), 1)];
    blocks.insert(leaf_cid(b"leaf"), b"leaf".to_vec());
    let mut last = cids[0].0;
    for n in 0..1 + input.below(10) {
        let (block, size) = hostile_node(&cids, input);
        last = cid_of(if input.one_in(12) { 0x55 } else { DAG_PB }, &[n as u8]);
        blocks.insert(last, block);
        cids.push((last, size));
    }
    if let Some(block) = blocks.get(&last).cloned() {
        blocks.insert(circle, block);
    }
    (last, blocks)
}

fn hostile_node(cids: &[(Cid, u64)], input: &mut Input<'_>) -> (Vec<u8>, u64) {
    let (mut block, mut unixfs) = (Vec::new(), Vec::new());
    let kind = input.pick(&[1, 1, 2, 2, 5, 5, 0, 4, 3]);
    let fanout = input.pick(&[8, 16, 256, 1024, 7]);
    let width = if fanout > 256 {
        3
    } else if fanout > 16 {
        2
    } else {
        1
    };
    number(&mut unixfs, 1, kind);
    let inline = if input.one_in(3) { input.text(20) } else { &[] };
    if !inline.is_empty() {
        field(&mut unixfs, 2, inline);
    }
    let (mut sizes, mut size, mut slots) = (Vec::new(), inline.len() as u64, Vec::new());
    let count = input.below(7);
    let mut slot = 0;
    for _ in 0..count {
        let (cid, below) = input.pick(cids);
        let names = [&b"a"[..], b"b", b"", b"..", b"a/b", b"\xff", b"name"];
        let mut name = if input.one_in(6) { input.text(9) } else { input.pick(&names) }.to_vec();
        if kind == 5 {
            slot += 1 + input.below(3);
            slots.push(slot);
            name.splice(0..0, format!("{slot:0width$X}").into_bytes());
        }
        let mut link = Vec::new();
        field(&mut link, 1, &cid.to_bytes());
        if kind != 2 || input.one_in(8) {
            field(&mut link, 2, &name);
        }
        field(&mut block, 2, &link);
        let below = if input.one_in(8) { input.number() } else { below };
        size = size.wrapping_add(below);
        sizes.push(below);
    }
    if kind == 2 || input.one_in(16) {
        if input.one_in(8) {
            size = input.number();
        }
        number(&mut unixfs, 3, size);
        sizes.iter().for_each(|below| number(&mut unixfs, 4, *below));
    }
    if kind == 5 {
        if inline.is_empty() {
            field(&mut unixfs, 2, &bitmap(&slots, fanout));
        }
        number(&mut unixfs, 5, 0x22);
        number(&mut unixfs, 6, fanout as u64);
    }
    field(&mut block, 1, &unixfs);
    if input.one_in(10) {
        let at = input.below(block.len());
        block[at] = input.byte();
    }
    (block, size)
}

/// The bits of the slots that are used, most significant byte first, without zeros in front.
fn bitmap(slots: &[usize], fanout: usize) -> Vec<u8> {
    let mut bits = vec![0; fanout.div_ceil(8)];
    for slot in slots.iter().filter(|slot| **slot < fanout) {
        let last = bits.len() - 1;
        bits[last - slot / 8] |= 1 << (slot % 8);
    }
    let zeros = bits.iter().take_while(|byte| **byte == 0).count();
    bits.split_off(zeros)
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint(out, value);
}

fn field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
