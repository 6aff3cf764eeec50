//! What is handed out to those who want one file, a part of it, or one directory, is what a reader then asks for.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom};

use carstone_unixfs::{
    BlockSource, Cid, DagScope, DirectoryBuilder, EntityBytes, Error, ErrorKind, FileReader,
    Layout, Limits, Link, Profile, directory_links, export_entity, resolve, write_file,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

/// Blocks, and which of them have been asked for.
struct Watched<'a>(&'a Blocks, RefCell<HashSet<Cid>>);

impl BlockSource for Watched<'_> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        self.1.borrow_mut().insert(*cid);
        Ok(self.0.get(cid).cloned())
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + (i >> 8) * 7) as u8).collect()
}

fn file(profile: &Profile, content: &[u8], blocks: &mut Blocks) -> Link {
    let root = write_file(profile, content, &mut |cid, data| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    });
    root.expect("neither side fails").into()
}

fn directory(profile: &Profile, entries: &[(String, Link)], blocks: &mut Blocks) -> Link {
    let mut builder = DirectoryBuilder::new(profile);
    for (name, link) in entries {
        builder.add(name, *link).expect("a good name");
    }
    let done = builder.finish(&mut |cid, data| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    });
    done.expect("the sink does not fail")
}

/// The blocks that come out, in their order.
fn export(
    blocks: &Blocks,
    root: &Cid,
    path: &str,
    scope: DagScope,
    bytes: Option<&str>,
) -> Result<Vec<Cid>, Error> {
    let mut out = Vec::new();
    let bytes = bytes.map(|text| text.parse().expect("a range"));
    let limits = Limits::default();
    let done =
        export_entity(blocks, root, path.as_bytes(), scope, bytes, &limits, &mut |cid, data| {
            assert_eq!(blocks[cid], data);
            out.push(*cid);
            Ok(())
        })?;
    assert_eq!(done.blocks, out.len() as u64);
    assert_eq!(out.iter().collect::<HashSet<_>>().len(), out.len(), "each block once");
    Ok(out)
}

/// A tree of a plain directory with a sharded one inside, and a file of many leaves in that.
fn tree() -> (Blocks, Cid, Vec<u8>) {
    let profile = Profile::default().with_chunk_size(10).expect("in range");
    let profile = profile.with_width(3).expect("in range");
    let sharded = profile.clone().with_shard_threshold(carstone_unixfs::ShardThreshold::Entries(5));
    let (mut blocks, content) = (Blocks::new(), content(395));
    let long = file(&profile, &content, &mut blocks);
    let mut entries = vec![("long".to_owned(), long)];
    for i in 0..300 {
        let link = file(&profile, format!("{i}").as_bytes(), &mut blocks);
        entries.push((format!("small-{i}"), link));
    }
    let many = directory(&sharded, &entries, &mut blocks);
    let other = file(&profile, b"other", &mut blocks);
    let root = directory(&profile, &[("many".into(), many), ("other".into(), other)], &mut blocks);
    (blocks, root.cid, content)
}

#[test]
fn each_scope_has_what_it_takes() {
    let (blocks, root, content) = tree();
    let many = resolve(&blocks, &root, b"many").expect("sound").expect("there").cid;
    let long = resolve(&blocks, &root, b"many/long").expect("sound").expect("there").cid;
    let limits = Limits::default();

    // The way: each directory and each shard that a look-up reads.
    let watched = Watched(&blocks, RefCell::default());
    resolve(&watched, &root, b"many/long").expect("sound");
    let way = watched.1.into_inner();
    let block = export(&blocks, &root, "many/long", DagScope::Block, None).expect("exported");
    assert_eq!(block.iter().copied().collect::<HashSet<_>>(), way);
    assert_eq!((block[0], block[1], *block.last().expect("some")), (root, many, long));

    let whole = export(&blocks, &root, "many/long", DagScope::Entity, None).expect("exported");
    assert_eq!(whole[..block.len()], block);
    let kept: Blocks = whole.iter().map(|cid| (*cid, blocks[cid].clone())).collect();
    let found = resolve(&kept, &root, b"many/long").expect("sound").expect("there").cid;
    let mut read = Vec::new();
    FileReader::open(&kept, &found).expect("a file").read_to_end(&mut read).expect("all there");
    assert_eq!(read, content);
    assert_eq!(
        whole,
        export(&blocks, &root, "/many/long/", DagScope::All, None).expect("exported")
    );

    // A directory is listed, and no file in it is there.
    let listed = export(&blocks, &root, "many", DagScope::Entity, None).expect("exported");
    let kept: Blocks = listed.iter().map(|cid| (*cid, blocks[cid].clone())).collect();
    assert_eq!(directory_links(&kept, &many, &limits).expect("whole").len(), 301);
    assert!(!listed.contains(&long));
    let all = export(&blocks, &root, "", DagScope::All, None).expect("exported");
    assert_eq!(all.len(), blocks.len());
    assert_eq!(export(&blocks, &root, "", DagScope::Entity, None).expect("exported"), [root]);
}

#[test]
fn what_is_not_there_is_told() {
    let (mut blocks, root, _) = tree();
    let scope = DagScope::Entity;
    let kind =
        |path, bytes| export(&blocks, &root, path, scope, bytes).expect_err(path).to_string();
    assert!(kind("many/none", None).contains("names nothing"));
    assert!(kind("many", Some("0:1")).contains("not a file"));
    assert!(kind("many/long", Some("395:*")).contains("none of it"));
    for bad in ["", "1", "1:", ":1", "a:b", "1:2:3", "*:1"] {
        assert!(bad.parse::<EntityBytes>().is_err(), "{bad}");
    }
    let whole = export(&blocks, &root, "many/long", scope, None).expect("exported");
    blocks.remove(whole.last().expect("some"));
    for scope in [DagScope::Entity, DagScope::All] {
        let error =
            export(&blocks, &root, "many/long", scope, None).expect_err("a block is missing");
        assert!(matches!(error.kind(), ErrorKind::Missing), "{error}");
        assert_eq!(error.cid(), whole.last());
    }
    let few = Limits::default().with_nodes(2);
    let done = export_entity(&blocks, &root, b"many/long", scope, None, &few, &mut |_, _| Ok(()));
    assert!(matches!(done.expect_err("a limit").kind(), ErrorKind::Limit("nodes")));
    let full = || io::Error::other("full");
    let all = Limits::default();
    let done =
        export_entity(&blocks, &root, b"", DagScope::All, None, &all, &mut |_, _| Err(full()));
    assert!(format!("{:?}", done.expect_err("a failure")).contains("full"));
}

proptest! {
    #[test]
    fn a_part_takes_the_blocks_that_reading_it_takes(
        len in 0..500_usize,
        from in -520..520_i64,
        to in prop::option::of(-520..520_i64),
        trickle in any::<bool>(),
    ) {
        let profile = Profile::default().with_chunk_size(7).expect("in range");
        let layout = if trickle { Layout::Trickle } else { Layout::Balanced };
        let profile = profile.with_width(3).expect("in range").with_layout(layout);
        let (mut blocks, content) = (Blocks::new(), content(len));
        let root = file(&profile, &content, &mut blocks).cid;
        let size = len as i64;
        let first = if from < 0 { (size + from).max(0) } else { from };
        let last = to.map_or(size - 1, |to| if to < 0 { size + to } else { to.min(size - 1) });
        let text = match to {
            Some(to) => format!("{from}:{to}"),
            None => format!("{from}:*"),
        };
        let out = export(&blocks, &root, "", DagScope::Entity, Some(&text));
        if first > last {
            prop_assert_eq!(out.is_ok(), len == 0);
            return Ok(());
        }
        let out = out.expect("exported");
        let watched = Watched(&blocks, RefCell::default());
        let mut reader = FileReader::open(&watched, &root).expect("a file");
        reader.seek(SeekFrom::Start(first as u64)).expect("inside");
        let mut part = Vec::new();
        reader.take((last - first + 1) as u64).read_to_end(&mut part).expect("all there");
        prop_assert_eq!(&part[..], &content[first as usize..=last as usize]);
        prop_assert_eq!(out.into_iter().collect::<HashSet<_>>(), watched.1.into_inner());
    }
}
