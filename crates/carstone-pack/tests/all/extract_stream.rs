//! What only streams have: earlier blocks read back, cuts, entries given up half-way.

use std::fs;

use crate::support::{Packed, content, pack};
use crate::trees::{Outcome, Thing, at_random, exact, from_stream, meta, names, tree};
use carstone_pack::fs::{ExtractOptions, RestoreEvent, RestoreOptions, Selection, extract_stream};
use carstone_pack::{PackStream, PackWriter, PlainPipe};
use proptest::prelude::*;

const MIB: usize = 1 << 20;

/// Small files, long files, duplicates of both, interleaved entries.
fn sample() -> Packed {
    pack(|writer| {
        writer.add_directory(b"d", meta(0o700, 1))?;
        for n in 0..40 {
            let path = format!("d/small {n}");
            writer.add_file(
                path.as_bytes(),
                meta(0o600, n),
                content(n as usize % 30, 3000).as_slice(),
            )?;
        }
        let first = writer.start_entry(b"first", meta(0o600, 2))?;
        let second = writer.start_entry(b"second", meta(0o600, 3))?;
        for n in 0..3 {
            writer.append(first, &content(100 + n, MIB))?;
            writer.append(second, &content(200 + n, MIB))?;
        }
        writer.append(second, b"tail")?;
        writer.end_entry(second)?;
        writer.end_entry(first)?;
        let third = writer.start_entry(b"third", meta(0o600, 4))?;
        for n in [201, 100, 300, 202, 202] {
            writer.append(third, &content(n, MIB))?;
        }
        writer.end_entry(third)
    })
}

#[test]
fn interleaved_entries_and_duplicates_come_back() {
    let packed = sample();
    for threads in [1, 3] {
        let target = tempfile::tempdir().expect("a directory");
        let options = exact().threads(threads).budget(2 * MIB);
        from_stream(&packed, target.path(), &Selection::all(), &options).is_clean();
        let other = tempfile::tempdir().expect("a directory");
        at_random(&packed, other.path(), &Selection::all(), &options).is_clean();
        let (mut found, mut expected) = (tree(target.path()), tree(other.path()));
        // The target itself has the time of the test.
        found.remove(&b""[..]);
        expected.remove(&b""[..]);
        assert_eq!(found, expected);
        assert_eq!(found.len(), 44);
    }
}

#[test]
fn blocks_of_files_that_are_left_out_serve_later_files() {
    let packed = sample();
    for names in [&["third"][..], &["first", "third"], &["d/small 3*"], &["d/small 31"]] {
        let target = tempfile::tempdir().expect("a directory");
        let selection = Selection::patterns(names);
        from_stream(&packed, target.path(), &selection, &exact().budget(MIB)).is_clean();
        let other = tempfile::tempdir().expect("a directory");
        at_random(&packed, other.path(), &Selection::patterns(names), &exact()).is_clean();
        let files = |root: &std::path::Path| {
            let files = tree(root).into_iter();
            files.filter(|(_, thing)| matches!(thing, Thing::File { .. })).collect::<Vec<_>>()
        };
        assert_eq!(files(target.path()), files(other.path()));
        assert!(!files(target.path()).is_empty());
    }
}

#[test]
fn blocks_of_an_abandoned_entry_serve_later_files() {
    let packed = pack(|writer| {
        let given_up = writer.start_entry(b"given up", meta(0o600, 1))?;
        writer.append(given_up, &content(1, 3 * MIB))?;
        writer.abandon_entry(given_up)?;
        writer.add_file(b"between", meta(0o600, 2), content(2, 5 * MIB).as_slice())?;
        writer.add_file(b"kept", meta(0o600, 3), content(1, 2 * MIB).as_slice()).map(drop)
    });
    let target = tempfile::tempdir().expect("a directory");
    let options = exact().threads(1).budget(1);
    from_stream(&packed, target.path(), &Selection::all(), &options).is_clean();
    assert_eq!(names(target.path()), ["between", "kept"]);
    assert_eq!(fs::read(target.path().join("kept")).expect("a file"), content(1, 2 * MIB));
}

#[test]
fn a_file_that_changes_under_way_is_not_copied_from() {
    let packed = pack(|writer| {
        writer.add_file(b"first", meta(0o600, 1), &b"the content"[..])?;
        for n in 0..6 {
            let path = format!("between {n}");
            writer.add_file(path.as_bytes(), meta(0o600, 2), content(n, MIB).as_slice())?;
        }
        writer.add_file(b"second", meta(0o600, 3), &b"the content"[..]).map(drop)
    });
    let target = tempfile::tempdir().expect("a directory");
    let stream = PackStream::open(packed.bytes.as_slice(), packed.id).expect("a CAR header");
    let mut outcome = Outcome::default();
    let options = exact().threads(1);
    let report = extract_stream(stream, target.path(), &Selection::all(), &options, &mut |event| {
        if matches!(&event, RestoreEvent::Restored { path, .. } if path == b"first") {
            fs::write(target.path().join("first"), "another thing").expect("it is there");
        }
        outcome.hear(event);
    });
    assert_eq!(report.expect("the target can be used").problems, 1);
    assert_eq!(outcome.problems[0].0, "second");
    assert!(outcome.problems[0].1.contains("is gone from where it was written"), "{outcome:?}");
    assert!(!target.path().join("second").exists());
}

/// Extracts a stream that is cut or damaged; what is there must be right, and all else told.
#[track_caller]
fn check_damaged(
    bytes: Vec<u8>,
    packed: &Packed,
    whole: &std::collections::BTreeMap<Vec<u8>, Thing>,
) {
    let target = tempfile::tempdir().expect("a directory");
    let damaged = Packed { bytes, id: packed.id, tail: packed.tail };
    let outcome = from_stream(&damaged, target.path(), &Selection::all(), &exact());
    let found = tree(target.path());
    for (path, thing) in &found {
        if !path.is_empty() {
            assert_eq!(Some(thing), whole.get(path), "{}", path.escape_ascii());
        }
    }
    let told = outcome.restored.iter().filter(|path| !path.is_empty()).count();
    assert_eq!(told, found.len() - 1, "{outcome:?}");
    if told < whole.len() - 1 {
        assert!(outcome.report.stopped.is_some());
    }
}

#[test]
fn entries_of_a_cut_stream_say_where_it_stops() {
    let packed = sample();
    let cut = packed.bytes.len() / 3;
    let target = tempfile::tempdir().expect("a directory");
    let bytes = packed.bytes[..cut].to_vec();
    let damaged = Packed { bytes, id: packed.id, tail: packed.tail };
    let outcome = from_stream(&damaged, target.path(), &Selection::all(), &exact());
    let stated = |text: &str| {
        let (_, rest) = text.split_once("the pack stops at byte ")?;
        rest.split(',').next()?.parse::<usize>().ok()
    };
    let places: Vec<usize> = outcome.problems.iter().filter_map(|(_, e)| stated(e)).collect();
    assert!(!places.is_empty(), "{outcome:?}");
    assert!(places.iter().all(|&at| at == cut), "cut at {cut}: {places:?}");
}

#[test]
fn a_cut_stream_leaves_complete_files_and_nothing_else() {
    let packed = sample();
    let target = tempfile::tempdir().expect("a directory");
    from_stream(&packed, target.path(), &Selection::all(), &exact()).is_clean();
    let whole = tree(target.path());
    let len = packed.bytes.len();
    let near_the_front = (18..40_000).step_by(2999);
    for cut in near_the_front.chain((40_000..len).step_by(len / 23)).chain([len - 1]) {
        check_damaged(packed.bytes[..cut].to_vec(), &packed, &whole);
    }
}

#[test]
fn files_that_a_cut_leaves_unfinished_are_named() {
    let packed = sample();
    let target = tempfile::tempdir().expect("a directory");
    let cut = Packed { bytes: packed.bytes[..5 * MIB].to_vec(), id: packed.id, tail: 0 };
    let outcome = from_stream(&cut, target.path(), &Selection::all(), &exact());
    let problems: Vec<&str> = outcome.problems.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(problems, ["first", "second"]);
    assert!(!target.path().join("first").exists() && target.path().join("d/small 39").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn flipped_bytes_never_give_wrong_files(places in prop::collection::vec(18usize..1_000_000_000, 1..4)) {
        let packed = pack(|writer| {
            for n in 0..20 {
                let data = content(n % 15, n * 700);
                writer.add_file(format!("f{n}").as_bytes(), meta(0o600, 1), data.as_slice())?;
            }
            writer.add_file(b"long", meta(0o600, 2), content(99, MIB + 5).as_slice()).map(drop)
        });
        let target = tempfile::tempdir().expect("a directory");
        from_stream(&packed, target.path(), &Selection::all(), &exact()).is_clean();
        let whole = tree(target.path());
        let mut bytes = packed.bytes.clone();
        for place in places {
            let len = bytes.len();
            bytes[18 + place % (len - 18)] ^= 0x10;
        }
        check_damaged(bytes, &packed, &whole);
    }
}

/// The CAR stream of a pack that the writer itself refuses to finish.
fn hostile(fill: impl FnOnce(&mut PackWriter<PlainPipe<&mut Vec<u8>>>)) -> Packed {
    let mut bytes = Vec::new();
    let id = carstone_layer::PackId::from_bytes([9; 16]);
    let mut writer = PackWriter::new(PlainPipe::new(&mut bytes), id).expect("memory");
    fill(&mut writer);
    assert!(writer.finish().is_err(), "the writer refuses this");
    Packed { bytes, id, tail: 0 }
}

#[test]
fn a_pack_cannot_write_through_its_own_symlink() {
    let outside = tempfile::tempdir().expect("a directory");
    let to = outside.path().to_str().expect("text").as_bytes().to_vec();
    let packed = hostile(|writer| {
        writer.add_symlink(b"out", &to, meta(0o777, 1)).expect("memory");
        for n in 0..3 {
            let path = format!("out/file {n}");
            writer.add_file(path.as_bytes(), meta(0o600, 2), &b"gotcha"[..]).expect("memory");
        }
        let long = content(1, 3 * MIB);
        writer.add_file(b"out/long", meta(0o600, 2), long.as_slice()).expect("memory");
        writer.add_directory(b"out/directory", meta(0o777, 3)).expect("memory");
        writer.add_symlink(b"out/link", b"x", meta(0o777, 4)).expect("memory");
    });
    for threads in [1, 3] {
        let target = tempfile::tempdir().expect("a directory");
        let restore = RestoreOptions::default().overwrite(carstone_pack::fs::Overwrite::Always);
        let options = ExtractOptions::default().restore(restore).threads(threads);
        let outcome = from_stream(&packed, target.path(), &Selection::all(), &options);
        assert_eq!(names(target.path()), ["out"]);
        assert_eq!(outcome.restored, ["out"]);
        assert!(outcome.problems.iter().all(|(_, error)| error.contains("out is not a directory")));
        assert_eq!(outcome.problems.len(), 6, "{outcome:?}");
        assert!(names(outside.path()).is_empty());
    }
}

#[test]
fn one_name_twice_is_restored_once() {
    let packed = hostile(|writer| {
        writer.add_file(b"twice", meta(0o600, 1), &b"first"[..]).expect("memory");
        writer.add_file(b"twice", meta(0o600, 1), &b"second"[..]).expect("memory");
    });
    let target = tempfile::tempdir().expect("a directory");
    let options = exact().threads(1);
    let outcome = from_stream(&packed, target.path(), &Selection::all(), &options);
    assert_eq!((outcome.restored.len(), outcome.skipped.len()), (1, 1));
    assert_eq!(fs::read(target.path().join("twice")).expect("a file"), b"first");
}
