//! Packs against directories, and trees of blocks to and against directories.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::support::{Packed, content, pack};
use crate::trees::{Outcome, at_random, exact, meta, names};
use carstone_pack::fs::{
    CompareOptions, CompareReport, DifferenceKind, RestoreError, RestoreEvent, Selection,
    compare_dag, compare_tree, extract_dag,
};
use carstone_unixfs::{BlockSource, Cid, DirectoryBuilder, Link, Profile, symlink, write_file};
use filetime::{FileTime, set_file_mtime, set_symlink_file_times};

const MIB: usize = 1 << 20;

fn sample() -> Packed {
    let mut tagged = meta(0o640, 5);
    tagged.xattrs = vec![(b"user.tag".to_vec(), b"one".to_vec())];
    pack(|writer| {
        writer.add_directory(b"", meta(0o755, 1))?;
        writer.add_directory(b"d", meta(0o755, 2))?;
        writer.add_file(b"d/inner/file", meta(0o644, 3), &b"small"[..])?;
        writer.add_file(b"d-e", meta(0o644, 4), &b"beside"[..])?;
        writer.add_file(b"large", meta(0o640, 5), content(1, 3 * MIB).as_slice())?;
        writer.add_file(b"tagged", tagged, &b"x"[..])?;
        writer.add_symlink(b"link", b"d/inner", meta(0o777, 6))?;
        let id = writer.add_file(b"original", meta(0o600, 7), &b"shared"[..])?;
        writer.expect_hard_links(id);
        writer.add_hard_link(b"another", id, b"original", meta(0o600, 7)).map(drop)
    })
}

/// The directory with all metadata as the pack has it again, after a change to what is in it.
fn times_again(target: &Path) {
    for (name, seconds) in [("d", 2), ("", 1)] {
        let at = target.join(name);
        set_file_mtime(at, FileTime::from_unix_time(seconds, 123_456_789)).expect("a directory");
    }
}

fn differences(
    packed: &Packed,
    target: &Path,
    options: &CompareOptions,
) -> (Vec<String>, CompareReport) {
    let mut told = Vec::new();
    let report = compare_tree(&packed.reader(), target, options, &mut |difference| {
        let kind = match difference.kind {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "extra",
            DifferenceKind::Kind { .. } => "kind",
            DifferenceKind::Size { .. } => "size",
            DifferenceKind::Content => "content",
            DifferenceKind::Mode { .. } => "mode",
            DifferenceKind::Mtime { .. } => "mtime",
            DifferenceKind::Target { .. } => "target",
            DifferenceKind::Xattrs => "xattrs",
            DifferenceKind::HardLink { .. } => "hard link",
            _ => "unreadable",
        };
        told.push(format!("{} {kind}", difference.path.escape_ascii()));
    });
    let report = report.expect("the directory can be read");
    assert_eq!(report.differences, told.len() as u64);
    told.sort();
    (told, report)
}

/// Extracts, changes, and compares.
#[track_caller]
fn check(change: impl Fn(&Path), expected: &[&str]) {
    let packed = sample();
    for threads in [1, 3] {
        let target = tempfile::tempdir().expect("a directory");
        at_random(&packed, target.path(), &Selection::all(), &exact()).is_clean();
        change(target.path());
        times_again(target.path());
        let options = CompareOptions::default().threads(threads);
        let (told, report) = differences(&packed, target.path(), &options);
        assert_eq!(told, expected);
        assert!(report.stopped.is_none() && report.entries == 10, "{report:?}");
    }
}

#[test]
fn an_extracted_pack_does_not_differ() {
    check(|_| {}, &[]);
}

#[test]
fn missing_and_extra_entries_are_told() {
    check(|at| fs::remove_file(at.join("d-e")).expect("it is there"), &["d-e missing"]);
    let remove_all =
        |at: &Path| fs::remove_dir_all(at.join("d")).and_then(|()| fs::create_dir(at.join("d")));
    check(|at| remove_all(at).expect("it is there"), &["d/inner missing", "d/inner/file missing"]);
    check(
        |at| {
            fs::create_dir_all(at.join("d/more/below")).expect("a directory");
            fs::write(at.join("zz"), "").expect("a file");
            fs::write(at.join("a"), "").expect("a file");
        },
        &["a extra", "d/more extra", "zz extra"],
    );
}

#[test]
fn other_kinds_sizes_and_content_are_told() {
    let rewrite = |at: &Path, name: &str, text: &str| {
        let time =
            FileTime::from_last_modification_time(&fs::metadata(at.join(name)).expect("a file"));
        fs::write(at.join(name), text).expect("a file");
        set_file_mtime(at.join(name), time).expect("a file");
    };
    check(|at| rewrite(at, "d-e", "longer than before"), &["d-e size"]);
    check(|at| rewrite(at, "d-e", "BESIDE"), &["d-e content"]);
    check(|at| rewrite(at, "original", "SHARED"), &["another content", "original content"]);
    check(
        |at| {
            let mut large = content(1, 3 * MIB);
            large[2 * MIB] ^= 1;
            let time = FileTime::from_unix_time(5, 123_456_789);
            fs::write(at.join("large"), large).expect("a file");
            set_file_mtime(at.join("large"), time).expect("a file");
        },
        &["large content"],
    );
    check(
        |at| {
            fs::remove_file(at.join("d-e")).expect("it is there");
            fs::create_dir(at.join("d-e")).expect("a directory");
        },
        &["d-e kind"],
    );
}

#[test]
fn metadata_that_differs_is_told_unless_it_does_not_count() {
    use std::os::unix::fs::PermissionsExt;
    let set_mode =
        |at: &Path| fs::set_permissions(at.join("large"), PermissionsExt::from_mode(0o600));
    check(|at| set_mode(at).expect("a file"), &["large mode"]);
    let time = FileTime::from_unix_time(5, 0);
    check(|at| set_file_mtime(at.join("large"), time).expect("a file"), &["large mtime"]);
    check(
        |at| {
            fs::remove_file(at.join("link")).expect("it is there");
            std::os::unix::fs::symlink("d", at.join("link")).expect("a symlink");
            let time = FileTime::from_unix_time(6, 123_456_789);
            set_symlink_file_times(at.join("link"), time, time).expect("a symlink");
        },
        &["link target"],
    );
    check(
        |at| {
            let time = FileTime::from_unix_time(7, 123_456_789);
            fs::remove_file(at.join("another")).expect("it is there");
            fs::copy(at.join("original"), at.join("another")).expect("a file");
            set_file_mtime(at.join("another"), time).expect("a file");
        },
        &["another hard link"],
    );

    let (packed, target) = (sample(), tempfile::tempdir().expect("a directory"));
    at_random(&packed, target.path(), &Selection::all(), &exact()).is_clean();
    set_mode(target.path()).expect("a file");
    let options = CompareOptions::default().metadata(false);
    assert!(differences(&packed, target.path(), &options).0.is_empty());
}

#[test]
fn attributes_that_differ_are_told() {
    let target = tempfile::tempdir().expect("a directory");
    if xattr::set(target.path(), "user.probe", b"").is_err() {
        eprintln!("skipped: no extended attributes here");
        return;
    }
    let set = |at: &Path, value: &[u8]| xattr::set(at.join("tagged"), "user.tag", value);
    check(|at| set(at, b"two").expect("attributes"), &["tagged xattrs"]);
    let remove = |at: &Path| xattr::remove(at.join("tagged"), "user.tag");
    check(|at| remove(at).expect("attributes"), &["tagged xattrs"]);
    check(|at| xattr::set(at.join("d"), "user.new", b"").expect("attributes"), &["d xattrs"]);
}

type Blocks = HashMap<Cid, Vec<u8>>;

/// A directory of blocks: a small file, a long one, a symlink, a directory.
fn dag() -> (Blocks, Cid, Link) {
    let (profile, mut blocks) = (Profile::unixfs_v1_2025(), Blocks::new());
    let mut sink = |cid: &Cid, data: &[u8]| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    };
    let small: Link = write_file(&profile, &b"small"[..], &mut sink).expect("memory").into();
    let large = write_file(&profile, content(4, 3 * MIB).as_slice(), &mut sink).expect("memory");
    let link = symlink(&profile, b"small", &mut sink).expect("memory");
    let mut inner = DirectoryBuilder::new(&profile);
    inner.add("large", large.into()).expect("a name");
    let inner = inner.finish(&mut sink).expect("memory");
    let mut root = DirectoryBuilder::new(&profile);
    root.add("small", small).expect("a name");
    root.add("link", link).expect("a name");
    root.add("inner", inner).expect("a name");
    let root = root.finish(&mut sink).expect("memory");
    (blocks, root.cid, large.into())
}

fn from_dag(blocks: &Blocks, roots: &[Cid], name: Option<&[u8]>, target: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    let all = Selection::all();
    let report = extract_dag(blocks, roots, name, target, &all, &exact(), &mut |event| {
        outcome.hear(event);
    });
    outcome.report = report.expect("the target can be used");
    outcome
}

fn against_dag(blocks: &Blocks, roots: &[Cid], target: &Path) -> Vec<String> {
    let mut told = Vec::new();
    let report = compare_dag(blocks, roots, None, target, &mut |difference| {
        told.push(format!("{} {:?}", difference.path.escape_ascii(), difference.kind));
    });
    assert!(report.expect("the directory can be read").stopped.is_none());
    told
}

#[test]
fn trees_of_blocks_are_extracted_and_compared() {
    let (blocks, root, _) = dag();
    let target = tempfile::tempdir().expect("a directory");
    from_dag(&blocks, &[root], None, target.path()).is_clean();
    assert_eq!(names(target.path()), ["inner", "inner/large", "link", "small"]);
    assert_eq!(fs::read(target.path().join("inner/large")).expect("a file"), content(4, 3 * MIB));
    assert!(against_dag(&blocks, &[root], target.path()).is_empty());

    fs::write(target.path().join("small"), "SMALL").expect("a file");
    fs::write(target.path().join("inner/extra"), "").expect("a file");
    fs::remove_file(target.path().join("link")).expect("it is there");
    let mut told = against_dag(&blocks, &[root], target.path());
    told.sort();
    assert_eq!(told, ["inner/extra Extra", "link Missing", "small Content"]);
}

#[test]
fn roots_that_are_files_or_many_get_names() {
    let (blocks, root, large) = dag();
    let check = |roots: &[Cid], name: Option<&[u8]>, expected: &[String]| {
        let target = tempfile::tempdir().expect("a directory");
        from_dag(&blocks, roots, name, target.path()).is_clean();
        assert_eq!(names(target.path()), expected);
        if name.is_none() {
            assert!(against_dag(&blocks, roots, target.path()).is_empty());
        }
    };
    check(&[large.cid], None, &["unknown".into()]);
    check(&[large.cid], Some(b"film"), &["film".into()]);
    let mut both = vec![large.cid.to_string(), root.to_string()];
    for name in ["inner", "inner/large", "link", "small"] {
        both.push(format!("{root}/{name}"));
    }
    both.sort();
    check(&[root, large.cid], None, &both);
    check(&[root, large.cid, root], None, &both);
    check(&[large.cid, large.cid], None, &["unknown".into()]);
}

#[test]
fn missing_blocks_are_told_and_the_rest_is_restored() {
    let (mut blocks, root, large) = dag();
    let leaf = *blocks.iter().find(|(_, data)| data.len() == MIB).expect("a leaf").0;
    let data = blocks.remove(&leaf).expect("a leaf");
    let check = |blocks: &Blocks| {
        let target = tempfile::tempdir().expect("a directory");
        let outcome = from_dag(blocks, &[root], None, target.path());
        assert_eq!(names(target.path()), ["inner", "link", "small"]);
        assert_eq!(outcome.problems.len(), 1, "{outcome:?}");
        assert_eq!(outcome.problems[0].0, "inner/large");
    };
    check(&blocks);
    blocks.insert(leaf, data);
    blocks.remove(&large.cid);
    check(&blocks);
}

/// Tells what an entry's problem is, with its causes.
fn told(problem: &RestoreError) -> String {
    let mut text = problem.to_string();
    let mut cause = std::error::Error::source(problem);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[test]
fn damaged_blocks_are_told_as_what_they_are_and_the_rest_is_restored() {
    struct Checked(Blocks);
    impl BlockSource for Checked {
        fn block(&self, cid: &Cid) -> std::io::Result<Option<Vec<u8>>> {
            let Some(data) = self.0.get(cid) else { return Ok(None) };
            carstone_car::verify(cid, data).map_err(|error| error.with_offset(77))?;
            Ok(Some(data.clone()))
        }
    }
    let (mut blocks, root, large) = dag();
    let leaf = *blocks.iter().find(|(_, data)| data.len() == MIB).expect("a leaf").0;
    let whole = blocks.clone();
    let check = |blocks: Blocks, root: Cid, expected: &[&str], problem: (&str, String)| {
        let (target, mut problems) = (tempfile::tempdir().expect("a directory"), Vec::new());
        let mut hear = |event| {
            if let RestoreEvent::Problem { path, error } = event {
                problems.push((path.escape_ascii().to_string(), told(&error)));
            }
        };
        let all = Selection::all();
        let source = Checked(blocks);
        let report = extract_dag(&source, &[root], None, target.path(), &all, &exact(), &mut hear);
        assert!(report.expect("the target can be used").stopped.is_none());
        assert_eq!(problems, [(problem.0.to_owned(), problem.1.clone())]);
        assert_eq!(names(target.path()), expected);
        let mut told_again = Vec::new();
        let report = compare_dag(&source, &[root], None, target.path(), &mut |difference| {
            if let DifferenceKind::Source(error) = &difference.kind {
                told_again.push(told(error));
            }
        });
        assert!(report.expect("the directory can be read").stopped.is_none());
        // What is not there cannot be compared.
        assert!(told_again.iter().all(|told| *told == problem.1), "{told_again:?}");
    };
    let broken = |cid: &Cid| {
        format!(
            "cannot read its content: cannot use a block: data does not match its CID {cid} at byte 77"
        )
    };
    let rest = ["inner", "link", "small"];
    for cid in [leaf, large.cid] {
        blocks.clone_from(&whole);
        blocks.get_mut(&cid).expect("it is there")[5] ^= 1;
        check(blocks.clone(), root, &rest, ("inner/large", broken(&cid)));
    }
    blocks.clone_from(&whole);
    blocks.get_mut(&root).expect("it is there")[5] ^= 1;
    check(blocks.clone(), root, &[], ("unknown", broken(&root)));
    blocks.remove(&root);
    check(blocks.clone(), root, &[], ("unknown", format!("block {root} is missing")));
    blocks.clone_from(&whole);
    blocks.remove(&leaf);
    let gone = format!("cannot read its content: block {leaf}: the block is missing");
    check(blocks, root, &rest, ("inner/large", gone));
}
