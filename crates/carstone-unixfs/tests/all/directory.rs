//! Directories, plain and sharded, hold what was put in, and nothing else is found.

use std::collections::{BTreeSet, HashMap};
use std::io;

use carstone_unixfs::{
    Cid, DirectoryBuilder, DirectorySize, EntryKind, Error, ErrorKind, Limits, Link, NameFault,
    Node, Profile, ShardThreshold, ShardedBuilder, State, Step, decode, directory_links, leaf_cid,
    resolve, shard_hash, symlink, walk, write_file,
};

type Blocks = HashMap<Cid, Vec<u8>>;

fn sharded(fanout: usize) -> Profile {
    Profile::unixfs_v1_2025()
        .with_shard_threshold(ShardThreshold::NodeBytes(0))
        .with_fanout(fanout)
        .expect("an allowed fanout")
}

fn link_of(name: &str) -> Link {
    Link { cid: leaf_cid(name.as_bytes()), tsize: name.len() as u64 }
}

/// A directory in which each name leads to a leaf that holds the name.
fn build(profile: &Profile, names: &[String], blocks: &mut Blocks) -> io::Result<Link> {
    let mut builder = DirectoryBuilder::new(profile);
    for name in names {
        builder.add(name, link_of(name))?;
        blocks.insert(link_of(name).cid, name.clone().into_bytes());
    }
    builder.finish(&mut |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    })
}

#[track_caller]
fn check_roundtrip(profile: &Profile, names: &[String]) -> usize {
    let mut blocks = Blocks::new();
    let root = build(profile, names, &mut blocks).expect("names are good and differ");
    let listed =
        directory_links(&blocks, &root.cid, &Limits::default()).expect("every shard is there");
    let listed =
        listed.into_iter().map(|(name, link)| (String::from_utf8(name).expect("as put in"), link));
    let expected = names.iter().map(|name| (name.clone(), link_of(name))).collect::<BTreeSet<_>>();
    assert_eq!(listed.clone().count(), names.len());
    assert!(listed.collect::<BTreeSet<_>>() == expected);

    let mut walked = BTreeSet::new();
    walk(&blocks, &root.cid, &Limits::default(), &mut |entry| {
        assert!(matches!(entry.state, State::Present), "{entry:?}");
        if !entry.path.is_empty() {
            assert!(walked.insert((String::from_utf8(entry.path).expect("as put in"), entry.cid)));
        }
        Ok(Step::Into)
    })
    .expect("nothing fails");
    assert!(walked == expected.iter().map(|(name, link)| (name.clone(), link.cid)).collect());

    for name in names.iter().step_by(names.len() / 50 + 1) {
        let entry = resolve(&blocks, &root.cid, name.as_bytes()).expect("every shard is there");
        assert_eq!(entry.map(|entry| entry.cid), Some(link_of(name).cid), "{name}");
        let absent = format!("{name}?");
        assert!(
            resolve(&blocks, &root.cid, absent.as_bytes()).expect("every shard is there").is_none()
        );
    }
    blocks.len() - names.len()
}

fn numbered(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("entry {i}")).collect()
}

#[test]
fn plain_directories_come_back() {
    for n in [0, 1, 2, 100] {
        assert_eq!(check_roundtrip(&Profile::unixfs_v1_2025(), &numbered(n)), 1);
    }
}

#[test]
fn sharded_directories_come_back() {
    for n in [1, 2, 255, 256, 257, 5000] {
        check_roundtrip(&sharded(256), &numbered(n));
    }
    for fanout in [8, 16, 32, 64, 128, 512, 1024] {
        check_roundtrip(&sharded(fanout), &numbered(1000));
    }
}

#[test]
fn names_whose_hashes_differ_in_the_last_bit_lie_on_the_last_level() {
    let target = 0x0123_4567_89ab_cdef;
    let names = [name_with_hash(target, 0), name_with_hash(target ^ 1, 0)];
    assert_eq!(check_roundtrip(&sharded(256), &names), 8);
    assert_eq!(check_roundtrip(&sharded(16), &names), 16);
}

#[test]
fn names_whose_hashes_are_equal_fit_a_plain_directory_only() {
    let names = [name_with_hash(7, 0), name_with_hash(7, 1 << 40)];
    assert_ne!(names[0], names[1]);
    assert_eq!(check_roundtrip(&Profile::unixfs_v1_2025(), &names), 1);
    let error =
        build(&sharded(256), &names, &mut Blocks::new()).expect_err("no slot tells them apart");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::HashCollision)));
    // With 10 bits a level, the last four bits of a hash are never used.
    let names = [name_with_hash(7, 0), name_with_hash(6, 0)];
    build(&sharded(1024), &names, &mut Blocks::new()).expect_err("no slot tells them apart");
}

#[test]
fn the_order_of_adding_does_not_matter() {
    for profile in [Profile::unixfs_v1_2025(), sharded(256)] {
        let (mut names, mut blocks) = (numbered(600), Blocks::new());
        let forward = build(&profile, &names, &mut blocks).expect("names are good and differ");
        names.reverse();
        assert_eq!(
            build(&profile, &names, &mut blocks).expect("names are good and differ"),
            forward
        );
    }
}

#[test]
fn bad_and_repeated_names_are_refused_without_effect() {
    let mut builder = DirectoryBuilder::new(&Profile::unixfs_v1_2025());
    builder.add("good", link_of("a")).expect("a good name");
    for (name, fault) in [
        ("", NameFault::Empty),
        (".", NameFault::Dots),
        ("..", NameFault::Dots),
        ("a/b", NameFault::Slash),
        ("a\0", NameFault::Nul),
    ] {
        let error = builder.add(name, link_of("b")).expect_err("a bad name");
        assert!(matches!(error.kind(), ErrorKind::BadName(found) if *found == fault), "{error}");
    }
    let error = builder.add("good", link_of("b")).expect_err("it is there already");
    assert!(matches!(error.kind(), ErrorKind::DuplicateName));
    assert_eq!(builder.len(), 1);
    let mut blocks = Blocks::new();
    let expected = build(&Profile::unixfs_v1_2025(), &[], &mut blocks).expect("an empty directory");
    let link = builder.finish(&mut |_, _| Ok(())).expect("the sink never fails");
    assert_eq!(
        link.tsize,
        expected.tsize + 1 + 1 + 38 + 6 + 2 + 1,
        "one link, and the first of the two"
    );
}

/// root/ { a.txt, link -> a.txt, sub/ { b.txt } }
fn tree(blocks: &mut Blocks) -> Cid {
    let profile = Profile::unixfs_v1_2025().with_chunk_size(4).expect("in range");
    let mut sink = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let file = write_file(&profile, &b"keystone"[..], &mut sink).expect("neither side fails");
    let small = write_file(&profile, &b"arch"[..], &mut sink).expect("neither side fails");
    let mut sub = DirectoryBuilder::new(&sharded(8));
    sub.add("b.txt", small.into()).expect("a good name");
    let sub = sub.finish(&mut sink).expect("the sink never fails");
    let mut root = DirectoryBuilder::new(&profile);
    root.add("a.txt", file.into()).expect("a good name");
    root.add("link", symlink(&profile, b"a.txt", &mut sink).expect("the sink never fails"))
        .expect("a good name");
    root.add("sub", sub).expect("a good name");
    root.finish(&mut sink).expect("the sink never fails").cid
}

fn report(blocks: &Blocks, root: &Cid, step: impl Fn(&[u8]) -> Step) -> Vec<String> {
    let mut lines = Vec::new();
    walk(blocks, root, &Limits::default(), &mut |entry| {
        let kind = match &entry.kind {
            EntryKind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            kind => format!("{kind:?}"),
        };
        let state = format!("{:?}", entry.state);
        let size = entry.size.map_or("?".into(), |size| size.to_string());
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        assert_eq!(entry.name(), path.rsplit('/').next().unwrap_or_default().as_bytes());
        lines.push(format!("{path} {kind} {size} {state}"));
        Ok(step(&entry.path))
    })
    .expect("nothing fails");
    lines
}

#[test]
fn a_walk_tells_paths_kinds_and_sizes() {
    let mut blocks = Blocks::new();
    let root = tree(&mut blocks);
    let all = [
        " Directory 0 Present",
        "a.txt File 8 Present",
        "link -> a.txt 5 Present",
        "sub Directory 0 Present",
        "sub/b.txt File 4 Present",
    ];
    assert_eq!(report(&blocks, &root, |_| Step::Into), all);
    assert_eq!(report(&blocks, &root, |_| Step::Over), all[..1]);
    assert_eq!(
        report(&blocks, &root, |path| if path == b"sub" { Step::Over } else { Step::Into }),
        all[..4]
    );
    assert_eq!(
        report(&blocks, &root, |path| if path == b"link" { Step::Stop } else { Step::Into }),
        all[..3]
    );
}

#[test]
fn a_walk_reports_missing_blocks_and_goes_on() {
    let mut blocks = Blocks::new();
    let root = tree(&mut blocks);
    let file = resolve(&blocks, &root, b"a.txt").expect("nothing is missing").expect("it is there");
    blocks.remove(&file.cid);
    blocks.remove(&leaf_cid(b"arch"));
    assert_eq!(
        report(&blocks, &root, |_| Step::Into),
        [
            " Directory 0 Present",
            "a.txt Unknown ? Missing",
            "link -> a.txt 5 Present",
            "sub Directory 0 Present",
            "sub/b.txt File ? Missing",
        ]
    );
    assert_eq!(report(&Blocks::new(), &root, |_| Step::Into), [" Unknown ? Missing"]);
}

#[test]
fn a_missing_shard_is_reported_and_the_others_are_listed() {
    let (mut blocks, names) = (Blocks::new(), numbered(2000));
    let root = build(&sharded(256), &names, &mut blocks).expect("names are good and differ");
    // A shard at the end of a branch, so that its links are all that is lost with it.
    let ends = blocks.iter().filter_map(|(cid, block)| match decode(cid, block) {
        Ok(Node::Shard(shard)) => {
            let end = shard.links.clone().all(|link| link.name.len() > shard.width);
            (end && *cid != root.cid).then_some((*cid, shard.links.len()))
        }
        _ => None,
    });
    let (shard, lost) = ends.min().expect("2000 names need more than one level");
    assert!(lost >= 2, "a shard exists for two names or more");
    blocks.remove(&shard);
    let lines = report(&blocks, &root.cid, |_| Step::Into);
    assert_eq!(lines.iter().filter(|line| *line == " Shard ? Missing").count(), 1);
    assert_eq!(lines.len(), 1 + 1 + names.len() - lost);
    let error =
        directory_links(&blocks, &root.cid, &Limits::default()).expect_err("the list has a hole");
    assert!(matches!(error.kind(), ErrorKind::Missing));
    assert_eq!(error.cid(), Some(&shard));
}

#[test]
fn paths_resolve_through_plain_and_sharded_directories() {
    let mut blocks = Blocks::new();
    let root = tree(&mut blocks);
    let kind = |path: &str| {
        resolve(&blocks, &root, path.as_bytes())
            .expect("nothing is missing")
            .map(|entry| entry.kind)
    };
    assert_eq!(kind(""), Some(EntryKind::Directory));
    assert_eq!(kind("/"), Some(EntryKind::Directory));
    assert_eq!(kind("sub/b.txt"), Some(EntryKind::File));
    assert_eq!(kind("/sub/b.txt/"), Some(EntryKind::File));
    assert_eq!(kind("link"), Some(EntryKind::Symlink { target: b"a.txt".to_vec() }));
    assert_eq!(kind("sub/c.txt"), None);
    assert_eq!(kind("a.txt/b"), None, "a file has no entries");
    assert_eq!(kind("link/b"), None, "symlinks are not followed");
    for path in ["..", "sub/../a.txt", "sub//b.txt", "./a.txt", "a\0"] {
        let error = resolve(&blocks, &root, path.as_bytes()).expect_err("not a path of names");
        assert!(matches!(error.kind(), ErrorKind::BadName(_)), "{path}: {error}");
    }
    let error =
        directory_links(&blocks, &leaf_cid(b"arch"), &Limits::default()).expect_err("a file");
    assert!(matches!(error.kind(), ErrorKind::NotADirectory));
}

/// A name of 16 letters, digits and signs with the given hash, found by running murmur3 backwards: one half
/// of its result is free to choose, and about one choice in 65,536 makes the name ASCII.
fn name_with_hash(target: u64, first: u64) -> String {
    let c1 = 0x87c3_7b91_1142_53d5_u64;
    let c2 = 0x4cf5_ad43_2745_937f_u64;
    let (c1_inverse, c2_inverse, five_inverse) = (inverse(c1), inverse(c2), inverse(5));
    let unshift = |x: u64| x ^ x >> 33;
    let unmix = |x: u64| {
        let x = unshift(x).wrapping_mul(inverse(0xc4ce_b9fe_1a85_ec53));
        unshift(unshift(x).wrapping_mul(inverse(0xff51_afd7_ed55_8ccd)))
    };
    (first..)
        .find_map(|free: u64| {
            let (a, b) = (unmix(target.wrapping_sub(free)), unmix(free));
            let b = b.wrapping_sub(a);
            let a = a.wrapping_sub(b) ^ 16;
            let b = b ^ 16;
            let k1 = a.wrapping_sub(0x52dc_e729).wrapping_mul(five_inverse).rotate_right(27);
            let k2 = b
                .wrapping_sub(0x3849_5ab5)
                .wrapping_mul(five_inverse)
                .wrapping_sub(a)
                .rotate_right(31);
            let k1 = k1.wrapping_mul(c2_inverse).rotate_right(31).wrapping_mul(c1_inverse);
            let k2 = k2.wrapping_mul(c1_inverse).rotate_right(33).wrapping_mul(c2_inverse);
            let name = [k1.to_le_bytes(), k2.to_le_bytes()].concat();
            let good = name.iter().all(|byte| (b' '..0x7f).contains(byte) && *byte != b'/');
            good.then(|| String::from_utf8(name).expect("ASCII"))
        })
        .expect("the search does not end without a name")
}

/// The inverse of an odd number modulo 2⁶⁴, by Newton's method.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
}

/// Adds names to a builder of shards in the given order.
fn add_all(builder: &mut ShardedBuilder, names: &[String]) -> io::Result<()> {
    names.iter().try_for_each(|name| builder.add(name, link_of(name), &mut |_, _| Ok(())))
}

#[test]
fn entries_in_the_order_of_their_hashes_need_no_holding() {
    for fanout in [8, 256, 1024] {
        let profile = sharded(fanout);
        for n in [0, 1, 2, 300, 3000] {
            let (mut names, mut blocks) = (numbered(n), Blocks::new());
            let expected = build(&profile, &names, &mut blocks).expect("names are good and differ");
            names.sort_by_key(|name| shard_hash(name));
            let mut builder = ShardedBuilder::new(&profile);
            let mut seen = Blocks::new();
            let mut sink = |cid: &Cid, block: &[u8]| {
                seen.insert(*cid, block.to_vec());
                Ok(())
            };
            for name in &names {
                builder.add(name, link_of(name), &mut sink).expect("names are good and in order");
            }
            assert_eq!(builder.finish(&mut sink).expect("the sink never fails"), expected);
            assert!(seen.iter().all(|(cid, block)| blocks.get(cid) == Some(block)));
            assert_eq!(seen.len(), blocks.len() - n, "leaves were added to `blocks` only");
        }
    }
}

#[test]
fn what_cannot_be_added_to_shards_leaves_no_trace() {
    let mut names = numbered(40);
    names.sort_by_key(|name| shard_hash(name));
    let expected = {
        let mut builder = ShardedBuilder::new(&sharded(8));
        add_all(&mut builder, &names).expect("names are good and in order");
        builder.finish(&mut |_, _| Ok(())).expect("the sink never fails")
    };
    let mut builder = ShardedBuilder::new(&sharded(8));
    let refused = |builder: &mut ShardedBuilder, name: &str| {
        let error = builder.add(name, link_of("x"), &mut |_, _| Ok(())).expect_err("refused");
        format!("{:?}", Error::of(&error).expect("the typed error rides inside").kind())
    };
    add_all(&mut builder, &names[..20]).expect("names are good and in order");
    assert_eq!(refused(&mut builder, &names[19]), "DuplicateName");
    assert_eq!(refused(&mut builder, &names[18]), "OutOfOrder");
    assert_eq!(refused(&mut builder, ".."), "BadName(Dots)");
    let twin = name_with_hash(shard_hash(&names[19]), 0);
    assert_eq!(refused(&mut builder, &twin), "HashCollision");
    add_all(&mut builder, &names[20..]).expect("names are good and in order");
    assert_eq!(builder.finish(&mut |_, _| Ok(())).expect("the sink never fails"), expected);
}

#[test]
fn a_builder_of_shards_whose_sink_failed_never_gives_a_root() {
    let mut names = numbered(600);
    names.sort_by_key(|name| shard_hash(name));
    let mut builder = ShardedBuilder::new(&sharded(256));
    let mut full = |_: &Cid, _: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
    let failed = names.iter().find_map(|name| builder.add(name, link_of(name), &mut full).err());
    assert_eq!(
        failed.expect("600 names need more than one level").kind(),
        io::ErrorKind::StorageFull
    );
    let error = builder.finish(&mut |_, _| Ok(())).expect_err("a shard is lost");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Broken)));
}

#[test]
fn a_node_that_no_reader_would_take_is_sharded_whatever_the_threshold() {
    let profile =
        Profile::unixfs_v1_2025().with_shard_threshold(ShardThreshold::Entries(usize::MAX));
    let (mut size, mut entries) = (DirectorySize::new(&profile), 0);
    while !size.is_sharded() {
        size.add(&"x".repeat(1000), &link_of("x"));
        entries += 1;
    }
    assert_eq!(entries, (4 << 20) / 1046 + 1);
}
