//! A tree of the file system goes into a pack as it is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::support::trees::{Told, Tree, pack_inputs};
use crate::support::{content, stream_contents};
use carstone_pack::fs::TreeOptions;
use carstone_pack::{EntryKind, PlainWriter, Timestamp};

fn default() -> TreeOptions {
    TreeOptions::default()
}

#[test]
fn files_of_all_sizes_come_into_the_pack() {
    let tree = Tree::new();
    let sizes = [0, 1, 4095, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 3];
    for (n, size) in sizes.iter().enumerate() {
        tree.file(format!("d{}/f{n}", n % 2), content(n, *size));
    }
    let told = tree.pack(&default());
    assert_eq!((told.summary.files, told.summary.directories), (7, 3));
    assert_eq!(told.summary.bytes, sizes.iter().sum::<usize>() as u64);
    assert!(told.summary.is_complete() && told.lines.is_empty());
    let streamed = stream_contents(&told.packed);
    for (n, size) in sizes.iter().enumerate() {
        let path = format!("d{}/f{n}", n % 2);
        assert!(told.content(&path) == content(n, *size), "{path}");
        assert!(streamed[path.as_bytes()] == content(n, *size), "{path}");
    }
}

#[track_caller]
fn check_name(name: &[u8]) {
    let tree = Tree::new();
    tree.file(name, b"inside");
    let told = tree.pack(&default());
    assert_eq!(told.content(name), b"inside");
    assert!(told.summary.is_complete());
}

#[test]
fn any_byte_in_a_name_is_kept() {
    check_name(b"new\nline");
    check_name(b"\xff\xfe/\x01\x7f\xc3");
    check_name(b"-rf");
    check_name(b"--help/-");
    check_name(b".hidden/.also");
    check_name(b" / ");
    check_name(b"back\\slash/\"quotes'*?[");
    check_name(&[b'n'; 250]);
    check_name(&[&[b'd'; 250][..]; 13].join(&b'/'));
    check_name("ünï/日本".as_bytes());
    check_name(&b"d/".repeat(40)[..79]);
}

#[test]
fn paths_longer_than_the_system_takes_are_packed() {
    let tree = Tree::new();
    let name = "d".repeat(250);
    let mut at = fs::File::open(tree.root()).expect("the root");
    for _ in 0..40 {
        rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::from_raw_mode(0o755)).expect("a name");
        let flags = rustix::fs::OFlags::DIRECTORY;
        let below = rustix::fs::openat(&at, &name, flags, rustix::fs::Mode::empty());
        at = below.expect("a directory").into();
    }
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    for (name, len) in [("small", 10), ("large", (1 << 20) + 10)] {
        let file = rustix::fs::openat(&at, name, flags, mode).expect("a file");
        std::io::Write::write_all(&mut fs::File::from(file), &content(1, len)).expect("space");
    }
    rustix::fs::symlinkat("target", &at, "link").expect("a link");
    let told = tree.pack(&default());
    assert_eq!(told.lines, [""; 0]);
    let deep = vec![name; 40].join("/");
    assert_eq!(told.content(format!("{deep}/small")), content(1, 10));
    assert!(told.content(format!("{deep}/large")) == content(1, (1 << 20) + 10));
    assert_eq!(told.entry(format!("{deep}/link")).target, Some(b"target".to_vec()));
}

#[test]
fn symlinks_are_kept_and_never_followed() {
    let tree = Tree::new();
    tree.file("real/file", b"x");
    symlink("real", tree.path("to-directory")).expect("a link");
    symlink("nowhere/\n", tree.path("dangling")).expect("a link");
    symlink("/etc/passwd", tree.path("away")).expect("a link");
    let told = tree.pack(&default());
    assert_eq!(told.paths(), ["away", "dangling", "real", "real/file", "to-directory"]);
    for (path, target) in [("to-directory", "real"), ("dangling", "nowhere/\n")] {
        let entry = told.entry(path);
        assert_eq!(entry.kind, EntryKind::Symlink);
        assert_eq!(entry.target.as_deref(), Some(target.as_bytes()));
    }
    // Not even as an input.
    let told = pack_inputs(&[Path::new("to-directory")], &default().base(tree.root()), &mut |_| {});
    assert_eq!(told.expect("a link").paths(), ["to-directory"]);
}

#[test]
fn hard_links_are_one_more_name() {
    let tree = Tree::new();
    let (small, large) = (content(1, 100), content(2, 3 << 20));
    let first = tree.file("a/first", &small);
    fs::hard_link(&first, tree.path("second")).expect("a link");
    fs::hard_link(&first, tree.path("a/third.txt")).expect("a link");
    let first = tree.file("large", &large);
    fs::hard_link(&first, tree.path("a/large-too")).expect("a link");
    symlink("x", tree.path("s")).expect("a link");
    fs::hard_link(tree.path("s"), tree.path("t")).expect("a link to a symlink");
    // A name of the same file outside the tree changes nothing.
    let outside = Tree::new();
    let lone = tree.file("lone", b"lone");
    fs::hard_link(lone, outside.path("lone")).expect("a link on the same file system");

    let told = tree.pack(&default());
    assert_eq!((told.summary.hard_links, told.summary.files, told.summary.symlinks), (4, 3, 1));
    assert_eq!(told.summary.bytes, 100 + (3 << 20) + 4);
    let target = |path: &str| told.entry(path).target;
    // The first in the order of the pack is the file.
    assert_eq!(target("second"), Some(b"a/first".to_vec()));
    assert_eq!(target("a/third.txt"), Some(b"a/first".to_vec()));
    assert_eq!(target("a/large-too"), None);
    assert_eq!(target("large"), Some(b"a/large-too".to_vec()));
    assert_eq!(told.entry("t").kind, EntryKind::HardLink);
    assert_eq!(told.entry("lone").kind, EntryKind::File);
    let links: Vec<_> =
        told.entries().into_iter().filter(|entry| entry.kind == EntryKind::HardLink).collect();
    for link in links {
        let original = told.packed.reader().original(&link).expect("sound").expect("it stands");
        assert_eq!(Some(original.path), link.target);
    }
}

#[test]
fn mode_time_and_owner_are_kept() {
    let tree = Tree::new();
    let file = tree.file("f", b"x");
    tree.directory("empty");
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    let old = SystemTime::UNIX_EPOCH - Duration::new(5, 0);
    let set = |path: &Path, time| {
        fs::File::open(path).and_then(|file| file.set_modified(time)).expect("it is ours")
    };
    set(&file, time);
    set(&tree.path("empty"), old);
    fs::set_permissions(&file, PermissionsExt::from_mode(0o4751)).expect("it is ours");
    fs::set_permissions(tree.path("empty"), PermissionsExt::from_mode(0o1700)).expect("ours");
    let told = tree.pack(&default());
    let entry = told.entry("f");
    assert_eq!(entry.mode, Some(0o4751));
    assert_eq!(entry.mtime, Some(Timestamp { seconds: 1_234_567_890, nanos: 123_456_789 }));
    let announced = told.packed.reader().announced(&entry).expect("sound").expect("announced");
    let (disk, kept) = (fs::metadata(&file).expect("it is there"), announced.metadata);
    assert_eq!((kept.uid, kept.gid), (Some(disk.uid()), Some(disk.gid())));
    if disk.uid() == 0 {
        assert_eq!(kept.user.as_deref(), Some(&b"root"[..]));
    }
    let entry = told.entry("empty");
    assert_eq!((entry.kind, entry.mode), (EntryKind::Directory, Some(0o1700)));
    assert_eq!(entry.mtime, Some(Timestamp { seconds: -5, nanos: 0 }));
    // The root's own metadata stands under the empty path.
    let root = fs::metadata(tree.root()).expect("it is there");
    assert_eq!(told.entry("").mode, Some(root.mode() & 0o7777));

    let told = tree.pack(&default().owners(false));
    let announced = told.packed.reader().announced(&told.entry("f")).expect("sound");
    assert_eq!(announced.expect("announced").metadata.uid, None);
}

#[test]
fn user_attributes_are_kept() {
    let tree = Tree::new();
    let file = tree.file("f", b"x");
    let large = vec![7; 1000];
    for (name, value) in [("user.b", &large[..]), ("user.a", b""), ("user.\u{fc}", b"\0\xff")] {
        if let Err(error) = xattr::set(&file, name, value) {
            eprintln!("no extended attributes here: {error}");
            return;
        }
    }
    tree.file("large", content(3, 2 << 20));
    xattr::set(tree.path("large"), "user.x", b"1").expect("as before");
    tree.directory("d");
    xattr::set(tree.path("d"), "user.x", b"2").expect("as before");
    let told = tree.pack(&default());
    let kept = |told: &Told, path: &str| {
        let announced = told.packed.reader().announced(&told.entry(path)).expect("sound");
        announced.expect("announced").metadata.xattrs
    };
    let expected = [("user.a", vec![]), ("user.b", large), ("user.\u{fc}", b"\0\xff".to_vec())];
    assert_eq!(kept(&told, "f"), expected.map(|(name, value)| (name.as_bytes().to_vec(), value)));
    assert_eq!(kept(&told, "large"), [(b"user.x".to_vec(), b"1".to_vec())]);
    assert_eq!(kept(&told, "d"), [(b"user.x".to_vec(), b"2".to_vec())]);
    assert!(kept(&tree.pack(&default().xattrs(false)), "f").is_empty());
}

#[test]
fn a_plain_car_has_the_same_root() {
    let tree = Tree::new();
    for n in 0..30 {
        tree.file(format!("d{}/f{n}.{}", n % 4, n % 3), content(n, n * 1000));
    }
    let large = tree.file("large", content(9, (3 << 20) + 1));
    fs::hard_link(large, tree.path("d1/again")).expect("a link");
    symlink("large", tree.path("link")).expect("a link");
    tree.directory("empty/below");
    tree.file(b"d1/\xff", b"not UTF-8");
    tree.file(b"\xfe/f", b"below a name that is not UTF-8");
    let told = tree.pack(&default());
    assert_eq!(told.lines, [""; 0]);

    let car = tempfile::tempfile().expect("a file");
    let mut writer = PlainWriter::new(car).expect("a file");
    let mut problems = Vec::new();
    let inputs = [tree.root().to_path_buf()];
    let mut observer = |event: carstone_pack::fs::WalkEvent<'_>| {
        if let carstone_pack::fs::WalkEvent::Problem(problem) = event {
            problems.push(problem.path);
        }
    };
    let summary = carstone_pack::fs::add_tree(&mut writer, &inputs, &default(), &mut observer);
    assert_eq!(summary.expect("a tree").problems, 3);
    problems.sort();
    assert_eq!(problems, [b"d1/\xff".to_vec(), b"\xfe".to_vec(), b"\xfe/f".to_vec()]);
    let (_, summary) = writer.finish().expect("space");
    assert_eq!(told.packed.reader().tail().roots, [summary.root]);
}
