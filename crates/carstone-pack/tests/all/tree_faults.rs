//! What goes wrong with single files is told, and the rest goes on.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::content;
use crate::support::trees::{Tree, pack_inputs};
use carstone_pack::fs::{TreeOptions, WalkEvent};
use carstone_pack::{Error, ErrorKind};

fn default() -> TreeOptions {
    TreeOptions::default()
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).open(path).expect("it is there");
    file.write_all(bytes).expect("space");
}

/// Does something once the tree has been walked, before anything is packed.
fn after_walk<'a>(mut change: impl FnMut() + 'a) -> impl FnMut(&WalkEvent<'_>) + 'a {
    move |event| {
        if matches!(event, WalkEvent::Total { .. }) {
            change();
        }
    }
}

#[track_caller]
fn check_vanishing(options: &TreeOptions, small_is: &str) {
    let tree = Tree::new();
    let small = tree.file("small", b"x");
    let large = tree.file("large", content(1, 2 << 20));
    let (linked, other) = (tree.file("linked", b"y"), tree.path("linked-too"));
    fs::hard_link(&linked, &other).expect("a link");
    fs::hard_link(&linked, tree.path("linked-three")).expect("a link");
    symlink("x", tree.path("link")).expect("a link");
    tree.file("stays", b"stays");
    let told = tree.pack_while(
        options,
        after_walk(|| {
            for path in [&small, &large, &linked, &tree.path("link")] {
                fs::remove_file(path).expect("it was there");
            }
        }),
    );
    assert!(!told.summary.is_complete());
    assert_eq!((told.summary.files, told.summary.hard_links), (2, 1));
    assert_eq!(told.paths(), ["linked-three", "linked-too", "stays"]);
    let mut lines = told.lines;
    lines.sort();
    let small = format!("small: {small_is}");
    assert_eq!(lines, ["large: NotFound", "link: NotFound", "linked: NotFound", &small]);
}

#[test]
fn files_that_vanish_are_told_and_left_out() {
    // Looking for attributes finds out first; without, a worker does.
    check_vanishing(&default(), "NotFound");
    check_vanishing(&default().xattrs(false), "Unreadable");
}

#[test]
fn files_that_change_are_told_and_kept() {
    let tree = Tree::new();
    let grown = tree.file("grown", vec![b'a'; 1000]);
    let shrunk = tree.file("shrunk", vec![b'b'; 1000]);
    let over = tree.file("over", vec![b'c'; 1000]);
    let replaced = tree.file("replaced", b"before");
    tree.file("same", b"same");
    let told = tree.pack_while(
        &default(),
        after_walk(|| {
            append(&grown, &[b'a'; 100_000]);
            fs::write(&shrunk, b"short").expect("space");
            append(&over, &vec![b'c'; 3 << 20]);
            fs::rename(tree.file("new", b"after!"), &replaced).expect("the same directory");
        }),
    );
    let mut lines = told.lines.clone();
    lines.sort();
    assert_eq!(lines, ["grown: Changed", "over: Changed", "replaced: Changed", "shrunk: Changed"]);
    assert!(told.content("grown") == vec![b'a'; 101_000]);
    assert_eq!(told.content("shrunk"), b"short");
    assert!(told.content("over") == vec![b'c'; 1 << 20]);
    assert_eq!(told.content("replaced"), b"after!");
    assert_eq!(told.content("same"), b"same");
}

#[test]
fn a_large_file_that_grows_or_shrinks_while_it_is_read_is_told() {
    let tree = Tree::new();
    let grows = tree.file("grows", content(1, 4 << 20));
    let shrinks = tree.file("shrinks", content(2, 4 << 20));
    let mut seen = 0;
    let told = tree.pack_while(&default(), |event| {
        if let WalkEvent::Content { .. } = event {
            // Without end, if the walk let it.
            append(&grows, &content(3, 1 << 20));
            seen += 1;
            if seen == 1 {
                let file = OpenOptions::new().write(true).open(&shrinks).expect("it is there");
                file.set_len(2 << 20).expect("space");
            }
        }
    });
    assert!(told.content("grows")[..4 << 20] == content(1, 4 << 20));
    let shrunk = told.content("shrinks");
    assert!(shrunk[..] == content(2, 4 << 20)[..shrunk.len()]);
    assert!(told.lines.contains(&"grows: Changed".to_owned()), "{:?}", told.lines);
}

#[test]
fn what_cannot_be_read_is_told() {
    let tree = Tree::new();
    let closed = tree.file("closed", b"x");
    tree.file("locked/inside", b"x");
    tree.file("open", b"open");
    let deny = |path: &Path, mode| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours")
    };
    deny(&closed, 0);
    deny(&tree.path("locked"), 0);
    let readable = fs::File::open(&closed).is_ok();
    let told = tree.pack(&default());
    deny(&tree.path("locked"), 0o755);
    if readable {
        eprintln!("this user may read everything");
        return;
    }
    let mut lines = told.lines.clone();
    lines.sort();
    assert_eq!(lines, ["closed: Unreadable", "locked: PermissionDenied"]);
    assert_eq!(told.paths(), ["locked", "open"]);
}

#[test]
fn missing_inputs_are_told() {
    let tree = Tree::new();
    tree.file("there", b"x");
    let inputs = [Path::new("missing"), Path::new("there"), Path::new("there/below")];
    let told = pack_inputs(&inputs, &default().base(tree.root()), &mut |_| {}).expect("a tree");
    assert_eq!(told.lines, ["missing: NotFound", "below: NotADirectory"]);
    assert_eq!((told.paths(), told.summary.unreadable), (vec!["there".to_owned()], 2));
    let told = pack_inputs(&inputs[..1], &default().base(tree.root()), &mut |_| {});
    assert_eq!(told.expect("an empty pack").summary.unreadable, 1);
}

#[test]
fn sockets_and_pipes_are_passed_over() {
    let tree = Tree::new();
    tree.file("file", b"x");
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).expect("a socket");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, tree.path("pipe"), rustix::fs::FileType::Fifo, mode, 0)
        .expect("a pipe");
    let mut told = tree.pack(&default());
    told.lines.sort();
    assert_eq!(told.lines, ["pipe: Special", "socket: Special"]);
    assert_eq!((told.paths(), told.summary.skipped), (vec!["file".to_owned()], 2));
    assert!(!told.summary.is_complete());
}

#[test]
fn a_pipe_in_the_place_of_a_file_does_not_block() {
    let tree = Tree::new();
    let paths = [tree.file("small", b"x"), tree.file("large", content(1, 2 << 20))];
    let told = tree.pack_while(
        &default(),
        after_walk(|| {
            for path in &paths {
                fs::remove_file(path).expect("it was there");
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let pipe = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, pipe, mode, 0).expect("a pipe");
            }
        }),
    );
    assert_eq!(told.paths(), [""; 0]);
    assert_eq!(told.lines, ["large: Other", "small: Unreadable"]);
}

#[test]
fn a_symlink_in_the_place_of_a_file_is_not_followed() {
    let tree = Tree::new();
    let secret = Tree::new().file("secret", b"secret");
    let paths = [tree.file("small", b"x"), tree.file("large", content(1, 2 << 20))];
    let told = tree.pack_while(
        &default(),
        after_walk(|| {
            for path in &paths {
                fs::remove_file(path).expect("it was there");
                symlink(&secret, path).expect("a link");
            }
        }),
    );
    assert_eq!((told.paths(), told.lines.len()), (vec![], 2));
}

#[track_caller]
fn check_cancelled(stop: impl Fn(&WalkEvent<'_>) -> bool) {
    let tree = Tree::new();
    tree.file("a.small", b"x");
    tree.file("large", content(1, 4 << 20));
    let flag = Arc::new(AtomicBool::new(false));
    let options = default().cancel(flag.clone());
    let told = pack_inputs(&[tree.root()], &options, &mut |event| {
        flag.fetch_or(stop(event), Ordering::Relaxed);
    });
    let error = told.map(drop).expect_err("it was stopped");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Cancelled)));
}

#[test]
fn a_flag_stops_the_walk() {
    check_cancelled(|event| matches!(event, WalkEvent::Total { .. }));
    check_cancelled(|event| matches!(event, WalkEvent::Entry { .. }));
    check_cancelled(|event| matches!(event, WalkEvent::Content { bytes } if *bytes > 1000));
}
