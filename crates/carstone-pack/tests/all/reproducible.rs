//! Trees in fixed metadata give equal bytes wherever they lie; a dry run tells what packing tells.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::support::trees::Tree;
use crate::support::{content, pack};
use carstone_pack::fs::{Order, TreeOptions, WalkEvent, add_tree, dry_run_tree};
use carstone_pack::{EntryKind, Timestamp};

fn reproducible() -> TreeOptions {
    TreeOptions::default().reproducible(None)
}

/// The same names and contents each time; in another order, with other links, modes, times and attributes if `other`.
fn tree(other: bool) -> Tree {
    let tree = Tree::new();
    let mut names: Vec<usize> = (0..40).collect();
    if other {
        names.reverse();
    }
    for n in names {
        tree.file(format!("d{}/f{n}.{}", n % 4, n % 3), content(n % 30, n * 700));
    }
    let first = tree.file("d0/large", content(9, (3 << 20) + 1));
    match other {
        true => fs::hard_link(first, tree.path("d2/large")).expect("a link"),
        false => drop(tree.file("d2/large", content(9, (3 << 20) + 1))),
    }
    let small = tree.file("z-small", b"small");
    match other {
        true => drop(tree.file("a-small", b"small")),
        false => fs::hard_link(small, tree.path("a-small")).expect("a link"),
    }
    symlink("d0/large", tree.path("link")).expect("a link");
    tree.directory("empty");
    let tool = tree.file("tool", b"#!/bin/sh\n");
    let mode = |path: PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    mode(tool, if other { 0o4711 } else { 0o755 });
    if other {
        mode(tree.path("d1"), 0o700);
        mode(tree.path("z-small"), 0o666);
        mode(tree.path("d1/f1.1"), 0o464);
        let _ = xattr::set(tree.path("z-small"), "user.note", b"here only");
        for name in ["tool", "d3", "d0/large"] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_007, 9);
            let file = fs::File::open(tree.path(name)).expect("it is there");
            file.set_modified(time).expect("it is ours");
        }
    }
    tree
}

#[test]
fn equal_trees_give_equal_bytes() {
    let (one, two) = (tree(false), tree(true));
    for order in [Order::Type, Order::Path] {
        let bytes = |tree: &Tree| tree.pack(&reproducible().order(order)).packed.bytes;
        assert!(bytes(&one) == bytes(&two));
        assert!(bytes(&one) != one.pack(&TreeOptions::default()).packed.bytes);
    }
    let before = two.pack(&reproducible()).packed.bytes;
    two.file("z-small", b"smell");
    assert!(two.pack(&reproducible()).packed.bytes != before);
}

#[test]
fn metadata_is_fixed() {
    let tree = tree(true);
    let time = Timestamp { seconds: 1_700_000_000, nanos: 0 };
    for mtime in [None, Some(time)] {
        let told = tree.pack(&TreeOptions::default().reproducible(mtime));
        for entry in told.entries() {
            let path = entry.path.escape_ascii().to_string();
            let expected = match entry.kind {
                EntryKind::Symlink => 0o777,
                EntryKind::File if path != "tool" => 0o644,
                _ => 0o755,
            };
            assert_eq!((entry.mode, entry.mtime), (Some(expected), mtime), "{path}");
            assert_ne!(entry.kind, EntryKind::HardLink, "{path}");
            let announced = told.packed.reader().announced(&entry).expect("sound");
            let metadata = announced.expect("announced").metadata;
            assert_eq!((metadata.uid, metadata.gid, &metadata.user), (None, None, &None));
            assert!(metadata.group.is_none() && metadata.xattrs.is_empty(), "{path}");
        }
        assert_eq!((told.summary.hard_links, told.summary.files), (0, 45));
    }
    let told = tree.pack(&reproducible());
    // The further names cost no content.
    assert!(told.packed.bytes.len() < (4 << 20) + 40 * 20 * 700);
    assert_eq!(told.content("d2/large"), content(9, (3 << 20) + 1));
}

#[test]
fn a_dry_run_tells_what_packing_tells() {
    let tree = tree(true);
    tree.file(b"d1/\xff", b"not UTF-8");
    let _socket = UnixListener::bind(tree.path("socket")).expect("bound");
    let inputs = [tree.root().to_path_buf(), tree.path("missing")];
    let line = |event: WalkEvent<'_>| match event {
        WalkEvent::Content { .. } => None,
        WalkEvent::Problem(problem) => Some(format!("{problem:?}")),
        event => Some(format!("{event:?}")),
    };
    for options in [TreeOptions::default(), reproducible().exclude("d3").expect("a glob")] {
        let (mut packed, mut dry) = (Vec::new(), Vec::new());
        let mut summary = None;
        let all = pack(|writer| {
            let mut observer = |event: WalkEvent<'_>| packed.extend(line(event));
            summary = Some(add_tree(writer, &inputs, &options, &mut observer)?);
            Ok(())
        });
        all.verify_is_clean();
        let told = dry_run_tree(&inputs, &options, false, &mut |event| dry.extend(line(event)));
        assert_eq!(told.ok(), summary);
        assert_eq!(dry, packed);
        let mut lost = Vec::new();
        let told = dry_run_tree(&inputs, &options, true, &mut |event| {
            if let WalkEvent::Problem(problem) = event {
                lost.push(problem.path);
            }
        });
        assert_eq!((told.expect("as before").problems, lost.len()), (1, 1));
        assert!(lost[0].ends_with(b"d1/\xff"));
    }
}
