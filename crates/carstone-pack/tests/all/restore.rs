//! Single entries are restored safely, whatever their names and whatever is there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use carstone_pack::fs::{
    Overwrite, RestoreErrorKind, RestoreEvent, RestoreOptions, Restorer, Skip,
};
use carstone_pack::{Metadata, PathFault, Timestamp};

fn meta(mode: u32) -> Metadata {
    Metadata::new(mode, Timestamp { seconds: 1000, nanos: 5 })
}

fn always() -> RestoreOptions {
    RestoreOptions::default().overwrite(Overwrite::Always).same_permissions(true)
}

/// Restores with all methods, each of which must fail with an error that `is` the one.
#[track_caller]
fn check_refused(target: &Path, path: &[u8], is: impl Fn(&RestoreErrorKind) -> bool) {
    let restorer = Restorer::new(target, always()).expect("the target is there");
    let mut problems = 0;
    let mut told = |event: RestoreEvent| match event {
        RestoreEvent::Problem { path: at, error } => {
            assert_eq!(at, path);
            assert!(is(error.kind()), "{error}: {error:?}");
            problems += 1;
        }
        other => panic!("{other:?}"),
    };
    assert!(!restorer.file(path, &meta(0o600), b"x", &mut told));
    assert!(restorer.create(path, &meta(0o600), &mut told).is_none());
    assert!(!restorer.directory(path, &meta(0o700), &mut told));
    assert!(!restorer.symlink(path, b"x", &meta(0o777), &mut told));
    assert!(!restorer.hard_link(path, b"original", &meta(0o600), &mut told));
    restorer.finish(&mut |event| panic!("{event:?}"));
    assert_eq!(problems, 5);
}

#[test]
fn names_that_lead_outside_are_refused() {
    let outer = tempfile::tempdir().expect("a directory");
    let target = outer.path().join("target");
    let long = [b'a'; 65_536];
    for (path, expected) in [
        (&b"../x"[..], PathFault::DotComponent),
        (b"a/../../x", PathFault::DotComponent),
        (b"./x", PathFault::DotComponent),
        (b"/tmp/x", PathFault::Absolute),
        (b"a//x", PathFault::EmptyComponent),
        (b"a/", PathFault::EmptyComponent),
        (b"a\0b", PathFault::Nul),
        (&long, PathFault::TooLong),
    ] {
        check_refused(
            &target,
            path,
            |kind| matches!(kind, RestoreErrorKind::BadPath(fault) if *fault == expected),
        );
    }
    assert_eq!(fs::read_dir(&target).expect("a directory").count(), 0);
    assert_eq!(fs::read_dir(outer.path()).expect("a directory").count(), 1);
}

#[test]
fn symlinks_on_the_way_are_not_followed() {
    let outside = tempfile::tempdir().expect("a directory");
    let target = tempfile::tempdir().expect("a directory");
    symlink(outside.path(), target.path().join("link")).expect("a symlink");
    fs::create_dir(target.path().join("real")).expect("a directory");
    symlink("../real", target.path().join("real/inner")).expect("a symlink");
    fs::write(target.path().join("file"), "x").expect("a file");
    for (path, at) in [("link/x", "link"), ("real/inner/x", "real/inner"), ("file/x", "file")] {
        check_refused(
            target.path(),
            path.as_bytes(),
            |kind| matches!(kind, RestoreErrorKind::NotADirectory { at: told } if told == at),
        );
    }
    assert_eq!(fs::read_dir(outside.path()).expect("a directory").count(), 0);
}

#[test]
fn a_directory_that_becomes_a_symlink_is_not_dressed_through_it() {
    let outside = tempfile::tempdir().expect("a directory");
    let before = fs::metadata(outside.path()).expect("a directory");
    let target = tempfile::tempdir().expect("a directory");
    let restorer = Restorer::new(target.path(), always()).expect("a directory");
    assert!(restorer.directory(b"d", &meta(0o777), &mut |_| {}));
    fs::remove_dir(target.path().join("d")).expect("it is empty");
    symlink(outside.path(), target.path().join("d")).expect("a symlink");
    let mut problems = 0;
    restorer.finish(&mut |_| problems += 1);
    assert_eq!(problems, 1);
    let after = fs::metadata(outside.path()).expect("a directory");
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
}

#[test]
fn an_unfinished_file_is_not_seen_and_leaves_nothing() {
    let target = tempfile::tempdir().expect("a directory");
    let restorer = Restorer::new(target.path(), always()).expect("a directory");
    let mut told = |event: RestoreEvent| panic!("{event:?}");
    let file = restorer.create(b"d/f", &meta(0o644), &mut told).expect("it is free");
    file.write_at(b"half", 0).expect("space");
    assert!(!target.path().join("d/f").exists());
    assert_eq!(fs::read_dir(target.path().join("d")).expect("a directory").count(), 1);
    let hidden = fs::read_dir(target.path().join("d")).expect("a directory").next();
    let mode = hidden.expect("one").expect("one").metadata().expect("a file").mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may read what is not complete");
    drop(file);
    assert_eq!(fs::read_dir(target.path().join("d")).expect("a directory").count(), 0);
}

#[test]
fn what_appears_while_a_file_is_written_is_not_overwritten() {
    let target = tempfile::tempdir().expect("a directory");
    let restorer = Restorer::new(target.path(), RestoreOptions::default()).expect("a directory");
    let file = restorer.create(b"f", &meta(0o644), &mut |_| {}).expect("it is free");
    file.write_at(b"packed", 0).expect("space");
    fs::write(target.path().join("f"), "there").expect("a file");
    let mut skipped = Vec::new();
    let placed = restorer.place(file, &meta(0o644), 6, &mut |event| match event {
        RestoreEvent::Skipped { why, .. } => skipped.push(why),
        other => panic!("{other:?}"),
    });
    assert!(!placed);
    assert_eq!(skipped, [Skip::Exists]);
    assert_eq!(fs::read(target.path().join("f")).expect("a file"), b"there");
    assert_eq!(fs::read_dir(target.path()).expect("a directory").count(), 1);
}

#[test]
fn many_threads_restore_into_many_directories() {
    let target = tempfile::tempdir().expect("a directory");
    let restorer = Restorer::new(target.path(), always()).expect("a directory");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let restorer = &restorer;
            scope.spawn(move || {
                for n in 0..600 {
                    // More directories than are kept open, each used by all threads.
                    let path = format!("{}/{}/{thread}-{n}", n % 20, n % 300);
                    let mut told = |event| {
                        assert!(matches!(event, RestoreEvent::Restored { .. }), "{event:?}");
                    };
                    assert!(restorer.file(path.as_bytes(), &meta(0o600), b"x", &mut told));
                }
            });
        }
    });
    restorer.finish(&mut |event| panic!("{event:?}"));
    let count = |n: usize| {
        let at = target.path().join(format!("{}/{}", n % 20, n % 300));
        fs::read_dir(at).expect("a directory").count()
    };
    assert_eq!((0..300).map(count).sum::<usize>(), 2400);
}

#[test]
fn owner_is_restored_on_demand() {
    use std::os::unix::fs::chown;
    let target = tempfile::tempdir().expect("a directory");
    if chown(target.path(), Some(12), None).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let mut owned = meta(0o4755);
    (owned.uid, owned.gid) = (Some(1234), Some(4321));
    for (same, expected) in [(true, (1234, 4321)), (false, (0, 0))] {
        let options = always().same_owner(same);
        let restorer = Restorer::new(target.path(), options).expect("a directory");
        let mut told = |event| assert!(matches!(event, RestoreEvent::Restored { .. }), "{event:?}");
        assert!(restorer.file(b"f", &owned, b"x", &mut told));
        assert!(restorer.symlink(b"l", b"f", &owned, &mut told));
        assert!(restorer.directory(b"d", &owned, &mut told));
        restorer.finish(&mut told);
        for name in ["f", "l"] {
            let stat = fs::symlink_metadata(target.path().join(name)).expect("it is there");
            assert_eq!((stat.uid(), stat.gid()), expected, "{name}");
        }
        let mode = fs::metadata(target.path().join("f")).expect("a file").mode();
        assert_eq!(mode & 0o7777, 0o4755, "the owner comes before the mode");
    }
}

#[test]
fn files_are_created_with_their_mode_and_stay_out_of_the_way() {
    let target = tempfile::tempdir().expect("a directory");
    let path = target.path();
    fs::write(path.join("there"), "mine").expect("a file");
    let probe = fs::metadata(path.join("there")).expect("it was written").mode();
    let umask = !probe & 0o666;
    let restorer = Restorer::new(path, RestoreOptions::default()).expect("the target is there");
    let mut events = Vec::new();
    let mut told = |event: RestoreEvent| events.push(event);
    for name in [&b"there"[..], b"there", b"new"] {
        let placed = restorer.file(name, &meta(0o4777), b"theirs", &mut told);
        assert_eq!(placed, name == b"new");
    }
    assert!(restorer.file(b"empty", &Metadata::default(), b"", &mut told));
    restorer.finish(&mut told);
    let skipped = |event: &&RestoreEvent| matches!(event, RestoreEvent::Skipped { path, why: Skip::Exists } if path == b"there");
    assert_eq!((events.len(), events.iter().filter(skipped).count()), (4, 2));
    assert_eq!(fs::read(path.join("there")).expect("it is there"), b"mine");
    assert_eq!(fs::read(path.join("new")).expect("it is there"), b"theirs");
    let mode = |name| fs::metadata(path.join(name)).expect("it is there").mode() & 0o7777;
    assert_eq!(mode("new") & 0o7666, 0o666 & !umask);
    assert_eq!(mode("empty"), 0o666 & !umask);
    assert_eq!(fs::read_dir(path).expect("a directory").count(), 3);
}
