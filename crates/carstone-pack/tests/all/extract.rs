//! Whole packs and parts of them come back as they were, at random and from a stream.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Packed, content, pack};
use crate::trees::{Thing, Way, at_random, below, exact, from_stream, meta, names, tree};
use carstone_pack::Metadata;
use carstone_pack::fs::{ExtractOptions, Overwrite, RestoreOptions, Selection, Skip};

const WAYS: [Way; 2] = [at_random, from_stream];
const MIB: usize = 1 << 20;

/// Every kind of entry, odd names, content of every kind of length.
fn sample() -> Packed {
    pack(|writer| {
        writer.add_directory(b"", meta(0o750, 1))?;
        writer.add_directory(b"dir", meta(0o555, 2))?;
        writer.add_directory(b"dir/inner", meta(0o500, 3))?;
        writer.add_directory(b"empty", meta(0o711, 4))?;
        writer.add_file(b"dir/inner/leaf", meta(0o444, 5), &b"deep"[..])?;
        for (name, len) in [("zero", 0), ("one", 1), ("most", MIB), ("more", MIB + 1)] {
            writer.add_file(name.as_bytes(), meta(0o640, 6), content(len, len).as_slice())?;
        }
        writer.add_file(b"large", meta(0o600, 7), content(9, 11 * MIB + 17).as_slice())?;
        writer.add_file(b"again", meta(0o644, 8), content(1, 1).as_slice())?;
        writer.add_file(b"large again", meta(0o600, 9), content(9, 11 * MIB + 17).as_slice())?;
        writer.add_symlink(b"dangling", b"/nowhere/at all", meta(0o777, 10))?;
        for odd in [&b"new\nline"[..], b"\xff\xfe", b"-rf", b" ", b".hidden", &[b'n'; 250]] {
            writer.add_file(odd, meta(0o604, 11), odd)?;
        }
        let deep = vec!["d"; 40].join("/");
        writer.add_file(format!("{deep}/bottom").as_bytes(), meta(0o644, -12), &b"down"[..])?;
        let original = writer.add_file(b"original", meta(0o644, 13), &b"shared"[..])?;
        writer.expect_hard_links(original);
        writer.add_hard_link(b"another", original, b"original", meta(0o644, 13))?;
        writer.add_hard_link(b"dir/third", original, b"original", meta(0o644, 13))?;
        Ok(())
    })
}

#[test]
fn everything_comes_back_as_it_was() {
    let packed = sample();
    let mut trees = Vec::new();
    for way in WAYS {
        for threads in [1, 4] {
            let target = tempfile::tempdir().expect("a directory");
            let options = exact().threads(threads);
            way(&packed, target.path(), &Selection::all(), &options).is_clean();
            let found = tree(target.path());
            let directory = |mode, at| Thing::Directory { mode, mtime: (at, 123_456_789) };
            assert_eq!(found[&b""[..]], directory(0o750, 1));
            assert_eq!(found[&b"dir"[..]], directory(0o555, 2));
            assert_eq!(found[&b"dir/inner"[..]], directory(0o500, 3));
            assert_eq!(found[&b"empty"[..]], directory(0o711, 4));
            let mtime = (10, 123_456_789);
            let symlink = Thing::Symlink { mtime, target: b"/nowhere/at all".to_vec() };
            assert_eq!(found[&b"dangling"[..]], symlink);
            for name in ["large", "large again"] {
                assert!(
                    matches!(&found[name.as_bytes()], Thing::File { mode: 0o600, content: is, .. }
                    if *is == content(9, 11 * MIB + 17))
                );
            }
            let links = ["original", "another", "dir/third"];
            let inode = |name| fs::metadata(target.path().join(name)).expect("it is there").ino();
            assert_eq!(links.map(inode), [inode("original"); 3]);
            // Directories that paths imply have the time of the extraction, which differs.
            trees.push(found.into_iter().filter(|(path, _)| !implied(path)).collect::<Vec<_>>());
        }
    }
    assert!(trees.iter().all(|tree| *tree == trees[0]));
}

fn implied(path: &[u8]) -> bool {
    path.starts_with(b"d/") && !path.ends_with(b"bottom") || path == b"d"
}

#[test]
fn parts_are_selected_by_patterns() {
    let packed = sample();
    for way in WAYS {
        let check = |patterns: &[&str], expected: &[&str]| {
            let target = tempfile::tempdir().expect("a directory");
            let selection = Selection::patterns(patterns);
            way(&packed, target.path(), &selection, &exact()).is_clean();
            assert_eq!(names(target.path()), expected, "{patterns:?}");
        };
        check(&["dir"], &["dir", "dir/inner", "dir/inner/leaf", "dir/third"]);
        check(&["dir/inner/leaf", "one"], &["dir", "dir/inner", "dir/inner/leaf", "one"]);
        check(&["large*"], &["large", "large again"]);
        check(&["large again"], &["large again"]);
        check(&["again"], &["again"]);
        check(&["**/third"], &["dir", "dir/third"]);
        check(&["no such"], &[]);
    }
}

#[test]
fn patterns_that_match_nothing_are_in_the_report() {
    let packed = sample();
    for way in WAYS {
        let target = tempfile::tempdir().expect("a directory");
        let selection = Selection::patterns(["one", "missing", "x*"]);
        let outcome = way(&packed, target.path(), &selection, &exact());
        assert_eq!(outcome.report.unmatched, [b"missing".to_vec(), b"x*".to_vec()]);
    }
}

#[test]
fn a_hard_link_without_its_original_gets_the_content() {
    let packed = pack(|writer| {
        let small = writer.add_file(b"small", meta(0o644, 1), &b"few"[..])?;
        writer.expect_hard_links(small);
        let long = writer.add_file(b"long", meta(0o644, 2), content(3, 3 * MIB).as_slice())?;
        writer.expect_hard_links(long);
        let link = writer.add_symlink(b"sym", b"small", meta(0o777, 3))?;
        writer.expect_hard_links(link);
        writer.add_hard_link(b"links/few", small, b"small", meta(0o600, 1))?;
        writer.add_hard_link(b"links/many", long, b"long", meta(0o600, 2))?;
        writer.add_hard_link(b"links/more", long, b"long", meta(0o600, 2))?;
        writer.add_hard_link(b"links/sym", link, b"sym", meta(0o777, 3))?;
        Ok(())
    });
    for way in WAYS {
        let target = tempfile::tempdir().expect("a directory");
        way(&packed, target.path(), &Selection::patterns(["links"]), &exact()).is_clean();
        let at = |name: &str| target.path().join("links").join(name);
        assert_eq!(fs::read(at("few")).expect("a file"), b"few");
        assert_eq!(fs::read(at("many")).expect("a file"), content(3, 3 * MIB));
        assert_eq!(fs::read_link(at("sym")).expect("a symlink").to_str(), Some("small"));
        let inode = |name| fs::metadata(at(name)).expect("a file").ino();
        assert_eq!(inode("many"), inode("more"));
        assert_eq!(names(target.path()).len(), 5);
    }
}

#[test]
fn what_is_there_is_overwritten_only_on_demand() {
    let packed = pack(|writer| {
        for name in ["older", "newer", "link", "free", "file in the way"] {
            writer.add_file(name.as_bytes(), meta(0o644, 1000), &b"packed"[..])?;
        }
        writer.add_symlink(b"to link", b"packed", meta(0o777, 1000))?;
        writer.add_file(b"emptied", meta(0o644, 1000), &b"packed"[..])?;
        writer.add_file(b"full", meta(0o644, 1000), &b"packed"[..])?;
        writer.add_directory(b"directory", meta(0o755, 1000))?;
        writer.add_file(b"directory/inside", meta(0o644, 1000), &b"packed"[..]).map(drop)
    });
    for way in WAYS {
        for overwrite in [Overwrite::Never, Overwrite::Always, Overwrite::IfNewer] {
            let target = tempfile::tempdir().expect("a directory");
            let at = |name: &str| target.path().join(name);
            for (name, seconds) in [("older", 999), ("newer", 1001), ("file in the way", 999)] {
                fs::write(at(name), "there").expect("a file");
                let time = filetime::FileTime::from_unix_time(seconds, 0);
                filetime::set_file_mtime(at(name), time).expect("a file");
            }
            let outside = tempfile::NamedTempFile::new().expect("a file");
            for name in ["link", "to link"] {
                std::os::unix::fs::symlink(outside.path(), at(name)).expect("a symlink");
                let time = filetime::FileTime::from_unix_time(999, 0);
                filetime::set_symlink_file_times(at(name), time, time).expect("a symlink");
            }
            fs::create_dir(at("emptied")).expect("a directory");
            fs::create_dir_all(at("full/of/things")).expect("a directory");
            fs::create_dir(at("directory")).expect("a directory");
            fs::write(at("directory/mine"), "there").expect("a file");
            let options = RestoreOptions::default().overwrite(overwrite);
            let outcome = way(&packed, target.path(), &Selection::all(), &exact().restore(options));

            let read = |name: &str| fs::read_to_string(at(name)).expect("a file");
            assert_eq!(read("free"), "packed");
            assert_eq!(
                (read("directory/inside"), read("directory/mine")),
                ("packed".into(), "there".into())
            );
            assert_eq!(
                read("older"),
                if overwrite == Overwrite::Never { "there" } else { "packed" }
            );
            assert_eq!(
                read("newer"),
                if overwrite == Overwrite::Always { "packed" } else { "there" }
            );
            assert_eq!(
                fs::read(outside.path()).expect("a file"),
                b"",
                "nothing goes through a link"
            );
            assert!(at("full/of/things").is_dir());
            let link = fs::read_link(at("to link")).expect("a symlink");
            assert_eq!(link.to_str() == Some("packed"), overwrite != Overwrite::Never);
            match overwrite {
                Overwrite::Never => {
                    assert_eq!(outcome.report.skipped, 7, "{outcome:?}");
                    assert!(outcome.skipped.iter().all(|(_, why)| *why == Skip::Exists));
                    assert!(at("emptied").is_dir() && at("link").is_symlink());
                }
                Overwrite::Always => {
                    assert_eq!((outcome.report.skipped, read("emptied")), (0, "packed".into()));
                    assert_eq!(outcome.problems.len(), 1, "{outcome:?}");
                    assert_eq!(
                        (outcome.problems[0].0.as_str(), read("link")),
                        ("full", "packed".into())
                    );
                }
                _ => {
                    assert!(outcome.skipped.contains(&("newer".into(), Skip::NotNewer)));
                    assert_eq!(outcome.report.skipped, 0, "older is what was asked for");
                }
            }
            assert!(names(target.path()).iter().all(|name| !name.contains(".carstone")));
        }
    }
}

#[test]
fn leading_components_are_cut_off() {
    let packed = pack(|writer| {
        writer.add_directory(b"top", meta(0o700, 1))?;
        writer.add_file(b"top/a/b", meta(0o644, 2), &b"b"[..])?;
        let id = writer.add_file(b"top/c", meta(0o644, 3), &b"c"[..])?;
        writer.expect_hard_links(id);
        writer.add_hard_link(b"top/a/d", id, b"top/c", meta(0o644, 3))?;
        writer.add_file(b"alone", meta(0o644, 4), &b"e"[..]).map(drop)
    });
    for way in WAYS {
        let target = tempfile::tempdir().expect("a directory");
        let options = exact().restore(RestoreOptions::default().strip_components(1));
        let outcome = way(&packed, target.path(), &Selection::all(), &options);
        assert_eq!(names(target.path()), ["a", "a/b", "a/d", "c"]);
        assert_eq!(
            outcome.skipped.len(),
            2 + usize::from(outcome.skipped.contains(&(String::new(), Skip::Stripped))),
            "{outcome:?}"
        );
        assert!(outcome.skipped.iter().all(|(_, why)| *why == Skip::Stripped));
    }
}

#[test]
fn modes_follow_the_umask_unless_the_same_are_wanted() {
    let packed = pack(|writer| {
        writer.add_file(b"suid", meta(0o6777, 1), &b"x"[..])?;
        writer.add_directory(b"sticky", meta(0o1777, 1))?;
        writer.add_file(b"unknown", Metadata::default(), &b"x"[..]).map(drop)
    });
    let probe = tempfile::tempdir().expect("a directory");
    fs::write(probe.path().join("new"), "").expect("a file");
    let usual = fs::metadata(probe.path().join("new")).expect("a file").mode() & 0o777;
    let umask = 0o666 & !usual;
    for way in WAYS {
        for (same, file, directory) in
            [(false, 0o777 & !umask, 0o777 & !umask), (true, 0o6777, 0o1777)]
        {
            let target = tempfile::tempdir().expect("a directory");
            let options = exact().restore(RestoreOptions::default().same_permissions(same));
            way(&packed, target.path(), &Selection::all(), &options).is_clean();
            let mode = |name: &[u8]| {
                fs::metadata(below(target.path(), name)).expect("it is there").mode() & 0o7777
            };
            assert_eq!(
                (mode(b"suid"), mode(b"sticky"), mode(b"unknown")),
                (file, directory, usual)
            );
        }
    }
}

#[test]
fn extended_attributes_of_users_come_back() {
    let mut with = meta(0o755, 1);
    with.xattrs = vec![(b"trusted.x".to_vec(), b"no".to_vec()), (b"user.x".to_vec(), vec![0, 1])];
    let packed = pack(|writer| {
        writer.add_directory(b"d", with.clone())?;
        writer.add_file(b"d/f", with.clone(), &b"x"[..]).map(drop)
    });
    for way in WAYS {
        let target = tempfile::tempdir().expect("a directory");
        if xattr::set(target.path(), "user.probe", b"").is_err() {
            eprintln!("skipped: no extended attributes here");
            return;
        }
        way(&packed, target.path(), &Selection::all(), &exact()).is_clean();
        for name in ["d", "d/f"] {
            let at = target.path().join(name);
            assert_eq!(xattr::get(&at, "user.x").expect("attributes"), Some(vec![0, 1]));
            assert_eq!(xattr::get(&at, "trusted.x").ok().flatten(), None);
        }
    }
}

#[test]
fn damaged_blocks_cost_only_the_files_they_belong_to() {
    let packed = pack(|writer| {
        for n in 0..10 {
            let path = format!("small {n}");
            writer.add_file(path.as_bytes(), meta(0o600, 1), content(n, 2000).as_slice())?;
        }
        writer.add_file(b"long", meta(0o600, 2), content(50, 9 * MIB).as_slice()).map(drop)
    });
    let whole = tempfile::tempdir().expect("a directory");
    at_random(&packed, whole.path(), &Selection::all(), &exact()).is_clean();
    let whole = tree(whole.path());
    for (needle, lost) in [(content(3, 2000), "small 3"), (content(50, 9 * MIB), "long")] {
        let mut bytes = packed.bytes.clone();
        // The last bytes of the first block of the content.
        let part = &needle[..needle.len().min(64)];
        let at = bytes.windows(part.len()).position(|window| window == part).expect("it is packed");
        bytes[at + 1000] ^= 1;
        let damaged = Packed { bytes, id: packed.id, tail: packed.tail };
        for threads in [1, 4] {
            let target = tempfile::tempdir().expect("a directory");
            let options = exact().threads(threads);
            let outcome = at_random(&damaged, target.path(), &Selection::all(), &options);
            assert_eq!((outcome.problems.len(), outcome.restored.len()), (1, 11), "{outcome:?}");
            assert_eq!(outcome.problems[0].0, lost);
            let found = tree(target.path());
            assert_eq!(found.len(), 11, "nothing is left of what failed");
            assert!(found.iter().all(|(path, thing)| path.is_empty() || whole[path] == *thing));
        }
    }
}

#[test]
fn a_cancelled_extraction_leaves_only_complete_files() {
    use carstone_pack::ErrorKind;
    use carstone_pack::fs::{ExtractReport, RestoreEvent, extract_reader, extract_stream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let packed = pack(|writer| {
        writer.add_file(b"small", meta(0o600, 1), &b"x"[..])?;
        writer.add_file(b"long", meta(0o600, 2), content(1, 40 * MIB).as_slice()).map(drop)
    });
    let check =
        |extract: &dyn Fn(&std::path::Path, &ExtractOptions, Arc<AtomicBool>) -> ExtractReport| {
            let target = tempfile::tempdir().expect("a directory");
            let flag = Arc::new(AtomicBool::new(false));
            let options = exact().threads(1).cancel(Arc::clone(&flag));
            let report = extract(target.path(), &options, flag);
            let stopped = report.stopped.expect("it was cancelled");
            assert!(matches!(stopped.kind(), ErrorKind::Cancelled), "{stopped:?}");
            assert_eq!(names(target.path()), ["small"]);
        };
    // The flag is set when some of the long file is written.
    let hear = |event: &RestoreEvent, flag: &AtomicBool| {
        if matches!(event, RestoreEvent::Progress { bytes } if *bytes > 1) {
            flag.store(true, Ordering::Relaxed);
        }
    };
    let all = Selection::all();
    check(&|target, options, flag| {
        extract_reader(&packed.reader(), target, &all, options, &mut |event| hear(&event, &flag))
            .expect("the target can be used")
    });
    check(&|target, options, flag| {
        let stream = carstone_pack::PackStream::open(packed.bytes.as_slice(), packed.id);
        let stream = stream.expect("a CAR header");
        extract_stream(stream, target, &all, options, &mut |event| hear(&event, &flag))
            .expect("the target can be used")
    });
}
