//! DAGs made to hurt their reader: nothing panics, nothing runs away, nothing bad is passed off as good.

use std::cell::Cell;
use std::collections::HashMap;
use std::error::Error as _;
use std::io::{self, Read};
use std::time::Instant;

use carstone_unixfs::{
    BlockSource, Cid, DirectoryBuilder, EntryKind, Error, ErrorKind, FileReader, Limits, Link,
    Node, Profile, ShardThreshold, State, Step, decode, directory_links, leaf_cid, resolve,
    symlink, walk, write_file,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

/// A dag-pb block with these links (name, CID) and this UnixFS data, stored under its CID.
fn node(blocks: &mut Blocks, links: &[(&[u8], Cid)], unixfs: &[u8]) -> Cid {
    let mut block = Vec::new();
    for (name, cid) in links {
        let mut link = Vec::new();
        put(&mut link, 1, &cid.to_bytes());
        put(&mut link, 2, name);
        put(&mut block, 2, &link);
    }
    put(&mut block, 1, unixfs);
    let cid = Cid::new_v1(0x70, *leaf_cid(&block).hash());
    blocks.insert(cid, block);
    cid
}

fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    let mut len = bytes.len();
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(bytes);
}

const DIRECTORY: &[u8] = b"\x08\x01";

fn leaf(blocks: &mut Blocks, data: &[u8]) -> Cid {
    blocks.insert(leaf_cid(data), data.to_vec());
    leaf_cid(data)
}

fn states(blocks: &Blocks, root: &Cid) -> Vec<(String, String)> {
    let mut states = Vec::new();
    walk(blocks, root, &Limits::default(), &mut |entry| {
        states.push((
            String::from_utf8_lossy(&entry.path).into_owned(),
            format!("{:?}", entry.state),
        ));
        Ok(Step::Into)
    })
    .expect("nothing fails");
    states.remove(0); // The root itself.
    states
}

#[test]
fn bad_names_are_reported_and_never_entered() {
    let mut blocks = Blocks::new();
    let file = leaf(&mut blocks, b"x");
    let inner = node(&mut blocks, &[(b"passwd", file)], DIRECTORY);
    let links = [
        (&b""[..], file),
        (b"..", inner),
        (b"/etc", inner),
        (b"a\0b", file),
        (b"ok", file),
        (b"\xff", file),
    ];
    let root = node(&mut blocks, &links, DIRECTORY);
    let states = states(&blocks, &root);
    let states =
        states.iter().map(|(path, state)| (path.as_str(), state.as_str())).collect::<Vec<_>>();
    assert_eq!(
        states,
        [
            ("", "BadName(Empty)"),
            ("..", "BadName(Dots)"),
            ("/etc", "BadName(Slash)"),
            ("a\0b", "BadName(Nul)"),
            ("ok", "Present"),
            ("\u{fffd}", "Present"),
        ]
    );
}

#[test]
fn of_equal_names_the_first_counts() {
    let mut blocks = Blocks::new();
    let (one, two) = (leaf(&mut blocks, b"one"), leaf(&mut blocks, b"two"));
    let root = node(&mut blocks, &[(b"a", one), (b"b", one), (b"a", two), (b"a", two)], DIRECTORY);
    let states = states(&blocks, &root)
        .into_iter()
        .map(|(path, state)| path + " " + &state)
        .collect::<Vec<_>>();
    assert_eq!(states, ["a Present", "b Present", "a Duplicate", "a Duplicate"]);
    let found = resolve(&blocks, &root, b"a").expect("nothing is missing").expect("it is there");
    assert_eq!(found.cid, one);
}

#[test]
fn an_entry_in_a_slot_of_another_hash_is_reported_as_misplaced() {
    let mut blocks = Blocks::new();
    let file = leaf(&mut blocks, b"x");
    // Fanout 8, all slots taken by the same name: one of them is right.
    let names = (0..8).map(|slot| format!("{slot}name")).collect::<Vec<_>>();
    let links = names.iter().map(|name| (name.as_bytes(), file)).collect::<Vec<_>>();
    let root = node(&mut blocks, &links, b"\x08\x05\x12\x01\xff\x28\x22\x30\x08");
    let states = states(&blocks, &root);
    assert_eq!(states.len(), 8);
    assert_eq!(
        states.iter().filter(|(path, state)| path == "name" && state == "Present").count(),
        1
    );
    assert_eq!(
        states.iter().filter(|(path, state)| path == "name" && state == "Misplaced").count(),
        7
    );
}

#[track_caller]
fn check_shard(links: &[&[u8]], unixfs: &[u8], rule: &str) {
    let mut blocks = Blocks::new();
    let file = leaf(&mut blocks, b"x");
    let links = links.iter().map(|name| (*name, file)).collect::<Vec<_>>();
    let root = node(&mut blocks, &links, unixfs);
    let error = decode(&root, &blocks[&root]).expect_err("the shard breaks a rule");
    assert!(error.to_string().contains(rule), "{error}");
    assert_eq!(error.cid(), Some(&root));
}

#[test]
fn ghsa_q264_w97q_q778_shards_that_lie_about_their_slots_are_refused() {
    check_shard(&[b"0a"], b"\x08\x05\x12\x01\x01\x28\x22\x30\x07", "fanout 7 is not allowed");
    check_shard(
        &[b"0a"],
        b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x10",
        "fanout 2048 is not allowed",
    );
    check_shard(
        &[b"0a"],
        b"\x08\x05\x12\x01\x01\x28\x22\x30\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        "is not allowed",
    );
    check_shard(&[b"0a"], b"\x08\x05\x12\x01\x01\x28\x22", "fanout 0 is not allowed");
    check_shard(&[b"0a"], b"\x08\x05\x12\x01\x01\x30\x08", "another hash");
    check_shard(&[b"0a"], b"\x08\x05\x12\x01\x01\x28\x12\x30\x08", "another hash");
    check_shard(&[b"0a"], b"\x08\x05\x12\x02\x00\x01\x28\x22\x30\x08", "more bits than slots");
    check_shard(&[b"0a"], b"\x08\x05\x12\x01\x03\x28\x22\x30\x08", "as many bits as links");
    check_shard(&[], b"\x08\x05\x12\x01\x01\x28\x22\x30\x08", "as many bits as links");
    check_shard(&[b"1a"], b"\x08\x05\x12\x01\x01\x28\x22\x30\x08", "not its own");
    check_shard(&[b"0a", b"0b"], b"\x08\x05\x12\x01\x03\x28\x22\x30\x08", "not its own");
    check_shard(&[b"8a"], b"\x08\x05\x12\x01\x01\x28\x22\x30\x08", "begin with its slot");
    check_shard(&[b""], b"\x08\x05\x12\x01\x01\x28\x22\x30\x08", "begin with its slot");
}

#[track_caller]
fn check_limit(result: Result<(), Error>, field: &str) {
    let error = result.expect_err("a budget is used up");
    assert!(matches!(error.kind(), ErrorKind::Limit(found) if *found == field), "{error}");
}

/// `depth` directories, each holding the next `width` times: width to the power of depth paths.
fn bomb(blocks: &mut Blocks, depth: usize, width: usize) -> Cid {
    let mut cid = leaf(blocks, b"bang");
    let names = (0..width).map(|i| format!("{i:04}")).collect::<Vec<_>>();
    for _ in 0..depth {
        let links = names.iter().map(|name| (name.as_bytes(), cid)).collect::<Vec<_>>();
        cid = node(blocks, &links, DIRECTORY);
    }
    cid
}

fn visit_all(blocks: &Blocks, root: &Cid, limits: &Limits) -> (u64, Result<(), Error>) {
    let mut visited = 0;
    let result = walk(blocks, root, limits, &mut |_| {
        visited += 1;
        Ok(Step::Into)
    });
    (visited, result)
}

#[test]
fn a_dag_with_more_paths_than_can_be_walked_is_stopped_by_the_budget() {
    let mut blocks = Blocks::new();
    let root = bomb(&mut blocks, 40, 10);
    let (visited, result) = visit_all(&blocks, &root, &Limits::default().with_nodes(5000));
    check_limit(result, "nodes");
    assert_eq!(visited, 5000);
}

#[test]
fn depth_memory_and_paths_are_bounded() {
    let mut blocks = Blocks::new();
    let root = bomb(&mut blocks, 1024, 1);
    let (visited, result) = visit_all(&blocks, &root, &Limits::default());
    result.expect("1024 directories are within the limit");
    assert_eq!(visited, 1025);
    let root = bomb(&mut blocks, 1025, 1);
    check_limit(visit_all(&blocks, &root, &Limits::default()).1, "depth");
    check_limit(visit_all(&blocks, &root, &Limits::default().with_memory(10_000)).1, "memory");
    let (visited, result) = visit_all(&blocks, &root, &Limits::default().with_path(50));
    result.expect("a path that is too long is not entered");
    assert_eq!(
        visited,
        1 + 10 + 1,
        "the tenth path has 49 bytes, and the entry after it is reported"
    );
}

#[test]
fn shards_that_repeat_without_end_are_stopped() {
    let mut blocks = Blocks::new();
    let full = b"\x08\x05\x12\x01\xff\x28\x22\x30\x08";
    let mut cid = leaf(&mut blocks, b"x");
    let slots = (0..8).map(|slot| slot.to_string()).collect::<Vec<_>>();
    for _ in 0..30 {
        let links = slots.iter().map(|slot| (slot.as_bytes(), cid)).collect::<Vec<_>>();
        cid = node(&mut blocks, &links, full);
    }
    let limits = Limits::default().with_nodes(5000);
    check_limit(visit_all(&blocks, &cid, &limits).1, "nodes");
    // 64 bits of hash are used up after 21 levels, so that a list fails sooner than the budget.
    let error = directory_links(&blocks, &cid, &limits).expect_err("the shards lie too deep");
    assert!(matches!(error.kind(), ErrorKind::Malformed(_)), "{error}");
    let error = resolve(&blocks, &cid, b"name").expect_err("the shards lie too deep");
    assert!(matches!(error.kind(), ErrorKind::Malformed(_)), "{error}");
}

#[test]
fn a_shard_wider_than_the_limit_is_damaged() {
    let mut blocks = Blocks::new();
    let root = node(&mut blocks, &[], b"\x08\x05\x28\x22\x30\x80\x02");
    let limits = Limits::default().with_fanout(128);
    let error = directory_links(&blocks, &root, &limits).expect_err("256 slots");
    assert!(matches!(error.kind(), ErrorKind::BadFanout(256)));
    assert!(
        directory_links(&blocks, &root, &Limits::default())
            .expect("256 slots are allowed")
            .is_empty()
    );
}

/// A file whose nodes list the same child again and again costs no more reads than it has content.
#[test]
fn children_without_content_are_not_visited() {
    struct Counting(Blocks, Cell<u64>);
    impl BlockSource for Counting {
        fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
            self.1.set(self.1.get() + 1);
            self.0.block(cid)
        }
    }
    let mut blocks = Blocks::new();
    let mut cid = leaf(&mut blocks, b"");
    for _ in 0..30 {
        let data = [&b"\x08\x02\x18\x00"[..], &[0x20, 0].repeat(100)].concat();
        cid = node(&mut blocks, &vec![(&b""[..], cid); 100], &data);
    }
    let one = leaf(&mut blocks, b"1");
    let root = node(&mut blocks, &[(b"", cid), (b"", one)], b"\x08\x02\x18\x01\x20\x00\x20\x01");
    let source = Counting(blocks, Cell::new(0));
    let mut text = String::new();
    let mut reader = FileReader::open(&source, &root).expect("the root is well formed");
    reader.read_to_string(&mut text).expect("every block is there");
    assert_eq!((text.as_str(), source.1.get()), ("1", 2));
}

#[test]
fn files_whose_sizes_do_not_add_up_are_refused() {
    let mut blocks = Blocks::new();
    let one = leaf(&mut blocks, b"1");
    for (unixfs, rule) in [
        (&b"\x08\x02\x18\x02\x20\x01"[..], "not the sum"),
        (b"\x08\x02\x18\x01", "as many block sizes"),
        (b"\x08\x02\x18\x01\x20\x01\x20\x00", "more block sizes"),
        (b"\x08\x02\x22\x02\x01\x00", "more block sizes"),
        (b"\x08\x02\x12\x01a\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than 64 bits"),
        (b"\x08\x02\x08\x02\x20\x01", "repeated"),
        (b"\x18\x01\x20\x01", "no type"),
        (b"\x0a\x00\x20\x01", "wrong type"),
        (b"\x08\x02\x20\x01\x38\xff\xff\xff\xff\x1f", "32 bits"),
        (b"\x08\x02\x20\x01\x42\x00", "no seconds"),
        (b"\x08\x02\x20\x01\x42\x07\x08\x00\x15\xff\xff\xff\xff", "not well formed"),
    ] {
        let root = node(&mut blocks, &[(b"", one)], unixfs);
        let error = FileReader::open(&blocks, &root).expect_err("the node breaks a rule");
        assert!(error.to_string().contains(rule), "{error}, not {rule}");
    }
}

#[test]
fn what_other_programs_write_is_read() {
    let mut blocks = Blocks::new();
    let (a, b) = (leaf(&mut blocks, b"arch"), leaf(&mut blocks, b"stone"));
    for unixfs in [
        &b"\x08\x02\x18\x0c\x20\x04\x20\x05\x12\x03own"[..], // data behind the sizes
        b"\x08\x02\x12\x03own\x22\x02\x04\x05",              // packed sizes, no file size
        b"\x08\x02\x12\x03own\x20\x04\x20\x05\x78\x01",      // a field of the future
        b"\x08\x00\x12\x03own\x18\x0c\x20\x04\x20\x05",      // type raw
    ] {
        let root = node(&mut blocks, &[(b"", a), (b"", b)], unixfs);
        let mut text = String::new();
        let mut reader = FileReader::open(&blocks, &root).expect("the node is fine");
        reader.read_to_string(&mut text).expect("every block is there");
        assert_eq!(text, "ownarchstone");
    }
    let time = [
        &b"\x08\x02\x12\x01x\x38\xa4\x03\x42\x10\x08"[..],
        &[0xfb],
        &[0xff; 8],
        b"\x01\x15\x07\0\0\0",
    ]
    .concat();
    let root = node(&mut blocks, &[], &time);
    match decode(&root, &blocks[&root]) {
        Ok(Node::File(file)) => {
            assert_eq!((file.metadata.mode, file.metadata.mtime), (Some(0o644), Some((-5, 7))));
        }
        other => panic!("{other:?}"),
    }
}

/// Blocks of each kind, to be mutated.
fn samples() -> Vec<Vec<u8>> {
    let mut blocks = Blocks::new();
    let mut sink = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let profile = Profile::unixfs_v1_2025().with_shard_threshold(ShardThreshold::NodeBytes(200));
    let profile = profile.with_chunk_size(3).expect("in range").with_width(4).expect("in range");
    write_file(&profile, &b"a file of some leaves"[..], &mut sink).expect("neither side fails");
    symlink(&profile, b"target", &mut sink).expect("the sink never fails");
    for n in [2, 12] {
        let mut directory = DirectoryBuilder::new(&profile);
        for i in 0..n {
            let name = format!("n{i}");
            directory
                .add(&name, Link { cid: leaf_cid(name.as_bytes()), tsize: 2 })
                .expect("a good name");
        }
        directory.finish(&mut sink).expect("the sink never fails");
    }
    let mut samples = blocks
        .into_iter()
        .filter(|(cid, _)| cid.codec() == 0x70)
        .map(|(_, b)| b)
        .collect::<Vec<_>>();
    samples.sort();
    assert!(samples.len() >= 5, "inner nodes, a symlink, a directory, a shard");
    samples
}

/// Everything that can be asked of a block, under a CID that claims it.
fn exercise(block: Vec<u8>) {
    let cid = Cid::new_v1(0x70, *leaf_cid(&block).hash());
    if let Ok(Node::File(file)) = decode(&cid, &block) {
        assert_eq!(file.blocksizes.len(), file.links.count());
    }
    let blocks = Blocks::from([(cid, block)]);
    let limits = Limits::default().with_nodes(1000);
    let _ = visit_all(&blocks, &cid, &limits);
    let _ = directory_links(&blocks, &cid, &limits);
    let _ = resolve(&blocks, &cid, b"n1");
    if let Ok(mut reader) = FileReader::open(&blocks, &cid) {
        let _ = reader.read(&mut [0; 64]);
    }
}

#[test]
fn no_single_byte_change_or_cut_makes_anything_panic() {
    let began = Instant::now();
    for sample in samples() {
        for at in 0..sample.len() {
            exercise(sample[..at].to_vec());
            for flip in [0x01, 0x02, 0x08, 0x7f, 0x80, 0xff] {
                let mut block = sample.clone();
                block[at] ^= flip;
                exercise(block);
            }
        }
    }
    assert!(began.elapsed().as_secs() < 60, "no mutation may cost more than its size");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_anything_panic(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..12),
        noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        exercise(noise);
        let mut block = which.get(&samples()).clone();
        for (at, byte, how) in edits {
            let at = at.index(block.len() + 1);
            match how {
                0 => block.insert(at, byte),
                1 if at < block.len() => drop(block.remove(at)),
                _ => block.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            }
        }
        exercise(block);
    }
}

/// A store whose blocks are compared with their CIDs when they are asked for.
struct Checked(Blocks);

impl BlockSource for Checked {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        let Some(data) = self.0.get(cid) else { return Ok(None) };
        carstone_car::verify(cid, data).map_err(|error| error.with_offset(77))?;
        Ok(Some(data.clone()))
    }
}

#[test]
fn damaged_blocks_are_told_apart_from_missing_ones_and_stop_nothing() {
    let mut blocks = Blocks::new();
    let (hurt, gone, good) =
        (leaf(&mut blocks, b"hurt"), leaf_cid(b"gone"), leaf(&mut blocks, b"good"));
    let directory = node(&mut blocks, &[(b"inner", good)], DIRECTORY);
    let links = [(&b"a"[..], hurt), (b"b", gone), (b"c", directory), (b"d", good)];
    let root = node(&mut blocks, &links, DIRECTORY);
    for cid in [&hurt, &directory] {
        blocks.get_mut(cid).expect("it was put there")[1] ^= 1;
    }
    let (source, mut seen) = (Checked(blocks), Vec::new());
    walk(&source, &root, &Limits::default(), &mut |entry| {
        let state = match entry.state {
            State::Damaged(error) => match error.kind() {
                ErrorKind::Damaged(cause) => format!("damaged at {:?}", cause.offset()),
                _ => error.to_string(),
            },
            state => format!("{state:?}"),
        };
        seen.push((String::from_utf8_lossy(&entry.path).into_owned(), state));
        Ok(Step::Into)
    })
    .expect("the source does not fail");
    let expected = [
        ("", "Present"),
        ("a", "damaged at Some(77)"),
        ("b", "Missing"),
        ("c", "damaged at Some(77)"),
        ("d", "Present"),
    ];
    assert_eq!(seen, expected.map(|(path, state)| (path.to_owned(), state.to_owned())));
    let kind = |cid| match FileReader::open(&source, cid) {
        Err(error) => format!("{error}: {:?}", error.source().map(ToString::to_string)),
        Ok(_) => "fine".to_owned(),
    };
    let cause = format!("data does not match its CID {hurt} at byte 77");
    assert_eq!(kind(&hurt), format!("cannot use a block: {:?}", Some(cause)));
    assert_eq!(kind(&gone), format!("block {gone}: the block is missing: None"));
    assert!(matches!(
        resolve(&source, &root, b"c/inner").expect_err("it is damaged").kind(),
        ErrorKind::Damaged(_)
    ));
    let entry = resolve(&source, &root, b"a").expect("the way is sound").expect("there is one");
    assert!(matches!(entry.state, State::Damaged(_)));
}

#[test]
fn a_damaged_shard_is_told_and_the_others_are_visited() {
    let mut blocks = Blocks::new();
    let profile = Profile::unixfs_v1_2025().with_shard_threshold(ShardThreshold::NodeBytes(200));
    let mut directory = DirectoryBuilder::new(&profile);
    let file = Link { cid: leaf(&mut blocks, b"x"), tsize: 1 };
    for i in 0..600 {
        directory.add(&format!("n{i}"), file).expect("a good name");
    }
    let mut sink = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let root = directory.finish(&mut sink).expect("the sink never fails").cid;
    let below = |cid: &&Cid| cid.codec() == 0x70 && **cid != root;
    let shard = *blocks.keys().find(below).expect("it has shards below");
    blocks.get_mut(&shard).expect("it is there")[0] ^= 1;
    let (mut damaged, mut present) = (0, 0);
    walk(&Checked(blocks), &root, &Limits::default(), &mut |entry| {
        match entry.state {
            State::Damaged(error) => {
                assert!(matches!(error.kind(), ErrorKind::Damaged(_)), "{error}");
                assert_eq!(entry.kind, EntryKind::Shard);
                damaged += 1;
            }
            _ => present += 1,
        }
        Ok(Step::Into)
    })
    .expect("the source does not fail");
    assert!(damaged == 1 && present > 500, "{damaged} {present}");
}
