//! Laws of whole stacks: whatever is written in whatever pieces is what is read, at random and front to back.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Seek, SeekFrom};

use carstone::pack::{EntryKind, Metadata, PackOptions, PackWriter};
use carstone::stack;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Item, Layers, Tree, content, open, read_all, stream};

/// A file, and the pieces in which it is written; no pieces: all at once.
#[derive(Clone, Debug)]
struct File {
    directory: u8,
    odd: bool,
    body: Vec<u8>,
    pieces: Vec<Index>,
}

fn file() -> impl Strategy<Value = File> {
    let len = prop_oneof![
        8 => 0..5_000_usize,
        2 => 60_000..140_000_usize,
        1 => (1 << 20) - 1..(1 << 20) + 2_usize,
        1 => 2_000_000..2_300_000_usize,
    ];
    // Few seeds, so that some content stands twice.
    (0..4_u8, any::<bool>(), 0..3_u64, len, prop::collection::vec(any::<Index>(), 0..5)).prop_map(
        |(directory, odd, seed, len, pieces)| File {
            directory,
            odd,
            body: content(seed, len),
            pieces,
        },
    )
}

fn path(number: usize, file: &File) -> Vec<u8> {
    let directory = ["", "d/", "d/e/", "x y/"][usize::from(file.directory)];
    let mut path = format!("{directory}f{number}").into_bytes();
    if file.odd {
        path.extend_from_slice(b"\n\xff");
    }
    path
}

/// Writes all files; those with pieces are open at the same time, and `turns` says whose piece is next.
fn write(files: &[File], turns: &[Index], layers: Layers, threads: usize) -> (Vec<u8>, Tree) {
    let pipe = stack::write(Vec::new(), layers.options().threads(threads)).expect("memory");
    let id = pipe.pack_id();
    let options = PackOptions::default().threads(threads);
    let mut writer = PackWriter::with_options(pipe, id, options).expect("memory");
    let (mut tree, mut open) = (Tree::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        let path = path(number, file);
        if file.pieces.is_empty() {
            writer.add_file(&path, Metadata::default(), &file.body[..]).expect("memory");
        } else {
            let entry = writer.start_entry(&path, Metadata::default()).expect("memory");
            let mut cuts: Vec<usize> =
                file.pieces.iter().map(|piece| piece.index(file.body.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(file.body.len());
            open.push((entry, &file.body, cuts.into_iter(), 0));
        }
        let (kind, body) = (EntryKind::File, file.body.clone());
        tree.insert(path, Item { kind, mode: None, mtime: None, body });
    }
    let mut turns = turns.iter().cycle();
    while !open.is_empty() {
        let turn = turns.next().map_or(0, |turn| turn.index(open.len()));
        let (entry, body, cuts, at) = &mut open[turn];
        match cuts.next() {
            Some(to) => {
                writer.append(*entry, &body[*at..to]).expect("memory");
                *at = to;
            }
            None => {
                writer.end_entry(*entry).expect("memory");
                open.remove(turn);
            }
        }
    }
    let (pipe, _) = writer.finish().expect("memory");
    (pipe.finish().expect("memory"), tree)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        files in prop::collection::vec(file(), 0..8),
        turns in prop::collection::vec(any::<Index>(), 1..20),
        layers in prop::sample::select(Layers::all()),
        threads in 0..4_usize,
    ) {
        let (stored, tree) = write(&files, &turns, layers, threads);
        prop_assert!(read_all(&open(&stored)).expect("a sound pack") == tree);
        let streamed = stream(stored.as_slice());
        prop_assert!(streamed.error.is_none() && streamed.tail, "{:?}", streamed.error);
        prop_assert!(streamed.tree == tree);
        let (again, _) = write(&files, &turns, layers, threads + 1);
        prop_assert!(again == stored, "the bytes depend on the threads");
    }

    #[test]
    fn files_seek_as_a_cursor_does(
        files in prop::collection::vec(file(), 1..4),
        steps in prop::collection::vec((any::<Index>(), 0..3_u8, any::<Index>(), 0..70_000_usize), 1..20),
        layers in prop::sample::select(Layers::all()),
    ) {
        let (stored, tree) = write(&files, &[], layers, 1);
        let pack = open(&stored).pack().expect("a sound pack");
        let mut readers: BTreeMap<&Vec<u8>, _> = tree
            .iter()
            .map(|(path, item)| {
                let entry = pack.find(path).expect("sound").expect("it was written");
                (path, (pack.open_file(&entry).expect("a file"), Cursor::new(&item.body)))
            })
            .collect();
        for (which, whence, place, len) in steps {
            let mut paths = tree.keys();
            let path = paths.nth(which.index(tree.len())).expect("one of them");
            let (file, cursor) = readers.get_mut(path).expect("all are open");
            // Sometimes behind the end, sometimes before the start.
            let by = place.index(tree[path].body.len() + 10) as i64 - 3;
            let to = match whence {
                0 => SeekFrom::Start(by.unsigned_abs()),
                1 => SeekFrom::Current(by - 1_000),
                _ => SeekFrom::End(-by),
            };
            prop_assert_eq!(file.seek(to).ok(), cursor.seek(to).ok());
            let (mut got, mut due) = (Vec::new(), Vec::new());
            file.take(len as u64).read_to_end(&mut got).expect("a sound pack");
            cursor.take(len as u64).read_to_end(&mut due).expect("memory");
            prop_assert!(got == due);
        }
    }
}
